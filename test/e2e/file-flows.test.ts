// Flows that carry files from the folder of one machine into that of another, whatever their size, each once and as it was.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cannotMount } from '#hub/store/testing.ts'
import { Agents } from './agents.ts'
import { run } from './cli.ts'
import { digests, drop, FileFlows, KIB, MIB, pathsIn, retry, seen, sha256, tree } from './file-flows.ts'
import { eventually, localHub, nextOf, noise } from './support.ts'

const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
const agents = new Agents(t, hub)
const flows = new FileFlows(hub, agents)

/** What the destination keeps beside the files, but for what it knows of their chunks. */
const workFiles = (folder: string): string[] =>
  readdirSync(join(folder, '.causeway'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.chunks'))
    .map(({ name }) => name)

/** A file whose writer does not care that it was moved. */
function fileToAppend(path: string) {
  const fd = openSync(path, 'a+')
  return {
    append: (bytes: Buffer): void => void writeSync(fd, bytes),
    bytes: (): Buffer => {
      const bytes = Buffer.alloc(fstatSync(fd).size)
      readSync(fd, bytes, 0, bytes.length, 0)
      return bytes
    },
    [Symbol.dispose]: () => closeSync(fd),
  }
}

t.test('a tree of files goes from one folder to another, unaltered', async (t) => {
  await hub.enroll('desk')
  await hub.enroll('office')
  const from = flows.toHub('desk')
  const to = flows.fromHub('office')
  const files = tree(50 * MIB)
  drop(from, files)
  const [desk, office] = [agents.start('desk'), agents.start('office')]
  const { there, done, sent } = await flows.landed({ files, from, to })
  t.strictSame(there, sent)
  t.strictSame(done, sent)
  t.strictSame(readdirSync(join(from, 'bad')), [])
  t.match(agents.statusOf('desk')?.flows.out, { lastFault: null, rejected: 0 })
  await Promise.all([desk.end(), office.end()])
  t.strictSame(workFiles(to), ['in.position.json'], 'nothing is left over')
})

t.test('while the hub is away files stay where they are; an agent can be stopped meanwhile', async (t) => {
  await hub.enroll('patient')
  const from = flows.toHub('patient')
  const files = new Map([
    ['small.txt', Buffer.from('small')],
    ['large.bin', randomBytes(2 * MIB)],
  ])
  drop(from, files)
  await hub.stop()
  const away = agents.start('patient')
  await eventually('they are claimed', () => !existsSync(join(from, 'small.txt')))
  await away.end()
  t.strictSame(readdirSync(join(from, 'done')), [])
  await hub.start()
  const back = agents.start('patient')
  await eventually('they are done', () => pathsIn(join(from, 'done')).length === 2)
  await back.end()
  // The next test begins with an empty queue.
  const reader = await (await hub.client('patient-reader')).subscribe({ queue: 'files' })
  for (let seen = 0; seen < 2; ) {
    const delivery = await nextOf(reader)
    seen += delivery.count
    delivery.settle()
  }
  reader.close()
})

t.test('a file that is written while it is sent is sent when it rests, whole and once', async (t) => {
  await hub.enroll('writer')
  await hub.enroll('reader')
  const from = flows.toHub('writer', { own: true, stableMs: 150 })
  const to = flows.fromHub('reader', { subscribe: { name: 'all', topics: ['own/writer'] } })
  const reader = agents.start('reader')
  await eventually('subscribed', () => flows.subscribed('reader:all'))
  const path = join(from, 'growing.bin')
  writeFileSync(path, randomBytes(30 * MIB))
  drop(from, new Map([['neighbour.txt', Buffer.from('rests')]]))
  using growing = fileToAppend(path)
  const writer = agents.start('writer')
  await eventually('it is claimed', () => !existsSync(path))
  await eventually('it is given up', () => {
    growing.append(randomBytes(10))
    return (agents.statusOf('writer')?.flows.out?.rejected ?? 0) > 0
  })
  const bytes = growing.bytes()
  await eventually('both are there', () => hub.queue('reader:all').tail >= 2 && hub.queue('reader:all').depth === 0)
  t.strictSame(seen(to), { 'growing.bin': sha256(bytes), 'neighbour.txt': sha256(Buffer.from('rests')) })
  await eventually('both are done', () => pathsIn(join(from, 'done')).length === 2)
  t.strictSame(readdirSync(join(from, 'bad')), [])
  await Promise.all([writer.end(), reader.end()])
})

t.test('what has no name here is refused, what is no file too; their neighbours are there', async (t) => {
  await hub.enroll('careful')
  const to = flows.fromHub('careful', { subscribe: { name: 'all', topics: ['own/hostile'] } })
  const careful = agents.start('careful')
  const queue = 'careful:all'
  await eventually('subscribed', () => flows.subscribed(queue))
  const dead = hub.queue('$dead').depth
  const sender = await hub.client('hostile')
  const publisher = sender.publisher({ stream: 's', proof: 'message' })
  const send = (headers: Record<string, string>, body = 'x', contents: readonly string[] = []) =>
    publisher.publish({
      topic: 'own/hostile',
      headers,
      body: Buffer.from(body),
      ...(contents.length > 0 ? { contents } : {}),
    })
  const path = join(hub.dir, 'content.bin')
  const bytes = randomBytes(MIB)
  writeFileSync(path, bytes)
  const [content, twin] = [sender.upload({ path }), sender.upload({ path, name: 'twin.bin' })]
  await Promise.all([content.sealed, twin.sealed])
  const hostile = ['../out.txt', 'a/../../out.txt', '/etc/out.txt', 'con.txt', '.hidden', 'a//b', 'good.txt/below']
  await send({ ':file': 'good.txt' }, 'one')
  await send({ ':file': 'good.txt' }, 'two')
  await eventually('a file has the name of a folder to come', () => existsSync(join(to, 'good (2).txt')))
  for (const name of hostile) await send({ ':file': name })
  await send({ ':file': '../out.bin' }, '{}', [content.id])
  await send({}, 'no file')
  await send({ ':file': 'sub/known.bin' }, '{"size":1048576}', [content.id])
  // As the library and `send file` send them.
  await send({}, 'two of them', [content.id, twin.id])
  await send({ ':file': 'last.txt' }, 'last')
  await eventually('nothing waits', () => hub.queue(queue).depth === 0)
  await careful.end()
  t.strictSame(seen(to), {
    'good.txt': sha256(Buffer.from('one')),
    'good (2).txt': sha256(Buffer.from('two')),
    'sub/known.bin': sha256(bytes),
    'content.bin': sha256(bytes),
    'twin.bin': sha256(bytes),
    'last.txt': sha256(Buffer.from('last')),
  })
  t.equal(hub.queue('$dead').depth, dead + hostile.length + 2)
  t.notOk(existsSync(join(agents.dataOf('careful'), 'out.txt')))
})

t.test('a file whose sender stays away does not keep the others away', async (t) => {
  await hub.enroll('waiter')
  const to = flows.fromHub('waiter', { subscribe: { name: 'all', topics: ['own/late'] }, stallMs: 300 })
  const waiter = agents.start('waiter')
  await eventually('subscribed', () => flows.subscribed('waiter:all'))
  const sender = await hub.client('late')
  const path = join(hub.dir, 'late.bin')
  const bytes = randomBytes(8 * MIB)
  writeFileSync(path, bytes)
  const upload = sender.upload({ path, bytesPerSecondMax: 64 * KIB })
  await upload.opened
  const publisher = sender.publisher({ stream: 's', proof: 'message' })
  await publisher.publish({ topic: 'own/late', body: Buffer.alloc(0), contents: [upload.id] })
  await publisher.publish({ topic: 'own/late', headers: { ':file': 'next.txt' }, body: Buffer.from('next') })
  upload.pause()
  const dead = hub.queue('$dead').depth
  await eventually('the other is there', () => existsSync(join(to, 'next.txt')))
  await eventually('nothing waits', () => hub.queue('waiter:all').depth === 0)
  t.equal(hub.queue('$dead').depth, dead + 1)
  t.match(readFileSync(join(agents.dataOf('waiter'), 'state', 'in', 'rejected.jsonl'), 'utf8'), /"FILE_LATE"/)
  upload.resume()
  await upload.cancel()
  await waiter.end()
  t.strictSame(pathsIn(to), ['next.txt'])
})

t.test('files that are sent on from one queue to another are not brought here for it', async (t) => {
  await hub.enroll('forwarder')
  await hub.enroll('end')
  agents.writeFlow('forwarder', {
    flow: 'on',
    source: { hub: { format: 'file', subscribe: { name: 'all', topics: ['own/first/#'] } } },
    channels: [{ map: { expressions: { name: "'forwarded/' & name" } } }],
    destination: { hub: { topic: 'own/second' } },
    retry,
  } as { flow: string })
  const to = flows.fromHub('end', { subscribe: { name: 'all', topics: ['own/second'] } })
  const [forwarder, end] = [agents.start('forwarder'), agents.start('end')]
  await eventually('subscribed', () => flows.subscribed('forwarder:all') && flows.subscribed('end:all'))
  const sender = await hub.client('first')
  const path = join(hub.dir, 'first.bin')
  const bytes = randomBytes(3 * MIB)
  writeFileSync(path, bytes)
  const upload = sender.upload({ path })
  await upload.sealed
  const publisher = sender.publisher({ stream: 's', proof: 'message' })
  const headers = { ':file': 'a/large.bin' }
  await publisher.publish({ topic: 'own/first/x', headers, body: Buffer.from('{}'), contents: [upload.id] })
  await publisher.publish({ topic: 'own/first/x', headers: { ':file': 'small' }, body: Buffer.from('small') })
  await eventually('both are there', () => hub.queue('end:all').tail === 2 && hub.queue('end:all').depth === 0)
  await eventually('and settled on the way', () => hub.queue('forwarder:all').depth === 0)
  t.strictSame(seen(to), { 'forwarded/a/large.bin': sha256(bytes), 'forwarded/small': sha256(Buffer.from('small')) })
  t.ok((agents.statusOf('forwarder')?.wire.bytesIn ?? 0) < MIB)
  await Promise.all([forwarder.end(), end.end()])
})

t.test('flows and the commands understand each other', async (t) => {
  await hub.enroll('flow-desk')
  await hub.enroll('hand')
  const from = flows.toHub('flow-desk')
  const files = new Map([
    ['letters/small.txt', Buffer.from('a small one')],
    ['plans/large.bin', randomBytes(MIB)],
  ])
  drop(from, files)
  const desk = agents.start('flow-desk')
  await eventually('both are sent', () => existsSync(join(from, 'done', 'plans', 'large.bin')))
  await desk.end()
  t.equal(hub.queue('files').depth, 2)
  const to = join(hub.dir, 'by hand')
  const receive = ['receive', 'file', '--data', agents.dataOf('hand'), '--queue', 'files', '--to', to]
  const received = await run('agent', [...receive, '--count', '2'])
  t.equal(received.code, 0, received.stderr)
  t.match(received.stdout, /^small\.txt: 11 B from flow-desk, saved as .*small\.txt\.$/m)
  t.match(received.stdout, /^large\.bin: .* from flow-desk, saved as .*large\.bin/m)
  t.strictSame(Object.values(seen(to)).sort(), Object.values(digests(files)).sort())

  const path = join(from, 'done', 'plans', 'large.bin')
  const send = ['send', 'file', path, '--data', agents.dataOf('hand'), '--topic', 'files/by-hand']
  const sent = await run('agent', [...send, '--media-type', 'application/x-test'])
  t.equal(sent.code, 0, sent.stderr)
  const by = flows.fromHub('flow-desk')
  const lander = agents.start('flow-desk')
  await eventually('it is there and settled', () => existsSync(join(by, 'large.bin')) && hub.queue('files').depth === 0)
  await lander.end()
  t.strictSame(seen(by), { 'large.bin': sha256(files.get('plans/large.bin') as Buffer) })
})

t.test('of a later version only what is new travels', async (t) => {
  await hub.enroll('versions')
  await hub.enroll('reviewer')
  const from = flows.toHub('versions', { own: true })
  const to = flows.fromHub('reviewer', { subscribe: { name: 'all', topics: ['own/versions'] } })
  const reviewer = agents.start('reviewer')
  await eventually('subscribed', () => flows.subscribed('reviewer:all'))
  const sender = agents.start('versions')
  const bytes = noise('plan', 20 * MIB)
  for (let version = 1; version <= 3; version++) {
    bytes.write(`version ${version}`, version * 4 * MIB)
    drop(from, new Map([['plan/site.dwg', bytes]]))
    await eventually(
      'it is there',
      () => hub.queue('reviewer:all').tail === version && hub.queue('reviewer:all').depth === 0,
    )
    await eventually('it is done', () => pathsIn(join(from, 'done')).length === version)
    t.ok(readFileSync(join(to, 'plan', version === 1 ? 'site.dwg' : `site (${version}).dwg`)).equals(bytes))
  }
  const total = await eventually('the status tells of it', () => {
    const [out, there] = [agents.statusOf('versions'), agents.statusOf('reviewer')]
    const both = out?.flows.out?.rowsOut === 3 && there?.flows.in?.rowsOut === 3
    return both ? out.wire.bytesOut + there.wire.bytesIn : undefined
  })
  t.ok(total > 40 * MIB && total < 42 * MIB, `${total} bytes`)
  await Promise.all([sender.end(), reviewer.end()])
})

t.test('from one folder into another, without a hub', async (t) => {
  await hub.enroll('copier')
  const [from, to] = [join(agents.dataOf('copier'), 'drop'), join(agents.dataOf('copier'), 'copies')]
  mkdirSync(from, { recursive: true })
  const path = agents.writeFlow('copier', {
    flow: 'copy',
    source: { directory: { path: from, format: 'file', subfolders: true, stableMs: 0, once: true } },
    channels: [{ filter: { where: 'size > 0' } }, { map: { expressions: { name: "'copied/' & $uppercase(name)" } } }],
    destination: { directory: { path: to, format: 'file' } },
  } as { flow: string })
  const files = tree(5 * MIB)
  drop(from, files)
  const ran = await run('agent', ['flow', 'run', path, '--data', agents.dataOf('copier')])
  t.equal(ran.code, 0, ran.stderr)
  const copied = [...files].filter(([, bytes]) => bytes.length > 0)
  t.strictSame(seen(to), digests(new Map(copied.map(([name, bytes]) => [`copied/${name.toUpperCase()}`, bytes]))))
  t.strictSame(seen(join(from, 'done')), digests(files))
})

t.test('what a destination does not take is said before anything runs', async (t) => {
  const lint = async (flow: Record<string, unknown>) => {
    const path = agents.writeFlow('linted', { flow: 'x', ...flow })
    return await run('agent', ['flow', 'lint', path])
  }
  const files = { directory: { path: 'in', format: 'file' } }
  const table = { sqlite: { file: 'x.db', table: 'x', key: 'id' } }
  t.match(await lint({ source: files, destination: table }), { code: 1, stderr: /FLOW_ROWS_OR_FILES.*gives files/s })
  const rows = await lint({
    source: { hub: { queue: 'q' } },
    destination: { directory: { path: 'x', format: 'file' } },
  })
  t.match(rows, { code: 1, stderr: /FLOW_ROWS_OR_FILES.*hub gives rows, destination directory takes files/s })
  t.match(await lint({ source: files, destination: { hub: { topic: 'x' } } }), { code: 0 })
})

t.test('a full disk makes the flow wait; with room again nothing is lost', { skip: cannotMount() }, async (t) => {
  await hub.enroll('full')
  const to = flows.fromHub('full', { subscribe: { name: 'all', topics: ['own/full'] } })
  mkdirSync(to)
  const disk = (options: string) => spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'causeway-e2e-test', to]).status
  t.equal(disk('size=4m'), 0)
  t.teardown(() => spawnSync('umount', ['-l', to]))
  const receiver = agents.start('full')
  await eventually('subscribed', () => flows.subscribed('full:all'))
  const files = new Map([
    ['large.bin', randomBytes(6 * MIB)],
    ['small.txt', Buffer.from('small')],
    ['many/1.bin', randomBytes(60 * KIB)],
  ])
  const from = flows.toHub('full-sender', { own: true })
  agents.writeFlow('full-sender', {
    flow: 'out',
    source: { directory: { path: from, format: 'file', subfolders: true, stableMs: 50, pollMs: 50 } },
    destination: { hub: { topic: 'own/full' } },
    retry,
  } as { flow: string })
  await hub.enroll('full-sender')
  drop(from, files)
  const sender = agents.start('full-sender')
  const waiting = await eventually('the flow waits', () => {
    const flow = agents.statusOf('full')?.flows.in
    return flow?.lastFault?.code === 'DIRECTORY_FULL' ? flow : undefined
  })
  t.match(waiting.lastFault, { remedy: /[Ff]ree space/ })
  t.ok(hub.queue('full:all').depth > 0, 'the message is not settled')
  t.equal(disk('remount,size=32m'), 0)
  await eventually('nothing waits', () => hub.queue('full:all').tail === 3 && hub.queue('full:all').depth === 0)
  t.strictSame(seen(to), digests(files))
  await Promise.all([sender.end(), receiver.end()])
})
