import t from 'tap'
import type { Lane } from '#hub/store/mod.ts'
import { RESTING_LANES_MAX } from './limits.ts'
import { RestingLanes } from './resting.ts'

/** Only their identity counts. */
const lanes = Array.from({ length: 10 }, () => ({}) as Lane)
const lane = (i: number): Lane => lanes[i] as Lane

t.test('nothing is taken of a lane that rests, then one lease alone', async (t) => {
  const resting = new RestingLanes()
  t.ok(resting.isOpen(lane(0), true))
  t.equal(resting.begin(lane(0), 'a'), 50)
  t.equal(resting.begin(lane(0), 'a'), null)
  t.notOk(resting.isOpen(lane(0), false))
  resting.over(lane(0))
  t.ok(resting.isOpen(lane(0), false))
  t.notOk(resting.isOpen(lane(0), true))
  t.equal(resting.begin(lane(0), 'a'), 100, 'each time longer')
  for (let i = 0; i < 10; i++) {
    resting.over(lane(0))
    resting.begin(lane(0), 'a')
  }
  resting.over(lane(0))
  t.equal(resting.begin(lane(0), 'a'), 5_000)
  resting.end(lane(0))
  resting.over(lane(0))
  t.ok(resting.isOpen(lane(0), true))
})

t.test('an origin has few lanes rest, however many began at once', async (t) => {
  const resting = new RestingLanes()
  for (let i = 0; i < RESTING_LANES_MAX + 2; i++) resting.begin(lane(i), 'a')
  const may = (origin: string) => lanes.map((each) => resting.mayRest(each, origin))
  t.same(
    may('a'),
    lanes.map((_, i) => i < RESTING_LANES_MAX),
  )
  t.ok(may('b').every((each) => each))
  resting.end(lane(1))
  t.ok(resting.mayRest(lane(RESTING_LANES_MAX), 'a'))
  t.notOk(resting.mayRest(lane(RESTING_LANES_MAX + 1), 'a'))
})
