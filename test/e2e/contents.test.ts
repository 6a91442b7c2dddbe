// Large content at the hub: who may send and fetch it.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HubConnection } from '#agent/client/connection.ts'
import { clientFault } from '#agent/client/faults.ts'
import type { Client } from '#agent/client/mod.ts'
import type { ContentsList } from '#hub/transfer/mod.ts'
import { columns } from '#protocol/fields/mod.ts'
import { CHANNEL_CONTROL, FRAME_FETCH, FRAME_OPEN_TRANSFER } from '#protocol/frame/mod.ts'
import { FEATURE_ENCODED_CHUNKS, FEATURE_TRANSFERS } from '#protocol/handshake/mod.ts'
import { encodeFetch, encodeOpenTransfer } from '#protocol/schema/mod.ts'
import { ask, run } from './cli.ts'
import { eventually, inTime, localHub, nextOf } from './support.ts'

const MIB = 2 ** 20
const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
const rights = { publish: ['files/#', 'nobody/#'], consume: ['files'] }

t.test('frames of transfers that were not agreed on end the session', async (t) => {
  const identity = await hub.enroll('old', rights)
  const connect = (features: readonly number[]) => {
    const nothing = () => undefined
    return HubConnection.open({ address: hub.tcpAddress, identity, features, onDrain: nothing, onBytes: nothing })
  }
  const content = Buffer.alloc(16, 7)
  const fetch = (request: number) => encodeFetch({ request, content, creditBytes: 1, priority: 0 })
  const about = { name: '', mediaType: '', size: 1, chunkBytes: 65536, keepMs: 0, expiresMs: 0 }
  const frames: [number, Uint8Array][] = [
    [FRAME_FETCH, fetch(1)],
    [FRAME_OPEN_TRANSFER, encodeOpenTransfer({ request: 1, content, ...about })],
  ]
  for (const [kind, body] of frames) {
    for (const features of [[], [FEATURE_ENCODED_CHUNKS]]) {
      const connection = await connect(features)
      connection.send(kind, CHANNEL_CONTROL, body)
      t.match(await inTime(connection.closed, 'the end of the session'), { message: /SESSION_FRAME_UNEXPECTED/ })
    }
  }
  const connection = await connect([FEATURE_TRANSFERS])
  await t.rejects(connection.request(FRAME_FETCH, fetch), { message: /CONTENT_ABSENT/ })
  t.ok(connection.alive)
  connection.close(clientFault('CONNECTION_LOST'))
})

/** What an agent sent of a file of 1 MiB. */
async function sent(client: Client, path: string): Promise<number> {
  const upload = client.upload({ path })
  await upload.sealed
  return upload.progress.sentBytes
}

t.test('a chunk that another agent has sent is sent as if the hub had it not, and stored once', async (t) => {
  const path = join(hub.dir, 'form.pdf')
  const bytes = randomBytes(MIB)
  writeFileSync(path, bytes)
  const [first, second] = [await hub.client('first', rights), await hub.client('second', rights)]
  t.strictSame([await sent(first, path), await sent(first, path)], [MIB, 0])
  const stored = hub.status().contents.bytes
  t.strictSame([await sent(second, path), await sent(second, path)], [MIB, 0])
  t.ok(hub.status().contents.bytes - stored < MIB / 2, 'but not twice')
})

t.test('with contents.share: all it is not sent again', async (t) => {
  const shared = await localHub(t, { config: { contents: { share: 'all' } } })
  const path = join(shared.dir, 'form.pdf')
  writeFileSync(path, randomBytes(MIB))
  const [first, second] = [await shared.client('first', rights), await shared.client('second', rights)]
  t.strictSame([await sent(first, path), await sent(second, path)], [MIB, 0])
})

/** At the hub, whole; nobody was told. */
async function atHub(client: Client, name: string): Promise<string> {
  const path = join(hub.dir, name)
  writeFileSync(path, randomBytes(900))
  const upload = client.upload({ path })
  await upload.sealed
  return upload.id
}

const taken = async (client: Client, id: string): Promise<string> =>
  (await client.download({ id, to: folder() }).done).name
let folders = 0
const folder = () => {
  const path = join(hub.dir, `in-${++folders}`)
  mkdirSync(path)
  return path
}

t.test('a content goes to whoever gets, or may get, a message that refers to it, and stays with him', async (t) => {
  const [desk, office] = [await hub.client('desk', rights), await hub.client('office', rights)]
  const stranger = await hub.client('stranger', { publish: ['files/#', 'to/#'], consume: ['other', '$unrouted'] })
  const [one, two] = [await atHub(desk, 'one.pdf'), await atHub(desk, 'two.pdf')]
  t.equal(await taken(desk, one), 'one.pdf', 'its sender has it anyway')
  await t.rejects(taken(office, one), { message: /CONTENT_ABSENT/ })
  const publisher = desk.publisher({ stream: 's' })
  // In one batch, to different receivers.
  await publisher.publishAll([
    { topic: 'files/one', body: Buffer.from('1'), contents: [one] },
    { topic: 'nobody/two', body: Buffer.from('2'), contents: [two] },
  ])
  t.equal(await taken(office, one), 'one.pdf', 'it may receive it')
  await t.rejects(taken(office, two), { message: /CONTENT_ABSENT/ })
  t.equal(await taken(stranger, two), 'two.pdf')
  await t.rejects(taken(stranger, one), { message: /CONTENT_ABSENT/ })
  // Whoever may not have it can refer to it in vain.
  const forged = stranger.publisher({ stream: 'forged' })
  const published = forged.publish({ topic: 'to/stranger', body: Buffer.from('mine'), contents: [one] })
  published.catch(() => {
    // It waits until the client is closed.
  })
  await eventually('it is refused', () => forged.refused?.details.hubCode === 'CONTENT_MISSING')
  await t.rejects(taken(stranger, one), { message: /CONTENT_ABSENT/ })

  const files = await office.subscribe({ queue: 'files' })
  const delivery = await nextOf(files)
  t.equal(delivery.message(0).body.toString(), '1')
  delivery.settle()
  files.close()
  await eventually('it is settled', () => hub.queue('files').depth === 0)
  hub.authority.agents.grant('office', { publish: [], consume: [] })
  await hub.restart()
  t.equal(await taken(office, one), 'one.pdf', 'it had the message, which nobody has any more')
  await t.rejects(taken(office, two), { message: /CONTENT_ABSENT/ })
})

t.test('store repair: what is damaged is given up, and comes again with another file that has it', async (t) => {
  const own = await localHub(t)
  const path = join(own.dir, 'survey.bin')
  const bytes = randomBytes(MIB)
  writeFileSync(path, bytes)
  const upload = (await own.client('first')).upload({ path })
  await upload.sealed
  await own.stop()
  // Chunks are cut by content, and no two cuts are so close to each other that they go through both.
  const pieces = [MIB / 4, MIB / 4 + 1024].map((at) => bytes.subarray(at, at + 16))
  const segments = join(own.dataDir, 'contents', 'segments')
  const places = readdirSync(segments).flatMap((name) => {
    const file = readFileSync(join(segments, name))
    return pieces.map((piece) => ({ name, file, at: file.indexOf(piece) })).filter(({ at }) => at >= 0)
  })
  const [{ name, file, at }] = places as [(typeof places)[number]]
  file[at] = (file[at] as number) ^ 1
  writeFileSync(join(segments, name), file)
  const store = (what: string) => run('hub', ['store', what, '--data', own.dataDir])
  t.match(await store('check'), { code: 1, stdout: /survey\.bin of first.*Mend it with: causeway-hub store repair/s })
  const missing = new RegExp(`Missing until .*:\n +survey\\.bin of first \\(${upload.id}\\): 1 chunk\n`)
  t.match(await store('repair'), { code: 0, stdout: missing })
  t.match(await store('check'), { code: 0, stdout: missing })
  t.match(await store('repair'), { code: 0, stdout: /nothing to repair in large content/ })
  await own.start()
  writeFileSync(path, Buffer.concat([bytes, Buffer.from('more')]))
  const second = (await own.client('second')).upload({ path })
  await second.sealed
  await own.stop()
  const { code, stdout } = await store('check')
  t.equal(code, 0)
  t.match(stdout, /All of it is what was sent\./)
})

/** What a command prints, all of it in 80 columns. */
async function shown(t: Test, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ask('hub', [...args, '--data', hub.dataDir])
  t.strictSame([code, stderr], [0, ''], args.join(' '))
  for (const line of stdout.split('\n')) t.ok(columns(line) <= 80, line)
  return stdout
}

async function told<T>(...args: string[]): Promise<T> {
  return JSON.parse((await ask('hub', [...args, '--data', hub.dataDir, '--json'])).stdout) as T
}

t.test('one session sends more contents than may be under way at once', async (t) => {
  const client = await hub.client('many', rights)
  for (let i = 0; i < 70; i++) await inTime(atHub(client, `part-${i}`), `the upload of part ${i}`)
  t.equal((await told<ContentsList>('contents', 'list', '--origin', 'many', '--state', 'whole')).total, 70)
})

t.test('contents list, show, remove', async (t) => {
  const [works, yard] = [await hub.client('works', rights), await hub.client('yard', rights)]
  const name = '关于印发图纸的通知 — 第二版，含全部附件与修订说明.pdf'
  const held = await atHub(works, name)
  const free = await atHub(works, 'free.pdf')
  await works.publisher({ stream: 's' }).publish({ topic: 'files/plan', body: Buffer.from('1'), contents: [held] })
  const large = join(hub.dir, 'large.bin')
  writeFileSync(large, randomBytes(12 * MIB))
  const upload = works.upload({ path: large, bytesPerSecondMax: MIB / 4, name: 'slow.bin' })
  await works
    .publisher({ stream: 'early' })
    .publish({ topic: 'files/slow', body: Buffer.from('2'), contents: [upload.id] })
  const download = yard.download({ id: upload.id, to: folder() })
  await eventually('it has begun', () => download.progress.receivedBytes > 0)

  const list = await shown(t, 'contents', 'list', '--origin', 'works')
  const lines = list.split('\n')
  t.match(lines[0], /^CONTENT +SIZE +STATE +HELD +GOES IN$/)
  t.match(lines[1], new RegExp(`^${upload.id} +12 MiB +arriving \\d+% +1$`), 'what moves comes first')
  t.match(
    lines.slice(2, 5).join('\n'),
    /^ {2}slow\.bin of works\n {2}from agent works: .*\/s\n {2}to agent yard: .*\/s$/,
  )
  t.match(list, new RegExp(`^${held} +900 B +whole +1$`, 'm'))
  t.match(list, new RegExp(`^${free} +900 B +whole +0 +6d 23h$`, 'm'))
  t.match(list, '附件')
  t.match(list, /\n3 contents, \d/)
  t.match(await told('contents', 'list', '--origin', 'works', '--state', 'whole', '--limit', '1'), {
    total: 2,
    contents: [
      { id: free, name: 'free.pdf', origin: 'works', state: 'whole', holds: 0, endsAtMs: Number, movements: [] },
    ],
  })
  t.match(await shown(t, 'contents', 'list', '--origin', 'nobody'), /^There is no large content\.$/m)

  const show = await shown(t, 'contents', 'show', upload.id)
  t.match(show, /state +arriving \d+%; \d+ chunks of .* are here\n/)
  t.match(
    show,
    /moves +from agent works: .*; to agent yard: .*held by +1 batch of messages, such as works\/early\/\d+\/1\n/s,
  )
  t.match(show, /goes +not while something holds it\n/)
  t.match(await told('contents', 'show', free), { id: free, chunks: 1, expiresAtMs: null, messages: [], readers: [] })

  const refused = (...args: string[]) => ask('hub', ['contents', ...args, '--data', hub.dataDir])
  t.match(await refused('remove', held), { code: 1, stderr: /^CONTENT_HELD .*1 batch.*--force/s })
  t.match(await refused('remove', 'nonsense'), { code: 2, stderr: /FIELD_PATTERN at <id>/ })
  t.match(await refused('show', '0'.repeat(32)), { code: 1, stderr: /^CONTENT_GONE/ })
  t.match(await shown(t, 'contents', 'remove', free), /^free\.pdf of works \(.*\) is removed, 900 B\.\n$/s)
  t.match(await shown(t, 'contents', 'remove', held, '--force'), /is removed.*1 batch of messages still refer/s)
  const ended = [
    t.rejects(upload.sealed, { message: /CONTENT_REMOVED/ }),
    t.rejects(download.done, { message: /CONTENT_REMOVED/ }),
  ]
  t.match(await told('contents', 'remove', upload.id, '--force'), { id: upload.id, holds: 1, transfers: 2 })
  await Promise.all(ended)
  t.match(await told('contents', 'list', '--origin', 'works'), { total: 0, contents: [] })
  await t.rejects(taken(yard, held), { message: /CONTENT_ABSENT/ })
})
