import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cannotMount } from '#hub/store/testing.ts'
import { componentFault } from '../../faults.ts'
import { encodeText } from '../../formats/mod.ts'
import { codeOf, drain, rowsOf, settingsOf, testContext } from '../../support/testing.ts'
import { DropScan } from './drop-scan.ts'
import { DropFolder } from './folder.ts'
import { compileGlob, globProblem } from './glob.ts'
import { DirectorySource, directorySourceSettings } from './mod.ts'

const { signal } = new AbortController()

function setUp(t: Test, settings: object = {}) {
  const root = t.testdir({ drop: {} })
  const path = join(root, 'drop')
  const drop = (name: string, content: string | Buffer) => {
    // As one should: written elsewhere, renamed into place.
    writeFileSync(join(root, 'writing'), content)
    renameSync(join(root, 'writing'), join(path, name))
  }
  const source = (more: object = {}, flow = 'flow-1') =>
    new DirectorySource(
      settingsOf(directorySourceSettings, { path: 'drop', stableMs: 0, once: true, pollMs: 50, ...settings, ...more }),
      testContext(root, flow),
    )
  const run = async (position: string | null = null) => {
    const each = source()
    await each.open(position)
    try {
      return await drain(each)
    } finally {
      await each.close()
    }
  }
  const read = (...parts: string[]) => readFileSync(join(path, ...parts), 'utf8')
  const list = (...parts: string[]) => readdirSync(join(path, ...parts)).sort()
  const claimed = () => readdirSync(join(path, '.claimed')).flatMap((owner) => list('.claimed', owner))
  return { root, path, drop, source, run, read, list, claimed }
}

const gb = (text: string): Buffer => {
  const encoded = encodeText(text, 'gb18030')
  if (!encoded.ok) throw new Error('test text')
  return encoded.bytes
}

t.test('files go through in order of name and end in done/; nothing there is overwritten', async (t) => {
  const { drop, run, list, read, claimed } = setUp(t, { encoding: 'gb18030', pattern: '*.csv' })
  drop('b.csv', gb('code,name\n3,𠮷林\n'))
  drop('a.csv', gb('code,name\n1,㐀\n2,村\n'))
  drop('note.txt', 'not ours')
  drop('empty.csv', '')
  const portions = await run()
  t.same(rowsOf(portions), [
    { code: '1', name: '㐀' },
    { code: '2', name: '村' },
    { code: '3', name: '𠮷林' },
  ])
  t.same(
    portions[0]?.items.map((item) => item.ref),
    ['a.csv:2', 'a.csv:3'],
  )
  t.same(list(), ['.claimed', 'bad', 'done', 'note.txt'])
  drop('a.csv', gb('code,name\n9,again\n'))
  t.same(rowsOf(await run(portions.at(-1)?.cursor)), [{ code: '9', name: 'again' }])
  t.same(list('done'), ['a.2.csv', 'a.csv', 'b.csv', 'empty.csv'])
  t.match(read('done', 'a.2.csv'), /again/)
  t.same(claimed(), [], 'nothing is left behind')
  t.same(list('bad'), [])
})

t.test('broken rows go to bad/ with line, reason and text; rows refused later too', async (t) => {
  const { drop, source, read, list } = setUp(t, { encoding: 'gb18030', batchRows: 3 })
  const head = gb('code,name\n1,好\n2\n3,"x"y\n')
  const undecodable = Buffer.from([0x34, 0x2c, 0x81, 0x20, 0x0a])
  drop('x.csv', Buffer.concat([head, undecodable, gb('5,"两\n行"\n6,𠮷\n')]))
  const live = source()
  await live.open(null)
  let rows = 0
  for (let portion = await live.next(signal); portion !== null; portion = await live.next(signal)) {
    rows += portion.items.length
    const refused = portion.items.filter((item) => item.row.code === '5')
    const fault = componentFault('SQLITE_ROW_REFUSED', { why: 'UNIQUE' })
    // May be repeated for the same rows.
    for (let i = 0; i < 2; i += 1) await live.reject(refused.map((item) => ({ item, fault })))
    await live.committed(portion.cursor)
  }
  await live.close()
  t.equal(rows, 3)
  const lines = read('bad', 'x.csv.rows.jsonl')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.same(
    lines.map((line) => [line.line, line.code, line.text]),
    [
      [3, 'CSV_COLUMNS', '2'],
      [4, 'CSV_QUOTES', '3,"x"y'],
      [5, 'TEXT_UNDECODABLE', '4,\ufffd '],
      [6, 'SQLITE_ROW_REFUSED', '5,"两\n行"'],
    ],
  )
  t.match(lines[0].reason, /1 instead of 2/)
  t.match(
    read('bad', 'x.csv.reason.txt'),
    /4 row\(s\) of x\.csv were set aside.*CSV_QUOTES: 1.*line 6: SQLITE_ROW_REFUSED/s,
  )
  t.same(list('done'), ['x.csv'])
})

t.test('a file that is unusable as a whole goes to bad/ and the next ones are read', async (t) => {
  const { drop, run, list, read, path, root } = setUp(t, { columns: ['code', 'name'] })
  drop('1.csv', Buffer.from('fffe6100', 'hex'))
  drop('2.csv', 'cod,name\n1,a\n')
  drop('3.csv', Buffer.from('504b0304', 'hex'))
  drop('4.csv', 'code,name\n1,ok\n')
  writeFileSync(join(root, 'secret'), 'code,name\n9,secret\n')
  symlinkSync(join(root, 'secret'), join(path, '5.csv'))
  const portions = await run()
  t.same(rowsOf(portions), [{ code: '1', name: 'ok' }], 'links are not followed')
  t.same(list('bad'), ['1.csv', '1.csv.reason.txt', '2.csv', '2.csv.reason.txt', '3.csv', '3.csv.reason.txt'])
  t.match(
    read('bad', '2.csv.reason.txt'),
    /FILE_HEADER.*no column "code".*did it mean "cod"\?.*No row of it was taken/s,
  )
  t.match(read('bad', '3.csv.reason.txt'), /Excel/)
})

t.test('a crash anywhere: the rest and only the rest, moved on, bad rows once', async (t) => {
  const text = Array.from({ length: 30 }, (_, i) => (i % 10 === 4 ? `broken${i}` : `${i},n${i}`)).join('\n')
  for (const crashAfter of [0, 1, 3, 5, 6, 7, 12]) {
    const { drop, source, run, list, read, claimed } = setUp(t, { batchRows: 5 })
    drop('a.csv', `id,name\n${text}\n`)
    drop('b.csv', 'id,name\n100,last\n')
    const first = source()
    await first.open(null)
    const rows: unknown[] = []
    let cursor: string | null = null
    for (let i = 0; i < crashAfter; i += 1) {
      const portion = await first.next(signal)
      if (portion === null) break
      rows.push(...portion.items.map((item) => item.row.id))
      cursor = portion.cursor
      // The last one is committed at the destination, but the crash comes before the source learns of it.
      if (i < crashAfter - 1) await first.committed(cursor)
    }
    // Read ahead and never committed.
    await first.next(signal)
    await first.close()
    rows.push(...rowsOf(await run(cursor)).map((row) => row.id))
    const expected = Array.from({ length: 30 }, (_, i) => String(i)).filter((id) => !id.endsWith('4'))
    t.same(rows, [...expected, '100'], `crash after ${crashAfter}`)
    t.same(list('done'), ['a.csv', 'b.csv'])
    t.same(
      read('bad', 'a.csv.rows.jsonl')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).line),
      [6, 16, 26],
    )
    t.same(claimed(), [])
  }
})

t.test('two agents on one folder share the files', async (t) => {
  const { drop, source, list } = setUp(t)
  for (let i = 0; i < 40; i += 1) drop(`${String(i).padStart(2, '0')}.csv`, `id\n${i}\n`)
  const both = [source({}, 'flow-a'), source({}, 'flow-b')]
  await Promise.all(both.map((each) => each.open(null)))
  const portions = await Promise.all(both.map((each) => drain(each)))
  await Promise.all(both.map((each) => each.close()))
  const ids = portions.map((each) => rowsOf(each).map((row) => Number(row.id)))
  t.same(
    ids.flat().sort((a, b) => a - b),
    Array.from({ length: 40 }, (_, i) => i),
    'every file once',
  )
  t.equal(list('done').length, 40)
})

t.test('a growing file waits until it rests; idle wakes for a new one', async (t) => {
  const { source, path, drop } = setUp(t, { stableMs: 150, once: false, pollMs: 60_000 })
  writeFileSync(join(path, 'x.csv'), 'id\n1\n')
  const live = source()
  await live.open(null)
  t.equal(await live.next(signal), null)
  await live.idle(signal)
  writeFileSync(join(path, 'x.csv'), 'id\n1\n2\n')
  t.equal(await live.next(signal), null, 'it changed: the time starts anew')
  t.ok(existsSync(join(path, 'x.csv')))
  t.same(rowsOf(await drain(live, { until: () => !existsSync(join(path, 'x.csv')) })), [{ id: '1' }, { id: '2' }])
  const woken = live.idle(signal)
  drop('y.csv', 'id\n3\n')
  await woken
  t.same(rowsOf(await drain(live, { until: () => !existsSync(join(path, 'y.csv')) })), [{ id: '3' }])
  await live.close()
})

t.test('a file changed under our hands is set aside with what was taken', async (t) => {
  const { source, drop, path, read, list, run } = setUp(t, { batchRows: 2 })
  drop('x.csv', 'id\n1\n2\n3\n4\n5\n')
  const live = source()
  await live.open(null)
  const first = await live.next(signal)
  t.equal(first?.items.length, 2)
  const [owner = ''] = readdirSync(join(path, '.claimed'))
  const file = join(path, '.claimed', owner, '000000000001', 'x.csv')
  writeFileSync(file, 'id\n1\n2\n3\n4\n5\n6\n')
  const rest = await drain(live)
  await live.close()
  t.same(
    rowsOf(rest).map((row) => row.id),
    ['3', '4'],
  )
  t.match(read('bad', 'x.csv.reason.txt'), /FILE_CHANGED.*4 row\(s\) before line 6 were taken/s)
  t.same(list('bad'), ['x.csv', 'x.csv.reason.txt'])

  drop('y.csv', 'id\n1\n2\n3\n')
  const again = source()
  await again.open(rest.at(-1)?.cursor ?? null)
  const cursor = (await again.next(signal))?.cursor ?? null
  await again.close()
  rmSync(join(path, '.claimed', owner, '000000000002', 'y.csv'))
  t.same(rowsOf(await run(cursor)), [], 'vanished while the flow was down')
  t.match(read('bad', 'y.csv.reason.txt'), /vanished.*2 row\(s\) before line 4 were taken/s)
})

t.test('positions of others, lost data folders, missing folders', async (t) => {
  const { source, drop, run, root, path } = setUp(t, { batchRows: 1 })
  drop('x.csv', 'id\n1\n2\n')
  const live = source()
  await live.open(null)
  const cursor = (await live.next(signal))?.cursor ?? null
  await live.close()
  const other = source({}, 'flow-2')
  await other.open(null)
  await other.close()
  t.equal(await codeOf(() => other.open(cursor)), 'DIRECTORY_POSITION_FOREIGN')
  await other.close()
  rmSync(join(root, 'data-flow-1'), { recursive: true })
  mkdirSync(join(root, 'data-flow-1'))
  t.same(rowsOf(await run(cursor)), [{ id: '2' }], 'the cursor is enough to go on')
  const lost = source({ path: 'nowhere' })
  t.equal(await codeOf(() => lost.open(null)), 'DIRECTORY_MISSING')
  t.equal(await codeOf(() => source().open('{"v":1}')), 'SOURCE_POSITION_INVALID')
  t.throws(() => source({ header: false }), /need `columns`/)
  t.throws(() => source({ pattern: '../*' }), /no \//)
  t.ok(statSync(path).isDirectory())
})

t.test('a clock that is wrong on the share does not matter', async (t) => {
  const { drop, run, path } = setUp(t, { stableMs: 50 })
  drop('x.csv', 'id\n1\n')
  const future = new Date(Date.now() + 86_400_000)
  utimesSync(join(path, 'x.csv'), future, future)
  t.same(rowsOf(await run()), [{ id: '1' }])
})

t.test('patterns', async (t) => {
  const match = (pattern: string, name: string) => compileGlob(pattern)(name)
  t.ok(
    match('*.csv', 'a.csv') &&
      match('*.{csv,txt}', 'b.txt') &&
      match('街道[0-9]?.csv', '街道1x.csv') &&
      match('[!a]*', 'b'),
  )
  t.notOk(
    match('*.csv', '.hidden.csv') ||
      match('*.csv', 'a.csvx') ||
      match('a,b', 'a') ||
      match('[!a]*', 'abc') ||
      match('a.c', 'abc'),
  )
  t.ok(match('a,b', 'a,b'))
  for (const bad of ['a/b', '{a', '[a', 'a}b', '{a{b}}']) t.type(globProblem(bad), 'string', bad)
  t.equal(globProblem('*.csv'), null)
})

t.test('a failure that passes loses nothing: the same calls again give the rest', async (t) => {
  const { source, drop, path, read, list } = setUp(t, { batchRows: 3 })
  drop('x.csv', 'id,n\n1,a\nbroken\n2,b\n3,c\n')
  const live = source()
  await live.open(null)
  // Rows cannot be set aside: a folder has the name of their file.
  await live.next(AbortSignal.abort())
  const [owner = ''] = readdirSync(join(path, '.claimed'))
  const obstacle = join(path, '.claimed', owner, '000000000001', '.rows.jsonl')
  mkdirSync(obstacle, { recursive: true })
  t.match(await codeOf(() => live.next(signal)), /DIRECTORY_/)
  rmSync(obstacle, { recursive: true })
  const first = await live.next(signal)
  t.same(
    first?.items.map((item) => item.row.id),
    ['1', '2'],
  )
  // done/ is away when the file should move there.
  const rest = await live.next(signal)
  rmSync(join(path, 'done'), { recursive: true })
  t.equal(await codeOf(() => live.committed(rest?.cursor ?? '')), 'DIRECTORY_MISSING')
  mkdirSync(join(path, 'done'))
  await live.committed(rest?.cursor ?? '')
  await live.close()
  t.same(
    rest?.items.map((item) => item.row.id),
    ['3'],
  )
  t.same(list('done'), ['x.csv'])
  t.equal(read('bad', 'x.csv.rows.jsonl').split('\n').length, 2)
  t.match(read('bad', 'x.csv.reason.txt'), /1 row\(s\) of x\.csv/)
})

t.test('many files: a name is read once, and few looks follow', async (t) => {
  const { root, path } = setUp(t)
  const files = 1000
  for (let i = 0; i < files; i++) writeFileSync(join(path, `${i}.csv`), '')
  const context = testContext(root)
  const settings = settingsOf(directorySourceSettings, { path, stableMs: 0, pollMs: 86_400_000 })
  const scan = new DropScan(path, settings, context)
  const folder = await DropFolder.open(path, { dataDir: context.dataDir, scan, knownOwner: null })
  scan.begin()
  const names: string[] = []
  for (let claimed = await folder.claim(); claimed !== null; claimed = await folder.claim()) {
    names.push(claimed.name)
    await folder.settle(claimed)
  }
  await scan.close()
  t.strictSame(names, Array.from({ length: files }, (_, i) => `${i}.csv`).sort())
  // The folder again at its end, when it is empty but for done/, bad/ and what is claimed.
  t.ok(scan.namesRead < files + 20, `${scan.namesRead} names read`)
})

t.test('files claimed beside one that cannot be are given, in their order', { skip: cannotMount() }, async (t) => {
  const { root, path, drop, source, list } = setUp(t)
  for (const name of ['a.csv', 'b.csv', 'c.csv']) drop(name, `id\n${name}\n`)
  writeFileSync(join(root, 'other'), 'id\n')
  // What something is mounted on cannot be moved.
  t.equal(spawnSync('mount', ['--bind', join(root, 'other'), join(path, 'b.csv')]).status, 0)
  const live = source()
  try {
    await live.open(null)
    t.equal(await codeOf(() => live.next(signal)), 'DIRECTORY_IO')
  } finally {
    spawnSync('umount', ['-l', join(path, 'b.csv')])
  }
  t.strictSame(
    rowsOf(await drain(live)).map(({ id }) => id),
    ['a.csv', 'c.csv', 'b.csv'],
  )
  await live.close()
  t.strictSame(list('done'), ['a.csv', 'b.csv', 'c.csv'])
})

const noLimits = spawnSync('prlimit', ['--version']).status === 0 ? false : 'there is no prlimit'

t.test('claims that could not be flushed are given when they are', { skip: noLimits }, async (t) => {
  const { drop, source, list } = setUp(t)
  // The last one is claimed by itself.
  for (let i = 10; i <= 74; i++) drop(`${i}.csv`, `id\n${i}\n`)
  const live = source()
  await live.open(null)
  for (let i = 10; i < 74; i++) await live.committed((await live.next(signal))?.cursor ?? '')
  t.equal(list('done').length, 64)
  const limited = await withoutFiles()
  const code = await codeOf(() => live.next(signal))
  await limited.end()
  t.equal(code, 'DIRECTORY_IO')
  t.strictSame(rowsOf(await drain(live)), [{ id: '74' }])
  await live.close()
  t.equal(list('done').length, 65)
})

/** This process can open no file until it ends. */
async function withoutFiles() {
  const set = (limit: string) => `prlimit --pid ${process.pid} --nofile=${limit}:`
  const before = spawnSync('sh', ['-c', 'ulimit -Sn']).stdout.toString().trim()
  const child = spawn('sh', ['-c', `read limit; ${set('$limit')}; echo; read again; ${set(before)}`])
  const closed = once(child, 'close')
  const free = openSync('/dev/null', 'r')
  closeSync(free)
  child.stdin.write(`${free}\n`)
  await once(child.stdout, 'data')
  return {
    end: async () => {
      child.stdin.end('\n')
      await closed
    },
  }
}
