// Takes what the paced producer sends, settles it, and counts how long each message took since its intended time. Started
// by bench/paced.ts with settings as JSON; `report` makes it send its histogram and, with `keep`, each latency.

import { Histogram, monotonicMs } from '../histogram.ts'
import { openConsuming, type Side } from '../sides.ts'

const { side, keep } = JSON.parse(process.argv[2] ?? '{}') as { side: Side; keep: boolean }
const latencies = new Histogram()
const kept: { intendedMs: number; latencyMs: number }[] = []
const double = new Float64Array(1)
const doubleBytes = new Uint8Array(double.buffer)
let received = 0
let outOfOrder = 0
let expected = 0

await openConsuming(side, (bodies) => {
  const nowMs = monotonicMs()
  for (const body of bodies) {
    const counter = ((body[0] ?? 0) | ((body[1] ?? 0) << 8) | ((body[2] ?? 0) << 16) | ((body[3] ?? 0) << 24)) >>> 0
    if (counter !== expected) outOfOrder++
    expected = (counter + 1) % 2 ** 32
    if (body[4] !== 1) continue
    for (let i = 0; i < 8; i++) doubleBytes[i] = body[8 + i] as number
    const intendedMs = double[0] as number
    latencies.add(nowMs - intendedMs)
    if (keep) kept.push({ intendedMs, latencyMs: nowMs - intendedMs })
  }
  received += bodies.length
})
process.on('message', (message) => {
  if (message === 'report') process.send?.({ counts: [...latencies.counts], kept })
})
const report = () => process.send?.({ received, outOfOrder, atMs: performance.now() })
setInterval(report, 20)
report()
