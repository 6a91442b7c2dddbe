// What the transfers of an agent share: its line by priority, at the agent and at the hub, and one rate for all of them.

import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Client, ClientOptions, Download, Upload } from '#agent/client/mod.ts'
import { SlowLine } from './slow-line.ts'
import { eventually, localHub, nextOf, refer } from './support.ts'

const MIB = 2 ** 20
const hub = await localHub(t, { queues: [{ name: 'notes', topics: ['notes'] }] })
const rights = { publish: ['notes', 'shared'], consume: ['notes', '$unrouted'] }

function fileOf(name: string, bytes: number): string {
  const path = join(hub.dir, name)
  writeFileSync(path, randomBytes(bytes))
  return path
}

function folder(name: string): string {
  const path = join(hub.dir, name)
  mkdirSync(path, { recursive: true })
  return path
}

let agents = 0
const agent = (options: Partial<ClientOptions> = {}): Promise<Client> =>
  hub.client(`agent-${++agents}`, rights, options)

async function overSlowLine(t: Test, bytesPerSecond: number): Promise<Client> {
  const line = await SlowLine.open(t, hub.tcpPort, bytesPerSecond)
  return await agent({ addresses: [line.address] })
}

const isSending = (upload: Upload, bytes: number) =>
  eventually('it is being sent', () => upload.progress.sentBytes >= bytes)
const isReceiving = (download: Download, bytes: number) =>
  eventually('it is being received', () => download.progress.receivedBytes >= bytes)

/** At the hub, whole. */
async function atHub(path: string): Promise<string> {
  const sender = await agent()
  const upload = sender.upload({ path })
  await upload.sealed
  await refer(sender, upload.id)
  return upload.id
}

t.test('an urgent upload takes nearly the whole line from one under way, which goes on', async (t) => {
  const client = await overSlowLine(t, 32 * MIB)
  const bulk = client.upload({ path: fileOf('bulk.bin', 40 * MIB), priority: 'bulk' })
  await isSending(bulk, 8 * MIB)
  const urgent = client.upload({ path: fileOf('urgent.bin', 24 * MIB), priority: 'urgent' })
  await isSending(urgent, MIB)
  const before = bulk.progress.sentBytes
  await isSending(urgent, 24 * MIB)
  const meanwhile = bulk.progress.sentBytes - before
  t.ok(meanwhile > 0, 'it does not stand still')
  t.ok(meanwhile <= 24 * MIB * 0.15, `${(meanwhile / MIB).toFixed(1)} MiB of the bulk one meanwhile`)
  await urgent.sealed
  t.equal(bulk.progress.state, 'sending')
  await bulk.sealed
})

t.test('so does an urgent download, and the hub knows', async (t) => {
  const [large, small] = [await atHub(fileOf('large.bin', 80 * MIB)), await atHub(fileOf('small.bin', 48 * MIB))]
  const client = await overSlowLine(t, 48 * MIB)
  const bulk = client.download({ id: large, to: folder('bulk'), priority: 'bulk' })
  await isReceiving(bulk, 4 * MIB)
  const urgent = client.download({ id: small, to: folder('urgent'), priority: 'urgent' })
  await isReceiving(urgent, MIB)
  const before = bulk.progress.receivedBytes
  await isReceiving(urgent, 48 * MIB)
  const meanwhile = bulk.progress.receivedBytes - before
  // What lies in four buffers of the system keeps it from its credit for a while.
  t.ok(meanwhile <= 48 * MIB * 0.7, `${(meanwhile / MIB).toFixed(1)} MiB of the bulk one meanwhile`)
  await urgent.done
  await bulk.done
})

t.test('what becomes urgent while it is under way gets nearly all of the line from then on', async (t) => {
  const sender = await overSlowLine(t, 32 * MIB)
  const first = sender.upload({ path: fileOf('first.bin', 20 * MIB), priority: 'urgent' })
  const second = sender.upload({ path: fileOf('second.bin', 16 * MIB), priority: 'bulk' })
  await isSending(first, 2 * MIB)
  t.throws(() => second.prioritize('asap' as 'urgent'), { code: 'UPLOAD_INVALID' })
  first.prioritize('bulk')
  second.prioritize('urgent')
  t.strictSame(
    sender.transferReports().map(({ priority }) => priority),
    ['bulk', 'urgent'],
  )
  await isSending(second, 2 * MIB)
  const sentBefore = first.progress.sentBytes
  await isSending(second, 16 * MIB)
  const sent = first.progress.sentBytes - sentBefore
  t.ok(sent <= 14 * MIB * 0.15, `${(sent / MIB).toFixed(1)} MiB of the other one meanwhile`)
  await Promise.all([first.sealed, second.sealed])
  for (const { id } of [first, second]) await refer(sender, id)

  const receiver = await agent({ transfers: { downloadBytesPerSecondMax: 16 * MIB } })
  const one = receiver.download({ id: first.id, to: folder('changed'), priority: 'urgent' })
  const other = receiver.download({ id: second.id, to: folder('changed'), priority: 'bulk' })
  await isReceiving(one, 2 * MIB)
  t.throws(() => other.prioritize('asap' as 'urgent'), { code: 'DOWNLOAD_INVALID' })
  one.prioritize('normal')
  other.prioritize('urgent')
  const before = [one.progress.receivedBytes, other.progress.receivedBytes] as const
  await isReceiving(other, before[1] + 12 * MIB)
  const came = one.progress.receivedBytes - before[0]
  // A quarter of a second's worth was allowed before.
  t.ok(came <= 4 * MIB + 12 * MIB * 0.15, `${(came / MIB).toFixed(1)} MiB of the other one meanwhile`)
  await Promise.all([one.done, other.done])
})

t.test('where the agent limits its downloads, the urgent one gets what is allowed', async (t) => {
  const [large, small] = [await atHub(fileOf('large-2.bin', 6 * MIB)), await atHub(fileOf('small-2.bin', 4 * MIB))]
  const client = await agent({ transfers: { downloadBytesPerSecondMax: 8 * MIB } })
  const startMs = performance.now()
  const bulk = client.download({ id: large, to: folder('bulk'), priority: 'bulk' })
  await isReceiving(bulk, MIB)
  const before = bulk.progress.receivedBytes
  await client.download({ id: small, to: folder('urgent'), priority: 'urgent' }).done
  const meanwhile = bulk.progress.receivedBytes - before
  // A quarter of a second's worth was allowed before.
  t.ok(meanwhile <= 2 * MIB + 4 * MIB * 0.1, `${(meanwhile / MIB).toFixed(1)} MiB meanwhile`)
  await bulk.done
  const passedMs = performance.now() - startMs
  t.ok(passedMs > 1000, `10 MiB at 8 MiB/s took ${Math.round(passedMs)} ms`)
})

t.test(
  'all uploads of an agent together keep to its rate, each to its own below it, and messages to none',
  async (t) => {
    const client = await agent({ transfers: { uploadBytesPerSecondMax: 4 * MIB } })
    const reader = await agent()
    const notes = await reader.subscribe({ queue: 'notes' })
    const publisher = client.publisher({ stream: 'notes', proof: 'message' })
    const startMs = performance.now()
    const uploads = [1, 2, 3].map((i) => client.upload({ path: fileOf(`part-${i}.bin`, 2 * MIB) }))
    const slow = client.upload({ path: fileOf('slow.bin', 2 * MIB), bytesPerSecondMax: 256 * 1024, priority: 'urgent' })
    await Promise.all([...uploads, slow].map(({ opened }) => opened))
    for (let i = 0; i < 50; i++) {
      await publisher.publish({ topic: 'notes', body: Buffer.alloc(100_000, i), priority: 'urgent' })
      const delivery = await nextOf(notes)
      t.equal(delivery.message(0).body[0], i)
      delivery.settle()
    }
    t.ok(slow.progress.storedBytes < 2 * MIB, 'more than it may send in that time went by in messages')
    t.equal(slow.progress.state, 'sending')
    await Promise.all(uploads.map(({ sealed }) => sealed))
    const passedMs = performance.now() - startMs
    t.ok(passedMs > 1200, `6 MiB at 4 MiB/s took ${Math.round(passedMs)} ms`)
    t.ok(slow.progress.storedBytes < 2 * MIB, 'its own limit counts, however urgent it is')
    await slow.cancel()
  },
)

t.test('outside its windows an agent transfers nothing, and says so', async (t) => {
  let rate = -1
  const limit = () => rate
  const client = await agent({ transfers: { uploadBytesPerSecondMax: limit, downloadBytesPerSecondMax: limit } })
  const id = await atHub(fileOf('night.bin', MIB))
  const upload = client.upload({ path: fileOf('later.bin', MIB), mediaType: 'a/b' })
  const download = client.download({ id, to: folder('night') })
  await eventually('both wait', () => client.transferReports().filter(({ state }) => state === 'window').length === 2)
  const reports = client.transferReports().sort((a, b) => b.direction.localeCompare(a.direction))
  t.match(reports, [
    {
      direction: 'upload',
      id: upload.id,
      name: 'later.bin',
      priority: 'normal',
      size: MIB,
      doneBytes: 0,
      state: 'window',
    },
    { direction: 'download', id, name: 'night.bin', size: MIB, doneBytes: 0, secondsLeft: null, fault: null },
  ])
  t.equal(upload.progress.sentBytes + download.progress.receivedBytes, 0)
  const publisher = client.publisher({ stream: 'night', proof: 'message' })
  await publisher.publish({ topic: 'notes', body: Buffer.from('goes') })
  rate = 0
  await Promise.all([upload.sealed, download.done])
  t.strictSame(client.transferReports(), [])
})

t.test('what an upload or a download wishes for must have a meaning', async (t) => {
  const client = await agent()
  const priority = 'asap' as 'urgent'
  t.throws(() => client.upload({ path: 'x', priority }), { code: 'UPLOAD_INVALID' })
  t.throws(() => client.download({ id: '0'.repeat(32), to: 'x', priority }), { code: 'DOWNLOAD_INVALID' })
  t.throws(() => client.upload({ path: 'x', expiresMs: -1 }), { code: 'UPLOAD_INVALID' })
})
