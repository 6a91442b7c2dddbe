// Durable steps on files.

import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder, moveToFree, pointedName } from './files.ts'

t.test('a name that is taken a thousand times costs few looks', async (t) => {
  const root = t.testdir({ from: 'the last', to: {} })
  const taken = 1000
  for (let n = 1; n <= taken; n++) writeFileSync(join(root, 'to', pointedName('day.csv', n)), '')
  let looks = 0
  const nameOf = (n: number): string => {
    looks += 1
    return pointedName('day.csv', n)
  }
  t.equal(await moveToFree(join(root, 'from'), join(root, 'to'), nameOf), 'day.1001.csv')
  t.equal(readFileSync(join(root, 'to', 'day.1001.csv'), 'utf8'), 'the last')
  t.strictSame(readdirSync(root), ['to'])
  t.ok(looks < 40, `${looks} looks`)
})

t.test('names with gaps: nothing is replaced', async (t) => {
  const root = t.testdir({ to: {} })
  const expected: string[] = []
  for (const n of [1, 2, 4, 8, 9, 16]) {
    writeFileSync(join(root, 'to', pointedName('a', n)), '')
    expected.push(pointedName('a', n))
  }
  for (let i = 0; i < 20; i++) {
    writeFileSync(join(root, 'from'), 'new')
    expected.push(await moveToFree(join(root, 'from'), join(root, 'to'), (n) => pointedName('a', n)))
  }
  t.strictSame(readdirSync(join(root, 'to')).sort(), expected.sort())
  t.equal(new Set(expected).size, 26)
})

t.test('a move that a crash ended half is finished, also when others have come behind', async (t) => {
  const root = t.testdir({ from: 'ours', to: {} })
  mkdirSync(join(root, 'to'), { recursive: true })
  for (const n of [1, 2, 4, 5, 6]) writeFileSync(join(root, 'to', pointedName('a', n)), '')
  linkSync(join(root, 'from'), join(root, 'to', 'a.3'))
  t.equal(await moveToFree(join(root, 'from'), join(root, 'to'), (n) => pointedName('a', n)), 'a.3')
  t.strictSame(readdirSync(join(root, 'to')), ['a', 'a.2', 'a.3', 'a.4', 'a.5', 'a.6'])
  rmSync(join(root, 'to'), { recursive: true })
  writeFileSync(join(root, 'from'), '')
  await t.rejects(
    moveToFree(join(root, 'from'), join(root, 'to'), (n) => pointedName('a', n)),
    { code: 'ENOENT' },
  )
})

t.test('folders are made with those above them; what is there stays', async (t) => {
  const root = t.testdir({ here: { file: 'x' }, file: 'x' })
  const deep = join(root, 'a/b/c')
  await Promise.all([makeFolder(deep), makeFolder(join(root, 'a/b/d')), makeFolder(deep)])
  t.same(readdirSync(join(root, 'a/b')).sort(), ['c', 'd'])
  await makeFolder(join(root, 'here'))
  t.same(readdirSync(join(root, 'here')), ['file'])
  await makeFolder('.')
  await makeFolder('/')
  await t.rejects(makeFolder(join(root, 'file')), { code: 'EEXIST' })
  await t.rejects(makeFolder(join(root, 'file/below')), { code: 'ENOTDIR' })
  symlinkSync('here', join(root, 'link'))
  await makeFolder(join(root, 'link/new'))
  t.ok(existsSync(join(root, 'here/new')))
})

t.test('several who make the same folders do not get into each other', async (t) => {
  const root = t.testdir({})
  for (let round = 0; round < 200; round++) {
    const folder = join(root, String(round))
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => makeFolder(join(folder, name))))
    await Promise.all(['e/f', 'e/g', 'e/h'].map((name) => makeFolder(join(folder, name))))
  }
  t.equal(readdirSync(root).length, 200)
})

const noProc = existsSync('/proc/self') ? false : 'no /proc on this machine'

t.test('a file system that makes no folders says so', { skip: noProc }, async (t) => {
  await t.rejects(makeFolder('/proc/causeway'), { code: 'ENOENT', path: '/proc/causeway' })
  await t.rejects(makeFolder('/proc/causeway/a/b'), { code: 'ENOENT', path: '/proc/causeway' })
})
