import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { itemsOf, randomFrom, settingsOf, testContext } from '../../support/testing.ts'
import { MergeChannel, mergeSettings } from './mod.ts'
import { KILLED_SETTINGS, positionOf, rowsFrom } from './portions.testing.ts'

t.setTimeout(600_000)

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

t.test('killed at any point, every item comes out once, in whole groups', async (t) => {
  t.comment(`SEED=${SEED}`)
  const random = randomFrom(SEED)
  const root = t.testdir({})
  const program = join(import.meta.dirname, 'until-killed.testing.ts')
  const kill = async (steps: number): Promise<void> => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, root, String(SEED)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let left = steps
    // The child goes on while we read: the kill comes at any point after so many steps.
    child.stdout.on('data', (written: Buffer) => {
      left -= written.length
      if (left <= 0) child.kill('SIGKILL')
    })
    await once(child, 'exit')
    t.equal(child.signalCode, 'SIGKILL')
  }
  for (let round = 0; round < 5; round += 1) await kill(1 + Math.floor(random() * 60))
  const database = new DatabaseSync(join(root, 'out.db'))
  const { next, state } = positionOf(database)
  const channel = new MergeChannel(settingsOf(mergeSettings, KILLED_SETTINGS), testContext(root))
  await channel.open(state)
  const last = await channel.process(itemsOf(rowsFrom(next, 60 - (next % 60))), () => t.fail())
  await channel.close()
  const out = database.prepare('SELECT n, complete FROM out').all()
  database.close()
  t.ok(out.every(({ complete }) => complete === 1) && last.every(({ row }) => row.complete === true))
  const seen = [
    ...out.map(({ n }) => Number(n)),
    ...last.flatMap(({ row }) => (row.items as { n: number }[]).map(({ n }) => n)),
  ]
  const total = next + 60 - (next % 60)
  t.ok(total > 30, `${total} items`)
  t.same(
    seen.sort((a, b) => a - b),
    Array.from({ length: total }, (_, n) => n),
  )
})
