// The launchers find the pinned Node and their program from wherever they are called or linked.

import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const posix = process.platform !== 'win32'

for (const side of ['hub', 'agent']) {
  t.test(`causeway-${side}`, { skip: posix ? false : 'a POSIX shell script' }, async (t) => {
    // A stand-in for Node that prints what it was given, in a folder with a blank in its name.
    const place = join(t.testdir(), 'a place')
    const launcher = join(place, side, `causeway-${side}`)
    const node = join(place, 'node_modules/.bin/node')
    mkdirSync(join(place, side), { recursive: true })
    mkdirSync(join(place, 'node_modules/.bin'), { recursive: true })
    copyFileSync(join(root, side, `causeway-${side}`), launcher)
    writeFileSync(node, '#!/bin/sh\nprintf "[%s]\\n" "$@"\nexit 7\n')
    chmodSync(node, 0o755)

    // The side's own settings of the runtime come first.
    const wanted = new RegExp(
      `^(\\[--[a-zA-Z0-9=-]+\\]\n)+\\[${join(place, side, 'main.ts')}\\]\n\\[status\\]\n\\[two words\\]\n$`,
    )
    const args = ['status', 'two words']
    await t.rejects(run(launcher, args), { code: 7, stdout: wanted }, 'passes arguments on and the exit code back')

    const absolute = join(place, 'absolute')
    symlinkSync(launcher, absolute)
    await t.rejects(run(absolute, args), { code: 7, stdout: wanted }, 'through an absolute link')
    mkdirSync(join(place, 'elsewhere'))
    symlinkSync('../absolute', join(place, 'elsewhere/relative'))
    await t.rejects(
      run('./relative', args, { cwd: join(place, 'elsewhere') }),
      { code: 7, stdout: wanted },
      'through two links',
    )

    rmSync(join(place, 'node_modules'), { recursive: true })
    const unready = { code: 69, stderr: new RegExp(`causeway-${side}: .*node_modules[^]*make install`) }
    await t.rejects(run(launcher, args), unready, 'says what to do while nothing is installed')
  })
}
