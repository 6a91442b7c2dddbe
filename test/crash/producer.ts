// An agent that sends as the real one does: numbered messages into a spool, from the spool to the hub. Beside them groups
// of messages to two topics, from its memory. And it keeps what it is told of its messages. Started by rounds.ts with its
// settings as JSON, killed and started again at will. Prints `accepted <stream> <last number>` when the spool has
// promised them and `group <number>` when the hub has; on SIGTERM it lets the spool run empty, prints `done` and goes on
// taking receipts; a second one ends it.

import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { HubConnection } from '#agent/client/connection.ts'
import { Client } from '#agent/client/mod.ts'
import { StreamSender } from '#agent/client/sender.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { openSpool, type SpoolStream } from '#agent/spool/mod.ts'
import { Fault } from '#protocol/base/mod.ts'
import { Random } from '#protocol/bytes/testing.ts'
import { BatchBuilder } from '#protocol/codec/mod.ts'
import { Fuse } from './fuse.ts'
import { add, GROUPS, groupId, groupSize, memberNumber, RECEIPTED, STREAMS, type StreamName, sideOf } from './load.ts'

export type ProducerSettings = {
  readonly identity: string
  readonly spool: string
  /** For its receipts. */
  readonly database: string
  readonly seed: number
  /** Counts the times it was started. */
  readonly run: number
  /** Bytes bodies are filled up with, at most; some have more. */
  readonly fillingMax: number
}

/** Messages of a stream on their way before the next are made: enough to fill pipes and groups, little enough to end quickly. */
const WINDOW = 1500
const PORTION_MAX = 120
const GROUPS_WINDOW = 12

const settings = JSON.parse(process.argv[2] ?? '{}') as ProducerSettings
const fuse = new Fuse()
const random = new Random(settings.seed)
const say = (line: string) => void writeSync(1, `${line}\n`)
let stopping = false
process.once('SIGTERM', () => {
  stopping = true
})

const { sendParts } = HubConnection.prototype
HubConnection.prototype.sendParts = function (...given) {
  sendParts.apply(this, given)
  setImmediate(() => fuse.hit('sent'))
}
const { accepted } = StreamSender.prototype
StreamSender.prototype.accepted = function (...given) {
  fuse.hit('acknowledged')
  accepted.apply(this, given)
}

const client = Client.start({
  identity: loadIdentity(settings.identity),
  reconnectMsFirst: 20,
  reconnectMsMax: 200,
  onUnproven: (fault) => say(`fault ${fault.describe()}`),
})
const spool = await openSpool({ path: settings.spool, bytesMax: 64 * 1024 * 1024 })

/** A portion of numbered messages, in one or several batches, accepted together. */
async function produce(stream: SpoolStream, builder: BatchBuilder): Promise<void> {
  const batches: { bytes: Buffer; count: number }[] = []
  const name = stream.name as StreamName
  let seq = stream.nextSeq
  for (let parts = 1 + random.below(3); parts > 0; parts--) {
    const count = 1 + random.below(PORTION_MAX)
    const portion = random.u32()
    // Small batches lie in the store's rows, large ones in its segments.
    const most = settings.fillingMax * (portion % 3 === 0 ? 5 : 1)
    for (let i = 0; i < count; i++) {
      const filling = random.below(random.oneIn(20) ? 4000 : most)
      add(builder, name, seq + i, filling, portion)
    }
    const { epoch } = stream
    const how = {
      sealedAtMs: Date.now(),
      compression: 'none',
      tree: random.oneIn(2),
      receipts: RECEIPTED.includes(name) ? 'final' : 'none',
    } as const
    const sealing = { origin: client.name, stream: name, epoch, firstSeq: seq, key: client.sealingKey, ...how }
    batches.push({ bytes: builder.seal(sealing), count })
    seq += count
  }
  await stream.append({ batches, cursor: null })
  say(`accepted ${name} ${stream.nextSeq - 1}`)
}

async function runStream(name: StreamName): Promise<void> {
  const stream = spool.stream(name)
  const builder = new BatchBuilder()
  let wake = () => {}
  const sender = client.sendFrom(stream, {
    onAccepted: () => wake(),
    // Refused for now (a full disk) is what the spool is there for.
    onRefused: (fault) => say(`${fault.details.retry === true ? 'refused' : 'fault'} ${fault.describe()}`),
    onUnrouted: (messages) => say(`fault ${messages} messages were unrouted`),
    onError: (fault) => say(`fault ${fault.describe()}`),
    onLost: (fault) => say(`fault ${fault.describe()}`),
  })
  stream.onAppend(() => sender.pump())
  const pending = () => stream.nextSeq - 1 - stream.releasedSeq
  const stopped = once(process, 'SIGTERM')
  while (!stopping || pending() > 0) {
    if (!stopping && pending() < WINDOW) await produce(stream, builder)
    else {
      const moved = new Promise<void>((resolve) => {
        wake = resolve
      })
      if (stopping ? pending() > 0 : pending() >= WINDOW) await (stopping ? moved : Promise.race([moved, stopped]))
    }
  }
  say(`accepted ${name} ${stream.nextSeq - 1}`)
}

/** Each group to both sides, all or none of it. */
async function runGroups(): Promise<void> {
  const publisher = client.publisher({ stream: GROUPS, proof: 'message' })
  const open = new Set<Promise<unknown>>()
  for (let index = 0; !stopping; index++) {
    const group = groupId(settings.run, index)
    const messages = Array.from({ length: groupSize(group) }, (_, member) => {
      const body = Buffer.alloc(32)
      body.writeUIntBE(memberNumber(group, member), 0, 6)
      return { topic: `crash/group/${sideOf(member)}`, body }
    })
    const sent = publisher
      .publishAll(messages)
      .then(() => say(`group ${group}`))
      .catch((error: unknown) => say(`fault ${error instanceof Fault ? error.describe() : String(error)}`))
      .finally(() => open.delete(sent))
    open.add(sent)
    if (open.size >= GROUPS_WINDOW) await Promise.race(open)
  }
  await Promise.all(open)
}

/** What becomes of messages, by the place of the receipt, so that one that comes again is known. */
async function keepReceipts(): Promise<void> {
  const database = new DatabaseSync(settings.database)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  database.exec(`
    CREATE TABLE IF NOT EXISTS receipts (
      store TEXT, lane INTEGER, position INTEGER, stream TEXT, first INTEGER, last INTEGER, state TEXT,
      PRIMARY KEY (store, lane, position)
    ) WITHOUT ROWID`)
  const insert = database.prepare('INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?)')
  const subscription = await client.subscribe({ queue: `receipts/${client.name}` })
  for await (const delivery of subscription) {
    for (let i = 0; i < delivery.count; i++) {
      const { stream, from, to, state } = JSON.parse(String(delivery.message(i).body))
      insert.run(delivery.storeId, delivery.lane, delivery.position + i, stream, from, to, state)
    }
    delivery.settle()
  }
  database.close()
}

const receipts = keepReceipts().catch((error: unknown) => {
  if ((error as { code?: string }).code !== 'CLIENT_CLOSED') throw error
})
await Promise.all([...STREAMS.map(runStream), runGroups()])
const ending = once(process, 'SIGTERM')
say('done')
await ending
await client.close()
await receipts
await spool.close()
