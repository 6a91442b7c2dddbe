// What the `hub` destination makes of files, at a real hub: their messages, uploads that a stop or a loss at the hub interrupts.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { contentsOf } from '#agent/client/mod.ts'
import type { Content, Item, LocalFile, Portion } from '#agent/components/contract.ts'
import { HubDestination, hubDestinationSettings, Outbox } from '#agent/components/mod.ts'
import { openSpool } from '#agent/spool/mod.ts'
import { parseValue } from '#protocol/fields/mod.ts'
import { eventually, type LocalHub, localHub, nextOf } from './support.ts'

const KIB = 1024
const MIB = 1024 * KIB
const none = () => t.fail('nothing should be refused')

/** A flow's end at the hub, with real spool and client. */
async function sending(
  t: Test,
  hub: LocalHub,
  agent: string,
  { bytesPerSecond = 0, ...settings }: Record<string, unknown> & { bytesPerSecond?: number } = {},
) {
  const client = await hub.client(agent, {}, { transfers: { uploadBytesPerSecondMax: bytesPerSecond } })
  const dataDir = join(hub.dir, agent, 'state')
  mkdirSync(dataDir, { recursive: true })
  const spool = await openSpool({ path: join(hub.dir, agent, 'spool'), bytesMax: 2 ** 26 })
  t.teardown(() => spool.close())
  const outbox = new Outbox({ spool, client, wallMs: Date.now, log: () => undefined })
  const parsed = parseValue(hubDestinationSettings, { topic: `files/${agent}`, ...settings }, { where: 'test' })
  if (!parsed.ok) throw parsed.fault[0]
  const make = async () => {
    const destination = new HubDestination(parsed.value, outbox, { flow: 'out', dataDir })
    await destination.open()
    return destination
  }
  /** A file as the `directory` source gives it. */
  const local = (name: string, bytes: Uint8Array | string): { name: string; content: Content } => {
    const path = join(hub.dir, agent, name.replaceAll('/', '_'))
    writeFileSync(path, bytes)
    const { size, mtimeMs, ino } = statSync(path)
    return { name, content: { kind: 'local', path, size, changedMs: mtimeMs, inode: ino } }
  }
  return { client, dataDir, make, local }
}

function portionOf(cursor: string, files: readonly { name: string; content: Content }[]): Portion {
  const items = files.map(({ name, content }, i): Item => {
    const row = { name, size: 0, modified: '2026-01-02T03:04:05.678Z', mediaType: 'application/pdf', area: 'north' }
    return { row, ref: i + 1, content }
  })
  return { items, cursor }
}

const signalOf = () => AbortSignal.timeout(90_000)

t.test('small and large files have messages of one shape', async (t) => {
  const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
  const { client, make, local } = await sending(t, hub, 'desk', { headers: { area: 'area' }, key: 'name' })
  const large = randomBytes(100 * KIB)
  const files = [
    local('a/small.pdf', 'small'),
    local('b/large.pdf', large),
    local('empty', ''),
    local('at the limit', randomBytes(64 * KIB)),
  ]
  const destination = await make()
  await destination.write(portionOf('c1', files), none, signalOf())
  await destination.arrived(signalOf())
  const subscription = await client.subscribe({ queue: 'files' })
  const messages = [...(await nextOf(subscription))]
  const common = { ':file-changed': 1767323045678, area: 'north' }
  t.strictSame(
    messages.map(({ envelope, key, body }) => [envelope.headers, `${key}`, body.length]),
    [
      [{ ...common, ':file': 'a/small.pdf', ':content-type': 'application/pdf' }, 'a/small.pdf', 5],
      [
        {
          ...common,
          ':file': 'b/large.pdf',
          ':content-type': 'application/json',
          ':content': contentsOf(messages[1] as never)[0],
        },
        'b/large.pdf',
        64,
      ],
      [{ ...common, ':file': 'empty', ':content-type': 'application/pdf' }, 'empty', 0],
      [{ ...common, ':file': 'at the limit', ':content-type': 'application/pdf' }, 'at the limit', 64 * KIB],
    ],
  )
  t.strictSame(JSON.parse(`${messages[1]?.body}`), {
    name: 'large.pdf',
    size: large.length,
    mediaType: 'application/pdf',
  })
  const [saved] = await client.receiveContents(messages[1] as never, { to: t.testdir() })
  t.match(saved, { name: 'large.pdf', mediaType: 'application/pdf', origin: 'desk' })
  t.ok(readFileSync(saved?.path as string).equals(large))
  subscription.close()
})

t.test('a portion repeated after a crash refers to the same content; nothing of it is sent again', async (t) => {
  const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
  const { client, make, local } = await sending(t, hub, 'desk', { bytesPerSecond: 8 * MIB })
  const portion = portionOf('c1', [local('large', randomBytes(6 * MIB))])
  const stop = new AbortController()
  const first = await make()
  // Killed: nothing of it is in the spool.
  const uploading = first.write(portion, none, stop.signal)
  await eventually('it is on its way', () => hub.status().contents.bytes > MIB)
  stop.abort(new Error('stopped'))
  await t.rejects(uploading, { message: 'stopped' })
  const before = client.bytesOut
  const destination = await make()
  t.equal(await destination.position(), null)
  await destination.write(portion, none, signalOf())
  await destination.arrived(signalOf())
  t.ok(client.bytesOut - before < 6 * MIB, `${client.bytesOut - before} bytes`)
  t.equal(hub.status().contents.contents, 1)
  t.equal(hub.queue('files').tail, 1)
})

t.test('what the hub has under the id is another content: it gets another id', async (t) => {
  const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
  const { client, dataDir, make, local } = await sending(t, hub, 'desk', { bytesPerSecond: 8 * MIB })
  const { name, content } = local('large', randomBytes(6 * MIB))
  const { path } = content as LocalFile
  const [second, changedMs] = [1_000_000_000, 1_000_000_000_000]
  utimesSync(path, second, second)
  const file = { name, content: { ...(content as LocalFile), changedMs } }
  const stop = new AbortController()
  const uploading = (await make()).write(portionOf('c1', [file]), none, stop.signal)
  await eventually('it is on its way', () => hub.status().contents.bytes > MIB)
  stop.abort(new Error('stopped'))
  await t.rejects(uploading, { message: 'stopped' })
  // Nothing tells that it was written.
  const bytes = randomBytes(6 * MIB)
  writeFileSync(path, bytes)
  utimesSync(path, second, second)
  rmSync(join(dataDir, 'transfers'), { recursive: true })
  const destination = await make()
  await destination.write(portionOf('c1', [file]), none, signalOf())
  await destination.arrived(signalOf())
  const subscription = await client.subscribe({ queue: 'files' })
  const [saved] = await client.receiveContents((await nextOf(subscription)).message(0), { to: t.testdir() })
  t.ok(readFileSync(saved?.path as string).equals(bytes))
  t.equal(hub.status().contents.contents, 2)
  subscription.close()
})

t.test('what the hub lost before it had the message is brought again', async (t) => {
  const queues = [{ name: 'files', topics: ['files/#'], limits: { messages: 1 } }]
  const hub = await localHub(t, { queues })
  const { client, make, local } = await sending(t, hub, 'desk')
  await client.publisher({ stream: 's' }).publish({ topic: 'files/x', body: Buffer.from('in the way') })
  const large = randomBytes(5 * MIB)
  const destination = await make()
  await destination.write(portionOf('c1', [local('large.bin', large)]), none, signalOf())
  t.match(await destination.arrived(signalOf()).catch((fault) => fault), {
    code: 'HUB_REFUSES',
    message: /QUEUE_FULL/,
    details: { retry: true },
  })
  await hub.stop()
  rmSync(join(hub.dataDir, 'contents'), { recursive: true })
  await hub.start()
  const other = await hub.client('other')
  const subscription = await other.subscribe({ queue: 'files' })
  ;(await nextOf(subscription)).settle()
  const arrived = destination.arrived(signalOf())
  const delivery = await nextOf(subscription)
  await arrived
  const [saved] = await other.receiveContents(delivery.message(0), { to: t.testdir() })
  t.ok(readFileSync(saved?.path as string).equals(large))
  subscription.close()
})

t.test('stopped while the hub is away, it goes on later', async (t) => {
  const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
  const { dataDir, make, local } = await sending(t, hub, 'desk')
  const destination = await make()
  const portion = portionOf('c1', [local('small', 'x'), local('large', randomBytes(5 * MIB))])
  await hub.stop()
  const stop = new AbortController()
  const written = destination.write(portion, none, stop.signal)
  await eventually('it is begun', () => {
    const folder = join(dataDir, 'transfers')
    return readdirSync(dataDir).includes('transfers') && readdirSync(folder).length > 0
  })
  stop.abort(new Error('stopped'))
  await t.rejects(written, { message: 'stopped' })
  t.equal(readdirSync(join(dataDir, 'transfers')).length, 1, 'what was hashed is remembered')
  await hub.start()
  await destination.write(portion, none, signalOf())
  const waiting = new AbortController()
  waiting.abort(new Error('stopped'))
  await t.rejects(destination.arrived(waiting.signal), { message: 'stopped' })
  await destination.arrived(signalOf())
  t.equal(hub.queue('files').tail, 2)
  t.strictSame(readdirSync(join(dataDir, 'transfers')), [])
})

t.test('a file whose name no receiver could give it is refused, a neighbour is not', async (t) => {
  const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
  const { make, local } = await sending(t, hub, 'desk', { inlineBytes: 0 })
  const destination = await make()
  const refused: unknown[] = []
  const files = [local('a:b', '1'), local('con', '1'), local('good', '1')]
  await destination.write(
    portionOf('c1', files),
    ({ item, fault }) => refused.push([item.row.name, fault.code]),
    signalOf(),
  )
  await destination.arrived(signalOf())
  t.strictSame(refused, [
    ['a:b', 'CONTENT_NAME_INVALID'],
    ['con', 'CONTENT_NAME_INVALID'],
  ])
  t.equal(hub.queue('files').tail, 1)
})
