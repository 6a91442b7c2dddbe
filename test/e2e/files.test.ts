// Large content end to end: sent by one agent, referred to by a message, received into a folder by another.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { contentsOf } from '#agent/client/mod.ts'
import { run } from './cli.ts'
import { localHub, nextOf, noise, refer } from './support.ts'

const MIB = 2 ** 20
const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
const folder = (name: string) => {
  const path = join(hub.dir, name)
  mkdirSync(path)
  return path
}
const rights = { publish: ['files/#', 'plain', 'shared'], consume: ['files', '$unrouted'] }

t.test('a file goes from one agent to another, by the message that refers to it', async (t) => {
  const [desk, office] = [await hub.client('desk', rights), await hub.client('office', rights)]
  const bytes = noise('plan', 20 * MIB + 3)
  const path = join(hub.dir, 'plan.dwg')
  writeFileSync(path, bytes)
  const upload = desk.upload({ path, mediaType: 'image/vnd.dwg' })
  await upload.sealed
  await desk
    .publisher({ stream: 's' })
    .publish({ topic: 'files/plan', body: Buffer.from('here'), contents: [upload.id] })

  const to = folder('in')
  const subscription = await office.subscribe({ queue: 'files' })
  const delivery = await nextOf(subscription)
  const message = delivery.message(0)
  t.strictSame(contentsOf(message), [upload.id])
  const [file, ...more] = await office.receiveContents(message, { to, origin: 'desk' })
  delivery.settle()
  t.strictSame(more, [])
  t.match(file, { path: join(to, 'plan.dwg'), size: bytes.length, mediaType: 'image/vnd.dwg', origin: 'desk' })
  t.ok(readFileSync(join(to, 'plan.dwg')).equals(bytes))

  // The next version: what is the same is neither sent nor received again.
  bytes.fill(7, 5 * MIB, 5 * MIB + 10)
  writeFileSync(path, bytes)
  const second = desk.upload({ path })
  await second.sealed
  await refer(desk, second.id)
  const download = office.download({ id: second.id, to, overwrite: 'replace' })
  await download.done
  t.ok(readFileSync(join(to, 'plan.dwg')).equals(bytes))
  // Some chunks of a quarter of a MiB at most.
  t.ok(download.progress.receivedBytes <= MIB, `${download.progress.receivedBytes} bytes`)
  t.ok(second.progress.sentBytes <= MIB, `${second.progress.sentBytes} bytes`)
  subscription.close()
})

t.test('a download goes on while the hub restarts', async (t) => {
  const [desk, office] = [await hub.client('desk-2', rights), await hub.client('office-2', rights)]
  const bytes = randomBytes(48 * MIB)
  const path = join(hub.dir, 'scan.tif')
  writeFileSync(path, bytes)
  const upload = desk.upload({ path })
  await upload.sealed
  await refer(desk, upload.id)
  const to = folder('in-2')
  const download = office.download({ id: upload.id, to, bytesPerSecondMax: 64 * MIB })
  while (download.progress.storedBytes < 8 * MIB) await new Promise((resolve) => setTimeout(resolve, 5))
  await hub.restart()
  await download.done
  t.ok(readFileSync(join(to, 'scan.tif')).equals(bytes))
  t.match(download.progress, { hashedAgainBytes: 0 })
  t.ok(download.progress.receivedBytes <= bytes.length + MIB, `${download.progress.receivedBytes - bytes.length} twice`)
})

t.test('the commands: send file, receive file', async (t) => {
  await hub.enroll('cli-a', rights)
  await hub.enroll('cli-b', rights)
  const [a, b] = [join(hub.dir, 'cli-a'), join(hub.dir, 'cli-b')]
  const path = join(hub.dir, 'minutes.pdf')
  const bytes = randomBytes(3 * MIB)
  writeFileSync(path, bytes)
  const to = join(hub.dir, 'new', 'folder')
  const send = ['send', 'file', path, '--data', a, '--topic', 'files/minutes', '--media-type', 'application/pdf']
  const sent = await run('agent', [...send, '--json'])
  t.equal(sent.code, 0, sent.stderr)
  const facts = JSON.parse(sent.stdout)
  t.match(facts, {
    id: /^[0-9a-f]{32}$/,
    name: 'minutes.pdf',
    size: bytes.length,
    sentBytes: bytes.length,
    storedBytes: bytes.length,
    reusedBytes: 0,
    hashedAgainBytes: 0,
    twiceBytes: 0,
    unrouted: 0,
  })
  const early = await run('agent', [
    ...send,
    '--early',
    '--cut',
    'content',
    '--rate',
    '100MiB',
    '--window',
    '00:00-23:59',
  ])
  t.equal(early.code, 0, early.stderr)
  t.match(early.stdout, /^minutes\.pdf: 3\.0 MiB in \d+s \(.*\/s\) sent and stored by the hub as [0-9a-f]{32}/)

  const receive = ['receive', 'file', '--data', b, '--queue', 'files', '--to', to]
  const received = await run('agent', [...receive, '--count', '1', '--json'])
  t.equal(received.code, 0, received.stderr)
  t.match(JSON.parse(received.stdout), {
    id: facts.id,
    path: join(to, 'minutes.pdf'),
    origin: 'cli-a',
    mediaType: 'application/pdf',
    topic: 'files/minutes',
    receivedBytes: bytes.length,
  })
  t.ok(readFileSync(join(to, 'minutes.pdf')).equals(bytes))
  const second = await run('agent', [...receive, '--count', '1'])
  t.equal(second.code, 0, second.stderr)
  t.match(second.stdout, /^minutes\.pdf: 3\.0 MiB .* from cli-a, saved as .*minutes \(2\)\.pdf/)
  t.ok(readFileSync(join(to, 'minutes (2).pdf')).equals(bytes))
  t.equal((await run('agent', [...receive, '--timeout', '300ms'])).code, 0)
})

t.test('messages without files stay in their queue, contents that are gone do not', async (t) => {
  await hub.enroll('cli-c', rights)
  const desk = await hub.client('desk-3', rights)
  const publisher = desk.publisher({ stream: 's' })
  await publisher.publish({ topic: 'files/x', body: Buffer.from('no file') })
  const to = join(hub.dir, 'none')
  const receive = ['receive', 'file', '--data', join(hub.dir, 'cli-c'), '--queue', 'files', '--to', to]
  // Longer on a machine that stood still meanwhile.
  let without = await run('agent', [...receive, '--timeout', '500ms'])
  for (const timeout of ['5s', '50s']) {
    if (without.stderr === '') without = await run('agent', [...receive, '--timeout', timeout])
  }
  t.match(without, { code: 0, stdout: '', stderr: /without a file \(files, position \d+\) is left/ })
  const office = await hub.client('office-3', rights)
  const subscription = await office.subscribe({ queue: 'files' })
  t.equal((await nextOf(subscription)).message(0).body.toString(), 'no file')
  subscription.close()
  t.strictSame(readdirSync(to), [])
  const usage = await run('agent', ['receive', 'file', '--to', to])
  t.match(usage, { code: 2, stderr: /either --queue or --topic/ })
})

t.test('a chunk damaged at the hub is named, is not handed on, and comes again with whatever has it', async (t) => {
  const desk = await hub.client('desk-5', rights)
  const bytes = randomBytes(20 * MIB)
  const path = join(hub.dir, 'survey.bin')
  writeFileSync(path, bytes)
  const first = desk.upload({ path })
  await first.sealed
  await refer(desk, first.id)
  await hub.stop()
  const segments = join(hub.dataDir, 'contents', 'segments')
  // From the middle of the file, wherever that lies: chunks are cut by content, and no two cuts are so close to each other.
  const wanted = [9 * MIB, 9 * MIB + 1024].map((from) => bytes.subarray(from, from + 16))
  let found = false
  for (const name of readdirSync(segments)) {
    const file = readFileSync(join(segments, name))
    const at = wanted.map((piece) => file.indexOf(piece)).find((place) => place >= 0)
    if (at === undefined || found) continue
    file[at] = (file[at] as number) ^ 1
    writeFileSync(join(segments, name), file)
    found = true
  }
  t.ok(found, 'the chunk lies in a segment')
  const checked = await run('hub', ['store', 'check', '--data', hub.dataDir])
  t.equal(checked.code, 1)
  t.match(checked.stdout, /survey\.bin of desk-5 \([0-9a-f]{32}\), chunk \d+:/)
  const told = await run('hub', ['store', 'check', '--data', hub.dataDir, '--json'])
  t.match(JSON.parse(told.stdout).contents, { ok: false, damaged: [{ name: 'survey.bin', id: first.id }] })
  await hub.start()
  const office = await hub.client('office-5', rights)
  const to = folder('damaged')
  const download = office.download({ id: first.id, to })
  await hub.logged(
    ({ message, details }) => message === 'transfer ended' && /CONTENT_DAMAGED/.test(JSON.stringify(details)),
  )
  // Whoever sends it, and as what: it is there for all.
  await (await hub.client('desk-6', rights)).upload({ path }).sealed
  await download.done
  const again = desk.upload({ path, id: first.id })
  await again.sealed
  t.equal(again.progress.sentBytes, 0)
  t.ok(readFileSync(join(to, 'survey.bin')).equals(bytes))
  await hub.stop()
  t.equal((await run('hub', ['store', 'check', '--data', hub.dataDir])).code, 0)
  await hub.start()
})
