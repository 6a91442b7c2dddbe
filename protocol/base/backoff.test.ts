import t from 'tap'
import { jitteredBackoff } from './backoff.ts'

t.test('the ceiling doubles up to its maximum, and a success begins anew', async (t) => {
  const backoff = jitteredBackoff({ firstMs: 100, maxMs: 1_000, random: () => 0.999_999 })
  t.same(
    Array.from({ length: 6 }, () => backoff.next()),
    [100, 200, 400, 800, 1_000, 1_000],
  )
  t.equal(backoff.failures, 6)
  backoff.reset()
  t.equal(backoff.next(), 100)
})

t.test('full jitter: anything from 1 ms to the ceiling', async (t) => {
  const draws = [0, 0.5, 0.25]
  const backoff = jitteredBackoff({ firstMs: 100, maxMs: 1_000, random: () => draws.shift() ?? 0 })
  t.same([backoff.next(), backoff.next(), backoff.next()], [1, 100, 100])
  for (let i = 0; i < 2_000; i += 1) backoff.next()
  t.equal(backoff.next(), 1, 'never zero, and no overflow')
})
