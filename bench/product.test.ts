// The parts of the scenarios against a real hub, with a little of everything: what they count must be right.

import type { ChildProcess } from 'node:child_process'
import t from 'tap'
import { startRole, stop } from './children.ts'
import { enrolCrowd } from './crowd.ts'
import { drain, Filler } from './fill.ts'
import { measurePaced } from './paced.ts'
import { measureProduct } from './product.ts'
import { Stage } from './stage.ts'

t.setTimeout(600_000)

const times = { warmUpMs: 100, measuredMs: 400 }
const QUEUES = ['work', 'aside', 'idle'].map((name) => ({ name, topics: [`${name}/x`] }))

t.test('a flow with TLS, zstd and rows arrives whole', async (t) => {
  let wireBytes = 0
  // Of few messages, as a busy machine sends them in that time, handshakes are most of it.
  for (const measuredMs of [400, 4000, 20_000]) {
    const settings = { tls: true, compression: 'zstd', bodies: 'records' } as const
    const flow = await measureProduct(256, { ...times, measuredMs }, settings)
    t.same([flow.lost, flow.outOfOrder], [0, 0])
    wireBytes = flow.wireBytes
    if (wireBytes < 200) break
  }
  t.ok(wireBytes > 0 && wireBytes < 200, `${wireBytes} bytes a message on the wire`)
})

t.test('against one hub', async (t) => {
  const stage = new Stage()
  const children: ChildProcess[] = []
  const started = (child: ChildProcess) => children.push(child)
  t.teardown(async () => {
    for (const child of children) await stop(child, 'SIGKILL')
    await stage.end()
  })
  const server = await stage.startHub({ queues: QUEUES, tls: false })
  const [producer, consumer] = [await stage.enroll('producer', false), await stage.enroll('consumer', false)]
  const paced = (consumed: string) => {
    const side = { kind: 'product', queue: consumed, topic: 'work/x' } as const
    return measurePaced({
      producer: { ...side, identity: producer },
      consumer: { ...side, identity: consumer },
      server,
      bodyBytes: 256,
      perSecond: 1000,
      times,
    })
  }

  await t.test('a paced flow has the latency of its slowest messages', async (t) => {
    const { p50Ms, p99Ms, p999Ms, outOfOrder } = await paced('work')
    t.ok(p50Ms > 0.1 && p50Ms <= p99Ms && p99Ms <= p999Ms, `${p50Ms}, ${p99Ms}, ${p999Ms} ms`)
    t.equal(outOfOrder, 0)
  })

  await t.test('urgent messages flow the same, and each latency can be kept', async (t) => {
    const side = { kind: 'product', queue: 'work', topic: 'work/x', priority: 'urgent' } as const
    const { latencies, fromMs, outOfOrder, p99Ms } = await measurePaced({
      producer: { ...side, identity: producer },
      consumer: { ...side, identity: consumer },
      server,
      bodyBytes: 256,
      perSecond: 1000,
      times,
      keep: true,
    })
    t.equal(outOfOrder, 0)
    t.equal(latencies.length, 400)
    const inTime = ({ intendedMs }: { intendedMs: number }) =>
      intendedMs >= fromMs && intendedMs < fromMs + times.measuredMs
    t.ok(latencies.every(inTime))
    t.ok(latencies.filter(({ latencyMs }) => latencyMs > p99Ms).length <= 4)
  })

  await t.test('what never arrives counts with the time it waits', async (t) => {
    const { keptUp, p50Ms, behind } = await paced('idle')
    t.notOk(keptUp)
    t.equal(behind, 500)
    t.ok(p50Ms > 2000, `${p50Ms} ms`)
  })

  await t.test('what is filled is drained, and a missing message is noticed', async (t) => {
    const filler = await Filler.start({ identity: producer, topic: 'aside/x', bodyBytes: 64 })
    started(filler.process)
    await filler.fill(0, 5000)
    // Number 5000 is left out.
    await filler.fill(5001, 999)
    const { queues } = await stage.status()
    t.equal(queues.find(({ name }) => name === 'aside')?.depth, 5999)
    const subscriptions = [{ queue: 'aside' }]
    const drained = await drain({ identity: consumer, subscriptions, messages: 5999, started })
    t.same([drained.lost, drained.twice, drained.outOfOrder], [0, 0, 1])
  })
})

t.test('a crowd connects over TLS and comes back together', async (t) => {
  const stage = new Stage()
  const children: ChildProcess[] = []
  t.teardown(async () => {
    for (const child of children) await stop(child, 'SIGKILL')
    await stage.end()
  })
  await stage.startHub({ queues: [], tls: true })
  const { listen } = await stage.status()
  const address = `tls://${listen.tcp}`
  const files = await enrolCrowd({ hubDir: stage.hubDir, dir: stage.dir, address, count: 5, perProcess: 3 })
  t.equal(files.length, 2)
  for (const file of files) children.push(startRole('crowd', { file }))
  const since = new Map<string, number>()
  const all = async (other: (agent: string, sinceMs: number) => boolean) => {
    for (;;) {
      const { sessions } = await stage.status()
      if (sessions.length === 5 && sessions.every(({ agent, sinceMs }) => other(agent, sinceMs))) return sessions
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  for (const { agent, sinceMs } of await all(() => true)) since.set(agent, sinceMs)
  for (const child of children) child.send('storm')
  await all((agent, sinceMs) => sinceMs !== since.get(agent))
  t.equal(since.size, 5)
})
