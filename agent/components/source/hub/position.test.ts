import t from 'tap'
import { RangeSet } from '#protocol/session/mod.ts'
import { copyOf, decodeHubPosition, encodeHubPosition } from './position.ts'

t.test('a position survives being written down', async (t) => {
  const done = new RangeSet(10, [[12, 15]])
  const back = decodeHubPosition(encodeHubPosition({ store: 'ab', queue: 'a:名', done }))
  t.match(back, { store: 'ab', queue: 'a:名', done: { floor: 10, above: [[12, 15]] } })
})

t.test('a copy is a copy', async (t) => {
  const set = new RangeSet(3, [[5, 6]])
  const copy = copyOf(set)
  copy.add(3, 5)
  t.same([set.floor, copy.floor], [3, 6])
})

t.test('what is no position is a fault, not a new beginning', async (t) => {
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    '7',
    '{"store":"a","queue":"b","floor":1.5,"above":[]}',
    '{"store":"a","queue":1,"floor":1,"above":[]}',
  ]) {
    t.throws(() => decodeHubPosition(text), { code: 'SOURCE_POSITION_INVALID' }, text)
  }
})
