import t from 'tap'
import type { Entry, Lane, Lease } from '#hub/store/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { Leases } from './leases.ts'

const entry: Entry = {
  position: 0,
  remaining: 1,
  batchSeq: 1,
  count: 1e6,
  bytes: 0,
  storedAtMs: 0,
  expiresAtMs: 0,
  attempts: 0,
  receiptFlags: 0,
  home: null,
  note: '',
  backNote: '',
  selection: null,
}
const lane = {} as Lane
const lease = (from: number, count: number): Lease => ({ lane, entry, from, count, attempt: 1, takenAtMs: 0 })

t.test('agrees with a plain map of positions, whatever is leased and settled', (t) => {
  const random = new Random(testSeed())
  for (let round = 0; round < 200; round++) {
    const leases = new Leases()
    const held = new Set<number>()
    let next = 0
    for (let step = 0; step < 60; step++) {
      const position = random.below(next + 3)
      const found = leases.at(position)
      if ((found !== undefined) !== held.has(position)) return t.fail(`round ${round}: position ${position}`)
      if (found !== undefined) {
        const to = position + 1 + random.below(found.from + found.count - position)
        leases.cut(found, position, to)
        for (let p = position; p < to; p++) held.delete(p)
        if (random.below(4) === 0) {
          leases.add(lease(position, to - position))
          for (let p = position; p < to; p++) held.add(p)
        }
      } else {
        const count = 1 + random.below(5)
        leases.add(lease(next, count))
        for (let p = next; p < next + count; p++) held.add(p)
        next += count
      }
    }
    const all = leases.all.flatMap(({ from, count }) => Array.from({ length: count }, (_, i) => from + i))
    if (all.join() !== [...held].sort((a, b) => a - b).join()) return t.fail(`round ${round}: ${all.join()}`)
  }
  t.pass('200 rounds of 60 steps')
  t.end()
})
