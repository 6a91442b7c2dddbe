import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { findFiles } from './paths.ts'

/** A folder with these files, each with its name in it. */
function tree(t: Test, names: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-paths-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), name)
  }
  return folder
}

async function found(given: readonly string[], { recursive = false } = {}) {
  const { files, faults, leftOut } = await findFiles(given, { recursive })
  return { names: files.map(({ name }) => name), faults: faults.map(({ code, where }) => `${code} ${where}`), leftOut }
}

t.test('paths as they are, in their order, each once', async (t) => {
  const folder = tree(t, ['b.txt', 'sub/a.txt', '[1].txt'])
  const at = (name: string) => join(folder, name)
  const given = [at('b.txt'), at('sub/a.txt'), at('sub/../b.txt'), at('[1].txt'), at('none.txt'), at('sub')]
  const { files, faults } = await findFiles(given, { recursive: false })
  t.strictSame(faults, [], 'who sends them says what is wrong with each')
  t.strictSame(files, [
    { path: at('b.txt'), name: 'b.txt', size: 5 },
    { path: at('sub/a.txt'), name: 'a.txt', size: 9 },
    { path: at('[1].txt'), name: '[1].txt', size: 7 },
    { path: at('none.txt'), name: 'none.txt', size: 0 },
    { path: at('sub'), name: 'sub', size: files[4]?.size },
  ])
})

t.test('patterns, as far as no file has that very name; names begin where the pattern does', async (t) => {
  const folder = tree(t, ['p/1.dwg', 'p/north/2.dwg', 'p/north/deep/3.dwg', 'p/.hidden/4.dwg', 'p/.5.dwg', 'p/6.pdf'])
  const at = (name: string) => join(folder, name)
  const sorted = async (...given: string[]) => (await found(given)).names.sort()
  t.strictSame(await sorted(at('p/*.dwg')), ['1.dwg'])
  t.strictSame(await sorted(at('p/**/*.dwg')), ['1.dwg', 'north/2.dwg', 'north/deep/3.dwg'])
  t.strictSame(await sorted(at('p/nor*/*.dwg')), ['north/2.dwg'])
  t.strictSame(await sorted(at('p/{1,6}.{dwg,pdf}')), ['1.dwg', '6.pdf'])
  t.strictSame(await sorted(at('p/*')), ['1.dwg', '6.pdf'], 'folders are no files')
  t.strictSame(await found([at('p/*.dwg'), at('p/*.txt')]), {
    names: ['1.dwg'],
    faults: [`FILES_NONE ${at('p/*.txt')}`],
    leftOut: 0,
  })
  symlinkSync(at('p'), at('p/north/up'))
  t.strictSame(await sorted(at('p/**/3.dwg')), ['north/deep/3.dwg'], 'no link is followed')
})

t.test('folders with all that is in them', async (t) => {
  const folder = tree(t, ['p/1.dwg', 'p/north/2.dwg', 'p/.3'])
  const at = (name: string) => join(folder, name)
  mkdirSync(at('empty/too'), { recursive: true })
  symlinkSync(at('p/1.dwg'), at('p/link.dwg'))
  symlinkSync(at('p'), at('p/loop'))
  const names = ['p/.3', 'p/1.dwg', 'p/north/2.dwg']
  t.strictSame(await found([at('p')], { recursive: true }), { names, faults: [], leftOut: 2 })
  t.strictSame((await found([`${at('p')}/`], { recursive: true })).names, names)
  t.strictSame((await found([`${at('p/north')}/..`], { recursive: true })).names, ['.3', '1.dwg', 'north/2.dwg'])
  t.strictSame(await found([at('empty')], { recursive: true }), {
    names: [],
    faults: [`FILES_NONE ${at('empty')}`],
    leftOut: 0,
  })
  t.strictSame((await found([at('*')], { recursive: true })).names.sort(), names)
})

const isRoot = process.getuid?.() === 0
t.test('a folder that may not be read keeps no other', { skip: isRoot && 'root may read all' }, async (t) => {
  const folder = tree(t, ['p/1.dwg', 'p/shut/2.dwg'])
  const shut = join(folder, 'p/shut')
  chmodSync(shut, 0)
  t.teardown(() => chmodSync(shut, 0o700))
  t.strictSame(await found([join(folder, 'p')], { recursive: true }), {
    names: ['p/1.dwg'],
    faults: [`SYSTEM_REFUSED ${shut}`],
    leftOut: 0,
  })
})

t.test('a pipe is named, not waited for', { skip: process.platform === 'win32' && 'there are none' }, async (t) => {
  const folder = tree(t, ['p/1.dwg'])
  spawnSync('mkfifo', [join(folder, 'p/pipe')])
  t.strictSame(await found([join(folder, 'p')], { recursive: true }), { names: ['p/1.dwg'], faults: [], leftOut: 1 })
})
