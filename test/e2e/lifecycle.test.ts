// Sessions that end: by the hub's death, by a second machine, by the operator, by a line that falls silent.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { startTestHub } from '#test/fixtures/hub.ts'
import { bodiesOf, eventually, HOST, inTime, localHub, numbered } from './support.ts'

const quick = { reconnectMsFirst: 20, reconnectMsMax: 100 }

t.test(
  'a hub that is killed again and again: every message arrives once, in order, without anyone helping',
  async (t) => {
    const hub = await startTestHub({ queues: [{ name: 'line', topics: ['line'] }] })
    t.teardown(() => hub.stop())
    const open = async (name: string) => {
      const client = await Client.connect({ identity: loadIdentity(await hub.enroll(name)), ...quick })
      t.teardown(() => client.close())
      return client
    }
    const [producer, consumer] = [await open('producer'), await open('consumer')]
    const total = 6000
    const subscription = await consumer.subscribe({ queue: 'line' })
    const settled = new Set<number>()
    const seen: number[] = []
    const all = Promise.withResolvers<void>()
    const consuming = (async () => {
      for await (const delivery of subscription) {
        for (const [i, { body }] of [...delivery].entries()) {
          const number = Number(body)
          // What the hub did not learn to be settled comes again, at the same position: the consumer knows it.
          if (!settled.has(delivery.position + i)) seen.push(number)
          settled.add(delivery.position + i)
        }
        delivery.settle()
        if (seen.length >= total) all.resolve()
      }
    })()
    const publisher = producer.publisher({ stream: 'line' })
    const kills = new Set([1000, 2500, 4000])
    for (const [i, body] of numbered(total).entries()) {
      void publisher.publish({ topic: 'line', body: Buffer.from(body) })
      if (i % 100 === 99) await new Promise((resolve) => setImmediate(resolve))
      if (!kills.has(i)) continue
      await eventually('some arrived', () => seen.length > 0)
      await hub.kill()
      await hub.restart()
    }
    await inTime(publisher.flush(), 'everything published')
    await inTime(all.promise, 'everything received')
    t.same(
      seen,
      Array.from({ length: total }, (_, i) => i),
    )
    subscription.close()
    await consuming
    await eventually(
      'nothing left',
      async () => (await hub.status()).queues.find(({ name }) => name === 'line')?.depth === 0,
    )
  },
)

t.test('a hub that stops says so, and the agent comes back when the hub does', async (t) => {
  const hub = await startTestHub()
  t.teardown(() => hub.stop())
  const told: Fault[] = []
  const identity = loadIdentity(await hub.enroll('told'))
  const gone = Promise.withResolvers<void>()
  const client = await Client.connect({
    identity,
    ...quick,
    onDisconnected: (fault) => {
      told.push(fault)
      gone.resolve()
    },
  })
  t.teardown(() => client.close())
  const restarted = hub.restart()
  await inTime(gone.promise, 'the reason')
  t.match(told[0], { details: { peerCode: 'HUB_STOPPING' }, remedy: /reconnects when the hub is back/ })
  await restarted
  await eventually('connected again', () => client.connected)
})

t.test('a peer that does not read any more cannot keep the hub from stopping', async (t) => {
  const hub = await startTestHub({ queues: [{ name: 'flood', topics: ['flood'] }] })
  t.teardown(() => hub.stop())
  const producer = await Client.connect({ identity: loadIdentity(await hub.enroll('flooder')) })
  const publisher = producer.publisher({ stream: 'flood' })
  for (let i = 0; i < 40; i++) {
    await publisher.room()
    void publisher.publish({ topic: 'flood', body: Buffer.alloc(2 ** 20, i) })
  }
  await publisher.flush()
  await producer.close()
  const identity = await hub.enroll('frozen')
  const frozen = fork(join(import.meta.dirname, 'consumer.testing.ts'), [identity, 'flood'], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  t.teardown(() => {
    frozen.kill('SIGCONT')
    frozen.kill('SIGKILL')
  })
  await once(frozen, 'message')
  frozen.kill('SIGSTOP')
  await eventually(
    'much is under way',
    async () => ((await hub.status()).queues.find(({ name }) => name === 'flood')?.inFlight ?? 0) > 1,
  )
  await inTime(hub.restart(), 'the hub stops and starts')
  t.pass('it is there again')
})

const queues = [{ name: 'all', topics: ['#'] }]
const hub = await localHub(t, { queues })

t.test('the same identity on a second machine takes over; the first learns why and does not fight', async (t) => {
  const reasons: string[] = []
  const first = await hub.client(
    'cloned',
    {},
    { onDisconnected: ({ details }) => reasons.push(String(details.peerCode)) },
  )
  const second = await Client.connect({ identity: loadIdentity(hub.identityFolder('cloned')), ...quick })
  t.teardown(() => second.close())
  await eventually('told', () => reasons.length > 0)
  t.equal(reasons[0], 'IDENTITY_TAKEN_OVER')
  const sessions = hub.status().sessions.filter(({ agent }) => agent === 'cloned')
  t.ok(sessions.length <= 1, 'never two')
  await first.close()
  await eventually('the second stays', () => second.connected)
})

t.test('of two machines with one identity the one that was cut off stands back', async (t) => {
  const identity = await hub.enroll('clones')
  const turnsAt: number[] = []
  const clones = {
    identity,
    reconnectMsFirst: 1,
    reconnectMsMax: 400,
    onConnected: () => turnsAt.push(performance.now()),
  }
  const clients = [Client.start(clones), Client.start(clones)]
  await eventually('both had their turns', () => turnsAt.length >= 6)
  await Promise.all(clients.map((client) => client.close()))
  // Who was cut off waits 400 ms: in any 300 ms there are at most the two turns of two machines.
  for (let i = 2; i < turnsAt.length; i++) t.ok((turnsAt[i] as number) - (turnsAt[i - 2] as number) > 300)
})

t.test('revoking an agent ends its session and shuts it out', async (t) => {
  const reasons: string[] = []
  const client = await hub.client(
    'dismissed',
    {},
    { onDisconnected: ({ details }) => reasons.push(String(details.peerCode)) },
  )
  const other = await hub.client('stays')
  hub.authority.revoke('dismissed')
  await eventually('ended', () => reasons.length >= 2)
  t.same(reasons.slice(0, 2), ['AGENT_REVOKED', 'AGENT_REVOKED'], 'the session, and the next attempt')
  t.notOk(client.connected)
  t.ok(other.connected)
  await client.close()
})

t.test('rights granted count from the next session on', async (t) => {
  const client = await hub.client('promoted', { publish: ['low'], consume: [] })
  hub.authority.agents.grant('promoted', { publish: ['low', 'high'], consume: [] })
  const publisher = client.publisher({ stream: 'promoted' })
  const body = Buffer.from('x')
  await t.rejects(publisher.publish({ topic: 'high', body }), {
    code: 'PUBLISH_REFUSED',
    details: { hubCode: 'RIGHT_MISSING' },
  })
  await client.close()
  const again = await hub.client('promoted')
  await again.publisher({ stream: 'promoted' }).publish({ topic: 'high', body })
})

t.test('a client that takes its leave is no warning in the log, nor is an enrolment', async (t) => {
  const before = hub.lines.length
  const client = await hub.client('polite')
  await client.close()
  await hub.logged(({ message, details }) => message === 'session ended' && details.agent === 'polite')
  await hub.logged(({ message, details }) => message === 'agent enrolled' && details.agent === 'polite')
  await hub.logged(({ message }) => message === 'enrolment ended')
  const alarming = hub.lines.slice(before).filter(({ level, details }) => level !== 'info' || 'fault' in details)
  t.same(alarming, [])
})

// A test's own process may get no processor for some seconds: by then nobody must seem dead.
const watchful = await localHub(t, { queues, config: { limits: { keepaliveMs: 2500 } } })

/** A line between agent and hub that can fall silent without either side noticing. */
async function silentLine(port: number): Promise<{ port: number; cut(): void; server: Server }> {
  const pairs: Socket[] = []
  const server = createServer((near) => {
    const far = connect(port, HOST)
    pairs.push(near, far)
    near.on('error', () => far.destroy()).pipe(far)
    far.on('error', () => near.destroy()).pipe(near)
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  return {
    server,
    port: (server.address() as { port: number }).port,
    cut: () => {
      for (const socket of pairs) socket.unpipe().pause()
    },
  }
}

t.test(
  'a line that falls silent is noticed by both sides after three keepalives; then the agent reconnects',
  async (t) => {
    const line = await silentLine(watchful.tcpPort)
    t.teardown(() => line.server.close())
    const reasons: string[] = []
    const silent = await watchful.client(
      'half-open',
      {},
      {
        addresses: [`tcp://${HOST}:${line.port}`],
        onDisconnected: (fault) => reasons.push(fault.code),
      },
    )
    const subscription = await silent.subscribe({ name: 'mine', topics: ['half-open'] })
    line.cut()
    const startedAt = performance.now()
    await eventually('the agent noticed', () => reasons.length > 0)
    await watchful.logged(
      ({ message, details }) =>
        message === 'connection ended' &&
        details.agent === 'half-open' &&
        /^(SESSION_SILENT|IDENTITY_TAKEN_OVER|SESSION_CLOSED_BY_PEER)$/.test((details.fault as Fault).code),
    )
    const ms = performance.now() - startedAt
    t.equal(reasons[0], 'SESSION_SILENT')
    t.ok(ms > 2 * 2500, `after ${Math.round(ms)} ms`)
    await eventually('connected again', () => silent.connected)
    const producer = await watchful.client('half-open-out')
    await producer.publisher({ stream: 'x' }).publish({ topic: 'half-open', body: Buffer.from('still here') })
    t.same(await bodiesOf(subscription, 1), ['still here'], 'the subscription came along')
  },
)

t.test('an idle connection is kept by keepalive', async (t) => {
  const client = await watchful.client('idle')
  const since = watchful.status().sessions.find(({ agent }) => agent === 'idle')?.sinceMs
  const bytes = client.bytesIn
  await eventually('several keepalives', () => client.bytesIn >= bytes + 2 * 16)
  t.ok(client.connected)
  t.equal(watchful.status().sessions.find(({ agent }) => agent === 'idle')?.sinceMs, since)
})
