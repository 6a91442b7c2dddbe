// Request and reply between two agents that never connect to each other.

import t from 'tap'
import { eventually, inTime, localHub } from './support.ts'

const hub = await localHub(t, { queues: [{ name: 'questions', topics: ['ask/#'] }] })
const asker = await hub.client('asker', { publish: ['ask/#', 'silence', 'direct'], consume: [] })
const answerer = await hub.client('answerer', { publish: [], consume: ['questions', 'silence', 'direct'] })

await answerer.respond({ queue: 'questions' }, async ({ envelope, body }) => {
  if (envelope.topic === 'ask/broken') throw new Error('the register is closed')
  return Buffer.from(`answer to ${body}`)
})

t.test('an answer comes back to the one who asked, among many at once', async (t) => {
  const other = await hub.client('other-asker', { publish: ['ask/#'], consume: [] })
  const asked = Array.from({ length: 50 }, (_, i) => {
    const client = i % 2 === 0 ? asker : other
    return client.request({ topic: 'ask/number', body: Buffer.from(String(i)), deadlineMs: 60_000 })
  })
  const answers = await Promise.all(asked)
  t.same(
    answers.map(({ body }) => body.toString()),
    Array.from({ length: 50 }, (_, i) => `answer to ${i}`),
  )
})

t.test('nobody answers: REQUEST_TIMEOUT at the deadline', async (t) => {
  await answerer.subscribe({ name: 'silent', topics: ['silence'] })
  await t.rejects(asker.request({ topic: 'silence', body: Buffer.from('?'), deadlineMs: 150 }), {
    code: 'REQUEST_TIMEOUT',
    where: 'silence',
  })
})

t.test('a request that cannot be answered is set aside with the reason', async (t) => {
  const before = hub.queue('$dead').depth
  const asked = asker.request({ topic: 'ask/broken', body: Buffer.from('?'), deadlineMs: 300 })
  await t.rejects(asked, { code: 'REQUEST_TIMEOUT' })
  await eventually('rejected', () => hub.queue('$dead').depth === before + 1)
})

t.test('a request past its deadline is not answered any more', async (t) => {
  let handled = 0
  await t.rejects(asker.request({ topic: 'direct', body: Buffer.from('late'), deadlineMs: 1 }))
  const late = await answerer.respond({ name: 'late', topics: ['direct'] }, () => {
    handled++
    return Buffer.from('now')
  })
  // Comes after the late one in the same queue: when it is answered, the late one was passed.
  // On a quick machine it may be answered within its millisecond.
  await asker.request({ topic: 'direct', body: Buffer.from('late'), deadlineMs: 1 }).catch(() => undefined)
  const answer = await asker.request({ topic: 'direct', body: Buffer.from('in time'), deadlineMs: 60_000 })
  t.equal(answer.body.toString(), 'now')
  t.ok(handled <= 2, 'the first of them was asked before anyone listened')
  await eventually('nothing waits', () => hub.queue('answerer:late').depth === 0)
  late.close()
})

t.test('a request nobody may make is refused at once', async (t) => {
  await t.rejects(asker.request({ topic: 'forbidden', body: Buffer.from('?'), deadlineMs: 60_000 }), {
    code: 'PUBLISH_REFUSED',
    details: { hubCode: 'RIGHT_MISSING' },
  })
})

t.test('the deadline counts while the hub is away, and the next request works when it is back', async (t) => {
  const fresh = await hub.client('fresh-asker', { publish: ['ask/#'], consume: [] })
  await hub.stop()
  await t.rejects(fresh.request({ topic: 'ask/away', body: Buffer.from('?'), deadlineMs: 100 }), {
    code: 'REQUEST_TIMEOUT',
  })
  await t.rejects(asker.request({ topic: 'ask/away', body: Buffer.from('?'), deadlineMs: 100 }), {
    code: 'REQUEST_TIMEOUT',
  })
  await hub.start()
  for (const client of [fresh, asker]) {
    const answer = await client.request({ topic: 'ask/back', body: Buffer.from('again'), deadlineMs: 60_000 })
    t.equal(answer.body.toString(), 'answer to again')
  }
})

t.test('closing the client ends what still waits for an answer', async (t) => {
  const leaver = await hub.client('leaver', { publish: ['silence'], consume: [] })
  const asked = leaver.request({ topic: 'silence', body: Buffer.from('?'), deadlineMs: 60_000 })
  const refused = t.rejects(inTime(asked, 'the end', 30_000), { code: 'CLIENT_CLOSED' })
  await leaver.close()
  await refused
})
