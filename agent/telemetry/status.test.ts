import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { type AgentStatus, StatusFile } from './status.ts'

const status = (pid: number) => ({ pid }) as AgentStatus

t.test('the file is whole at every moment, and gone when the agent has ended', async (t) => {
  const path = join(t.testdir(), 'status.json')
  const file = new StatusFile(
    path,
    () => status(7),
    () => t.fail('it was written'),
  )
  t.same(JSON.parse(readFileSync(path, 'utf8')), { pid: 7 })
  file.stop()
  t.throws(() => readFileSync(path), { code: 'ENOENT' })
})

t.test('an agent that cannot write its status says so once and goes on; and says when it can again', async (t) => {
  const path = join(t.testdir(), 'status.json')
  // A folder in its place: the rename fails, as writing does on a full disk.
  mkdirSync(path)
  const told: (Fault | null)[] = []
  const writable = Promise.withResolvers<void>()
  let reads = 0
  const file = new StatusFile(
    path,
    () => {
      if (++reads === 3) rmSync(path, { recursive: true })
      return status(8)
    },
    (fault) => {
      told.push(fault)
      if (fault === null) writable.resolve()
    },
  )
  t.teardown(() => file.stop())
  await writable.promise
  t.match(told, [{ code: 'STATUS_UNWRITABLE', where: path }, null])
  t.same(JSON.parse(readFileSync(path, 'utf8')), { pid: 8 })
})
