// Journal, memory and file of an upload, each alone.

import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { PRIORITY_BULK, PRIORITY_URGENT } from '#protocol/codec/mod.ts'
import { ContentFile, type HashedChunk, type Prepared } from './content-file.ts'
import { Journal, type JournalKey } from './journal.ts'
import { ChunkMemory } from './memory.ts'

const seed = testSeed()
t.comment(`SEED=${seed}`)
const random = new Random(seed)
const CHUNK = 65_536
const RECORD_BYTES = 40
const ID = Buffer.alloc(16, 1)
const OTHER_ID = Buffer.alloc(16, 2)

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'upload-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const KEY: JournalKey = {
  path: '/data/文件.bin',
  stamp: { size: 10 * CHUNK + 5, mtimeNs: 1_700_000_000_123_456_789n, inode: 2n ** 63n + 5n },
  chunkBytes: CHUNK,
  average: 0,
}
const digests = Array.from({ length: 11 }, () => random.bytes(32))
const lengthAt = (chunk: number) => (chunk < 10 ? CHUNK : 5)

async function written(folder: string, key = KEY): Promise<string> {
  const journal = (await Journal.open(folder, key, null, ID)) as Journal
  for (const [i, digest] of digests.entries()) journal.add(digest, lengthAt(i))
  await journal.close()
  return join(folder, readdirSync(folder)[0] as string)
}

/** How many chunks are known, under which id; it is closed again. */
async function known(folder: string, key = KEY, id: Buffer | null = null) {
  const journal = (await Journal.open(folder, key, id, OTHER_ID)) as Journal
  await journal.close()
  t.ok(journal.known.every(({ digest, length }, i) => digest.equals(digests[i] as Buffer) && length === lengthAt(i)))
  return { chunks: journal.known.length, isSame: journal.id.equals(ID) }
}

t.test('a journal gives back what was added, and goes on', async (t) => {
  const folder = folderOf(t)
  const path = await written(folder)
  t.strictSame(await known(folder), { chunks: 11, isSame: true })
  const bytes = readFileSync(path)
  truncateSync(path, bytes.length - 3 * RECORD_BYTES - 7)
  t.strictSame(await known(folder), { chunks: 7, isSame: true }, 'a record that was cut is none')
  t.equal(statSync(path).size, bytes.length - 4 * RECORD_BYTES)
  const journal = (await Journal.open(folder, KEY, ID, OTHER_ID)) as Journal
  t.equal(await Journal.open(folder, KEY, null, OTHER_ID), null, 'it is open')
  for (let i = 7; i < 11; i++) journal.add(digests[i] as Buffer, lengthAt(i))
  await journal.flush()
  t.strictSame(readFileSync(path), bytes)
  await journal.remove()
  t.strictSame(readdirSync(folder), [])
})

t.test('what is damaged ends what is believed', async (t) => {
  const folder = folderOf(t)
  const path = await written(folder)
  const whole = readFileSync(path)
  const headerBytes = whole.length - 11 * RECORD_BYTES
  for (let round = 0; round < 100; round++) {
    const at = random.below(whole.length)
    const bytes = Buffer.from(whole)
    bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
    writeFileSync(path, bytes)
    const isHeader = at < headerBytes
    const chunks = isHeader ? 0 : Math.floor((at - headerBytes) / RECORD_BYTES)
    t.strictSame(await known(folder), { chunks, isSame: !isHeader }, `bit at ${at}`)
  }
  writeFileSync(path, Buffer.concat([whole.subarray(0, headerBytes), whole.subarray(headerBytes + RECORD_BYTES)]))
  t.strictSame(await known(folder), { chunks: 0, isSame: true }, 'a record belongs to its place')
})

t.test('a journal of another state of the file is none', async (t) => {
  const { stamp } = KEY
  const others: [string, JournalKey, Buffer | null][] = [
    ['size', { ...KEY, stamp: { ...stamp, size: stamp.size + 1 } }, null],
    ['time', { ...KEY, stamp: { ...stamp, mtimeNs: stamp.mtimeNs + 1n } }, null],
    ['inode', { ...KEY, stamp: { ...stamp, inode: 7n } }, null],
    ['cut', { ...KEY, chunkBytes: 0, average: CHUNK }, null],
    ['id', KEY, OTHER_ID],
  ]
  for (const [what, key, id] of others) {
    const folder = folderOf(t)
    await written(folder)
    t.strictSame(await known(folder, key, id), { chunks: 0, isSame: false }, what)
  }
  const folder = folderOf(t)
  await written(folder)
  await known(folder, { ...KEY, path: '/data/another' })
  t.equal(readdirSync(folder).length, 2, 'each path has its own')
  writeFileSync(join(folder, 'file'), '')
  await t.rejects(Journal.open(join(folder, 'file'), KEY, null, ID))
})

t.test('memory is shared, bounded and used again', async (t) => {
  const memory = new ChunkMemory(10 * CHUNK)
  const one = memory.share(CHUNK)
  const taken = Array.from({ length: 10 }, () => one.take() as SharedArrayBuffer)
  t.ok(taken.every((found) => found.byteLength === CHUNK))
  t.equal(one.take(), null)
  const two = memory.share(CHUNK)
  const first = two.take()
  t.not(first, null, 'one is always given')
  t.equal(two.take(), null)
  one.give(taken.pop() as SharedArrayBuffer)
  one.give(taken.pop() as SharedArrayBuffer)
  t.equal(one.take(), null, 'it has more than its part')
  const again = two.take()
  t.not(again, null)
  for (const found of taken) one.give(found)
  one.close()
  for (const found of [first, again]) two.give(found as SharedArrayBuffer)
  const reused = two.take() as SharedArrayBuffer
  t.ok([...taken, first, again].includes(reused))
  two.give(reused)
  two.close()
  t.equal(memory.takenBytes, 0)
  t.equal(memory.highestBytes, 11 * CHUNK)
})

t.test('what is urgent has nearly all memory, and who read ahead gives it back', async (t) => {
  const memory = new ChunkMemory(17 * CHUNK)
  const bulk = memory.share(CHUNK, PRIORITY_BULK)
  const held = Array.from({ length: 17 }, () => bulk.take() as SharedArrayBuffer)
  // Three of them are on their way.
  bulk.giveUp = () => {
    if (held.length === 3) return false
    bulk.give(held.pop() as SharedArrayBuffer)
    return true
  }
  const urgent = memory.share(CHUNK, PRIORITY_URGENT)
  t.equal(bulk.heldBytes, 3 * CHUNK)
  t.equal(bulk.take(), null)
  const taken: SharedArrayBuffer[] = []
  for (let found = urgent.take(); found !== null; found = urgent.take()) taken.push(found)
  t.equal(taken.length, 14)
  for (const found of held.splice(0)) bulk.give(found)
  for (let found = urgent.take(); found !== null; found = urgent.take()) taken.push(found)
  t.equal(taken.length, 16)
  held.push(bulk.take() as SharedArrayBuffer)
  t.equal(bulk.take(), null, 'one is its part')
  for (const found of taken) urgent.give(found)
  urgent.close()
  for (let found = bulk.take(); found !== null; found = bulk.take()) held.push(found)
  t.equal(held.length, 17, 'afterwards all is its own again')
  for (const found of held) bulk.give(found)
  bulk.close()
  t.equal(memory.takenBytes, 0)
})

t.test('a file is cut the same wherever it is begun', async (t) => {
  const path = join(folderOf(t), 'file')
  const sizes = { min: 16_384, average: 65_536, max: 262_144 }
  writeFileSync(path, random.bytes(2_000_000))
  const memory = Buffer.from(new SharedArrayBuffer(sizes.max))
  const file = new ContentFile(path)
  const all = (offset: number) => {
    file.plan({ offset, chunkBytes: 0, cut: sizes })
    const found: Omit<HashedChunk, keyof Prepared>[] = []
    const next = () => file.next(memory)
    for (let chunk = next(); chunk.length > 0; chunk = next()) {
      const { offset, length, digest } = chunk
      found.push({ offset, length, digest })
    }
    return found
  }
  const chunks = all(0)
  t.equal(
    chunks.reduce((sum, { length }) => sum + length, 0),
    2_000_000,
  )
  for (const [i, { offset }] of chunks.entries()) t.strictSame(all(offset), chunks.slice(i))
  utimesSync(path, 1, 1)
  t.throws(() => file.check(), { code: 'CONTENT_CHANGED' })
  rmSync(path)
  t.throws(() => file.check(), { code: 'CONTENT_CHANGED', message: /ENOENT/ })
  file.close()
})
