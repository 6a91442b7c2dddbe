// Whole files out of a drop folder.

import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { cannotMount } from '#hub/store/testing.ts'
import type { Item, Portion } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { OBSERVED_FILES_MAX } from '../../limits.ts'
import { codeOf, drain, rowsOf, settingsOf, testContext } from '../../support/testing.ts'
import { FileClaims } from './claims.ts'
import { DropScan } from './drop-scan.ts'
import { DirectoryFilesSource, directorySourceSettings } from './mod.ts'
import { FileScan } from './scan.ts'

const { signal } = new AbortController()

function setUp(t: Test, settings: object = {}) {
  const root = t.testdir({ drop: {} })
  const path = join(root, 'drop')
  const drop = (name: string, content = name): void => {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(root, 'writing'), content)
    renameSync(join(root, 'writing'), join(path, name))
  }
  const context = testContext(root)
  const source = (more: object = {}, flow = 'flow-1') =>
    new DirectoryFilesSource(
      settingsOf(directorySourceSettings, {
        path: 'drop',
        format: 'file',
        stableMs: 0,
        once: true,
        pollMs: 50,
        ...settings,
        ...more,
      }),
      flow === 'flow-1' ? context : testContext(root, flow),
    )
  const list = (...parts: string[]) => readdirSync(join(path, ...parts)).sort()
  const claims = () =>
    readdirSync(join(path, '.claimed')).flatMap((owner) =>
      list('.claimed', owner).map((seq) => join(path, '.claimed', owner, seq)),
    )
  return { root, path, drop, source, list, claims, logs: context.logs }
}

const namesOf = (portions: readonly Portion[]): unknown[] => rowsOf(portions).map(({ name }) => name)
const pathOf = (item: Item | undefined): string => (item?.content?.kind === 'local' ? item.content.path : '')
const still = () => componentFault('FILE_STILL_WRITTEN', { why: 'for the test' })
const refused = () => componentFault('FILE_NAMELESS', { why: 'for the test' })

/** Asks as a flow does: whatever woke it, something else may have, before the files had rested. */
async function next(source: DirectoryFilesSource): Promise<Portion> {
  for (;;) {
    const portion = await source.next(signal)
    if (portion !== null) return portion
    await source.idle(signal)
  }
}

// Twenty thousand files take a while on a busy disk.
t.setTimeout(600_000)

t.test('files and those of sub-folders, by their paths; what is no file of theirs stays', async (t) => {
  const { path, drop, source, list, claims } = setUp(t, { subfolders: true, pattern: '*.{txt,pdf}' })
  for (const name of [
    'b.txt',
    'a.PDF',
    'x/y/a.pdf',
    'x/b.txt',
    'x/other.bin',
    'x/done/c.txt',
    '.hidden.txt',
    'done/old.txt',
  ])
    drop(name)
  symlinkSync(join(path, 'b.txt'), join(path, 'link.txt'))
  symlinkSync(join(path, 'x'), join(path, 'linked'))
  const live = source()
  await live.open(null)
  const portion = await next(live)
  t.strictSame(namesOf([portion]), ['b.txt', 'x/b.txt', 'x/done/c.txt', 'x/y/a.pdf'])
  t.match(portion.items[3], {
    row: { name: 'x/y/a.pdf', size: 9, modified: /^\d{4}-.*Z$/, mediaType: 'application/pdf' },
    content: { kind: 'local', size: 9 },
  })
  t.equal(readFileSync(pathOf(portion.items[3]), 'utf8'), 'x/y/a.pdf')
  drop('b.txt', 'another')
  await live.committed(portion.cursor)
  t.strictSame(namesOf(await drain(live)), ['b.txt'])
  await live.close()
  t.strictSame(list('done'), ['b.2.txt', 'b.txt', 'old.txt', 'x'])
  t.strictSame(list('done', 'x'), ['b.txt', 'done', 'y'])
  t.strictSame(list(), ['.claimed', '.hidden.txt', 'a.PDF', 'bad', 'done', 'link.txt', 'linked', 'x'])
  t.strictSame(list('x'), ['done', 'other.bin', 'y'])
  t.strictSame(claims(), [])
})

t.test('a refused file goes to bad/ with its reason, one that is still written back to where it was', async (t) => {
  const { path, drop, source, list, claims, logs } = setUp(t, { subfolders: true, stableMs: 30 })
  for (const name of ['bad.txt', 'good.txt', 'sub/growing.txt']) drop(name)
  const live = source()
  await live.open(null)
  t.equal(await live.next(signal), null, 'they have to rest first')
  await live.idle(signal)
  const portion = await next(live)
  const [bad, , growing] = portion.items as [Item, Item, Item]
  const rejects = [
    { item: bad, fault: refused() },
    { item: growing, fault: still() },
  ]
  await live.reject(rejects)
  await live.reject(rejects)
  t.match(logs, [/warn a file was set aside .*bad\.txt/, /warn a file is sent later .*growing\.txt/])
  await live.committed(portion.cursor)
  t.strictSame([list('done'), list('bad')], [['good.txt'], ['bad.txt', 'bad.txt.reason.txt']])
  t.match(readFileSync(join(path, 'bad', 'bad.txt.reason.txt'), 'utf8'), /FILE_NAMELESS: .*for the test/)
  t.ok(existsSync(join(path, 'sub', 'growing.txt')))
  appendFileSync(join(path, 'sub', 'growing.txt'), ' and more')
  const [again] = await drain(live)
  t.match(again?.items, [{ row: { name: 'sub/growing.txt', size: 24 } }])
  await live.close()
  t.strictSame(list('done', 'sub'), ['growing.txt'])
  t.strictSame(claims(), [])
})

t.test('what was refused and not committed may be taken when it is given again', async (t) => {
  const { drop, source, list } = setUp(t)
  drop('a.txt')
  const killed = source()
  await killed.open(null)
  const first = await next(killed)
  await killed.reject(first.items.map((item) => ({ item, fault: refused() })))
  const after = source()
  await after.open(null)
  const again = await next(after)
  t.strictSame(again, first)
  await after.committed(again.cursor)
  t.strictSame([list('done'), list('bad')], [['a.txt'], []])
  await Promise.all([killed.close(), after.close()])
})

t.test('a crash while files are moved out of the way: none is lost, none is there twice', async (t) => {
  const { path, drop, source, list, claims } = setUp(t)
  for (const name of ['a', 'b', 'c', 'd']) drop(name)
  const killed = source()
  await killed.open(null)
  const { cursor, items } = await next(killed)
  const [a, b, c] = items.map(pathOf) as [string, string, string]
  // Moved; moved, but its old name is still there; taken away by somebody.
  renameSync(a, join(path, 'done', 'a'))
  linkSync(b, join(path, 'done', 'b'))
  unlinkSync(c)
  const after = source()
  await after.open(cursor)
  t.strictSame(list('done'), ['a', 'b', 'd'])
  t.strictSame(claims(), [])
  t.equal(await after.next(signal), null)
  await Promise.all([killed.close(), after.close()])
})

t.test('a claim that fails halfway is taken up, not passed over', async (t) => {
  const { root, path, drop, source, list } = setUp(t)
  drop('a')
  drop('b')
  const claims = await FileClaims.open(path, {
    dataDir: join(root, 'data-flow-1'),
    knownOwner: null,
    onDenied: () => t.fail(),
  })
  await claims.claimed(1)
  const found = ['a', 'b', '.claimed'].map((name) => ({ name, size: 1, changedMs: 0, inode: 0 }))
  // No folder can be moved into itself.
  await t.rejects(claims.claim(found), { code: 'EINVAL' })
  const taken = await claims.takeUp()
  t.match(taken, { seq: 1, files: [{ name: 'a' }, { name: 'b' }] })
  t.equal(await claims.takeUp(), null)
  // And by the next process.
  const live = source()
  await live.open(null)
  t.strictSame(namesOf(await drain(live)), ['a', 'b'])
  await live.close()
  t.strictSame(list('done'), ['a', 'b'])
})

t.test('two agents on one folder share the files', async (t) => {
  const { drop, source, list } = setUp(t, { batchRows: 7 })
  const names = Array.from({ length: 100 }, (_, i) => `${i}.txt`)
  for (const name of names) drop(name)
  const two = [source(), source({}, 'flow-2')]
  for (const live of two) await live.open(null)
  const portions = await Promise.all(two.map((live) => drain(live)))
  for (const live of two) await live.close()
  t.strictSame(namesOf(portions.flat()).sort(), names.sort())
  t.strictSame(list('done'), names)
})

t.test('more files than are observed at a time, and all are found', async (t) => {
  const { path } = setUp(t)
  const count = OBSERVED_FILES_MAX + 3000
  mkdirSync(join(path, 'sub'))
  for (let i = 0; i < count; i++) writeFileSync(join(path, i % 2 === 0 ? '' : 'sub', String(i)), '')
  const options = { path, matches: () => true, stableMs: 100, subfolders: true, reserved: new Set<string>() }
  const scan = new FileScan(options)
  await scan.beginPass()
  const found = new Set<string>()
  t.strictSame(await scan.take(0, { filesMax: 5000, bytesMax: 1000 }), [], 'none rests yet')
  t.equal(scan.restsInMs(40), 60)
  for (let nowMs = 100; !scan.passed || scan.waiting > 0; nowMs += 100) {
    t.ok(scan.waiting < OBSERVED_FILES_MAX + 1024, `${scan.waiting} observed`)
    for (const { name } of await scan.take(nowMs, { filesMax: 5000, bytesMax: 1000 })) {
      found.add(name)
      rmSync(join(path, name))
    }
  }
  t.equal(found.size, count)
})

t.test('any number of folders: one of each depth is open, and each name is read once in a pass', async (t) => {
  const { path } = setUp(t)
  const folders = 2000
  for (let i = 0; i < folders; i++) {
    mkdirSync(join(path, String(i % 50), String(i)), { recursive: true })
    writeFileSync(join(path, String(i % 50), String(i), 'x'), '')
  }
  const scan = new FileScan({ path, matches: () => true, stableMs: 0, subfolders: true, reserved: new Set() })
  await scan.beginPass()
  let found = 0
  for (let taken = -1; taken !== 0; found += taken) {
    taken = (await scan.take(0, { filesMax: 100, bytesMax: 1 })).length
    t.ok(scan.foldersOpen <= 3)
  }
  t.equal(found, folders)
  t.equal(scan.namesRead, 50 + 2 * folders)
})

t.test('twenty thousand files: few are known at a time, each name is read once', async (t) => {
  const { root, path, list, claims: left } = setUp(t)
  const [files, folders] = [20_000, 200]
  for (let i = 0; i < folders; i++) mkdirSync(join(path, String(i)))
  for (let i = 0; i < files; i++)
    writeFileSync(join(path, i % 2 === 0 ? '' : String(i % folders), String(i + folders)), '')
  const context = testContext(root)
  const settings = settingsOf(directorySourceSettings, {
    path,
    format: 'file',
    subfolders: true,
    stableMs: 0,
    pollMs: 86_400_000,
  })
  const scan = new DropScan(path, settings, context)
  const claims = await FileClaims.open(path, { dataDir: context.dataDir, knownOwner: null, onDenied: () => t.fail() })
  scan.begin()
  let taken = 0
  for (;;) {
    const found = await scan.take({ filesMax: 5000, bytesMax: 1 })
    if (found.length === 0) break
    t.ok(scan.held < OBSERVED_FILES_MAX + 1024, `${scan.held} held`)
    const claim = await claims.claim(found)
    if (claim === null) return t.fail('all are there')
    taken += claim.files.length
    await claims.settle(claim)
  }
  await scan.close()
  t.equal(taken, files)
  t.strictSame(left(), [])
  const done = readdirSync(join(path, 'done'), { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
  t.equal(new Set(done.map(({ name }) => name)).size, files)
  t.equal(done.length, files)
  // The folders stay, and are read again at the end, when nothing rests any more.
  t.ok(scan.namesRead < files + 3 * folders, `${scan.namesRead} names read`)
  t.equal(list().length, folders + 3)
})

t.test('a file that changes is not taken until it rests', async (t) => {
  const { path, drop } = setUp(t)
  drop('a', '1')
  drop('b', '1')
  const scan = new FileScan({
    path,
    matches: () => true,
    stableMs: 100,
    subfolders: false,
    reserved: new Set(['done']),
  })
  await scan.beginPass()
  const take = async (nowMs: number) => (await scan.take(nowMs, { filesMax: 9, bytesMax: 99 })).map(({ name }) => name)
  t.strictSame(await take(0), [])
  appendFileSync(join(path, 'a'), '2')
  t.strictSame(await take(100), ['b'], 'seen at the second look')
  t.strictSame(await take(150), [])
  t.strictSame(await take(200), ['a'])
})

t.test('a pass that begins while files wait neither doubles nor hides them', async (t) => {
  const { path, drop } = setUp(t)
  const scan = new FileScan({ path, matches: () => true, stableMs: 0, subfolders: false, reserved: new Set() })
  for (let i = 0; i < 20; i++) drop(String(i).padStart(2, '0'))
  const taken: string[] = []
  await scan.beginPass()
  for (let nowMs = 1; nowMs < 3 || scan.waiting > 0; nowMs++) {
    const found = await scan.take(nowMs, { filesMax: 9, bytesMax: 6 })
    t.equal(found.length, 3)
    for (const { name } of found) {
      taken.push(name)
      rmSync(join(path, name))
    }
    // The second of them is dropped again, with other content, while it waits.
    if (nowMs === 1) writeFileSync(join(path, '05'), 'longer')
    if (nowMs < 3) await scan.beginPass()
    if (nowMs === 6) break
  }
  while (scan.waiting > 0) for (const { name } of await scan.take(9, { filesMax: 9, bytesMax: 99 })) taken.push(name)
  t.strictSame(
    taken.toSorted(),
    Array.from({ length: 20 }, (_, i) => String(i).padStart(2, '0')),
  )
})

t.test('a name that is not UTF-8 is told of, once', async (t) => {
  const { path, drop, source, logs } = setUp(t, { once: false })
  drop('good.txt')
  writeFileSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from('\xce\xc4.txt', 'latin1')]), 'GBK')
  const live = source()
  await live.open(null)
  for (let i = 0; i < 3; i++) {
    const portion = await live.next(signal)
    if (portion !== null) t.strictSame(namesOf([portion]), ['good.txt'])
    await live.idle(signal)
  }
  await live.close()
  t.match(
    logs.filter((line) => line.includes('UTF-8')),
    [/"files":1/],
  )
  t.equal(logs.length, 1)
})

t.test('a sub-folder out of which nothing can be moved is left out', { skip: cannotMount() }, async (t) => {
  const { path, drop, source, list, logs } = setUp(t, { subfolders: true })
  for (const name of ['a.txt', 'other/b.txt']) drop(name)
  mkdirSync(join(path, 'mounted'))
  t.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'causeway-test', join(path, 'mounted')]).status, 0)
  try {
    writeFileSync(join(path, 'mounted', 'c.txt'), '')
    const live = source()
    await live.open(null)
    t.strictSame(namesOf(await drain(live)), ['a.txt', 'other/b.txt'])
    await live.close()
    t.strictSame([list('done'), list('mounted')], [['a.txt', 'other'], ['c.txt']])
    t.match(logs, [/warn a sub-folder is left out.*"folder":"mounted"/])
    t.equal(logs.length, 1)
  } finally {
    // Before its folder is removed.
    spawnSync('umount', ['-l', join(path, 'mounted')])
  }
})

t.test('a portion ends with the file that makes it large', async (t) => {
  const { drop, source } = setUp(t)
  for (const name of ['1', '2', '4', '5']) drop(name)
  drop('3', 'x'.repeat(9 * 2 ** 20))
  const live = source()
  await live.open(null)
  const portions = await drain(live)
  t.strictSame(
    portions.map((portion) => namesOf([portion])),
    [
      ['1', '2', '3'],
      ['4', '5'],
    ],
  )
  await live.close()
})

t.test('a position of rows, or of another agent, is none of files', async (t) => {
  const { source } = setUp(t)
  t.equal(await codeOf(() => source().open('{"v":1,"owner":"a","seq":1,"name":"x"}')), 'SOURCE_POSITION_INVALID')
  const live = source()
  await live.open(null)
  await live.close()
  const foreign = JSON.stringify({ v: 1, files: true, owner: '0'.repeat(16), seq: 1 })
  t.equal(await codeOf(() => source().open(foreign)), 'DIRECTORY_POSITION_FOREIGN')
  t.throws(() => settingsOf(directorySourceSettings, { path: 'x', subfolders: true }), /format: file/)
})
