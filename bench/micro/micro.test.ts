// The micro-benchmarks still fit what they measure: every case runs once.

import t from 'tap'
import { suites } from './mod.ts'
import { timed } from './suite.ts'

for (const [name, make] of Object.entries(suites)) {
  t.test(name, async (t) => {
    const { cases, end } = await make()
    t.ok(cases.length > 0)
    for (const one of cases) await t.resolves(Promise.resolve(one.run()), one.name)
    await end?.()
  })
}

t.test('a case is timed, whether it waits or not; one that throws says so', async (t) => {
  const one = { name: 'sum', unit: 'numbers', perRun: 100 }
  const sum = () => Array.from({ length: 100 }, (_, i) => i).reduce((a, b) => a + b, 0)
  const direct = await timed({ ...one, run: sum }, 0.05)
  t.ok(direct.perSecond > 100_000, `${direct.perSecond}`)
  let perSecond = 0
  // On a busy machine a timer may come late, and each a little early.
  for (let tries = 0; perSecond < 1000 && tries < 10; tries++) {
    const waiting = await timed({ ...one, run: () => new Promise((resolve) => setTimeout(resolve, 5)) }, 0.05)
    perSecond = waiting.perSecond
  }
  t.ok(perSecond > 1000 && perSecond <= 25_000, `${perSecond}`)
  const run = () => {
    throw new Error('broken')
  }
  await t.rejects(timed({ ...one, run }, 0.05), { message: 'broken' })
})
