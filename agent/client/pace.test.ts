import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { CHUNK_DATA_BYTES_MAX } from '#protocol/frame/mod.ts'
import { CLOSED_WINDOW_MS, PIECE_BYTES_MIN } from './limits.ts'
import { Pace } from './pace.ts'

const seed = testSeed()
t.comment(`SEED=${seed}`)
const random = new Random(seed)

t.test('pace keeps to the rate over time, whatever it is asked', async (t) => {
  for (const rate of [1000, 50_000, 3_000_000, 500_000_000]) {
    let nowMs = 0
    let sent = 0
    const pace = new Pace(rate, nowMs)
    while (nowMs < 60_000) {
      const { bytes, waitMs, closed } = pace.ask(nowMs)
      if (closed || bytes > Math.max(PIECE_BYTES_MIN, Math.min(CHUNK_DATA_BYTES_MAX, rate / 8)))
        t.fail(`${bytes} bytes`)
      if (bytes > 0) {
        pace.spend(bytes)
        sent += bytes
      } else nowMs += Math.max(waitMs, random.below(20))
      nowMs += 0.001
    }
    const expected = (rate * nowMs) / 1000
    t.ok(sent <= expected + 2 * CHUNK_DATA_BYTES_MAX && sent >= expected * 0.95, `${sent} of ${expected}`)
  }
})

t.test('the rate may change with time', async (t) => {
  let rate = 0
  const pace = new Pace(() => rate, 0)
  for (let i = 0; i < 100; i++) {
    t.equal(pace.ask(0).bytes, Number.MAX_SAFE_INTEGER)
    pace.spend(CHUNK_DATA_BYTES_MAX)
  }
  rate = -1
  t.match(pace.ask(1), { bytes: 0, waitMs: CLOSED_WINDOW_MS, closed: true })
  rate = CHUNK_DATA_BYTES_MAX
  t.ok(pace.ask(2).waitMs <= 1000, 'what was sent without a limit is not held against it for longer than a piece takes')
})

t.test('time that was not used is lost, and what did not travel comes back', async (t) => {
  const pace = new Pace(1_000_000, 0)
  const allowed = (nowMs: number): number => {
    let sum = 0
    for (let { bytes } = pace.ask(nowMs); bytes > 0; { bytes } = pace.ask(nowMs)) {
      pace.spend(bytes)
      sum += bytes
    }
    return sum
  }
  allowed(0)
  t.ok(allowed(60_000) <= 250_000)
  t.equal(allowed(60_000), 0)
  pace.spend(-200_000)
  t.ok(allowed(60_000) >= 125_000)
})
