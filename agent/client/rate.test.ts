import t from 'tap'
import { RateMeter, secondsLeft } from './rate.ts'

t.test('the rate is that of the last five seconds', async (t) => {
  const meter = new RateMeter(1000)
  t.equal(meter.rate(1000), 0)
  for (let ms = 10; ms <= 10_000; ms += 10) meter.note(100 * ms, 1000 + ms)
  t.ok(Math.abs(meter.rate(11_000) - 100_000) < 1000, `${meter.rate(11_000)}`)
  // Half as fast.
  for (let ms = 10; ms <= 6000; ms += 10) meter.note(1_000_000 + 50 * ms, 11_000 + ms)
  t.ok(Math.abs(meter.rate(17_000) - 50_000) < 1000, `${meter.rate(17_000)}`)
  const soon = meter.rate(19_000)
  t.ok(soon < 40_000 && soon > 0, 'it stands still')
  t.equal(meter.rate(30_000), 0)
  meter.note(1_400_000, 30_000)
  t.equal(meter.rate(31_000), 100_000, 'after a pause it is not spread over the pause')
})

t.test('what is left takes its time, as far as that is known', async (t) => {
  t.strictSame([secondsLeft(100, 50), secondsLeft(0, 0), secondsLeft(100, 0)], [2, 0, null])
})
