import t from 'tap'
import { systemClock } from '#protocol/base/mod.ts'
import { Supervisor } from './supervisor.ts'
import { Process, World } from './testing.ts'

const supervisor = () => new Supervisor({ clock: systemClock, random: Math.random, log: () => undefined })
const flow = (name: string) => ({ name, retry: { firstMs: 1, maxMs: 2 } })

t.test('one flow fails, the others go on; it can be started again', async (t) => {
  const all = supervisor()
  const worlds = { good: new World({ rows: 40, portionRows: 10 }), bad: new World({ rows: 40, portionRows: 10 }) }
  const good = new Process(worlds.good)
  let broken = true
  worlds.bad.decide = ({ name }) => (broken && name === 'write before commit' ? 'broken' : 'ok')
  const start = (name: 'good' | 'bad', process: Process) =>
    all.startFlow({ flow: flow(name), components: () => process.components() })
  start('bad', new Process(worlds.bad))
  t.match(await all.ended('bad'), { state: 'failed', lastFault: { code: 'TEST_BROKEN' } })
  start('good', good)
  t.throws(() => start('good', good), { code: 'FLOW_ALREADY_RUNNING' })
  await good.exhausted.promise
  t.match(
    all.status().map(({ name, state }) => [name, state]),
    [
      ['bad', 'failed'],
      ['good', 'idle'],
    ],
  )
  broken = false
  const again = new Process(worlds.bad)
  start('bad', again)
  await again.exhausted.promise
  t.same(worlds.bad.landed, worlds.good.landed)
  t.match(await all.stopFlow('bad'), { state: 'stopped', lastFault: null })
  t.match(await all.stopFlow('bad'), { state: 'stopped' }, 'stopping twice is harmless')
  await all.close()
  t.ok(all.status().every(({ state }) => state === 'stopped'))
  await t.rejects(all.stopFlow('unknown'), { code: 'FLOW_UNKNOWN' })
})

t.test('components that cannot even be made fail their flow', async (t) => {
  const all = supervisor()
  const components = () => {
    throw new TypeError('no such component')
  }
  all.startFlow({ flow: flow('f'), components })
  t.match(await all.ended('f'), { state: 'failed', lastFault: { code: 'INTERNAL' } })
  await all.close()
})
