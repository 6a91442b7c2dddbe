// The store on a disk that is full, and one that fails.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { ChunkArena } from './arena.ts'
import { Journal, readJournal } from './journal.ts'
import { PartFile } from './part-file.ts'
import { ChunkStore, type StoreHooks, type Verified } from './store.ts'
import { sha256, temporaryFolder } from './testing.ts'

const CHUNK = 65_536
const COUNT = 8

type Test = Parameters<typeof temporaryFolder>[0]

async function scene(t: Test, hooks: Partial<StoreHooks>) {
  const folder = temporaryFolder(t)
  const plan = { size: COUNT * CHUNK, chunkBytes: CHUNK }
  const arena = new ChunkArena(plan.size)
  const path = join(folder, 'x.part')
  const part = await PartFile.open(path, plan, arena)
  const journalPath = join(folder, 'x.journal')
  const journal = await Journal.create(journalPath, { id: randomBytes(16), ...plan })
  const whole: StoreHooks = { onDurable: () => {}, onFull: () => {}, onFailed: () => {}, ...hooks }
  const store = new ChunkStore({ part, journal, arena, hooks: whole, retryMsFirst: 5 })
  const bytes = randomBytes(plan.size)
  const put = (index: number) => {
    const offset = index * CHUNK
    const digest = sha256(bytes.subarray(offset, offset + CHUNK))
    const buffer = arena.allocate(CHUNK)
    bytes.copy(buffer, 0, offset)
    store.put({ index, offset, length: CHUNK, digest, bytes: buffer })
  }
  t.teardown(async () => {
    await part.close()
    await journal.close()
  })
  return { path, journalPath, arena, part, journal, store, bytes, put }
}

const systemError = (code: string) => Object.assign(new Error(code), { code, syscall: 'write' })

t.test('chunks become durable in any order, and their memory is free', async (t) => {
  const durable: number[] = []
  const onDurable = (chunks: readonly Verified[]) => durable.push(...chunks.map(({ index }) => index))
  const { path, journalPath, arena, store, bytes, put } = await scene(t, { onDurable })
  for (const index of [3, 1, 2, 0, 7, 6, 4]) put(index)
  await store.idle()
  put(5)
  await store.idle()
  t.strictSame(durable.sort(), [0, 1, 2, 3, 4, 5, 6, 7])
  t.ok(readFileSync(path).equals(bytes))
  t.equal(arena.usedBytes, 0)
  const left = await readJournal(journalPath)
  t.equal(left?.records.count, COUNT)
  t.ok(left?.records.at(5)?.digest.equals(sha256(bytes.subarray(5 * CHUNK, 6 * CHUNK))))
})

for (const where of ['write', 'sync', 'journal'] as const) {
  t.test(`a disk that is full at the ${where} is waited for, and nothing is lost`, async (t) => {
    const full: (string | null)[] = []
    const durable: number[] = []
    const made = await scene(t, {
      onFull: (fault) => full.push(fault?.code ?? null),
      onDurable: (chunks) => durable.push(...chunks.map(({ index }) => index)),
    })
    const { part, journal, store } = made
    let left = 5
    const failing = <A extends unknown[], R>(act: (...args: A) => Promise<R>) => {
      return (...args: A) => (left-- > 0 ? Promise.reject(systemError('ENOSPC')) : act(...args))
    }
    if (where === 'write') part.write = failing(part.write.bind(part))
    if (where === 'sync') part.sync = failing(part.sync.bind(part))
    if (where === 'journal') journal.add = failing(journal.add.bind(journal))
    for (let i = 0; i < COUNT; i++) made.put(i)
    while (full.length === 0) await sleep(1)
    await store.idle()
    t.strictSame(durable.sort(), [0, 1, 2, 3, 4, 5, 6, 7])
    t.strictSame(full, ['TARGET_FULL', null])
    t.ok(readFileSync(made.path).equals(made.bytes))
    t.equal(made.arena.usedBytes, 0)
  })
}

t.test('a disk that fails ends it; a full one does not keep it from stopping', async (t) => {
  const failed: Fault[] = []
  const broken = await scene(t, { onFailed: (fault) => failed.push(fault) })
  broken.part.write = () => Promise.reject(systemError('EIO'))
  broken.put(0)
  await broken.store.idle()
  t.match(failed, [{ code: 'TARGET_FAILED', message: /EIO/ }])

  const full = await scene(t, { onFailed: (fault) => failed.push(fault) })
  full.part.write = () => Promise.reject(systemError('EDQUOT'))
  full.put(0)
  await sleep(20)
  await full.store.stop()
  t.match(failed[1], { code: 'TARGET_FULL', details: { retry: true } })
})
