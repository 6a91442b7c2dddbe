// Whole files into a folder.

import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Content, Item, LocalFile, Portion } from '../../contract.ts'
import { codeOf, collector, faultOf, settingsOf, testContext } from '../../support/testing.ts'
import { DirectoryFilesDestination, directoryDestinationSettings } from './mod.ts'

const MIB = 2 ** 20
const { signal } = new AbortController()
const none = () => t.fail('nothing should be rejected')

function setUp(t: Test) {
  const root = t.testdir({ from: {} })
  const path = join(root, 'out')
  const make = () => {
    const settings = settingsOf(directoryDestinationSettings, { path: 'out', format: 'file' })
    return new DirectoryFilesDestination(settings, testContext(root))
  }
  /** A file of the source. */
  const local = (name: string, content: Buffer | string): LocalFile => {
    const from = join(root, 'from', name)
    writeFileSync(from, content)
    // Not of this moment: on some systems two writes within some milliseconds are of the same time.
    utimesSync(from, 1_700_000_000, 1_700_000_000)
    return localOf(from)
  }
  const list = (...parts: string[]) =>
    readdirSync(join(path, ...parts))
      .filter((name) => !name.startsWith('.'))
      .sort()
  const work = () => readdirSync(join(path, '.causeway', 'flow-1.files')).sort()
  const read = (...parts: string[]) => readFileSync(join(path, ...parts), 'utf8')
  return { root, path, make, local, list, work, read }
}

function localOf(path: string): LocalFile {
  const { size, mtimeMs, ino } = statSync(path)
  return { kind: 'local', path, size, changedMs: mtimeMs, inode: ino }
}

const bytes = (text: string): Content => ({ kind: 'bytes', bytes: Buffer.from(text) })

const portionOf = (files: readonly (readonly [name: unknown, content: Content])[], cursor: string): Portion => ({
  items: files.map(([name, content], i): Item => ({ row: { name: name as string }, ref: i + 1, content })),
  cursor,
})

t.test('files of every kind, byte by byte', async (t) => {
  const { root, path, make, local, list } = setUp(t)
  const sparse = join(root, 'from', 'sparse')
  writeFileSync(sparse, 'begin')
  truncateSync(sparse, 200 * MIB)
  appendFileSync(sparse, 'end')
  const files = new Map<string, LocalFile>([
    ['empty', local('a', '')],
    ['one', local('b', 'x')],
    ['at the limit', local('c', randomBytes(64 * 1024))],
    ['above it', local('d', randomBytes(64 * 1024 + 1))],
    ['sub/folder/large.bin', local('e', randomBytes(5 * MIB + 11))],
    ['sparse', localOf(sparse)],
  ])
  const live = make()
  await live.open()
  await live.write(portionOf([...files], 'c1'), none, signal)
  await live.close()
  for (const [name, file] of files) {
    const [made, from] = [readFileSync(join(path, name)), readFileSync(file.path)]
    t.ok(made.equals(from), name)
  }
  t.ok(statSync(join(path, 'sparse')).blocks * 512 < 8 * MIB, 'holes stay holes')
  t.strictSame(list(), ['above it', 'at the limit', 'empty', 'one', 'sparse', 'sub'])
})

t.test('a name that is taken is numbered; nothing is ever replaced', async (t) => {
  const { path, make, list, read } = setUp(t)
  mkdirSync(path)
  writeFileSync(join(path, 'a.txt'), 'theirs')
  mkdirSync(join(path, 'b (2)'))
  symlinkSync('/nowhere', join(path, 'c'))
  const live = make()
  await live.open()
  const names = ['a.txt', 'b', 'b', 'c']
  await live.write(
    portionOf(
      names.map((name, i) => [name, bytes(`${name}${i}`)]),
      'c1',
    ),
    none,
    signal,
  )
  await live.close()
  t.strictSame(list(), ['a (2).txt', 'a.txt', 'b', 'b (2)', 'b (3)', 'c', 'c (2)'])
  t.strictSame([read('a.txt'), read('a (2).txt')], ['theirs', 'a.txt0'])
  t.strictSame([read('b'), read('b (3)')].sort(), ['b1', 'b2'])
})

t.test('names that lead elsewhere, or cannot be, are refused; their neighbours are written', async (t) => {
  const { root, path, make, list } = setUp(t)
  mkdirSync(join(path, 'folder'), { recursive: true })
  writeFileSync(join(path, 'file'), '')
  symlinkSync(root, join(path, 'link'))
  const live = make()
  await live.open()
  const hostile = ['../x', 'a/../x', '/x', 'folder/', 'nul', '.x', 'file/x', 'link/x', `${'d/'.repeat(40)}x`, null, 7]
  const files = hostile.map((name) => [name, bytes('x')] as const)
  const { rejects, reject } = collector()
  await live.write(portionOf([['first', bytes('1')], ...files, ['last', bytes('2')]], 'c1'), reject, signal)
  t.strictSame(
    rejects.map(({ item, fault }) => [item.row.name, fault.code]),
    [
      ...hostile.slice(0, 6).map((name) => [name, 'CONTENT_NAME_INVALID']),
      ['file/x', 'FILE_NAME_TAKEN'],
      ['link/x', 'FILE_NAME_TAKEN'],
      [hostile[8], 'FILE_NAME_TAKEN'],
      [null, 'FILE_NAMELESS'],
      [7, 'FILE_NAMELESS'],
    ],
  )
  await live.write({ items: [{ row: { name: 'x' }, ref: 1 }], cursor: 'c2' }, reject, signal)
  t.equal(rejects.at(-1)?.fault.code, 'FILE_WITHOUT_CONTENT')
  await live.close()
  t.strictSame(list(), ['file', 'first', 'folder', 'last', 'link'])
  t.notOk(existsSync(join(root, 'x')))
})

t.test('a file that is not what its source saw is refused', async (t) => {
  const { make, local, list, work } = setUp(t)
  const [grown, written, other, gone, large] = ['1', '2', '3', '4', '5'].map((name) => local(name, name)) as [
    LocalFile,
    LocalFile,
    LocalFile,
    LocalFile,
    LocalFile,
  ]
  appendFileSync(grown.path, '1')
  writeFileSync(written.path, 'x')
  rmSync(other.path)
  writeFileSync(other.path, '3')
  rmSync(gone.path)
  const cut = local('6', randomBytes(MIB))
  truncateSync(cut.path, MIB - 1)
  const live = make()
  await live.open()
  const { rejects, reject } = collector()
  const files = Object.entries({ grown, written, other, gone, large, cut })
  await live.write(portionOf(files, 'c1'), reject, signal)
  await live.close()
  t.strictSame(Object.fromEntries(rejects.map(({ item, fault }) => [item.row.name, fault.code])), {
    grown: 'FILE_STILL_WRITTEN',
    written: 'FILE_STILL_WRITTEN',
    other: 'FILE_STILL_WRITTEN',
    gone: 'FILE_UNREADABLE',
    cut: 'FILE_STILL_WRITTEN',
  })
  t.strictSame(list(), ['large'])
  const again = make()
  await again.open()
  t.strictSame(work(), [], 'what was begun and refused is removed')
  await again.close()
})

t.test('a crash before, in and after the commit: each file once', async (t) => {
  const { path, make, list, work, read } = setUp(t)
  const staging = join(path, '.causeway', 'flow-1.files')
  const first = make()
  await first.open()
  await first.write(portionOf([['a', bytes('1')]], 'c1'), none, signal)
  // Staged and not committed.
  writeFileSync(join(staging, '2-0'), 'half')
  writeFileSync(join(staging, '2.jsonl'), '["2-0","","b"]\n')
  const second = make()
  await second.open()
  t.equal(await second.position(), 'c1')
  t.strictSame([work(), list()], [[], ['a']])
  await second.write(
    portionOf(
      [
        ['b', bytes('2')],
        ['c', bytes('3')],
        ['d', bytes('4')],
      ],
      'c2',
    ),
    none,
    signal,
  )
  t.strictSame(list(), ['a', 'b', 'c', 'd'])
  // Committed; the first has no name yet, the second both its names, the third was taken away by a reader.
  renameSync(join(path, 'b'), join(staging, '2-0'))
  linkSync(join(path, 'c'), join(staging, '2-1'))
  rmSync(join(path, 'd'))
  const lines = [
    ['2-0', '', 'b'],
    ['2-1', '', 'c'],
    ['2-2', '', 'd'],
  ].map((line) => `${JSON.stringify(line)}\n`)
  writeFileSync(join(staging, '2.jsonl'), lines.join(''))
  const third = make()
  await third.open()
  t.equal(await third.position(), 'c2')
  t.strictSame([work(), list()], [[], ['a', 'b', 'c']])
  t.strictSame([read('b'), read('c')], ['2', '3'])
  for (const live of [first, second, third]) await live.close()
})

t.test('what cannot have its name yet is committed, and gets it later', async (t) => {
  const { root, path, make, list } = setUp(t)
  const live = make()
  await live.open()
  await live.write(portionOf([['sub/a', bytes('1')]], 'c1'), none, signal)
  rmSync(join(path, 'sub'), { recursive: true })
  await live.write(portionOf([['sub/b', bytes('2')]], 'c2'), none, signal)
  t.strictSame(list('sub'), ['b'], 'a folder that was removed is made again')
  // Its folder becomes a file while it is written: as a full disk, it is in the way of names only.
  const content: Content = {
    kind: 'hub',
    id: 'ab'.repeat(16),
    size: 1,
    download: async ({ path: to }) => {
      writeFileSync(to, 'x')
      renameSync(join(path, 'sub'), join(root, 'aside'))
      writeFileSync(join(path, 'sub'), '')
      return { name: 'x', mediaType: '', size: 1 }
    },
  }
  const items = portionOf([['sub/c', content]], 'c3')
  t.match(await faultOf(() => live.write(items, none, signal)), { code: /^DIRECTORY_/ })
  rmSync(join(path, 'sub'))
  t.equal(await live.position(), 'c3', 'it was committed')
  t.strictSame(list('sub'), ['c'])
  await live.write(items, none, signal)
  t.strictSame(list('sub'), ['c'], 'and is not written again')
  await live.close()
})

t.test('a copy that takes long ends with the flow', async (t) => {
  const { root, make, list } = setUp(t)
  const from = join(root, 'from', 'large')
  writeFileSync(from, '')
  truncateSync(from, 2 ** 40)
  const live = make()
  await live.open()
  const stop = new AbortController()
  const written = live.write(portionOf([['large', localOf(from)]], 'c1'), none, stop.signal)
  stop.abort(new Error('stopped'))
  await t.rejects(written, { message: 'stopped' })
  t.equal(await live.position(), null)
  t.strictSame(list(), [])
  await live.close()
})

t.test('another flow has another prefix', async (t) => {
  const { root, make } = setUp(t)
  const live = make()
  await live.open()
  await live.write(portionOf([['a', bytes('1')]], 'c1'), none, signal)
  await live.close()
  const settings = settingsOf(directoryDestinationSettings, { path: 'out', format: 'file', prefix: 'flow-1' })
  const other = new DirectoryFilesDestination(settings, testContext(root, 'flow-2'))
  t.equal(await codeOf(() => other.open()), 'COMPONENT_SETTINGS')
})
