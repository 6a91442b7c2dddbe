import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand, Supervised } from './supervise.ts'
import { Watch } from './watch.ts'

/** For what comes at once on a quiet machine. */
const WAIT_MS = 90_000

function fixture(t: Test, script: string) {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-supervise-'))
  const log = join(dir, 'p.log')
  const exits: string[] = []
  const subject = new Supervised({
    name: 'p',
    args: [process.execPath, '-e', script],
    cwd: dir,
    log,
    onUnexpectedExit: (_, how) => exits.push(how),
  })
  const watch = new Watch(() => {}, 10)
  t.teardown(async () => {
    await subject.kill()
    watch.stop()
    rmSync(dir, { recursive: true, force: true })
  })
  const said = (text: string) => watch.until(text, () => subject.tail().join('\n').includes(text), WAIT_MS)
  return { subject, exits, log, watch, said }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

t.test('SIGKILL takes the whole group, a restart is counted and goes on in the same log', async (t) => {
  const child = "require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e3)'])"
  const { subject, exits, log, said, watch } = fixture(t, `const c = ${child}; console.log('child', c.pid, '.')`)
  subject.start()
  await said(' .')
  const pid = subject.pid as number
  const childPid = Number(/child (\d+)/.exec(readFileSync(log, 'utf8'))?.[1])
  t.ok(isAlive(childPid))
  await subject.kill()
  t.equal(subject.pid, null)
  // The group's other members die with it; the system may take a moment to reap them.
  await watch.until('the child dies', () => !isAlive(childPid) || isZombie(childPid), WAIT_MS)
  t.same(exits, [], 'what was asked for is not unexpected')
  t.ok((subject.rssPeakBytes ?? 0) > 1_000_000, 'its peak is known after its death')
  subject.start()
  t.equal(subject.restarts, 1)
  t.not(subject.pid, pid)
  await watch.until('both lives in the log', () => readFileSync(log, 'utf8').split('child').length === 3, WAIT_MS)
})

function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    // Gone since it was looked at.
    return true
  }
}

t.test('an end nobody asked for is told, with the last lines at hand', async (t) => {
  const { subject, exits, watch } = fixture(t, "console.error('out of luck'); process.exitCode = 7")
  subject.start()
  await watch.until('exit', () => exits.length > 0, WAIT_MS)
  t.same(exits, ['exit code 7'])
  t.same(subject.tail(), ['out of luck'])
})

t.test('stop lets a process end by itself', async (t) => {
  const script =
    "process.on('SIGTERM', () => { console.log('bye'); process.exit(0) }); setInterval(() => {}, 1e3); console.log('up')"
  const { subject, exits, said } = fixture(t, script)
  subject.start()
  await said('up')
  t.equal(await subject.stop(), true)
  t.same(subject.tail(), ['up', 'bye'])
  t.same(exits, [])
  t.equal(await subject.stop(), true, 'a second time is nothing')
})

t.test('a command gives its output, or a fault with what it said', async (t) => {
  const { signal } = new AbortController()
  t.equal(await runCommand([process.execPath, '-e', "console.log('token')"], { cwd: '.', signal }), 'token\n')
  await t.rejects(
    runCommand([process.execPath, '-e', "console.error('no such agent'); process.exit(3)"], { cwd: '.', signal }),
    {
      code: 'DEMO_COMMAND_FAILED',
      message: /exit code 3/,
      details: { lines: ['no such agent'] },
    },
  )
  const secret = runCommand([process.execPath, '-e', 'process.exit(1)', '--', '--token', 'cwt1.secret'], {
    cwd: '.',
    signal,
  })
  await t.rejects(secret, { code: 'DEMO_COMMAND_FAILED', where: '-e process.exit(1) -- --token …' })
})

t.test('a watch resolves, misses its deadline, and fails as a whole', async (t) => {
  let looks = 0
  const watch = new Watch(() => {
    looks += 1
  }, 5)
  t.teardown(() => watch.stop())
  await watch.until('three looks', () => looks >= 3, WAIT_MS)
  await t.rejects(
    watch.until('never', () => false, 20),
    { code: 'DEMO_DEADLINE', where: 'never' },
  )
  const waiting = watch.until('also never', () => false, null)
  watch.fail(new Error('elsewhere'))
  await t.rejects(waiting, /elsewhere/)
  await t.rejects(
    watch.until('later', () => true, WAIT_MS),
    /elsewhere/,
  )
  t.match(watch.signal.reason, /elsewhere/)
})

t.test('what the look throws fails the watch', async (t) => {
  const watch = new Watch(() => {
    throw new Error('unreadable')
  }, 5)
  await t.rejects(
    watch.until('anything', () => true, WAIT_MS),
    /unreadable/,
  )
})
