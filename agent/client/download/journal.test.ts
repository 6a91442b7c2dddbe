import { randomBytes } from 'node:crypto'
import { appendFileSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ChunkArena } from './arena.ts'
import { Journal, parseJournal, readJournal } from './journal.ts'
import { ARENA_BYTES_MAX, JOURNAL_RECORD_BYTES } from './limits.ts'
import { sha256, temporaryFolder } from './testing.ts'

const CHUNK = 65_536
const header = { id: randomBytes(16), size: 100 * CHUNK, chunkBytes: CHUNK }
const record = (index: number, text = `${index}`) => ({
  index,
  offset: index * CHUNK,
  length: CHUNK,
  digest: sha256(Buffer.from(text)),
})

t.test('what was added is there after any cut of the end, and it goes on', async (t) => {
  const path = join(temporaryFolder(t), 'j')
  const journal = await Journal.create(path, header)
  await Promise.all([journal.add([record(0), record(7)]), journal.add([record(3)])])
  await journal.drop(7)
  await journal.add([record(70)])
  await journal.close()
  t.match(await readJournal(path), { ...header, completeMs: null })
  const whole = readFileSync(path)
  const counts = []
  for (let end = 0; end <= whole.length; end++) counts.push(parseJournal(whole.subarray(0, end))?.records.count ?? -1)
  t.strictSame([...new Set(counts)], [-1, 0, 1, 2, 3])
  t.equal(counts.at(-1), 3)

  truncateSync(path, whole.length - 1)
  // As a disk leaves it: of the last record one byte is another, and something is behind it.
  appendFileSync(path, Buffer.concat([Buffer.of((whole.at(-1) as number) ^ 1), randomBytes(200)]))
  const left = await readJournal(path)
  t.equal(left?.records.count, 2)
  const resumed = await Journal.resume(path, left as NonNullable<typeof left>)
  await resumed.add([record(8)])
  await resumed.complete(1234)
  await resumed.close()
  const last = await readJournal(path)
  t.equal(last?.records.count, 3)
  t.equal(last?.completeMs, 1234)
  t.equal(last?.records.find(sha256(Buffer.from('8')))?.offset, 8 * CHUNK)
  t.equal(last?.records.find(sha256(Buffer.from('7'))), null)
  t.equal(last?.records.at(7), null)
})

t.test('what is none, or damaged, is not believed', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'j')
  t.equal(await readJournal(path), null)
  writeFileSync(path, 'CWJ1')
  t.equal(await readJournal(path), null)
  const journal = await Journal.create(path, header)
  await journal.add([record(0), record(1), record(2)])
  await journal.close()
  const whole = readFileSync(path)
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole)
    damaged[at] = (damaged[at] as number) ^ 0x10
    const read = parseJournal(damaged)
    const good = at < 48 ? -1 : Math.floor((at - 48) / JOURNAL_RECORD_BYTES)
    if ((read?.records.count ?? -1) !== good) t.fail(`byte ${at}`)
  }
  symlinkSync(path, join(folder, 'link'))
  t.equal(await readJournal(join(folder, 'link')), null)
})

t.test('the arena gives out what it has and takes it back', async (t) => {
  const arena = new ChunkArena(2 ** 40)
  const taken: Buffer[] = []
  for (;;) {
    const buffer = arena.tryAllocate(CHUNK * (1 + (taken.length % 7)))
    if (buffer === null) break
    taken.push(buffer)
  }
  t.ok(arena.usedBytes > ARENA_BYTES_MAX - 8 * CHUNK)
  const spans = taken
    .map(({ byteOffset, length }) => [byteOffset, byteOffset + length] as const)
    .sort(([a], [b]) => a - b)
  t.ok(spans.every(([, end], i) => i + 1 === spans.length || end <= (spans[i + 1]?.[0] as number)))
  // What comes by credit finds room beside it.
  const beside = arena.allocate(8 * 1024 * 1024)
  t.not(beside.buffer, taken[0]?.buffer)
  arena.free(beside)
  // Every other one: there is room, but in pieces.
  for (let i = 0; i < taken.length; i += 2) arena.free(taken[i] as Buffer)
  const large = arena.tryAllocate(8 * 1024 * 1024)
  t.equal(large?.length, 8 * 1024 * 1024)
  arena.free(large as Buffer)
  for (let i = 1; i < taken.length; i += 2) arena.free(taken[i] as Buffer)
  t.equal(arena.usedBytes, 0)
})
