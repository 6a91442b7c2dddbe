// A benchmark that is interrupted leaves nothing behind, however it ends.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { release, startRole, stop, tellRole } from './children.ts'

t.setTimeout(600_000)

const GONE_MS_MAX = 90_000

/** Ended and not collected, as where the first process of a container collects nobody, is gone, too. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !existsSync(`/proc/${pid}/stat`) || !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

async function gone(isLeft: () => boolean): Promise<boolean> {
  for (const deadline = Date.now() + GONE_MS_MAX; isLeft(); ) {
    if (Date.now() > deadline) return false
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return true
}

for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} takes roles, programs and folders along`, async (t) => {
    const child = fork(join(import.meta.dirname, 'interrupt.testing.ts'), {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    const [{ pids, dir }] = (await once(child, 'message')) as [{ pids: number[]; dir: string }]
    t.ok(pids.every(isThere), 'both run')
    t.ok(existsSync(dir))
    const ended = once(child, 'exit')
    child.kill(signal)
    t.same(await ended, [null, signal])
    t.ok(await gone(() => pids.some(isThere)), `processes ${pids.join(' and ')} are gone`)
    t.ok(await gone(() => existsSync(dir)), 'and so is the folder')
  })
}

t.test('a role that has ended can be spoken to and stopped', async (t) => {
  const role = startRole('raw-relay', { path: join(t.testdir(), 'store.mdb') })
  await once(role, 'message')
  tellRole(role, { received: 1 })
  await stop(role, 'SIGKILL')
  tellRole(role, { received: 2 })
  await stop(role)
  await release(role)
  t.equal(role.signalCode, 'SIGKILL')
})
