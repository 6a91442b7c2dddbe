// What all transfers of a client share of the line, with movers that are no transfers.

import { EventEmitter, once } from 'node:events'
import t from 'tap'
import { PRIORITY_BULK, PRIORITY_NORMAL, PRIORITY_URGENT, type Priority } from '#protocol/codec/mod.ts'
import { CHUNK_DATA_BYTES_MAX } from '#protocol/frame/mod.ts'
import { Line, type Mover } from './line.ts'

class TestMover extends EventEmitter implements Mover {
  priority: Priority
  movedBytes = 0
  leftBytes: number
  windowChanges = 0

  constructor(priority: Priority, leftBytes = Number.MAX_SAFE_INTEGER) {
    super()
    this.priority = priority
    this.leftBytes = leftBytes
  }

  step(bytesMax: number): number {
    const bytes = Math.min(bytesMax, CHUNK_DATA_BYTES_MAX, this.leftBytes)
    this.leftBytes -= bytes
    this.movedBytes += bytes
    if (this.leftBytes === 0) this.emit('done')
    return bytes
  }

  windowChanged(): void {
    this.windowChanges++
    this.emit('window')
  }
}

t.test('a line that is full stops, and an urgent one has nearly all of what it takes', async (t) => {
  let roomBytes = 0
  const movers = ([PRIORITY_BULK, PRIORITY_NORMAL, PRIORITY_URGENT] as const).map((priority) => new TestMover(priority))
  const sum = () => movers.reduce((bytes, { movedBytes }) => bytes + movedBytes, 0)
  const line = new Line(0, () => sum() < roomBytes)
  for (const mover of movers) line.add(mover)
  for (; roomBytes < 500 * CHUNK_DATA_BYTES_MAX; roomBytes += 2 * CHUNK_DATA_BYTES_MAX) line.pump()
  const [bulk, normal, urgent] = movers.map(({ movedBytes }) => movedBytes / sum()) as [number, number, number]
  t.ok(urgent > 0.92, `urgent ${urgent}`)
  for (const share of [normal, bulk]) t.ok(share > 0.02 && share < 0.04, `${share}`)
  t.equal(line.rate, 0)
})

t.test('one that has become urgent has nearly all of the line from the next turn on', async (t) => {
  let roomBytes = 0
  const movers = ([PRIORITY_URGENT, PRIORITY_BULK] as const).map((priority) => new TestMover(priority))
  const [first, second] = movers as [TestMover, TestMover]
  const line = new Line(0, () => first.movedBytes + second.movedBytes < roomBytes)
  for (const mover of movers) line.add(mover)
  const shareOfSecond = (pieces: number) => {
    const [before, beforeBoth] = [second.movedBytes, first.movedBytes + second.movedBytes]
    for (const end = roomBytes + pieces * CHUNK_DATA_BYTES_MAX; roomBytes < end; roomBytes += CHUNK_DATA_BYTES_MAX)
      line.pump()
    return (second.movedBytes - before) / (first.movedBytes + second.movedBytes - beforeBoth)
  }
  t.ok(shareOfSecond(200) < 0.05)
  first.priority = PRIORITY_NORMAL
  line.reorder(first)
  second.priority = PRIORITY_URGENT
  line.reorder(second)
  t.ok(shareOfSecond(200) > 0.95)
  line.delete(second)
  second.priority = PRIORITY_BULK
  line.reorder(second)
  t.equal(shareOfSecond(10), 0, 'one that is over is not brought back')
})

t.test('all together keep to one rate', async (t) => {
  const rate = 8 * 2 ** 20
  const line = new Line(rate, () => true)
  // One second's worth, whoever has it.
  const movers = Array.from({ length: 4 }, () => new TestMover(PRIORITY_NORMAL, rate / 4))
  const startMs = performance.now()
  for (const mover of movers) line.add(mover)
  const done = movers.map((mover) => once(mover, 'done'))
  line.pump()
  await Promise.all(done)
  const passedMs = performance.now() - startMs
  // A piece at the beginning and one at the end are not waited for.
  t.ok(passedMs > 800, `${Math.round(passedMs)} ms`)
  for (const mover of movers) line.delete(mover)
})

t.test('what did not travel is room for more at once', async (t) => {
  const line = new Line(1000, () => true)
  const mover = new TestMover(PRIORITY_NORMAL)
  line.add(mover)
  line.pump()
  const before = mover.movedBytes
  line.pump()
  t.equal(mover.movedBytes, before)
  line.giveBack(before)
  t.ok(mover.movedBytes > before)
  line.delete(mover)
})

t.test('outside its windows nothing moves, and everybody is told when one begins', async (t) => {
  let rate = -1
  const line = new Line(
    () => rate,
    () => true,
  )
  const mover = new TestMover(PRIORITY_URGENT, 1000)
  line.add(mover)
  line.pump()
  t.strictSame([line.isClosed, mover.movedBytes, mover.windowChanges], [true, 0, 1])
  rate = 0
  await once(mover, 'window')
  t.strictSame([line.isClosed, mover.movedBytes, mover.windowChanges], [false, 1000, 2])
  line.delete(mover)
})

t.test('what was learnt of a connection ends with it', async (t) => {
  const line = new Line(0, () => true)
  line.known.bytesPerSecond = 5e6
  line.stop()
  t.strictSame(line.known, { bytesPerSecond: 0 })
})

t.test('a turn that asks for the next one does not take it', async (t) => {
  const line = new Line(0, () => true)
  let depth = 0
  let steps = 0
  line.add({
    priority: PRIORITY_NORMAL,
    step: () => {
      t.equal(depth++, 0)
      line.pump()
      depth--
      return ++steps < 10 ? 1 : 0
    },
    windowChanged: () => undefined,
  })
  line.pump()
  t.equal(steps, 10)
})
