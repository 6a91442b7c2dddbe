// Folders of earlier versions, and programs killed while they migrate one.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openBatch } from '#protocol/codec/mod.ts'
import { BatchRows, nameOf, type StoredRow } from './batch-rows.ts'
import { Batches } from './batches.ts'
import { sealed } from './disk.testing.ts'
import { Engine } from './engine.ts'
import { INLINE_BYTES_MAX } from './limits.ts'
import { encodeVersion, openEngine, STORE_VERSION, versionOf } from './migrate.ts'

const FIXTURE = fileURLToPath(new URL('fixtures/v1/store', import.meta.url))
const CHILD = fileURLToPath(new URL('migrate.testing.ts', import.meta.url))
const BYTES_MAX = 2 ** 28
const OPTIONS = { freeBytesMin: 0 }

function copyOfFixture(t: Test): string {
  const parent = mkdtempSync(join(tmpdir(), 'causeway-migrate-'))
  t.teardown(() => rmSync(parent, { recursive: true, force: true }))
  const folder = join(parent, 'store')
  cpSync(FIXTURE, folder, { recursive: true })
  return folder
}

const isSmall = ({ length }: Buffer): boolean => length <= INLINE_BYTES_MAX

/** The batches of a folder of version 1. */
async function batchesOf(folder: string): Promise<Map<number, Buffer>> {
  const engine = Engine.open(folder, BYTES_MAX, OPTIONS)
  const table = engine.table('batches')
  const batches = new Map(table.keys().map((key) => [key as number, Buffer.from(table.get(key) as Buffer)]))
  await engine.close()
  return batches
}

async function checkMigrated(t: Test, folder: string, batches: ReadonlyMap<number, Buffer>): Promise<void> {
  const engine = await openEngine(folder, BYTES_MAX, OPTIONS)
  t.equal(versionOf(engine), STORE_VERSION)
  t.equal(engine.table('meta').get('migration'), undefined)
  const migrated = new Batches(engine, 0)
  const rows = new BatchRows(engine)
  const stored = [...rows.all()]
  t.strictSame(
    stored.map(({ seq }) => seq).sort((a, b) => a - b),
    [...batches.keys()],
  )
  const misplaced = stored.filter(({ seq, inline }) => inline !== isSmall(batches.get(seq) as Buffer))
  t.strictSame(misplaced, [], 'small ones lie in their rows, the others in segments')
  const wrong = [...batches].filter(([seq, bytes]) => !migrated.get(seq).equals(bytes))
  t.strictSame(wrong, [], 'every batch is what it was')
  const { head } = openBatch(batches.get(1) as Buffer)
  t.match(nameOf(rows.stored(1) as StoredRow), {
    origin: head.origin,
    stream: head.stream,
    epoch: head.epoch,
    count: head.count,
  })
  await engine.close()
}

t.test('version 1, as it was written by its program', async (t) => {
  const folder = copyOfFixture(t)
  const batches = await batchesOf(folder)
  t.ok(batches.size >= 10, `${batches.size} batches`)
  const told: string[] = []
  const engine = await openEngine(folder, BYTES_MAX, { ...OPTIONS, onMigrate: ({ step }) => told.push(step) })
  t.ok(told.includes('batches to segments'))
  await engine.close()
  await checkMigrated(t, folder, batches)
})

t.test('killed at each step of a migration', async (t) => {
  const folder = copyOfFixture(t)
  const engine = Engine.open(folder, BYTES_MAX, OPTIONS)
  const table = engine.table('batches')
  const last = table.last() as number
  const write = () => {
    for (let i = 1; i <= 2600; i++)
      table.put(last + i, sealed({ firstSeq: i, count: 1, bodyBytes: i % 20 === 0 ? 20_000 : 8 + (i % 500) }).bytes)
  }
  await engine.append(0, { write, done: () => undefined })
  await engine.close()
  const batches = await batchesOf(folder)
  let killed = 0
  // Soon after where the one before came to; later further on, for steps that begin anew each time.
  for (let number = 0; ; number++) {
    const args = ['--disable-warning=ExperimentalWarning', CHILD, folder, String(number < 12 ? number % 5 : number)]
    const { signal, status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    if (signal === null) {
      t.equal(status, 0)
      break
    }
    t.equal(signal, 'SIGKILL')
    killed++
    // Neither the program of version 1 nor this one takes it for finished.
    const half = Engine.open(folder, BYTES_MAX, OPTIONS)
    const version = half.table('meta').get('version')?.readUInt32LE(0)
    if (version !== 1 && version !== 0x1_0001) t.equal(version, STORE_VERSION)
    await half.close()
    if (killed > 60) t.fail('it never ends')
    if (killed > 60) break
  }
  t.ok(killed >= 5, `killed ${killed} times`)
  await checkMigrated(t, folder, batches)
})

t.test('a version that is not known', async (t) => {
  const folder = t.testdir()
  const engine = Engine.open(folder, BYTES_MAX, OPTIONS)
  const write = () => engine.table('meta').put('version', encodeVersion(STORE_VERSION + 1))
  engine.table('meta')
  await engine.append(0, { write, done: () => undefined })
  await engine.close()
  await t.rejects(openEngine(folder, BYTES_MAX, OPTIONS), { code: 'STORE_VERSION', message: /version 3/ })
  await Engine.open(folder, BYTES_MAX, OPTIONS).close()
})
