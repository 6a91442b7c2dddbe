// One suite over every component of a kind: what `contract.ts` promises, whatever the adapter.

import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { describeFields } from '#protocol/fields/mod.ts'
import {
  CURSOR_BYTES_MAX,
  type Cursor,
  type Destination,
  type Item,
  type Portion,
  type Row,
  type Source,
} from './contract.ts'
import { componentFault } from './faults.ts'
import { parseCsvRecord, textDecoder } from './formats/mod.ts'
import { builtinComponents } from './registry.ts'
import { collector, drain, faultOf, freshFolder, itemsOf, rowsOf, settingsOf, testContext } from './support/testing.ts'

const ROWS: Row[] = Array.from({ length: 23 }, (_, i) => ({ id: String(i).padStart(4, '0'), name: `村${i}` }))
const { signal } = new AbortController()

function create<T>(kind: string, type: string, settings: object, root: string): T {
  const entry = builtinComponents.find((each) => each.kind === kind && each.type === type)
  if (entry === undefined) throw new Error(`no ${kind} ${type}`)
  return entry.create(settingsOf(entry.settings, settings), testContext(root)) as T
}

// --- sources: `prepare` puts ROWS there, `make` gives a source that ends, in small portions.

type SourceCase = {
  readonly name: string
  /** What of its rows is the id of ROWS. */
  readonly idOf?: (row: Row) => unknown
  prepare(root: string): void
  make(root: string): Source
  setAside(root: string): string
}

function prepareTable(root: string): void {
  const database = new DatabaseSync(join(root, 'x.db'))
  database.exec('CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT, at INTEGER)')
  const insert = database.prepare('INSERT INTO t VALUES (?, ?, ?)')
  for (const [i, row] of ROWS.entries()) insert.run(row.id as string, row.name as string, Math.floor(i / 4))
  database.close()
}

function prepareFiles(format: 'csv' | 'jsonl'): (root: string) => void {
  return (root) => {
    mkdirSync(join(root, 'drop'))
    for (const [i, rows] of [ROWS.slice(0, 9), ROWS.slice(9, 10), ROWS.slice(10)].entries()) {
      const lines = rows.map((row) => (format === 'csv' ? `${row.id},${row.name}` : JSON.stringify(row)))
      writeFileSync(join(root, 'w'), `${[...(format === 'csv' ? ['id,name'] : []), ...lines].join('\n')}\n`)
      renameSync(join(root, 'w'), join(root, 'drop', `${i}.${format}`))
    }
  }
}

/** Files whole: each of ROWS is one. */
function prepareWhole(root: string): void {
  mkdirSync(join(root, 'drop', 'sub'), { recursive: true })
  for (const [i, { id, name }] of ROWS.entries()) {
    // In the order of their paths those of the sub-folder come last.
    writeFileSync(join(root, 'drop', i < 15 ? '' : 'sub', `${id}.txt`), name as string)
  }
}

function whyOf(root: string): string {
  const bad = join(root, 'drop', 'bad')
  const notes = readdirSync(bad).filter((name) => name.endsWith('.reason.txt'))
  const lines = notes.sort().map((name) => {
    const [, code, reason] = /^([A-Z_]+): (.*)$/m.exec(readFileSync(join(bad, name), 'utf8')) ?? []
    return JSON.stringify({ code, reason, file: name, there: readdirSync(bad).length === 2 * notes.length })
  })
  return `${lines.join('\n')}\n`
}

const table = { file: 'x.db', key: 'id', batchRows: 4, once: true }
const folder = { path: 'drop', stableMs: 0, once: true, batchRows: 4, pollMs: 50 }
const rejectedOf = (root: string): string => readFileSync(join(root, 'data-flow-1', 'rejected.jsonl'), 'utf8')
const badOf = (root: string): string =>
  readdirSync(join(root, 'drop', 'bad'))
    .filter((name) => name.endsWith('.rows.jsonl'))
    .map((name) => readFileSync(join(root, 'drop', 'bad', name), 'utf8'))
    .join('')

const sources: SourceCase[] = [
  {
    name: 'sqlite table',
    prepare: prepareTable,
    make: (root) => create('source', 'sqlite', { ...table, table: 't', columns: ['id', 'name'] }, root),
    setAside: rejectedOf,
  },
  {
    name: 'sqlite watermark',
    prepare: prepareTable,
    make: (root) =>
      create(
        'source',
        'sqlite',
        { ...table, query: 'SELECT id, name, at FROM t', watermark: 'at', overlapRows: 6 },
        root,
      ),
    setAside: rejectedOf,
  },
  {
    name: 'directory csv',
    prepare: prepareFiles('csv'),
    make: (root) => create('source', 'directory', folder, root),
    setAside: badOf,
  },
  {
    name: 'directory jsonl',
    prepare: prepareFiles('jsonl'),
    make: (root) => create('source', 'directory', { ...folder, format: 'jsonl' }, root),
    setAside: badOf,
  },
  {
    name: 'directory file',
    idOf: ({ name }) => /(\d+)\.txt$/.exec(String(name))?.[1],
    prepare: prepareWhole,
    make: (root) => create('source', 'directory', { ...folder, format: 'file', subfolders: true }, root),
    setAside: whyOf,
  },
]

for (const each of sources) {
  const idOf = (row: Row): unknown => row.id ?? each.idOf?.(row)
  const idsOf = (rows: readonly Row[]): unknown[] => rows.map(idOf)

  t.test(`source ${each.name}`, async (t) => {
    await t.test('gives every row once, in order, in bounded portions, and says when it ends', async (t) => {
      const root = freshFolder(t)
      each.prepare(root)
      const source = each.make(root)
      await source.open(null)
      const portions = await drain(source)
      t.equal(source.ended?.(), true)
      await source.close()
      t.same(idsOf(rowsOf(portions)), idsOf(ROWS))
      t.ok(portions.every(({ items, cursor }) => items.length <= 4 && Buffer.byteLength(cursor) <= CURSOR_BYTES_MAX))
      t.equal(new Set(portions.map((portion) => portion.cursor)).size, portions.length, 'every cursor is another')
      const refs = portions.flatMap((portion) => portion.items.map((item) => item.ref))
      t.equal(new Set(refs).size, ROWS.length, 'so is every ref')
    })

    await t.test('resumes at every cursor with exactly the rest, committed to the source or not', async (t) => {
      for (const told of [true, false]) {
        for (let stop = 0; ; stop += 1) {
          const root = freshFolder(t)
          each.prepare(root)
          const first = each.make(root)
          await first.open(null)
          const taken: Row[] = []
          let cursor: Cursor | null = null
          let ended = false
          for (let i = 0; i < stop && !ended; i += 1) {
            const portion = await first.next(signal)
            if (portion === null) ended = true
            else {
              taken.push(...portion.items.map((item) => item.row))
              cursor = portion.cursor
              if (told) await first.committed(cursor)
            }
          }
          await first.close()
          const second = each.make(root)
          await second.open(cursor)
          const rest = rowsOf(await drain(second))
          await second.close()
          t.same(idsOf([...taken, ...rest]), idsOf(ROWS), `stopped after ${stop}, ${told ? 'told' : 'not told'}`)
          if (ended) break
        }
      }
    })

    await t.test('keeps rejected rows with code and reason, once for a repeat', async (t) => {
      const root = freshFolder(t)
      each.prepare(root)
      const fault = componentFault('SQLITE_ROW_REFUSED', { why: 'for the test' })
      const source = each.make(root)
      await source.open(null)
      for (let portion = await source.next(signal); portion !== null; portion = await source.next(signal)) {
        const rejects = portion.items
          .filter((item) => idOf(item.row) === '0005' || idOf(item.row) === '0009')
          .map((item) => ({ item, fault }))
        for (let i = 0; i < 2; i += 1) await source.reject(rejects)
        await source.committed(portion.cursor)
      }
      await source.close()
      const kept = each.setAside(root).trimEnd().split('\n')
      t.equal(kept.length, 2, kept.join(' '))
      for (const [i, id] of ['0005', '0009'].entries()) {
        t.match(kept[i], /"code":"SQLITE_ROW_REFUSED","reason":"[^"]*for the test/)
        t.ok(kept[i]?.includes(id))
      }
    })

    await t.test('refuses a cursor it did not write, and closes after any failure', async (t) => {
      const root = freshFolder(t)
      each.prepare(root)
      const source = each.make(root)
      t.equal((await faultOf(() => source.open('{"not":"ours"}')))?.code, 'SOURCE_POSITION_INVALID')
      await source.close()
      await source.close()
      const missing = each.make(freshFolder(t))
      t.not(await faultOf(() => missing.open(null)), null, 'nothing there')
      await missing.close()
      const aborted = each.make(root)
      await aborted.open(null)
      t.equal(await aborted.next(AbortSignal.abort()), null)
      await aborted.idle(AbortSignal.abort())
      await aborted.close()
    })
  })
}

// Channels have a suite of their own: channel/contract.test.ts, with their samples.

// --- destinations: `read` gives what a user of the result sees; `bad` is a row it refuses.

type DestinationCase = {
  readonly name: string
  /** The rows as it takes them. */
  readonly itemsOf?: (rows: readonly Row[]) => Item[]
  make(root: string): Destination
  read(root: string): Row[]
  readonly bad: Row
}

function readTable(root: string): Row[] {
  const database = new DatabaseSync(join(root, 'out.db'), { readOnly: true })
  const rows = database
    .prepare('SELECT id, name FROM t ORDER BY id')
    .all()
    .map((row) => ({ ...row }) as Row)
  database.close()
  return rows
}

function readFiles(root: string): Row[] {
  const names = readdirSync(join(root, 'out'))
    .filter((name) => !name.startsWith('.'))
    .sort()
  return names.flatMap((name) => {
    const bytes = readFileSync(join(root, 'out', name))
    const text = textDecoder(name.endsWith('.jsonl') ? 'gbk' : 'utf-8').decode(bytes)
    const lines = text.split('\n').slice(0, -1)
    if (name.endsWith('.jsonl')) return lines.map((line) => JSON.parse(line) as Row)
    return lines.slice(1).map((_, i) => {
      const record = parseCsvRecord(lines, i + 1, { delimiter: ',', quote: '"' })
      const [id = '', name = ''] = record.kind === 'fields' ? record.fields : []
      return { id, name }
    })
  })
}

const destinations: DestinationCase[] = [
  {
    name: 'sqlite',
    make: (root) =>
      create(
        'destination',
        'sqlite',
        { file: 'out.db', table: 't', key: 'id', create: true, columns: { id: 'TEXT', name: 'TEXT' } },
        root,
      ),
    read: readTable,
    bad: { id: null, name: 'x' },
  },
  {
    name: 'directory csv',
    make: (root) => create('destination', 'directory', { path: 'out' }, root),
    read: readFiles,
    bad: { id: 'x', name: 'half \ud842' },
  },
  {
    name: 'directory jsonl',
    make: (root) => create('destination', 'directory', { path: 'out', format: 'jsonl', encoding: 'gbk' }, root),
    read: readFiles,
    bad: { id: 'x', name: '𠮷' },
  },
  {
    name: 'directory file',
    itemsOf: (rows) =>
      itemsOf(rows).map(({ row, ref }) => ({
        row: { name: `${row.id}.txt` },
        ref,
        content: { kind: 'bytes', bytes: Buffer.from(String(row.name)) },
      })),
    make: (root) => create('destination', 'directory', { path: 'out', format: 'file' }, root),
    read: (root) =>
      readdirSync(join(root, 'out'))
        .filter((name) => !name.startsWith('.'))
        .sort()
        .map((name) => ({ id: name.slice(0, -4), name: readFileSync(join(root, 'out', name), 'utf8') })),
    bad: { id: '../x', name: 'out of here' },
  },
]

for (const each of destinations) {
  const portionOf = (rows: readonly Row[], cursor: Cursor): Portion => ({
    items: (each.itemsOf ?? itemsOf)(rows),
    cursor,
  })

  t.test(`destination ${each.name}`, async (t) => {
    await t.test('commits rows and cursor; both survive reopening', async (t) => {
      const root = freshFolder(t)
      const first = each.make(root)
      await first.open()
      t.equal(await first.position(), null)
      await first.write(portionOf(ROWS.slice(0, 10), 'c1'), () => t.fail(), signal)
      t.equal(await first.position(), 'c1')
      await first.close()
      const second = each.make(root)
      await second.open()
      t.equal(await second.position(), 'c1')
      await second.write(portionOf([], 'c2'), () => t.fail(), signal)
      await second.write(portionOf(ROWS.slice(10), 'c3'), () => t.fail(), signal)
      await second.close()
      t.same(each.read(root), ROWS)
    })

    await t.test('a portion repeated after a crash leaves no row twice', async (t) => {
      const root = freshFolder(t)
      // Never closed: as a killed process leaves it.
      const killed = each.make(root)
      await killed.open()
      await killed.write(portionOf(ROWS.slice(0, 5), 'c1'), () => t.fail(), signal)
      await killed.write(portionOf(ROWS.slice(5, 9), 'c2'), () => t.fail(), signal)
      const after = each.make(root)
      await after.open()
      t.equal(await after.position(), 'c2')
      await after.write(portionOf(ROWS.slice(5, 9), 'c2'), () => t.fail(), signal)
      await after.write(portionOf(ROWS.slice(9), 'c3'), () => t.fail(), signal)
      t.same(each.read(root), ROWS)
      await after.close()
      await killed.close()
    })

    await t.test('a row it cannot take is rejected and the others are committed', async (t) => {
      const root = freshFolder(t)
      const destination = each.make(root)
      await destination.open()
      const { rejects, reject } = collector()
      const rows = [ROWS[0] as Row, each.bad, ROWS[1] as Row]
      await destination.write(portionOf(rows, 'c1'), reject, signal)
      t.same(
        rejects.map(({ item }) => item.ref),
        [2],
      )
      await destination.write(portionOf([each.bad], 'c2'), reject, signal)
      t.equal(rejects.length, 2)
      t.equal(await destination.position(), 'c2', 'a portion of nothing but rejects moves on too')
      await destination.close()
      t.same(each.read(root), ROWS.slice(0, 2))
    })

    await t.test('keeps a cursor of the greatest size, and closes twice', async (t) => {
      const root = freshFolder(t)
      const cursor = `"${'中'.repeat(Math.floor((CURSOR_BYTES_MAX - 2) / 3))}"`
      const destination = each.make(root)
      await destination.open()
      await destination.write({ items: [], cursor }, () => t.fail(), signal)
      await destination.close()
      await destination.close()
      const again = each.make(root)
      await again.open()
      t.equal(await again.position(), cursor)
      await again.close()
    })
  })
}

t.test('the registry: unique names, documented settings, create touches nothing', async (t) => {
  const names = builtinComponents.map((entry) => `${entry.kind} ${entry.type}`)
  t.same(names, [
    'source sqlite',
    'source directory',
    'channel map',
    'channel filter',
    'channel jsonata',
    'channel encode',
    'channel split',
    'channel merge',
    'channel enrich',
    'channel deduplicate',
    'channel throttle',
    'channel compress',
    'channel decompress',
    'channel convert',
    'channel mapping',
    'channel xslt',
    'channel validate',
    'channel xquery',
    'channel envelope',
    'channel script',
    'destination sqlite',
    'destination directory',
  ])
  for (const entry of builtinComponents) t.ok(describeFields(entry.settings).length > 50, entry.type)
  const root = t.testdir({})
  create('source', 'sqlite', { file: 'no.db', table: 't', key: 'id' }, root)
  create('source', 'directory', { path: 'no' }, root)
  create('destination', 'sqlite', { file: 'no.db', table: 't', key: 'id' }, root)
  create('destination', 'directory', { path: 'no' }, root)
  t.same(readdirSync(root), ['data-flow-1'])
})
