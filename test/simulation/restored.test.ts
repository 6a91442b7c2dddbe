// A hub whose folder was put back to an older copy, and what its agents make of it. The simulation plays this at random; here
// is what happens in words.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ClientOptions, Subscription } from '#agent/client/mod.ts'
import { HubSource } from '#agent/components/source/hub/source.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { SimSpool } from './spool.ts'
import { makeCast, type SimAgent, Stage } from './stage.ts'

const { cast, end } = makeCast({ p: {}, c: {}, x: {} })
t.teardown(end)

async function begin(t: Test): Promise<Stage> {
  const stage = new Stage({ cast, seed: 1, queues: [{ name: 'q', topics: ['q/#'] }] })
  t.teardown(() => stage[Symbol.asyncDispose]())
  await stage.world.outcome(stage.hub.start(), 'the hub starts')
  return stage
}

/** Put back by somebody who says so, or by nobody who knows. */
async function restore({ hub, world }: Stage, { told = false } = {}): Promise<void> {
  await hub.kill()
  hub.restore()
  if (told) await hub.markRestored()
  await world.outcome(hub.start(), 'the hub starts')
}

const idOf = ({ hub }: Stage): string => hub.running?.store.storeId.toString('hex') ?? ''

/** Publishes from memory, each message acknowledged before the next. */
function publisherOf(stage: Stage, name = 'p', options: Partial<ClientOptions> = {}) {
  const agent = stage.agent(name, options)
  const publisher = agent.within(() => agent.client.publisher({ stream: 's' }))
  const publish = (body: string) =>
    stage.world.outcome(
      agent.within(() => publisher.publish({ topic: 'q/x', body: Buffer.from(body) })),
      body,
    )
  return { agent, publisher, publish }
}

/** Sends from a spool, and notes down what it is told. */
function spoolOf(stage: Stage) {
  const agent = stage.agent('p')
  const key = signingKey((cast.identities.get('p') as { key: Parameters<typeof signingKey>[0] }).key)
  const spool = new SimSpool({ name: 's', origin: 'p', key, epoch: 1 })
  const faults: Fault[] = []
  const nothing = () => undefined
  const note = (fault: Fault) => void faults.push(fault)
  const events = { onAccepted: nothing, onUnrouted: nothing, onError: note, onRefused: note, onLost: note }
  const sender = agent.within(() => agent.client.sendFrom(spool, events))
  const put = (id: string) => {
    spool.add([{ topic: 'q/x', key: '', id }])
    agent.within(() => sender.pump())
  }
  return { spool, faults, put }
}

/** What the consumer gets, all of it settled. */
function consumed(consumer: SimAgent): string[] {
  const got: string[] = []
  const run = async (subscribed: Promise<Subscription>) => {
    for await (const delivery of await subscribed) {
      for (const { body } of delivery) got.push(String(body))
      delivery.settle()
    }
  }
  consumer.within(() => void run(consumer.client.subscribe({ queue: 'q' })))
  return got
}

/** A flow's source, whose destination commits what `move` takes. */
async function sourceOf(t: Test, stage: Stage) {
  const consumer = stage.agent('c')
  const dataDir = mkdtempSync(join(tmpdir(), 'causeway-source-'))
  t.teardown(() => rmSync(dataDir, { recursive: true }))
  const logged: string[] = []
  const log = (_level: string, message: string) => logged.push(message)
  const source = new HubSource({ queue: 'q' } as never, consumer.client, { dataDir, log } as never)
  await stage.world.outcome(
    consumer.within(() => source.open(null)),
    'the source opens',
  )
  const rows: unknown[] = []
  const move = async ({ commit = true } = {}) => {
    await stage.world.advance(2500)
    const move = async () => {
      for (let portion = await source.next(); portion !== null; portion = await source.next()) {
        for (const { row } of portion.items) rows.push(row.name)
        if (commit) await source.committed(portion.cursor)
      }
    }
    await stage.world.outcome(consumer.within(move), 'portions')
    await stage.world.advance(500)
  }
  return { rows, logged, move }
}

const row = (name: string) => JSON.stringify({ name })

t.test('a publisher in memory goes on in its epoch, and says what the hub has lost', async (t) => {
  const stage = await begin(t)
  const lost: Fault[] = []
  const { publisher, publish } = publisherOf(stage, 'p', { onLost: (fault) => lost.push(fault) })
  await publish('a')
  stage.hub.copy()
  await publish('b')
  const { epoch } = publisher
  const id = idOf(stage)
  await restore(stage)
  t.equal(idOf(stage), id, 'a copy is a copy')
  t.same(await publish('c'), { epoch, firstSeq: 3, lastSeq: 3 })
  t.not(idOf(stage), id, 'it has proven that it is one')
  t.match(lost, [{ code: 'ACKNOWLEDGED_LOST', details: { from: 2, to: 2, epoch } }])
  const got = consumed(stage.agent('c'))
  await stage.world.advance(1000)
  t.strictSame(got, ['a', 'c'])
})

t.test('a stream from a spool goes on: what the spool has arrives, what only the hub had is named', async (t) => {
  for (const told of [false, true]) {
    const stage = await begin(t)
    const { world, hub } = stage
    const { spool, faults, put } = spoolOf(stage)
    put('a')
    await world.advance(1000)
    hub.copy()
    put('b')
    put('c')
    await world.advance(1000)
    t.equal(spool.waiting, 0)
    const id = idOf(stage)
    await hub.kill()
    put('d')
    hub.restore()
    if (told) await hub.markRestored()
    await world.outcome(hub.start(), 'the hub starts')
    await world.advance(5000)
    put('e')
    await world.advance(5000)
    t.equal(spool.waiting, 0, 'everything was taken')
    t.not(idOf(stage), id)
    t.match(faults, [{ code: 'ACKNOWLEDGED_LOST', message: /numbers 2 to 3 of epoch 1/, details: { from: 2, to: 3 } }])
    const got = consumed(stage.agent('c'))
    await world.advance(1000)
    t.strictSame(got, ['a', 'd', 'e'])
    const changed = idOf(stage)
    await hub.kill()
    await world.outcome(hub.start(), 'the hub starts')
    put('f')
    await world.advance(5000)
    t.equal(idOf(stage), changed, 'an ordinary start changes nothing')
    t.strictSame(got.at(-1), 'f')
    await stage[Symbol.asyncDispose]()
  }
})

t.test('a source that keeps positions takes the messages after the copy for what they are', async (t) => {
  const stage = await begin(t)
  const { publish } = publisherOf(stage)
  const { rows, logged, move } = await sourceOf(t, stage)
  await publish(row('a'))
  await move()
  stage.hub.copy()
  await publish(row('b'))
  await move()
  await restore(stage)
  await publish(row('c'))
  await move()
  t.strictSame(rows, ['a', 'b', 'c'])
  t.match(logged, ['the hub has another store: positions begin anew'])
})

t.test('a source recognises what it had done before the copy forgot it', async (t) => {
  const stage = await begin(t)
  const { publish } = publisherOf(stage)
  const { rows, logged, move } = await sourceOf(t, stage)
  await publish(row('a'))
  await publish(row('b'))
  stage.hub.copy()
  await move()
  t.strictSame(rows, ['a', 'b'])
  await restore(stage, { told: true })
  await publish(row('c'))
  await move()
  t.strictSame(rows, ['a', 'b', 'c'])
  t.ok(logged.includes('messages done before the hub was restored came again'))
  t.equal(stage.hub.running?.store.queues.get('q')?.depth, 0, 'they are settled')
})

t.test('told of it, the hub is another one before anybody who lost nothing can publish', async (t) => {
  const stage = await begin(t)
  const [p, x] = [publisherOf(stage), publisherOf(stage, 'x')]
  const { rows, move } = await sourceOf(t, stage)
  await p.publish(row('a'))
  await move()
  stage.hub.copy()
  await p.publish(row('b'))
  await move()
  // It alone could prove what happened.
  p.agent.kill()
  await restore(stage, { told: true })
  await x.publish(row('c'))
  await move()
  t.strictSame(rows, ['a', 'b', 'c'])
})

t.test('an agent that lies gets a new store id once, and no more until the hub starts again', async (t) => {
  const stage = await begin(t)
  const { world, hub } = stage
  const { publish } = publisherOf(stage)
  await publish('a')
  const liar = stage.agent('x')
  const errors: Fault[] = []
  const nothing = () => undefined
  const onError = (fault: Fault) => void errors.push(fault)
  const events = { onAccepted: nothing, onUnrouted: nothing, onError, onRefused: nothing, onLost: nothing }
  const lie = {
    name: 'lies',
    epoch: 1,
    releasedSeq: 1000,
    get releasedTo() {
      return idOf(stage)
    },
    read: () => [],
    release: async () => undefined,
  }
  const before = idOf(stage)
  liar.within(() => liar.client.sendFrom(lie, events))
  await world.advance(10_000)
  const after = idOf(stage)
  t.not(after, before)
  t.match(errors, [{ code: 'REQUEST_REFUSED', details: { hubCode: 'ROLLBACK_CLAIMED_AGAIN' } }])
  for (let i = 0; i < 5; i++) {
    liar.within(() => liar.client.sendFrom(lie, events))
    await world.advance(1000)
  }
  t.equal(idOf(stage), after)
  t.equal(errors.length, 6)
  t.equal((await publish('b')).lastSeq, 2, 'others are not disturbed')
  t.ok([...world.lines].some((line) => line.includes('store rolled back')))
  t.equal(hub.refusals.get('STORE_ROLLED_BACK'), 2, 'each session ended once')
})
