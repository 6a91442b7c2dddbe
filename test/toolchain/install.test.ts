// Two `make` in one folder whose packages are out of date install once, one after the other, whoever of them dies.

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'

const root = join(import.meta.dirname, '../..')
const posix = process.platform !== 'win32'
const skip = posix ? false : 'a POSIX shell script'

// Stands in for npm: removes what is there, says so, goes on when it is let, and writes what npm writes last.
const NPM = `#!/bin/sh
if [ "$1" = config ]; then
  echo cache
  exit
fi
rm -rf node_modules
mkdir node_modules node_modules/.bin
echo begin >>log
echo begun >told
read -r line <gate
cp npm node_modules/.bin/node
echo end >>log
: >node_modules/.package-lock.json
`
const PROGRAMS = ['sh', 'dirname', 'find', 'touch', 'rm', 'mkdir', 'mktemp', 'cp']

function place(t: Test, turns: string) {
  const dir = join(t.testdir(), 'a 地方')
  const bin = join(dir, 'bin')
  mkdirSync(join(dir, 'test/toolchain'), { recursive: true })
  mkdirSync(bin)
  copyFileSync(join(root, 'test/toolchain/install'), join(dir, 'test/toolchain/install'))
  writeFileSync(join(dir, 'package-lock.json'), '{}\n')
  writeFileSync(join(dir, 'npm'), NPM)
  chmodSync(join(dir, 'npm'), 0o755)
  symlinkSync(join(dir, 'npm'), join(bin, 'npm'))
  for (const name of [...PROGRAMS, turns]) symlinkSync(whereIs(name), join(bin, name))
  execFileSync('mkfifo', ['gate', 'told'], { cwd: dir })
  const install = () => {
    const args = [join(dir, 'test/toolchain/install'), 'packages']
    const child = spawn('/bin/sh', args, { cwd: dir, env: { PATH: bin }, stdio: 'inherit', detached: true })
    return Object.assign(child, { ended: once(child, 'exit') as Promise<[number | null, string | null]> })
  }
  return {
    install,
    /** Resolves when an npm has begun. */
    begun: async () => {
      const told = await open(join(dir, 'told'), 'r')
      await told.readFile()
      await told.close()
    },
    /** Lets the npm that has begun go on. */
    letGo: async () => {
      const gate = await open(join(dir, 'gate'), 'w')
      await gate.write('go\n')
      await gate.close()
    },
    log: () => readFileSync(join(dir, 'log'), 'utf8').split('\n').filter(Boolean),
    done: () => existsSync(join(dir, 'node_modules/.package-lock.json')),
    lock: readFileSync(join(dir, 'package-lock.json'), 'utf8'),
    dir,
  }
}

const whereIs = (name: string): string => execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()

for (const turns of ['flock', 'perl']) {
  const there = posix && spawnSync('sh', ['-c', `command -v ${turns}`]).status === 0
  t.test(`turns by ${turns}`, { skip: skip || (there ? false : `no ${turns} on this machine`) }, async (t) => {
    t.test('two at once install once', async (t) => {
      const { install, begun, letGo, log, done, lock, dir } = place(t, turns)
      const both = [install(), install()]
      await begun()
      await letGo()
      t.same(await Promise.all(both.map(({ ended }) => ended)), [
        [0, null],
        [0, null],
      ])
      t.same(log(), ['begin', 'end'])
      t.ok(done())
      t.equal(readFileSync(join(dir, 'package-lock.json'), 'utf8'), lock, 'what says whose turn it is stays as it was')
      const [code] = await install().ended
      t.equal(code, 0)
      t.same(log(), ['begin', 'end'], 'nothing to do')
    })

    t.test('one that was killed with its npm leaves the turn to the next', async (t) => {
      const { install, begun, letGo, log, done } = place(t, turns)
      const first = install()
      await begun()
      const second = install()
      process.kill(-(first.pid as number), 'SIGKILL')
      await begun()
      await letGo()
      t.same(await second.ended, [0, null])
      t.same(log(), ['begin', 'begin', 'end'])
      t.ok(done())
    })

    t.test('while the npm of one that was killed is still at work, the next waits for it', async (t) => {
      const { install, begun, letGo, log, done } = place(t, turns)
      const first = install()
      await begun()
      const second = install()
      first.kill('SIGKILL')
      await first.ended
      await letGo()
      t.same(await second.ended, [0, null])
      t.same(log(), ['begin', 'end'])
      t.ok(done())
    })
  })
}

t.test('what npm could not install is not taken for installed', { skip }, async (t) => {
  const { dir, done } = place(t, 'cat')
  // Its cache cannot be written: it gets another for the time.
  const refusing =
    '[ "$1" = config ] && echo /dev/null/none && exit\necho "at $npm_config_cache:" ENOTFOUND >&2\nexit 3'
  writeFileSync(join(dir, 'npm'), `#!/bin/sh\n${refusing}\n`)
  const env = { PATH: join(dir, 'bin') }
  const failed = spawnSync('/bin/sh', [join(dir, 'test/toolchain/install'), 'packages'], { env, encoding: 'utf8' })
  const said = /^at (\/.+): ENOTFOUND\nmake: the packages were not installed/.exec(failed.stderr)
  t.equal(failed.status, 1)
  t.ok(said, failed.stderr)
  t.notOk(existsSync(said?.[1] ?? '/'), 'that cache is gone')
  rmSync(join(dir, 'bin/npm'))
  const missing = spawnSync('/bin/sh', [join(dir, 'test/toolchain/install'), 'packages'], { env, encoding: 'utf8' })
  t.match(missing, { status: 1, stderr: /make: npm is missing: install Node 20/ })
  t.notOk(done())
})

t.test('without a Node that can run the project nothing counts as installed', { skip }, async (t) => {
  const { dir, done } = place(t, 'cat')
  copyFileSync(join(root, 'test/toolchain/system-node'), join(dir, 'test/toolchain/system-node'))
  writeFileSync(join(dir, 'npm'), '#!/bin/sh\nmkdir -p node_modules/.bin\n: >node_modules/.package-lock.json\n')
  // The system's own: too old, for a platform that no package is for.
  writeFileSync(join(dir, 'bin/node'), '#!/bin/sh\n[ "$1" = -p ] && echo plan9-mips\n')
  chmodSync(join(dir, 'bin/node'), 0o755)
  const env = { PATH: join(dir, 'bin') }
  const ran = spawnSync('/bin/sh', [join(dir, 'test/toolchain/install'), 'packages'], { env, encoding: 'utf8' })
  t.match(ran, {
    status: 1,
    stderr: 'make: there is no pinned Node for plan9-mips: install Node 24 and run make again\n',
  })
  t.notOk(done())
})
