import t from 'tap'
import { millis } from '#protocol/base/mod.ts'
import type { Item } from '../../contract.ts'
import { itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { ThrottleChannel, throttleSettings } from './mod.ts'

const items = (count: number): Item[] => itemsOf(Array.from({ length: count }, (_, n) => ({ n })))

t.test('what is saved up passes at once, the rest at the rate', async (t) => {
  const context = testContext(t.testdir({}))
  const channel = new ThrottleChannel(settingsOf(throttleSettings, { items: 100, perMs: 50 }), context)
  const portion = items(100)
  const start = performance.now()
  t.equal(await channel.process(portion, () => t.fail()), portion, 'the items as they came')
  for (let i = 0; i < 4; i += 1) await channel.process(items(20), () => t.fail())
  t.ok(performance.now() - start >= 39, '180 items: 100 at once, 80 in 40 ms')
  const large = performance.now()
  await channel.process(items(200), () => t.fail())
  t.ok(performance.now() - large >= 49, 'a portion larger than that waits for all of it')
  await channel.close()
})

t.test('by bytes: of rows and contents', async (t) => {
  let nowMs = 0
  const clock = { nowMs: () => millis(nowMs), wallMs: () => millis(0) }
  const settings = settingsOf(throttleSettings, { bytes: 30, items: 1_000, perMs: '1h' })
  const channel = new ThrottleChannel(settings, { ...testContext(t.testdir({})), clock })
  const content = { kind: 'bytes', bytes: Buffer.alloc(12) } as const
  await channel.process([{ row: { a: 'five!', n: 1, b: null }, ref: 1 }], () => t.fail())
  const stop = new AbortController()
  const waiting = channel.process([{ row: {}, ref: 2, content }], () => t.fail(), stop.signal)
  stop.abort(new Error('stopped'))
  await t.rejects(waiting, /stopped/, '21 and 12 are more than 30')
  nowMs = 3_600_000
  t.equal((await channel.process([{ row: {}, ref: 2, content }], () => t.fail())).length, 1)
  await channel.close()
})

t.test('waiting ends when the flow is stopped, and when the channel is closed', async (t) => {
  const make = () =>
    new ThrottleChannel(settingsOf(throttleSettings, { items: 1, perMs: '1d' }), testContext(t.testdir({})))
  const channel = make()
  const stop = new AbortController()
  const waiting = channel.process(items(3), () => t.fail(), stop.signal)
  stop.abort(new Error('the flow stops'))
  await t.rejects(waiting, /the flow stops/)
  await t.rejects(
    channel.process(items(3), () => t.fail(), AbortSignal.abort(new Error('before'))),
    /before/,
  )
  const other = make()
  const closed = other.process(items(3), () => t.fail())
  await other.close()
  await t.rejects(closed, { name: 'AbortError' })
})

t.test('settings', (t) => {
  t.throws(() => settingsOf(throttleSettings, {}), /`items` or `bytes`/)
  t.end()
})
