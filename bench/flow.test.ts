import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { measureCeiling } from './ceiling.ts'
import { startRole, stop } from './children.ts'
import { measureFlow } from './flow.ts'

t.setTimeout(600_000)

const times = { warmUpMs: 50, measuredMs: 1000 }

t.test('everything sent arrives, in order, and is counted', async (t) => {
  let perSecond = 0
  // On a busy machine seconds may pass without one of the processes.
  for (const measuredMs of [1000, 5000, 30_000]) {
    const flow = await measureCeiling(1024, { ...times, measuredMs })
    t.equal(flow.lost, 0)
    t.equal(flow.outOfOrder, 0)
    perSecond = flow.perSecond
    if (perSecond > 0) break
  }
  t.ok(perSecond > 0)
})

t.test('a server that ends meanwhile is no result', async (t) => {
  const server = startRole('raw-relay', { path: join(t.testdir(), 'store.mdb') })
  const [ports] = (await once(server, 'message')) as [{ consumerPort: number; producerPort: number }]
  const flow = measureFlow({
    server,
    startConsumer: () => startRole('raw-consumer', { port: ports.consumerPort }),
    startProducer: () =>
      startRole('raw-producer', { port: ports.producerPort, bodyBytes: 256, batchBytes: 4096, windowBytes: 65_536 }),
    times,
    atStart: () => stop(server, 'SIGKILL'),
  })
  await t.rejects(flow, { message: /^the (server|producer|consumer) ended by itself/ })
})
