// One bit of what a stopped hub stored turns over: the hub names what is damaged, keeps it from its consumers and gives
// them all the rest; the ledger is short of exactly the messages that were named. CRASH_SEED= repeats it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { decodeBatchRow } from '#hub/store/batch-row.ts'
import { flipBit } from '#hub/store/disk.testing.ts'
import { Engine } from '#hub/store/engine.ts'
import { checkStore, describeDamage } from '#hub/store/mod.ts'
import { RECORD_HEADER_BYTES } from '#hub/store/segment-file.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { startTestHub, type TestHub } from '../fixtures/hub.ts'

const BATCHES = 40
const MESSAGES = 25
const random = new Random(Number(process.env.CRASH_SEED ?? testSeed()))
const STREAM = 'bits'
const TOTAL = BATCHES * MESSAGES

/** Batches above 16 KiB lie in segments, those below in the rows of LMDB. */
for (const [kind, bodyBytes] of [
  ['in a segment', 1200],
  ['in a row', 60],
] as const) {
  t.test(`a bit turns over ${kind}`, { timeout: 290_000 }, async (t) => {
    t.comment(`CRASH_SEED=${process.env.CRASH_SEED ?? 'as SEED'}`)
    const hub = await startTestHub({ queues: [{ name: 'q', topics: ['a'] }] })
    t.teardown(() => hub.stop())
    const identity = loadIdentity(await hub.enroll('agent'))
    const bodies = await publish(Client.start({ identity }), bodyBytes)
    await hub.quit()

    if (kind === 'in a segment') flip(t, bitOfRecord(await placesOf(hub)))
    else await flipInRow(t, hub, random.pick(bodies))
    const { damaged, problems } = await checkStore(hub.dataDir)
    t.strictSame(problems, [])
    t.equal(damaged.length, 1, 'one batch is damaged')
    const [first] = damaged
    if (first === undefined) return
    t.match(describeDamage(first), `agent/${STREAM}`, 'it is named')
    const named = range(first.firstSeq as number, first.lastSeq as number)
    t.equal(named.length, MESSAGES)
    await checkDelivery(t, hub, Client.start({ identity }), named)
  })
}

async function checkDelivery(t: Test, hub: TestHub, client: Client, named: readonly number[]): Promise<void> {
  await hub.restart()
  const subscription = await client.subscribe({ queue: 'q' })
  const seen: number[] = []
  for await (const delivery of subscription) {
    for (const { body } of delivery) seen.push(body.readUIntBE(0, 6))
    delivery.settle()
    if (seen.length >= TOTAL - named.length) break
  }
  t.strictSame(
    seen,
    range(1, TOTAL).filter((number) => !named.includes(number)),
    'all others came, in order',
  )
  await client.close()
  for (let depth = 1; depth > 0; ) {
    depth = (await hub.status()).queues.find(({ name }) => name === 'q')?.depth ?? 0
    // The hub tells nobody that a queue is empty.
    if (depth > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const dead = (await hub.status()).queues.find(({ name }) => name === '$dead')
  t.equal(dead?.depth, named.length, 'the damaged ones are set aside')
  const line = hub.log.find((text) => text.includes('messages set aside')) ?? ''
  t.match(line, 'STORE_DAMAGED')
  t.match(line, `agent/${STREAM}, epoch`, 'the log names them')
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Gives the bodies. */
async function publish(client: Client, bodyBytes: number): Promise<Buffer[]> {
  const all: Buffer[] = []
  const publisher = client.publisher({ stream: STREAM })
  for (let batch = 0; batch < BATCHES; batch++) {
    const bodies = range(batch * MESSAGES + 1, (batch + 1) * MESSAGES).map((number) => {
      const body = random.bytes(bodyBytes)
      body.writeUIntBE(number, 0, 6)
      return body
    })
    await publisher.publishAll(bodies.map((body) => ({ topic: 'a', body })))
    all.push(...bodies)
  }
  await client.close()
  return all
}

function flip(t: Test, { path, bit }: Bit): void {
  t.comment(`bit ${bit} of ${path}`)
  flipBit(path, bit)
}

type Bit = { readonly path: string; readonly bit: number }

async function placesOf(hub: TestHub) {
  const engine = Engine.open(join(hub.dataDir, 'store'), 2 ** 40, { freeBytesMin: 0 })
  const table = engine.table('batches')
  const places = table.keys().map((key) => decodeBatchRow(key as number, table.get(key) as Buffer).place)
  const found = places.map((place) => ({ ...place, path: engine.segments.files.pathOf(place.segment) }))
  await engine.close()
  return found
}

/** Any bit of any record: of its header or of its batch. */
function bitOfRecord(places: Awaited<ReturnType<typeof placesOf>>): Bit {
  const { path, offset, bytes } = random.pick(places)
  // What fills a record up to its end is nobody's: 4 bytes of its header are always zero, and not looked at.
  const at = random.oneIn(4) ? random.below(16) : RECORD_HEADER_BYTES + random.below(bytes)
  return { path, bit: (offset + at) * 8 + random.below(8) }
}

/**
 * Flips a bit of this body in the row that counts. LMDB writes changed pages anew, so older copies of the row may lie in
 * pages that are free: a bit of those is nobody's, and is turned back.
 */
async function flipInRow(t: Test, hub: TestHub, body: Buffer): Promise<void> {
  const path = join(hub.dataDir, 'store', 'store.mdb')
  const file = readFileSync(path)
  const within = (6 + random.below(body.length - 6)) * 8 + random.below(8)
  for (let at = file.indexOf(body); at >= 0; at = file.indexOf(body, at + 1)) {
    flip(t, { path, bit: at * 8 + within })
    if ((await checkStore(hub.dataDir)).damaged.length > 0) return
    flipBit(path, at * 8 + within)
  }
  throw new Error('no row holds the message')
}
