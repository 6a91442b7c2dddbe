import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execPath } from 'node:process'
import t from 'tap'
import { keep, stopKept } from './keep.ts'
import { layoutIn } from './layout.ts'
import { emptyFolder } from './stage.ts'
import { commandOf, Supervised } from './supervise.ts'
import { Watch } from './watch.ts'

/** For what comes at once on a quiet machine. */
const WAIT_MS = 90_000

const dir = mkdtempSync(join(tmpdir(), 'causeway-stage-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))

t.test('only a folder the demo made is emptied', async (t) => {
  const layout = layoutIn(join(dir, 'mine'))
  emptyFolder(layout)
  writeFileSync(join(layout.root, 'old'), '')
  emptyFolder(layout)
  t.notOk(existsSync(join(layout.root, 'old')))

  const foreign = layoutIn(join(dir, 'foreign'))
  mkdirSync(foreign.root)
  writeFileSync(join(foreign.root, 'thesis.txt'), 'years of work')
  t.throws(() => emptyFolder(foreign), { code: 'DEMO_FOLDER_FOREIGN' })
  t.equal(readFileSync(join(foreign.root, 'thesis.txt'), 'utf8'), 'years of work')
})

t.test('kept processes are stopped by id, and only when they still are what was kept', async (t) => {
  const layout = layoutIn(join(dir, 'kept'))
  emptyFolder(layout)
  const start = (name: string, ...more: string[]) => {
    const process = new Supervised({
      name,
      args: [execPath, '-e', 'setInterval(() => {}, 1e3)', ...more],
      cwd: dir,
      log: join(dir, `${name}.log`),
      onUnexpectedExit: () => {},
    })
    process.start()
    return process
  }
  const ours = start('ours', '--', layout.root)
  const other = start('other')
  const watch = new Watch(() => {}, 10)
  t.teardown(async () => {
    watch.stop()
    await Promise.all([ours.kill(), other.kill()])
  })
  await watch.until('both run', () => commandOf(ours.pid ?? 0) !== '' && commandOf(other.pid ?? 0) !== '', WAIT_MS)
  keep(layout, [ours, other])
  t.same(stopKept(layout), ['ours'])
  await watch.until('ours ends', () => ours.pid === null, WAIT_MS)
  t.not(other.pid, null, 'a stranger with a remembered id is left alone')
  t.same(stopKept(layout), [], 'a second time there is nothing')
})
