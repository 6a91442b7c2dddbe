// Uploads of real files, read by the real thread, over a real connection, to a hub's end played by the test.

import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { clientFault } from '../faults.ts'
import { MEMORY_BYTES_MAX } from './limits.ts'
import { ChunkMemory } from './memory.ts'
import { Upload, type UploadProgress } from './mod.ts'
import { pairOf, TestClient, type TestHub } from './testing.ts'

const seed = testSeed()
t.comment(`SEED=${seed}`)
const random = new Random(seed)
/** For what hangs on where content is cut: how long its chunks are, and how many. */
const steady = new Random(1)
t.setTimeout(600_000)
const KIB = 1024
const MIB = 1024 * KIB
const CHUNK = 64 * KIB

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

function fileOf(t: Test, bytes: Uint8Array, name = 'a file.bin'): string {
  const folder = mkdtempSync(join(tmpdir(), 'upload-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * MIB + 17]) {
  for (const cut of ['fixed', 'content'] as const) {
    t.test(`${size} bytes, cut ${cut}`, async (t) => {
      const { hub, client } = await pairOf(t)
      const bytes = random.bytes(size)
      const upload = new Upload(client, { path: fileOf(t, bytes), mediaType: 'text/x-test', cut })
      await upload.sealed
      const found = hub.sealed.get(upload.id)
      t.equal(found?.name, 'a file.bin')
      t.equal(found?.mediaType, 'text/x-test')
      t.equal(sha256(found?.bytes ?? Buffer.from('?')), sha256(bytes))
      t.match(upload.progress, {
        size,
        hashedBytes: size,
        sentBytes: size,
        storedBytes: size,
        reusedBytes: 0,
        hashedAgainBytes: 0,
        readAgainBytes: 0,
        state: 'sealed',
      })
      t.strictSame(hub.faults, [])
    })
  }
}

const content = (hub: TestHub, upload: Upload): string => sha256(hub.sealed.get(upload.id)?.bytes ?? Buffer.from('?'))

async function until(what: () => boolean): Promise<void> {
  while (!what()) await sleep(2)
}

/** Resolves when the hub begins to store its `count`th chunk from now on; it is stored after what `then` does. */
function storing(hub: TestHub, count: number, then: () => unknown = () => undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let seen = 0
  hub.beforeStore = async () => {
    if (++seen !== count) return
    await then()
    resolve()
  }
  return promise
}

const bytesOf = ({ chunks }: TestHub): number => [...chunks.values()].reduce((sum, { length }) => sum + length, 0)

t.test('nothing that is stored is sent or hashed again after a break', async (t) => {
  const { hub, client } = await pairOf(t)
  const bytes = random.bytes(6 * MIB)
  hub.windowBytes = MIB
  // Cut by content, the longest chunk would widen the window.
  const upload = new Upload(client, { path: fileOf(t, bytes), cut: 'fixed' })
  for (let breaks = 0; breaks < 3; breaks++) {
    await storing(hub, 10)
    hub.cut()
    while (client.connection !== null) await sleep(1)
    await client.connect(hub)
  }
  await upload.sealed
  t.equal(content(hub, upload), sha256(bytes))
  const { hashedBytes, hashedAgainBytes, sentBytes, storedBytes } = upload.progress
  t.match(
    { hashedBytes, hashedAgainBytes, storedBytes },
    { hashedBytes: 6 * MIB, hashedAgainBytes: 0, storedBytes: 6 * MIB },
  )
  t.ok(sentBytes <= 6 * MIB + 3 * MIB, 'what was under way at each break, at most')
  t.equal(hub.uselessBytes, 0)
  t.ok(hub.opened.every((id) => id === upload.id))
  t.strictSame(hub.faults, [])
})

t.test('what a hub has lost is read and sent again, not hashed again', async (t) => {
  const { hub, client } = await pairOf(t)
  const bytes = steady.bytes(4 * MIB)
  hub.windowBytes = MIB
  const upload = new Upload(client, { path: fileOf(t, bytes) })
  await storing(hub, 30)
  hub.cut()
  hub.chunks.clear()
  while (client.connection !== null) await sleep(1)
  await client.connect(hub)
  await upload.sealed
  t.equal(content(hub, upload), sha256(bytes))
  t.match(upload.progress, { hashedBytes: 4 * MIB, hashedAgainBytes: 0 })
  t.ok(upload.progress.readAgainBytes > 0)
  t.strictSame(hub.faults, [])
})

t.test('a journal carries it over to the next process', async (t) => {
  const { hub, client } = await pairOf(t)
  const bytes = steady.bytes(5 * MIB)
  const path = fileOf(t, bytes)
  const journalDir = join(dirname(path), 'journal')
  hub.windowBytes = MIB
  const first = new Upload(client, { path, journalDir })
  await storing(hub, 30)
  const storedBytes = bytesOf(hub)
  t.ok(storedBytes > MIB)
  client.close(clientFault('CLIENT_CLOSED'))
  await t.rejects(first.sealed, { code: 'CLIENT_CLOSED' })
  t.equal(readdirSync(journalDir).length, 1)
  const next = new TestClient()
  await next.connect(hub)
  const second = new Upload(next, { path, journalDir })
  await second.sealed
  t.equal(second.id, first.id)
  t.equal(content(hub, second), sha256(bytes))
  t.equal(first.progress.hashedBytes + second.progress.hashedBytes, 5 * MIB, 'each chunk is hashed once')
  t.equal(second.progress.hashedAgainBytes, 0)
  t.ok(second.progress.reusedBytes >= storedBytes)
  t.equal(hub.uselessBytes, 0)
  t.strictSame(readdirSync(journalDir), [], 'it is not needed any more')
})

/** Lengths of the chunks in the journal of that file: records of 40 bytes behind a header that holds the path. */
function journalled(journal: string, path: string): number[] {
  const bytes = readFileSync(journal)
  const lengths: number[] = []
  for (let at = 60 + Buffer.byteLength(path); at + 40 <= bytes.length; at += 40)
    lengths.push(bytes.readUInt32LE(at + 4))
  return lengths
}

t.test('a process that is killed goes on where its journal ends', async (t) => {
  const { hub, client } = await pairOf(t)
  const bytes = random.bytes(8 * MIB)
  const path = fileOf(t, bytes)
  const journalDir = join(dirname(path), 'journal')
  hub.windowBytes = MIB
  const program = join(import.meta.dirname, 'until-killed.testing.ts')
  const lengths = () => journalled(join(journalDir, readdirSync(journalDir)[0] as string), path)
  // What was sent is noted a moment later.
  const killing = storing(hub, 50, () => until(() => lengths().length >= 50))
  const child = spawn(process.execPath, [program, String(hub.port), path, journalDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  await killing
  child.kill('SIGKILL')
  await once(child, 'exit')
  const knownBytes = lengths().reduce((sum, length) => sum + length, 0)
  t.ok(knownBytes > 2 * MIB, `${knownBytes} bytes are in the journal`)
  const upload = new Upload(client, { path, journalDir })
  await upload.sealed
  t.equal(upload.id, said.toString().trim())
  t.equal(content(hub, upload), sha256(bytes))
  t.equal(upload.progress.hashedBytes, 8 * MIB - knownBytes)
  t.equal(upload.progress.hashedAgainBytes, 0)
  t.equal(hub.uselessBytes, 0)
})

t.test('a file that changes is given up and sent as it is then', async (t) => {
  const changes: [string, (path: string, bytes: Buffer) => void][] = [
    ['it grows', (path) => appendFileSync(path, 'more')],
    ['it is written', (path, bytes) => writeFileSync(path, bytes)],
    ['it is cut', (path) => truncateSync(path, 100)],
    [
      'it is replaced',
      (path, bytes) => {
        writeFileSync(`${path}.new`, bytes)
        renameSync(`${path}.new`, path)
      },
    ],
  ]
  for (const [what, change] of changes) {
    for (const cut of ['fixed', 'content'] as const) {
      const { hub, client } = await pairOf(t)
      // More than memory holds: the rest is read after the change.
      const path = fileOf(t, randomBytes(MEMORY_BYTES_MAX + 2 * MIB))
      hub.windowBytes = 256 * KIB
      const changed = storing(hub, 2, () => change(path, random.bytes(2 * MIB)))
      const restarts: string[] = []
      const journalDir = join(dirname(path), 'journal')
      const upload = new Upload(client, { path, cut, journalDir, onRestart: (id) => restarts.push(id) })
      await upload.opened
      const firstId = hub.opened[0] as string
      await changed
      await upload.sealed
      t.equal(content(hub, upload), sha256(readFileSync(path)), `${what}, cut ${cut}`)
      t.strictSame(restarts, [upload.id])
      t.strictSame(hub.cancelled, [firstId])
      t.not(upload.id, firstId)
      t.notOk(readdirSync(journalDir).some((name) => name.endsWith('.upload')))
    }
  }
})

t.test('a file that does not stop changing is given up', async (t) => {
  const { hub, client } = await pairOf(t)
  // More than memory holds: each time some is read after the change.
  const path = fileOf(t, randomBytes(MEMORY_BYTES_MAX + 8 * MIB))
  hub.windowBytes = 256 * KIB
  hub.beforeStore = () => appendFileSync(path, 'x')
  let restarts = 0
  const upload = new Upload(client, { path, onRestart: () => restarts++ })
  await t.rejects(upload.sealed, { code: 'CONTENT_CHANGED', where: path })
  t.equal(restarts, 5)
  t.equal(upload.progress.state, 'failed')
})

t.test('what the hub has is not sent', async (t) => {
  const { hub, client } = await pairOf(t)
  const bytes = steady.bytes(3 * MIB)
  await new Upload(client, { path: fileOf(t, bytes) }).sealed
  hub.receivedBytes = 0
  const again = new Upload(client, { path: fileOf(t, bytes, 'other') })
  await again.sealed
  t.equal(hub.receivedBytes, 0)
  t.match(again.progress, { sentBytes: 0, storedBytes: 3 * MIB, reusedBytes: 3 * MIB })
  const moved = Buffer.concat([steady.bytes(1000), bytes])
  await new Upload(client, { path: fileOf(t, bytes), cut: 'content' }).sealed
  hub.receivedBytes = 0
  const third = new Upload(client, { path: fileOf(t, moved), cut: 'content' })
  await third.sealed
  t.equal(content(hub, third), sha256(moved))
  t.ok(hub.receivedBytes < MIB, `${hub.receivedBytes} bytes for 1000 that are new`)
  t.equal(third.progress.reusedBytes + hub.receivedBytes, moved.length)
})

t.test('a hub that has no room is asked again, one that refuses is not', async (t) => {
  const { hub, client } = await pairOf(t)
  const bytes = random.bytes(2 * MIB)
  hub.windowBytes = 128 * KIB
  hub.refuseOpen = { times: 2, retry: true }
  const upload = new Upload(client, { path: fileOf(t, bytes), random: () => 0.01 })
  await storing(hub, 5, () => hub.endAll(true))
  await upload.sealed
  t.equal(hub.opened.length, 4)
  t.equal(content(hub, upload), sha256(bytes))
  t.equal(upload.progress.hashedBytes, 2 * MIB)
  const ended = new Upload(client, { path: fileOf(t, random.bytes(2 * MIB)) })
  await storing(hub, 5, () => hub.endAll(false))
  await t.rejects(ended.sealed, { code: 'TRANSFER_REFUSED', message: /TEST_FULL: no room/, remedy: 'make room' })
  hub.refuseOpen = { times: 1, retry: false }
  const refused = new Upload(client, { path: fileOf(t, bytes) })
  await t.rejects(refused.opened, { code: 'TRANSFER_REFUSED', details: { hubCode: 'TEST_FULL' } })
})

t.test('it waits for a connection, and tells where it is', async (t) => {
  const { hub, client } = await pairOf(t)
  hub.cut()
  while (client.connection !== null) await sleep(1)
  const said: UploadProgress[] = []
  const startMs = performance.now()
  const bytes = random.bytes(MIB)
  const upload = new Upload(client, { path: fileOf(t, bytes), onProgress: (progress) => said.push(progress) })
  await sleep(600)
  // As much as memory holds is hashed meanwhile.
  await until(() => upload.progress.state === 'waiting' && upload.progress.hashedBytes === MIB)
  await client.connect(hub)
  await upload.sealed
  t.equal(said.at(-1)?.state, 'sealed')
  const passedMs = performance.now() - startMs
  // A timer may come a little early.
  t.ok(said.length <= passedMs / 245 + 1, `${said.length} reports in ${passedMs} ms`)
})

t.test('no more than the rate is sent, in small pieces', async (t) => {
  const { hub, client } = await pairOf(t)
  const path = fileOf(t, random.bytes(400 * KIB))
  const startMs = performance.now()
  await new Upload(client, { path, bytesPerSecondMax: 400 * KIB }).sealed
  const passedMs = performance.now() - startMs
  t.ok(passedMs > 750, `${Math.round(passedMs)} ms`)
  t.ok(hub.receivedBytes / hub.dataFrames <= 50 * KIB)
})

t.test('it waits until the time of day allows it', async (t) => {
  const { hub, client } = await pairOf(t)
  let rate = -1
  const upload = new Upload(client, { path: fileOf(t, random.bytes(MIB)), bytesPerSecondMax: () => rate })
  await upload.opened
  while (upload.progress.state !== 'window') await sleep(5)
  t.equal(hub.receivedBytes, 0)
  // No memory is held meanwhile; what is at the thread comes back.
  while (ChunkMemory.shared().takenBytes > 0) await sleep(5)
  rate = 0
  await upload.sealed
  t.equal(hub.receivedBytes, MIB)
})

t.test('paused, it reads and sends nothing', async (t) => {
  const { hub, client } = await pairOf(t)
  const bytes = random.bytes(4 * MIB)
  hub.windowBytes = 256 * KIB
  const upload = new Upload(client, { path: fileOf(t, bytes) })
  await storing(hub, 10, () => upload.pause())
  // What was on its way arrives, and no memory is held meanwhile.
  await until(() => hub.receivedBytes === upload.progress.wireBytes && ChunkMemory.shared().takenBytes === 0)
  const { receivedBytes } = hub
  await sleep(100)
  t.equal(hub.receivedBytes, receivedBytes)
  t.equal(upload.progress.state, 'paused')
  upload.resume()
  await upload.sealed
  t.equal(content(hub, upload), sha256(bytes))
  t.equal(upload.progress.hashedAgainBytes, 0)
})

t.test('given up, it is forgotten here and there', async (t) => {
  const { hub, client } = await pairOf(t)
  const path = fileOf(t, random.bytes(4 * MIB))
  const journalDir = join(dirname(path), 'journal')
  hub.windowBytes = 256 * KIB
  const upload = new Upload(client, { path, journalDir })
  await storing(hub, 10)
  await upload.cancel()
  await t.rejects(upload.sealed, { code: 'TRANSFER_CANCELLED' })
  while (hub.cancelled.length === 0) await sleep(1)
  t.strictSame(hub.cancelled, [upload.id])
  t.strictSame(readdirSync(journalDir), [])
  // What is at the thread comes back.
  await until(() => ChunkMemory.shared().takenBytes === 0)

  const controller = new AbortController()
  const aborted = new Upload(client, { path, signal: controller.signal })
  controller.abort()
  await t.rejects(aborted.sealed, { code: 'TRANSFER_CANCELLED' })
  const before = new Upload(client, { path, signal: AbortSignal.abort() })
  await t.rejects(before.opened, { code: 'TRANSFER_CANCELLED' })
})

t.test('left, it goes on where it was', async (t) => {
  const { hub, client } = await pairOf(t)
  const path = fileOf(t, random.bytes(8 * MIB))
  const journalDir = join(dirname(path), 'journal')
  hub.beforeStore = () => sleep(2)
  const id = 'ef'.repeat(16)
  const left = new Upload(client, { path, journalDir, id })
  await storing(hub, 10)
  await left.leave()
  await t.rejects(left.sealed, { code: 'TRANSFER_LEFT' })
  t.equal(readdirSync(journalDir).length, 1)
  hub.beforeStore = () => undefined
  const next = new Upload(client, { path, journalDir, id })
  await next.sealed
  t.strictSame(hub.cancelled, [])
  t.equal(content(hub, next), sha256(readFileSync(path)))
  t.equal(next.progress.hashedAgainBytes, 0)
  t.ok(next.progress.sentBytes < 8 * MIB)
  await next.leave()
  t.equal(next.progress.state, 'sealed')
})

t.test('a large sparse file goes through little memory', async (t) => {
  const { hub, client } = await pairOf(t)
  const path = fileOf(t, random.bytes(100))
  truncateSync(path, 100 * MIB)
  const memory = ChunkMemory.shared()
  memory.highestBytes = 0
  hub.beforeStore = () => sleep(1)
  const upload = new Upload(client, { path, id: 'AB'.repeat(16) })
  await upload.sealed
  t.equal(upload.id, 'ab'.repeat(16))
  t.equal(content(hub, upload), sha256(readFileSync(path)))
  t.ok(memory.highestBytes <= MEMORY_BYTES_MAX + CHUNK, `${memory.highestBytes} bytes`)
  t.equal(memory.takenBytes, 0)
})

t.test('several at once share memory, and all arrive', async (t) => {
  const { hub, client } = await pairOf(t)
  const memory = ChunkMemory.shared()
  memory.highestBytes = 0
  const all = Array.from({ length: 6 }, () => random.bytes(3 * MIB + random.below(CHUNK)))
  const uploads = all.map((bytes) => new Upload(client, { path: fileOf(t, bytes) }))
  await Promise.all(uploads.map(({ sealed }) => sealed))
  for (const [i, upload] of uploads.entries()) t.equal(content(hub, upload), sha256(all[i] as Buffer))
  t.ok(memory.highestBytes <= MEMORY_BYTES_MAX + 6 * CHUNK)
  t.strictSame(hub.faults, [])
})

t.test('what cannot be sent is said at once', async (t) => {
  const { client } = await pairOf(t)
  const path = fileOf(t, random.bytes(10))
  const missing = new Upload(client, { path: `${path}.missing` })
  await t.rejects(missing.sealed, { code: 'CONTENT_UNREADABLE', where: `${path}.missing`, message: /ENOENT/ })
  await t.rejects(missing.opened, { code: 'CONTENT_UNREADABLE' })
  await t.rejects(new Upload(client, { path: dirname(path) }).sealed, {
    code: 'CONTENT_UNREADABLE',
    message: /folder: send file --recursive/,
  })
  t.throws(() => new Upload(client, { path, name: '../x' }), { code: 'CONTENT_NAME_INVALID' })
  t.throws(() => new Upload(client, { path, id: 'x' }), { code: 'UPLOAD_INVALID' })
  t.throws(() => new Upload(client, { path, keepMs: -1 }), { code: 'UPLOAD_INVALID' })
})
