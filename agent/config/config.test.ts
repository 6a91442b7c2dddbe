import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadAgentConfig, lowerRate, rateOf, transferLimitsOf, windowProblem } from './mod.ts'

const MIB = 2 ** 20
const at = (text: string) => () => new Date(`2026-03-04T${text}:00`)
const now = (rate: number | (() => number)) => (typeof rate === 'function' ? rate() : rate)

t.test('windows of the day, also over midnight', async (t) => {
  const times = ['21:59', '22:00', '23:30', '00:00', '05:59', '06:00', '12:00', '12:29', '12:30']
  const rates = (schedule: Parameters<typeof rateOf>[0]) => times.map((time) => now(rateOf(schedule, at(time))))
  t.strictSame(rates({ rate: 5, windows: ['22:00-06:00'] }), [-1, 5, 5, 5, 5, -1, -1, -1, -1])
  t.strictSame(rates({ rate: 0, windows: ['22:00-06:00', '12:00-12:30'], rateOutside: 3 }), [3, 0, 0, 0, 0, 3, 0, 0, 3])
  t.equal(rateOf({ rate: 7 }), 7)
  t.equal(rateOf({ rate: 7, windows: [] }), 7)
  for (const good of ['00:00-23:59', '8:30-17:00']) t.equal(windowProblem(good), null)
  for (const bad of ['22-06', '24:00-06:00', '22:00', '22:60-06:00', '06:00-06:00']) t.ok(windowProblem(bad), bad)
})

t.test('of two limits the lower holds', async (t) => {
  const closed = () => -1
  const lower = (one: number | (() => number), other: number | (() => number)) => now(lowerRate(one, other))
  t.strictSame([lower(0, 0), lower(0, 5), lower(5, 0), lower(5, 3), lower(() => 3, 5)], [0, 5, 5, 3, 3])
  t.strictSame([lower(closed, 0), lower(5, closed)], [-1, -1])
  t.equal(lowerRate(5, 3), 3, 'what does not change is not asked for again and again')
})

t.test('agent.yaml says what transfers keep to; without it there is no limit', async (t) => {
  const folder = t.testdir()
  const path = join(folder, 'agent.yaml')
  const limits = (text: string | null, time = '12:00') => {
    if (text !== null) writeFileSync(path, text)
    const { uploadBytesPerSecondMax, downloadBytesPerSecondMax } = transferLimitsOf(loadAgentConfig(folder), at(time))
    return [now(uploadBytesPerSecondMax), now(downloadBytesPerSecondMax)]
  }
  t.strictSame(limits(null), [0, 0])
  t.strictSame(limits(''), [0, 0])
  t.strictSame(limits('transfers: { rate: 10MiB }'), [10 * MIB, 10 * MIB])
  t.strictSame(limits('transfers:\n  rate: 10MiB\n  uploadRate: 1MiB\n  downloadRate: 0'), [MIB, 0])
  const night = 'transfers: { uploadRate: 4MiB, windows: ["22:00-06:00"] }'
  t.strictSame(
    [limits(night), limits(night, '23:00')],
    [
      [-1, -1],
      [4 * MIB, 0],
    ],
  )
  const day = 'transfers: { windows: ["22:00-06:00"], rateOutside: 1MiB }'
  t.strictSame(
    [limits(day), limits(day, '23:00')],
    [
      [MIB, MIB],
      [0, 0],
    ],
  )

  const wrong = (text: string, fault: object) => {
    try {
      t.fail(`${limits(text)}`)
    } catch (error) {
      t.match(error, fault)
    }
  }
  wrong('transfer: {}', { code: 'FIELD_UNKNOWN', remedy: /transfers/ })
  wrong('transfers:\n  rate: fast', { where: /agent\.yaml:2:9 transfers\.rate/ })
  wrong('transfers: { windows: ["22-06"] }', { code: 'FIELD_CHECK', message: /no window of the day/ })
  wrong('transfers: { rateOutside: 1MiB }', { code: 'FIELD_CHECK', message: /without windows/ })
  wrong('\0', { where: /agent\.yaml/ })
  rmSync(path)
  mkdirSync(path)
  t.throws(() => loadAgentConfig(folder), { code: 'AGENT_CONFIG_UNREADABLE', where: path })
  t.strictSame(loadAgentConfig(join(folder, 'nowhere')), loadAgentConfig(join(folder, 'elsewhere')))
})
