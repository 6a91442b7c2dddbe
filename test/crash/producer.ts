// An agent that sends as the real one does: numbered messages into a spool, from the spool to the hub. Started by
// rounds.ts with its settings as JSON, killed and started again at will. Prints `accepted <stream> <last number>` when
// the spool has promised them; on SIGTERM it lets the spool run empty, prints `done` and ends.

import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { openSpool, type SpoolStream } from '#agent/spool/mod.ts'
import { Random } from '#protocol/bytes/testing.ts'
import { BatchBuilder, NO_HEADERS } from '#protocol/codec/mod.ts'
import type { ProducerSettings } from './rounds.ts'

/** Messages on their way before the next are made: enough to fill pipes and groups, little enough to end quickly. */
const WINDOW = 3000
const PORTION_MAX = 120

const { identity: folder, spool: path, streams: names, seed } = JSON.parse(process.argv[2] ?? '{}') as ProducerSettings
const random = new Random(seed)
const say = (line: string) => void writeSync(1, `${line}\n`)
const identity = loadIdentity(folder)
const client = Client.start({ identity, reconnectMsFirst: 20, reconnectMsMax: 200 })
const spool = await openSpool({ path, bytesMax: 64 * 1024 * 1024 })
let stopping = false
process.once('SIGTERM', () => {
  stopping = true
})

/** A portion of numbered messages, in one or several batches, accepted together. */
async function produce(stream: SpoolStream, builder: BatchBuilder): Promise<void> {
  const batches: { bytes: Buffer; count: number }[] = []
  let seq = stream.nextSeq
  for (let parts = 1 + random.below(3); parts > 0; parts--) {
    const count = 1 + random.below(PORTION_MAX)
    for (let i = 0; i < count; i++) {
      const body = Buffer.alloc(16 + random.below(random.oneIn(20) ? 4000 : 200))
      body.writeUIntBE(seq + i, 0, 6)
      builder.add(`crash/${stream.name}`, NO_HEADERS, null, body)
    }
    const { name, epoch } = stream
    const tree = random.oneIn(2)
    const sealing = { origin: client.name, stream: name, epoch, firstSeq: seq, sealedAtMs: Date.now(), tree }
    batches.push({ bytes: builder.seal({ ...sealing, key: client.sealingKey, compression: 'none' }), count })
    seq += count
  }
  await stream.append({ batches, cursor: null })
  say(`accepted ${stream.name} ${stream.nextSeq - 1}`)
}

async function run(name: string): Promise<void> {
  const stream = spool.stream(name)
  const builder = new BatchBuilder()
  let wake = () => {}
  const sender = client.sendFrom(stream, {
    onAccepted: () => wake(),
    onRefused: (fault) => say(`fault ${fault.describe()}`),
    onUnrouted: (messages) => say(`fault ${messages} messages were unrouted`),
    onError: (fault) => say(`fault ${fault.describe()}`),
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

await Promise.all(names.map(run))
say('done')
await client.close()
await spool.close()
