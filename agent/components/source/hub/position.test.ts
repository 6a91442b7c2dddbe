import t from 'tap'
import { RangeSet } from '#protocol/session/mod.ts'
import { Identities } from './identities.ts'
import { decodeHubPosition, encodeHubPosition, LanePositions, placeOf, refOf } from './position.ts'

const none = () => ({ fresh: new Identities(), former: new Identities() })
const plain = (done: LanePositions) => done.lanes.map((lane) => [lane, done.of(lane).floor, done.of(lane).above])

t.test('a position survives being written down, lane by lane', async (t) => {
  const done = new LanePositions()
  done.set(4, new RangeSet(7))
  done.set(0, new RangeSet(10, [[12, 15]]))
  done.of(1).add(3, 5)
  const back = decodeHubPosition(encodeHubPosition({ store: 'ab', queue: 'a:名', done, ...none() }))
  t.match(back, { store: 'ab', queue: 'a:名' })
  t.same(plain(back.done), [
    [0, 10, [[12, 15]]],
    [1, 0, [[3, 5]]],
    [4, 7, []],
  ])
})

t.test('a cursor from before there were lanes is read as lane 0, and written as it was', async (t) => {
  const old = '{"store":"ab","queue":"q","floor":10,"above":[[12,15]]}'
  const position = decodeHubPosition(old)
  t.same(plain(position.done), [[0, 10, [[12, 15]]]])
  t.equal(encodeHubPosition(position), old)
})

/** More, and with longer names, than anyone remembers. */
function manyIdentities(): Identities {
  const identities = new Identities()
  for (let stream = 0; stream < 100; stream++) {
    const name = { origin: 'o'.repeat(200), stream: `${'\n'.repeat(190)}${stream}`, epoch: 2 ** 47 }
    for (let run = 0; run < 100; run++) identities.add(name, 2 ** 47 + 2 * run, 2 ** 47 + 2 * run + 1)
  }
  return identities
}

t.test('all lanes of a queue, and all that is remembered of streams, fit a cursor', async (t) => {
  const done = new LanePositions()
  for (let lane = 0; lane < 192; lane++) {
    done.set(
      lane,
      new RangeSet(2 ** 40, [
        [2 ** 41, 2 ** 42],
        [2 ** 43, 2 ** 44],
      ]),
    )
  }
  const [fresh, former] = [manyIdentities(), manyIdentities()]
  const cursor = encodeHubPosition({ store: 'a'.repeat(32), queue: '\n'.repeat(200), done, fresh, former })
  t.ok(Buffer.byteLength(cursor) < 65_536, `${Buffer.byteLength(cursor)} bytes`)
})

t.test('a copy is a copy', async (t) => {
  const set = new LanePositions()
  set.set(2, new RangeSet(3, [[5, 6]]))
  const copy = set.copy()
  copy.of(2).add(3, 5)
  t.same([set.of(2).floor, copy.of(2).floor], [3, 6])
})

t.test('what is no position is a fault, not a new beginning', async (t) => {
  const start = '"store":"a","queue":"b","floor":1,"above":[]'
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    '7',
    '{"store":"a","queue":"b","floor":1.5,"above":[]}',
    '{"store":"a","queue":"b","floor":1,"above":[[1]]}',
    '{"store":"a","queue":1,"floor":1,"above":[]}',
    `{${start},"lanes":7}`,
    `{${start},"lanes":[[192,0,[]]]}`,
    `{${start},"lanes":[[1,-1,[]]]}`,
    `{${start},"lanes":[null]}`,
    `{${start},"done":7}`,
    `{${start},"done":[["o","s",1]]}`,
    `{${start},"before":[["o","s",1,[[0,5]]]]}`,
    `{${start},"before":[["o","s",1,[[5,5]]]]}`,
  ]) {
    t.throws(() => decodeHubPosition(text), { code: 'SOURCE_POSITION_INVALID' }, text)
  }
})

t.test('references name lane and position, and stay plain numbers in lane 0', async (t) => {
  t.equal(refOf(0, 17), 17)
  t.equal(refOf(4, 17), '4:17')
  t.same(
    [placeOf(17), placeOf('4:17'), placeOf('17')],
    [
      { lane: 0, position: 17 },
      { lane: 4, position: 17 },
      { lane: 0, position: 17 },
    ],
  )
})
