// A subscription begins again: from a position, from a time, and what may not be replayed.

import t from 'tap'
import type { Client } from '#agent/client/mod.ts'
import { HubStore } from '#hub/store/mod.ts'
import { run } from './cli.ts'
import { bodiesOf, eventually, inTime, localHub, nextOf, numbered } from './support.ts'

const hub = await localHub(t, {
  config: { queues: [{ name: 'shared', topics: ['shared'], retain: { ms: '1h' } }] },
})
const producer = await hub.client('producer')

let streams = 0
async function publish(topic: string, bodies: readonly string[]): Promise<void> {
  const publisher = producer.publisher({ stream: `stream-${++streams}` })
  for (const body of bodies) void publisher.publish({ topic, body: Buffer.from(body) })
  await publisher.flush()
}

const retained = (client: Client, topic: string) =>
  client.subscribe({ name: 'all', topics: [topic], policy: { retainMs: 3_600_000 } })

t.test('from a position: what was settled comes again, in its order', async (t) => {
  const agent = await hub.client('historian')
  const subscription = await retained(agent, 'history')
  await publish('history', numbered(5))
  await publish('history', numbered(5, 5))
  t.same(await bodiesOf(subscription, 10), numbered(10))
  await eventually('settled', () => hub.queue('historian:all').depth === 0)
  t.equal(await inTime(subscription.replay({ fromPosition: 3 }), 'the replay'), 7)
  t.same(await bodiesOf(subscription, 7), numbered(7, 3))
  await eventually('settled again', () => hub.queue('historian:all').depth === 0)
  t.ok(agent.connected)
})

t.test('asked for twice at once: nothing is delivered before the last answer, and nothing is left out', async (t) => {
  const subscription = await retained(await hub.client('hasty'), 'hasty')
  await publish('hasty', numbered(5))
  await publish('hasty', numbered(5, 5))
  await bodiesOf(subscription, 10)
  await eventually('settled', () => hub.queue('hasty:all').depth === 0)
  // The second takes until the first was answered, and what it opened could have been delivered.
  const { replay } = HubStore.prototype
  t.teardown(() => {
    HubStore.prototype.replay = replay
  })
  const first = Promise.withResolvers<void>()
  HubStore.prototype.replay = async function (...given) {
    HubStore.prototype.replay = async function (...later) {
      const messages = await replay.apply(this, later)
      await first.promise
      return messages
    }
    return await replay.apply(this, given)
  }
  const replays = [subscription.replay({ fromPosition: 0 }), subscription.replay({ fromPosition: 0 })]
  await inTime(replays[0] as Promise<number>, 'the first replay')
  await new Promise((resolve) => setTimeout(resolve, 50))
  first.resolve()
  await inTime(replays[1] as Promise<number>, 'the second replay')
  t.same(await bodiesOf(subscription, 10), numbered(10))
  await eventually('settled again', () => hub.queue('hasty:all').depth === 0)
})

t.test('from a time of the hub', async (t) => {
  const subscription = await retained(await hub.client('timely'), 'timely')
  await publish('timely', ['before'])
  await bodiesOf(subscription, 1)
  const before = Date.now()
  await eventually('time passes', () => Date.now() > before + 5)
  const fromMs = Date.now()
  await publish('timely', ['after'])
  await bodiesOf(subscription, 1)
  t.equal(await subscription.replay({ fromMs }), 1)
  t.same(await bodiesOf(subscription, 1), ['after'])
  t.equal(await subscription.replay({ fromMs: 0 }), 2, 'everything')
  t.same(await bodiesOf(subscription, 2), ['before', 'after'])
})

t.test('deliveries from before have no effect any more; what was settled before counts', async (t) => {
  const agent = await hub.client('careful')
  const subscription = await retained(agent, 'careful')
  await publish('careful', numbered(3))
  await publish('careful', numbered(3, 3))
  const [first, second] = [await nextOf(subscription), await nextOf(subscription)]
  first.settle()
  second.settle(0, 1)
  const replay = subscription.replay({ fromPosition: 1 })
  second.settle(1, 2)
  t.equal(await inTime(replay, 'the replay'), 3, 'positions 1, 2 and 3 were settled; 4 and 5 are open anyway')
  t.same(await bodiesOf(subscription, 5), numbered(5, 1))
  await eventually('settled', () => hub.queue('careful:all').depth === 0)
  t.ok(agent.connected)
})

t.test('with messages of several priorities: urgent and bulk ones whole', async (t) => {
  const subscription = await retained(await hub.client('layered'), 'layered')
  const publisher = producer.publisher({ stream: 'layered' })
  for (const priority of ['normal', 'urgent', 'bulk', 'normal'] as const) {
    await publisher.publish({ topic: 'layered', body: Buffer.from(priority), priority })
  }
  await bodiesOf(subscription, 4)
  await eventually('settled', () => hub.queue('layered:all').depth === 0)
  t.equal(await subscription.replay({ fromPosition: 1 }), 3)
  t.same((await bodiesOf(subscription, 3)).sort(), ['bulk', 'normal', 'urgent'])
})

t.test('a replay survives the restart of the hub', async (t) => {
  const subscription = await retained(await hub.client('patient'), 'patient')
  await publish('patient', numbered(4))
  await bodiesOf(subscription, 4)
  await eventually('settled', () => hub.queue('patient:all').depth === 0)
  t.equal(await subscription.replay({ fromPosition: 0 }), 4)
  await hub.restart()
  t.same(await bodiesOf(subscription, 4), numbered(4))
})

t.test('what is not retained, or somebody else shares, cannot be replayed; the session goes on', async (t) => {
  const agent = await hub.client('forgetful')
  const plain = await agent.subscribe({ name: 'plain', topics: ['plain'] })
  await publish('plain', numbered(2))
  await bodiesOf(plain, 2)
  await t.rejects(plain.replay({ fromPosition: 0 }), {
    code: 'REQUEST_REFUSED',
    details: { hubCode: 'QUEUE_NOT_RETAINED' },
  })
  const shared = await agent.subscribe({ queue: 'shared' })
  await publish('shared', numbered(3))
  const held = await nextOf(shared)
  await t.rejects(shared.replay({ fromPosition: 0 }), {
    code: 'REQUEST_REFUSED',
    details: { hubCode: 'RIGHT_MISSING' },
  })
  held.settle()
  await eventually('settled as if nothing had been asked', () => hub.queue('shared').depth === 0)
  t.ok(agent.connected)
})

t.test('a refused replay takes nothing from the consumer', async (t) => {
  let disconnected = 0
  const watched = await hub.client('watched', {}, { onDisconnected: () => disconnected++ })
  const plain = await watched.subscribe({ name: 'plain', topics: ['held'] })
  await publish('held', numbered(2))
  const held = await nextOf(plain)
  const refused = { code: 'REQUEST_REFUSED', details: { hubCode: 'QUEUE_NOT_RETAINED' } }
  await t.rejects(plain.replay({ fromPosition: 0 }), refused)
  held.settle()
  await eventually('settled', () => hub.queue('watched:plain').depth === 0)
  t.equal(disconnected, 0)
})

t.test('by hand: receive --retain, then --replay', async (t) => {
  await hub.enroll('by-hand')
  const receive = ['receive', '--data', `${hub.dir}/by-hand`, '--name', 'n', '--topic', 'hand', '--retain', '1h']
  const lines = (stdout: string) =>
    stdout
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { body: string }).body)
  await run('agent', [...receive, '--timeout', '100ms'])
  await publish('hand', numbered(3))
  const first = await run('agent', [...receive, '--count', '3', '--timeout', '60s'])
  t.same(lines(first.stdout), numbered(3), first.stderr)
  const again = await run('agent', [...receive, '--count', '3', '--timeout', '60s', '--replay', '1h'])
  t.same(lines(again.stdout), numbered(3), again.stderr)
  const wrong = await run('agent', ['receive', '--data', `${hub.dir}/by-hand`, '--queue', 'q', '--replay', '1h'])
  t.match(wrong, { code: 2, stderr: /--name and --topic/ })
})
