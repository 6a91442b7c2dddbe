import t from 'tap'
import { Histogram, monotonicMs } from './histogram.ts'

t.test('percentiles are right to one per cent, from microseconds to minutes', async (t) => {
  const histogram = new Histogram()
  for (let i = 1; i <= 10_000; i++) histogram.add(i / 10)
  for (const share of [0.5, 0.99, 0.999, 1]) {
    const got = histogram.percentile(share)
    t.ok(got >= 1000 * share && got <= 1000 * share * 1.011, `${share}: ${got}`)
  }
  t.equal(histogram.total, 10_000)
})

t.test('what is too small or too large is counted at the end of the scale', async (t) => {
  const histogram = new Histogram()
  for (const ms of [-1, 0, 1e9]) histogram.add(ms)
  t.ok(histogram.percentile(0.5) <= 0.0011)
  t.ok(histogram.percentile(1) >= 600_000)
  t.equal(new Histogram().percentile(0.99), 0, 'nothing has no latency')
})

t.test('counts go to another process and come back the same', async (t) => {
  const histogram = new Histogram()
  for (let i = 0; i < 100; i++) histogram.add(i)
  const copy = new Histogram(JSON.parse(JSON.stringify([...histogram.counts])))
  t.equal(copy.total, 100)
  t.equal(copy.percentile(0.9), histogram.percentile(0.9))
})

t.test('the clock goes on', async (t) => {
  const before = monotonicMs()
  t.ok(monotonicMs() >= before)
})
