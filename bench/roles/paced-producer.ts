// Publishes at a fixed rate, product or peer. Every message has a time at which it should be sent, and its latency counts
// from then, whether it could be sent then or not: a server that stalls is charged for everything that waits behind
// the stall. Started by bench/paced.ts with settings as JSON.
//
// Body: u32 counter, u8 whether it counts, 3 bytes unused, f64 intended time in ms of the clock all processes share.

import { monotonicMs } from '../histogram.ts'
import { openProducing, type Side } from '../sides.ts'

type Settings = { side: Side; bodyBytes: number; perSecond: number; warmUpMs: number; measuredMs: number }

const { side, bodyBytes, perSecond, warmUpMs, measuredMs } = JSON.parse(process.argv[2] ?? '{}') as Settings
const { send, tuning } = await openProducing(side, bodyBytes)
const { batch, window, lag } = tuning
const total = Math.floor((perSecond * (warmUpMs + measuredMs)) / 1000)
/** Used again when it was acknowledged: twice what can be under way. */
const bodies = Array.from({ length: 2 * (window + batch) }, () => Buffer.alloc(bodyBytes, 'x'))
let sent = 0
let acknowledged = 0
let settled = 0
process.on('message', (message: { received: number }) => {
  settled = message.received
})

const startMs = monotonicMs() + 10
const endMs = startMs + warmUpMs + measuredMs

function sendSome(count: number): void {
  const part: Buffer[] = []
  for (let i = 0; i < count; i++) {
    const body = bodies[sent % bodies.length] as Buffer
    const intendedMs = startMs + (sent * 1000) / perSecond
    body.writeUInt32LE(sent % 2 ** 32, 0)
    body[4] = intendedMs >= startMs + warmUpMs ? 1 : 0
    body.writeDoubleLE(intendedMs, 8)
    part.push(body)
    sent++
  }
  send(part, (stored) => {
    acknowledged += stored
  })
}

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1))
for (let nowMs = monotonicMs(); sent < total && nowMs < endMs + 50; nowMs = monotonicMs()) {
  const due = Math.min(total, Math.floor(((nowMs - startMs) * perSecond) / 1000) + 1)
  while (sent < due && sent - acknowledged + batch <= window && sent - settled < lag)
    sendSome(Math.min(batch, due - sent))
  await tick()
}
process.send?.({ sent, total, startMs, endMs })
// Until it is ended: what is on its way has to arrive.
setInterval(tick, 1000)
