// NATS JetStream: a stream on files, and one durable pull consumer that acknowledges up to a message.
//
// Best settings. Publishing is asynchronous with thousands outstanding; acknowledgements come back to one subscription and
// are counted in it, because the client's `publish` makes a request with a timer and a promise of each message. The
// consumer pulls up to 5000 ahead through the client's callback and acknowledges all messages of one turn at once
// (`AckPolicy.All`). The stream keeps what is acknowledged (a work queue would need an acknowledgement of every message).

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AckPolicy, type JsMsg, jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { connect, createInbox, type Msg } from '@nats-io/transport-node'
import { messagesIn, type OnSettled, type Peer, type Producing, type Server } from './contract.ts'
import { freePort, outputOf, startServer } from './server.ts'

const STREAM = 'bench'
const SUBJECT = 'bench.x'
const DURABLE = 'workers'
const PULLED_MAX = 5000
/** Of a refusal, in what the server answers as JSON. */
const ERROR_FIELD = '"error"'
const clients = 'asynchronous publishing, 2 MB outstanding; one pull consumer, up to 5000 ahead, AckPolicy.All'

export const nats: Peer = {
  name: 'nats',
  program: 'nats-server',
  variants: [
    {
      name: 'nats-jetstream',
      conditions: `file storage, default sync_interval: acknowledged before the flush, up to 2 min may be lost; ${clients}`,
    },
    {
      name: 'nats-jetstream-always',
      conditions: `file storage, sync_interval always: flushed before the acknowledgement; ${clients}`,
      reason: reasonAgainstAlways,
    },
  ],
  start: startNats,
  tuning: (bodyBytes) => ({
    batch: messagesIn(64 * 1024, bodyBytes, { min: 16, max: 256 }),
    window: messagesIn(2 * 1024 * 1024, bodyBytes, { min: 512, max: 8192 }),
    lag: messagesIn(32 * 1024 * 1024, bodyBytes, { min: 2048, max: 65_536 }),
  }),
  producer: startProducer,
  consumer: startConsumer,
}

function configuration(dir: string, port: number, variant: string): string {
  const sync = variant === 'nats-jetstream-always' ? ', sync_interval: always' : ''
  return `listen: "127.0.0.1:${port}"\nmax_pending: 256MB\njetstream { store_dir: "${join(dir, 'store')}"${sync} }\n`
}

/** The setting came with 2.10: the server itself says whether it knows it. */
async function reasonAgainstAlways(): Promise<string | null> {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-nats-'))
  const path = join(dir, 'nats.conf')
  writeFileSync(path, configuration(dir, 4222, 'nats-jetstream-always'))
  const said = await outputOf('nats-server', ['-t', '-c', path])
  rmSync(dir, { recursive: true })
  if (!said.includes('unknown field "sync_interval"')) return null
  const version = /v\d+\.\d+\.\d+/.exec(await outputOf('nats-server', ['-v']))?.[0] ?? 'this one'
  return `nats-server ${version} has no sync_interval (it came with 2.10): install a newer one in front of it in the PATH`
}

async function startNats(dir: string, variant: string): Promise<Server> {
  const port = await freePort()
  const path = join(dir, 'nats.conf')
  writeFileSync(path, configuration(dir, port, variant))
  return await startServer({ program: 'nats-server', args: ['-c', path], dir, port })
}

async function startProducer(port: number): Promise<Producing> {
  const connection = await connect({ servers: `127.0.0.1:${port}`, noEcho: true })
  const inbox = createInbox()
  // The stream answers in the order of what it stores.
  const waiting: ((count: number) => void)[] = []
  let head = 0
  connection.subscribe(inbox, {
    callback: (error, answer: Msg) => {
      if (error !== null) throw error
      const text = answer.string()
      if (text.includes(ERROR_FIELD)) throw new Error(`a message was refused: ${text}`)
      waiting[head++]?.(1)
      if (head === waiting.length || head > 100_000) {
        waiting.splice(0, head)
        head = 0
      }
    },
  })
  return {
    send(bodies, acknowledged) {
      for (const body of bodies) {
        waiting.push(acknowledged)
        connection.publish(SUBJECT, body, { reply: inbox })
      }
    },
  }
}

async function startConsumer(port: number, _variant: string, onSettled: OnSettled): Promise<void> {
  const connection = await connect({ servers: `127.0.0.1:${port}` })
  const manager = await jetstreamManager(connection)
  await manager.streams.add({
    name: STREAM,
    subjects: [SUBJECT],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    num_replicas: 1,
  })
  await manager.consumers.add(STREAM, { durable_name: DURABLE, ack_policy: AckPolicy.All, max_ack_pending: 1_000_000 })
  const consumer = await jetstream(connection).consumers.get(STREAM, DURABLE)
  let turn: JsMsg[] = []
  const settle = () => {
    const settled = turn
    turn = []
    settled.at(-1)?.ack()
    onSettled(settled.map(({ data }) => data))
  }
  const callback = (message: JsMsg) => {
    if (turn.push(message) === 1) setImmediate(settle)
  }
  await consumer.consume({ max_messages: PULLED_MAX, callback })
}
