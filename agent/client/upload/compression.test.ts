// What is decided on lines and machines that are only numbers: a thread that reads and encodes, a line behind it, and a clock.

import t from 'tap'
import { Compression, type CompressWish, type LineKnowledge } from './compression.ts'

const MIB = 2 ** 20
const MS_PER_S = 1000
/** Content that waits to be sent, or to be acknowledged, at most. */
const MEMORY_BYTES = 32 * MIB

/** Of a level: content bytes a second of the thread, and what is left of it. */
type Machine = Readonly<Record<number, readonly [bytesPerSecond: number, ratio: number]>>

/** As measured on JSON: reading and hashing, then the levels. */
const TEXT: Machine = { 0: [1200e6, 1], 1: [300e6, 0.15], 6: [95e6, 0.145], 12: [33e6, 0.13], 19: [2.2e6, 0.115] }

type Outcome = {
  readonly seconds: number
  readonly wireBytes: number
  /** Content by level. */
  readonly bytesAt: Readonly<Record<number, number>>
  readonly last: number
}

/** Sends content over a line of which the rate may change with time. The acknowledgement comes when a chunk is through, and a bit. */
function send(
  machine: Machine,
  rateAt: (second: number) => number,
  {
    bytes,
    wish = 'auto',
    processors = 2,
    length = MIB / 2,
    line = { bytesPerSecond: 0 },
  }: { bytes: number; wish?: CompressWish; processors?: number; length?: number; line?: LineKnowledge },
): Outcome {
  const compression = new Compression(wish, processors, line)
  const [readRate] = machine[0] as readonly [number, number]
  let threadMs = 0
  let lineMs = 0
  let wireBytes = 0
  const bytesAt: Record<number, number> = {}
  const underWay: { readonly sentMs: number; readonly ackMs: number; readonly wire: number }[] = []
  let heldBytes = 0
  const acknowledge = (untilMs: number) => {
    while (underWay.length > 0 && (underWay[0] as { ackMs: number }).ackMs <= untilMs) {
      const { sentMs, ackMs, wire } = underWay.shift() as (typeof underWay)[number]
      compression.acknowledged(wire, ackMs - sentMs, ackMs)
      heldBytes -= length
    }
  }
  for (let sent = 0; sent < bytes; sent += length) {
    // Memory is full: the thread waits for the oldest.
    while (heldBytes + length > MEMORY_BYTES || heldBytes > Math.max(compression.aheadBytesMax, 4 * length)) {
      const [oldest] = underWay
      if (oldest === undefined) break
      threadMs = Math.max(threadMs, oldest.ackMs)
      acknowledge(oldest.ackMs)
    }
    const level = compression.choose(length)
    bytesAt[level] = (bytesAt[level] ?? 0) + length
    const [rate, ratio] = machine[level] as readonly [number, number]
    const readMs = (MS_PER_S * length) / readRate
    const encodeMs = level === 0 ? 0 : (MS_PER_S * length) / rate
    const readyMs = threadMs + readMs + encodeMs
    // The line has nothing to do until then.
    if (lineMs < readyMs) {
      acknowledge(lineMs)
      compression.dry(lineMs)
    }
    acknowledge(readyMs)
    threadMs = readyMs
    const encodedBytes = level === 0 || ratio >= 1 ? 0 : Math.floor(ratio * length)
    compression.read(length, readMs)
    compression.worked({ level, length, encodedBytes, encodeMs })
    const wire = encodedBytes === 0 ? length : encodedBytes
    const startMs = Math.max(lineMs, readyMs)
    compression.sending(startMs)
    lineMs = startMs + (MS_PER_S * wire) / rateAt(startMs / MS_PER_S)
    wireBytes += wire
    heldBytes += length
    // Buffers of the system take what is ready; the line takes its time.
    underWay.push({ sentMs: readyMs, ackMs: lineMs + 2, wire })
  }
  acknowledge(Number.MAX_VALUE)
  return { seconds: lineMs / MS_PER_S, wireBytes, bytesAt, last: compression.level }
}

/** The best there is at one level, all of it. */
const bestOf = (machine: Machine, rate: number, bytes: number): number =>
  Math.min(
    ...Object.keys(machine).map((level) => {
      const wish = Number(level) === 0 ? 'off' : Number(level)
      return send(machine, () => rate, { bytes, wish: wish as CompressWish }).seconds
    }),
  )

t.test('on no line it takes much longer than the best that could be done', async (t) => {
  for (const rate of [30e3, 300e3, 1e6, 3e6, 10e6, 30e6, 100e6, 200e6, 300e6, 500e6, 1000e6]) {
    const bytes = Math.min(1000 * MIB, Math.max(64 * MIB, 60 * rate))
    const { seconds, bytesAt } = send(TEXT, () => rate, { bytes })
    const best = bestOf(TEXT, rate, bytes)
    t.ok(
      seconds <= 1.2 * best,
      `${rate / 1e6} MB/s: ${seconds.toFixed(2)} s, ${best.toFixed(2)} s at best, ${JSON.stringify(bytesAt)}`,
    )
  }
})

t.test('on a fast line with few processors content goes as it is', async (t) => {
  for (const processors of [1, 2]) {
    const { last, seconds, bytesAt } = send(TEXT, () => 400e6, { bytes: 1000 * MIB, processors })
    const off = send(TEXT, () => 400e6, { bytes: 1000 * MIB, wish: 'off' }).seconds
    t.equal(last, 0)
    t.ok((bytesAt[0] ?? 0) > 900 * MIB, JSON.stringify(bytesAt))
    t.ok(seconds <= 1.1 * off, `${seconds} s, ${off} s without`)
  }
})

t.test('on a slow line it is compressed as far as it pays', async (t) => {
  const slow = send(TEXT, () => 1e6, { bytes: 256 * MIB })
  t.ok(slow.wireBytes < 0.145 * 256 * MIB, `${slow.wireBytes / MIB} MiB`)
  t.ok(slow.last >= 12, `level ${slow.last}`)
  const hex: Machine = { 0: [1200e6, 1], 1: [480e6, 0.5], 6: [38e6, 0.52], 12: [32e6, 0.52], 19: [2e6, 0.501] }
  const noGain = send(hex, () => 1e6, { bytes: 256 * MIB })
  t.equal(noGain.last, 1, 'not where a level gains nothing')
  t.ok(noGain.wireBytes <= 0.502 * 256 * MIB, `${noGain.wireBytes / MIB} MiB`)
})

t.test('it follows a line that changes, and does not change for a moment', async (t) => {
  const rateAt = (second: number) => (second < 3 ? 400e6 : second < 20 ? 2e6 : 400e6)
  const { bytesAt, seconds } = send(TEXT, rateAt, { bytes: 2500 * MIB })
  // 1.2 GB in the first three seconds, 13 MB/s for 17, the rest in four.
  t.ok(seconds < 30, `${seconds} s`)
  t.ok((bytesAt[0] ?? 0) > 2000 * MIB && Object.keys(bytesAt).length > 1, JSON.stringify(bytesAt))
  const hiccup = (second: number) => (second > 1 && second < 1.2 ? 1e6 : 400e6)
  const steady = send(TEXT, hiccup, { bytes: 1000 * MIB })
  t.ok((steady.bytesAt[0] ?? 0) > 900 * MIB, JSON.stringify(steady.bytesAt))
})

t.test('what was learnt of a line holds for the next content on it', async (t) => {
  const line = { bytesPerSecond: 0 }
  const bytes = 200 * MIB
  const encodedOf = ({ bytesAt }: Outcome) => bytes - (bytesAt[0] ?? 0)
  const first = encodedOf(send(TEXT, () => 400e6, { bytes, line }))
  t.ok(line.bytesPerSecond > 300e6, `${line.bytesPerSecond} bytes a second`)
  const next = encodedOf(send(TEXT, () => 400e6, { bytes, line }))
  t.equal(next, MIB / 2, `one chunk shows how it compresses; of the first ${first} bytes`)
  t.ok(first > next)
  // It has become slow: that is found out as ever.
  const slow = send(TEXT, () => 1e6, { bytes: 64 * MIB, line })
  t.ok(slow.wireBytes < 0.5 * 64 * MIB, `${slow.wireBytes} bytes`)
  t.ok(line.bytesPerSecond < 2e6, `${line.bytesPerSecond} bytes a second`)
})

t.test('what is said holds, whatever the line', async (t) => {
  for (const rate of [1e5, 1e9]) {
    for (const [wish, level] of [
      ['on', 1],
      ['off', 0],
      [19, 19],
    ] as const) {
      const { bytesAt } = send(TEXT, () => rate, { bytes: 64 * MIB, wish })
      t.strictSame(bytesAt, { [level]: 64 * MIB })
    }
  }
})

t.test('no chunk keeps the thread for long', async (t) => {
  const { bytesAt } = send(TEXT, () => 1e5, { bytes: 64 * MIB, length: 8 * MIB })
  t.equal(bytesAt[19], undefined, 'four seconds')
})

t.test('the same happens each time', async (t) => {
  const once = () => send(TEXT, (second) => 50e6 * (1 + Math.sin(second)) + 1e6, { bytes: 500 * MIB })
  t.strictSame(once(), once())
})
