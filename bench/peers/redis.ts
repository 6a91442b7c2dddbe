// Redis Streams: XADD; XREADGROUP, XACK and XTRIM by one consumer group.
//
// Best settings. Client: `@redis/client` (the core of `redis`), commands of a batch written as one pipeline: with `ioredis`
// or single commands the producer is the bound. The consumer has one round trip a batch: it acknowledges, trims what it
// acknowledged (all data is in memory) and reads on in one pipeline. Under `appendfsync always` Redis flushes once per turn
// of its event loop, so a pipeline shares a flush. Server: no snapshots, no rewriting of its file while measured, stream
// nodes of 64 KB.

import { createClient, RESP_TYPES } from '@redis/client'
import { messagesIn, type OnSettled, type Peer, type Producing, type Server } from './contract.ts'
import { freePort, startServer } from './server.ts'

const STREAM = 'bench'
const GROUP = 'workers'
const clients =
  'pipelines of 128 KB, 4 MB outstanding; XREADGROUP COUNT 1000, XACK and XTRIM of a batch in one pipeline'

export const redis: Peer = {
  name: 'redis',
  program: 'redis-server',
  variants: [
    {
      name: 'redis-everysec',
      conditions: `appendfsync everysec: acknowledged before the flush, up to 1 s may be lost; ${clients}`,
    },
    { name: 'redis-always', conditions: `appendfsync always: flushed before the reply; ${clients}` },
  ],
  start: startRedis,
  tuning: (bodyBytes) => ({
    batch: messagesIn(128 * 1024, bodyBytes, { min: 16, max: 500 }),
    window: messagesIn(4 * 1024 * 1024, bodyBytes, { min: 256, max: 16_384 }),
    lag: messagesIn(32 * 1024 * 1024, bodyBytes, { min: 1024, max: 131_072 }),
  }),
  producer: startProducer,
  consumer: startConsumer,
}

async function startRedis(dir: string, variant: string): Promise<Server> {
  const port = await freePort()
  const settings: Record<string, string> = {
    bind: '127.0.0.1',
    port: String(port),
    dir,
    daemonize: 'no',
    save: '',
    appendonly: 'yes',
    appendfsync: variant === 'redis-always' ? 'always' : 'everysec',
    'auto-aof-rewrite-percentage': '0',
    'stream-node-max-bytes': '65536',
    'stream-node-max-entries': '1000',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  return await startServer({ program: 'redis-server', args, dir, port })
}

async function connect(port: number) {
  const client = createClient({ socket: { host: '127.0.0.1', port, noDelay: true }, RESP: 2 })
  client.on('error', fail)
  return await client.connect()
}

async function startProducer(port: number): Promise<Producing> {
  const client = await connect(port)
  return {
    send(bodies, acknowledged) {
      const pipeline = client.multi()
      for (const body of bodies) pipeline.addCommand(['XADD', STREAM, '*', 'b', body])
      pipeline.execAsPipeline().then(() => acknowledged(bodies.length), fail)
    },
  }
}

/** [[stream, [[id, [field, body]], …]]], or null when nothing came in time. */
type Reply = readonly [Buffer, readonly (readonly [Buffer, readonly [Buffer, Buffer]])[]][] | null

async function startConsumer(port: number, _variant: string, onSettled: OnSettled): Promise<void> {
  const client = (await connect(port)).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  await client.sendCommand(['XGROUP', 'CREATE', STREAM, GROUP, '0', 'MKSTREAM'])
  const read = ['XREADGROUP', 'GROUP', GROUP, 'one', 'COUNT', '1000', 'BLOCK', '1000', 'STREAMS', STREAM, '>']
  const run = async () => {
    let reply = (await client.sendCommand(read)) as Reply
    for (;;) {
      const entries = reply?.[0]?.[1] ?? []
      const pipeline = client.multi()
      const last = entries.at(-1)
      if (last !== undefined) {
        pipeline.addCommand(['XACK', STREAM, GROUP, ...entries.map(([id]) => id)])
        pipeline.addCommand(['XTRIM', STREAM, 'MINID', '~', last[0]])
      }
      const next = pipeline.addCommand(read).execAsPipeline() as Promise<unknown[]>
      onSettled(entries.map(([, [, body]]) => body))
      reply = (await next).at(-1) as Reply
    }
  }
  run().catch(fail)
}

function fail(error: unknown): never {
  throw error
}
