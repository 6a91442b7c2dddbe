// The examples are right: each file says nothing wrong, and each of its cases holds.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../e2e/cli.ts'

const files = readdirSync(import.meta.dirname, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => join(import.meta.dirname, name))
const ofKind = (mark: RegExp): string[] => files.filter((path) => mark.test(readFileSync(path, 'utf8')))

for (const path of ofKind(/^rules:/m)) {
  t.test(path.slice(import.meta.dirname.length + 1), async (t) => {
    t.match(await run('hub', ['route', 'lint', path]), { code: 0, stderr: '' })
    const ran = await run('hub', ['route', 'test', path])
    t.match(ran, { code: 0, stderr: '' }, ran.stdout)
    t.match(ran.stdout, /^\s*ok /m)
    t.notMatch(ran.stdout, /FAIL/)
  })
}

for (const path of ofKind(/^flow:/m)) {
  t.test(path.slice(import.meta.dirname.length + 1), async (t) => {
    t.match(await run('agent', ['flow', 'lint', path]), { code: 0, stderr: '' })
    const ran = await run('agent', ['flow', 'test', path])
    t.match(ran, { code: 0, stderr: '' }, ran.stdout)
    t.match(ran.stdout, /^\s*ok /m)
    t.notMatch(ran.stdout, /FAIL/)
  })
}

t.ok(ofKind(/^rules:/m).length >= 2 && ofKind(/^flow:/m).length >= 1)
