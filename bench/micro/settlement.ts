// Settled positions as ranges: in the order they were given out, as one consumer does, and mixed, as several do.

import { Random } from '#protocol/bytes/testing.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import type { Suite } from './suite.ts'

const RANGES = 1000
const COUNT = 100

export function settlement(): Suite {
  const inOrder = Array.from({ length: RANGES }, (_, i) => i * COUNT)
  return {
    cases: [
      { name: 'settle ranges in order', unit: 'ranges', perRun: RANGES, run: () => settle(inOrder, COUNT) },
      {
        name: 'settle ranges of four consumers',
        unit: 'ranges',
        perRun: RANGES,
        run: (
          (order) => () =>
            settle(order, COUNT)
        )(shuffled(inOrder, 4)),
      },
      {
        name: 'settle ranges in any order',
        unit: 'ranges',
        perRun: RANGES,
        run: (
          (order) => () =>
            settle(order, COUNT)
        )(shuffled(inOrder, RANGES)),
      },
      {
        name: 'find what is open in a set with 500 gaps',
        unit: 'look-ups',
        perRun: RANGES,
        run: (
          (gaps) => () =>
            inOrder.reduce((sum, from) => sum + gaps.missing(from, from + COUNT).length, 0)
        )(
          settle(
            inOrder.filter((_, i) => i % 2 === 1),
            COUNT,
          ),
        ),
      },
    ],
  }
}

function settle(order: readonly number[], count: number): RangeSet {
  const settled = new RangeSet()
  for (const from of order) settled.add(from, from + count)
  return settled
}

/** Each moves by less than `reach` places: as far as consumers run ahead of one another. */
function shuffled(list: readonly number[], reach: number): number[] {
  const random = new Random(1)
  return list
    .map((value, i) => ({ value, at: i + random.below(reach) }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value)
}
