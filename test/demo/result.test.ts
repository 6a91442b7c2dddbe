import t from 'tap'
import { judge, type Measured, renderResult } from './result.ts'
import type { Comparison } from './verify.ts'

const MB = 1024 * 1024
const measured: Measured = { rawBytes: 50 * MB, wireBytes: 10 * MB, busyMs: 10_000, restarts: 0, rssBytes: 100 * MB }
const good: Comparison = {
  expected: 665_276,
  landed: 665_276,
  matched: 665_276,
  lost: 0,
  altered: 0,
  foreign: 0,
  duplicated: 0,
  matchedFrom: { civil: 3_351, streets: 41_352, villages: 620_573 },
  samples: [],
}
const subset: Comparison = { ...good, expected: 1_765, landed: 1_765, matched: 1_765 }
const input = {
  verdict: { centre: good, jieyang: subset },
  hub: { ...measured, rssBytes: 280 * MB, restarts: 1 },
  agents: { civil: measured, streets: measured, villages: measured, centre: measured, jieyang: measured },
  transferMs: 20_000,
  totalMs: 30_040,
  complaints: [],
}
const lastLine = (result: ReturnType<typeof judge>) => renderResult(result).split('\n').at(-1)

t.test('a faultless run', async (t) => {
  const result = judge(input)
  t.equal(result.ok, true)
  t.equal(lastLine(result), 'demo: sent=665276 landed=665276 lost=0 duplicated=0 altered=0 seconds=30.0')
  for (const line of renderResult(result).split('\n').slice(0, 9)) t.ok(line.length <= 80, line)
  t.equal(result.table.at(-1)?.rowsPerSecond, 667_041 / 20)
})

t.test('every kind of difference, at either place, is not ok and counted in the last line', async (t) => {
  for (const place of ['centre', 'jieyang'] as const) {
    for (const [field, counted] of [
      ['lost', 'lost'],
      ['duplicated', 'duplicated'],
      ['altered', 'altered'],
      ['foreign', 'altered'],
    ] as const) {
      const result = judge({
        ...input,
        verdict: { ...input.verdict, [place]: { ...input.verdict[place], [field]: 3 } },
      })
      t.equal(result.ok, false, `${place} ${field}`)
      t.match(lastLine(result), new RegExp(` ${counted}=3 `))
      t.match(renderResult(result), new RegExp(`NOT OK: ${place}`))
    }
  }
})

t.test('memory over the limit, or not measured, is said clearly', async (t) => {
  const fat = judge({ ...input, hub: { ...input.hub, rssBytes: 301 * MB } })
  t.equal(fat.ok, false)
  t.match(renderResult(fat), /NOT OK: hub: peak memory 301 MB is over the limit of 300 MB/)
  const agents = { ...input.agents, streets: { ...measured, rssBytes: null } }
  const unknown = judge({ ...input, agents })
  t.equal(unknown.ok, false)
  t.match(renderResult(unknown), /streets \(CSV\): its peak memory could not be measured \(limit 150 MB\)/)
})

t.test('a complaint from the way makes it not ok', async (t) => {
  const result = judge({ ...input, complaints: ['DEMO_STALLED: nothing moved'] })
  t.equal(result.ok, false)
  t.match(renderResult(result), /NOT OK: DEMO_STALLED/)
})
