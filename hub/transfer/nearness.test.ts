import t from 'tap'
import { NEAR_BYTES_MAX, NEAR_BYTES_MIN } from './limits.ts'
import { Nearness } from './nearness.ts'

t.test('nobody waits for one who is near, or too far away', async (t) => {
  const nearness = new Nearness()
  let went = 0
  nearness.pace(() => went++)
  t.equal(went, 1, 'nobody follows')
  for (const behind of [0, NEAR_BYTES_MIN, NEAR_BYTES_MAX + 1]) {
    using _following = nearness.add(() => behind)
    nearness.pace(() => went++)
  }
  t.equal(went, 4)
})

t.test('who falls behind is waited for until it comes nearer', async (t) => {
  const nearness = new Nearness()
  let behind = NEAR_BYTES_MIN + 1
  const following = nearness.add(() => behind)
  let went = 0
  nearness.pace(() => went++)
  nearness.progressed()
  t.equal(went, 0, 'it is not near enough yet')
  behind = NEAR_BYTES_MIN
  nearness.progressed()
  nearness.progressed()
  t.equal(went, 1)

  behind = NEAR_BYTES_MAX
  nearness.pace(() => went++)
  t.equal(went, 1)
  following[Symbol.dispose]()
  t.equal(went, 2, 'until it has gone')
})

t.test('who makes no progress is waited for a moment, one after the other', async (t) => {
  const nearness = new Nearness()
  nearness.add(() => NEAR_BYTES_MAX)
  const order: string[] = []
  await new Promise<void>((resolve) => {
    nearness.pace(() => order.push('first'))
    nearness.pace(() => {
      order.push('second')
      resolve()
    })
    t.same(order, ['first'])
  })
  t.same(order, ['first', 'second'])
})
