// What sockets and LMDB alone can do: a producer, a relay that stores before it acknowledges, a consumer, without the
// product's code and without routing, deduplication, settlement and signatures.

import { once } from 'node:events'
import { join } from 'node:path'
import { startRole, stop } from './children.ts'
import { type Flow, measureFlow, type Times } from './flow.ts'
import { BATCH_BYTES, WINDOW_BYTES } from './sizes.ts'
import { freshFolder } from './stage.ts'

export async function measureCeiling(bodyBytes: number, times: Times): Promise<Flow> {
  const folder = freshFolder('ceiling')
  const server = startRole('raw-relay', { path: join(folder.dir, 'store.mdb') })
  try {
    const [ports] = (await once(server, 'message')) as [{ consumerPort: number; producerPort: number }]
    return await measureFlow({
      server,
      startConsumer: () => startRole('raw-consumer', { port: ports.consumerPort }),
      startProducer: () =>
        startRole('raw-producer', {
          port: ports.producerPort,
          bodyBytes,
          batchBytes: BATCH_BYTES,
          windowBytes: WINDOW_BYTES,
        }),
      times,
    })
  } finally {
    await stop(server, 'SIGKILL')
    folder.remove()
  }
}
