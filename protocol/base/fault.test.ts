// Any error as one that says what to do.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { asFault, Fault, faultIn } from './mod.ts'

const dir = mkdtempSync(join(tmpdir(), 'causeway-fault-'))
t.teardown(() => rmSync(dir, { recursive: true }))

function errorOf(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return null
}

t.test('what the operating system refuses is no failure inside, and names its path', async (t) => {
  const file = join(dir, 'file')
  writeFileSync(file, '')
  const cases: [() => unknown, string, RegExp][] = [
    [() => readFileSync(join(dir, 'none')), join(dir, 'none'), /ENOENT.*is not there/],
    [() => mkdirSync(join(file, 'x')), join(file, 'x'), /ENOTDIR.*a file stands where a folder is needed/],
    [() => mkdirSync(file, { recursive: true }), file, /EEXIST.*a file stands where a folder is needed/],
    [() => readFileSync(join(dir, 'x'.repeat(300))), join(dir, 'x'.repeat(300)), /ENAMETOOLONG.*shorter/],
  ]
  for (const [work, where, text] of cases) {
    const fault = asFault(errorOf(work), 'elsewhere')
    t.match(fault, { code: 'SYSTEM_REFUSED', where })
    t.match(fault.describe(), text)
    t.equal(fault.message.includes(dir), false, 'the path stands in one place')
  }
})

t.test('a fault in a file names the file, once', async (t) => {
  const fault = (where?: string) =>
    new Fault('A', { meaning: 'm', remedy: 'r' }, { ...(where === undefined ? {} : { where }), line: 3 })
  for (const [where, told] of [
    [undefined, 'a.yaml'],
    ['a.yaml', 'a.yaml'],
    ['a.yaml:3', 'a.yaml:3'],
    ['root/b', 'a.yaml: root/b'],
  ] as const) {
    t.match(faultIn('a.yaml', fault(where)), {
      code: 'A',
      where: told,
      message: 'm',
      remedy: 'r',
      details: { line: 3 },
    })
  }
})

t.test('what is our own mistake stays one', async (t) => {
  t.match(asFault(new TypeError('x')), { code: 'INTERNAL', where: null })
  t.match(asFault('x', 'there'), { code: 'INTERNAL', where: 'there' })
  const refused = await new Promise((resolve) => connect(1, '127.0.0.1').once('error', resolve))
  t.match(asFault(refused), { code: 'INTERNAL' }, 'who connects says himself what it means')
  t.match(asFault(Object.assign(new Error('x'), { code: 'ENOENT' })), { code: 'INTERNAL' }, 'no call was made')
})
