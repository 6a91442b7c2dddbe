// Mends a store whose disk lost or changed something. Nothing is dropped in silence: each message that is gone is named
// by its origin, stream and numbers in the result, and in the table `lost` for whoever looks later.
//
// What still lies somewhere in the segments, or in a row whose name alone is damaged, is found again. What does not is taken out of its queues as if settled, so
// that they go on; its sender was told long ago that the hub has it, so only people can decide what to do.

import { asFault } from '#protocol/base/mod.ts'
import { parseHead } from '#protocol/codec/mod.ts'
import { type Range, RangeSet } from '#protocol/session/mod.ts'
import { decodeBatchRow, salvageInline } from './batch-row.ts'
import { BatchRows } from './batch-rows.ts'
import { Batches } from './batches.ts'
import { type DamagedBatch, damagedBatch, describeDamage, openOffline, reportOf, type StoreReport } from './check.ts'
import { type CheckProgress, type Damage, type LaneFinding, type Survey, survey, turn } from './check-survey.ts'
import { encodeHold, HOLDS_TABLE } from './content-holds.ts'
import type { Engine } from './engine.ts'
import { endOf, settledBytes } from './entry.ts'
import { decodeLaneState, encodeLaneState } from './lane.ts'
import { INLINE_BYTES_MAX } from './limits.ts'
import { batchProblem, type Place, RECORD_HEADER_BYTES } from './segment-file.ts'
import { recordsIn } from './segment-scan.ts'

export type RepairResult = {
  readonly before: StoreReport
  readonly after: StoreReport
  /** Batches found again. */
  readonly rescued: readonly number[]
  /** Batches that are gone, with where their messages stood. */
  readonly lost: readonly DamagedBatch[]
  /** What was done, one line each. */
  readonly lines: readonly string[]
}

/** Faults: as `checkStore`, `STORE_FULL`. Killed in between, it is simply run again. */
export async function repairStore(
  dataDir: string,
  options: { onProgress?: CheckProgress } = {},
): Promise<RepairResult> {
  const tell = options.onProgress ?? (() => undefined)
  const engine = openOffline(dataDir)
  try {
    const found = await survey(engine, tell)
    const before = reportOf(dataDir, engine, found)
    // Makes segments writable; nothing is freed, what has to be found again may lie anywhere.
    engine.segments.frozen = true
    new Batches(engine, 0)
    const lines: string[] = []
    const rescued = await rescue(engine, found, tell)
    for (const seq of rescued) lines.push(`batch ${seq} was found again and written anew`)
    const queueName = (id: number) => found.queueNames.get(id) ?? `number ${id}`
    const lost: DamagedBatch[] = []
    for (const damage of found.damaged.values()) {
      const named = damagedBatch(damage, queueName)
      await remove(engine, damage, named)
      lost.push(named)
      lines.push(`lost: ${describeDamage(named)}`)
      for (const { queue, lane, from, to, messages } of named.places) {
        const where = from === null ? 'waiting for their time' : `positions ${from}–${(to ?? 0) - 1}`
        lines.push(`  ${messages} messages taken out of queue ${queue}, lane ${lane}, ${where}`)
      }
    }
    for (const lane of (await survey(engine, tell)).lanes) lines.push(...(await mendLane(engine, lane, queueName)))
    const left = await survey(engine, tell)
    lines.push(...(await mendHolds(engine, left)))
    lines.push(...(await correctCounts(engine, left)))
    return { before, after: reportOf(dataDir, engine, await survey(engine, tell)), rescued, lost, lines }
  } finally {
    await engine.close()
  }
}

/** Looks for sound copies of what is damaged; takes those found out of the survey. */
async function rescue(engine: Engine, found: Survey, tell: CheckProgress): Promise<number[]> {
  if (found.damaged.size === 0) return []
  const rescued: number[] = []
  const { segments } = engine
  const rows = new BatchRows(engine)
  const files = segments.files.list()
  for (const [i, file] of files.entries()) {
    tell({ phase: 'records', done: i, of: files.length })
    const owner = { number: file.number, capacity: file.size, users: 1 }
    // Records of all lives: a number is never given to two batches.
    for await (const { seq, offset, header } of recordsIn(segments.files, owner, null)) {
      if (!found.damaged.has(seq)) continue
      await take(seq, { number: file.number, offset, bytes: header.bytes })
    }
    owner.users = 0
  }
  for (const seq of [...found.damaged.keys()]) {
    const row = rows.stored(seq)
    if (row === null) continue
    const salvaged = row.inline ? salvageInline(row.value) : null
    if (salvaged !== null) await keep(seq, salvaged.bytes)
    // The header of a record may be damaged alone.
    const place = row.inline ? null : placeIn(seq, row.value)
    if (place !== null) await take(seq, { number: place.segment, offset: place.offset, bytes: place.bytes })
  }
  return rescued

  async function take(seq: number, at: { number: number; offset: number; bytes: number }): Promise<void> {
    if (at.bytes > 64 * 1024 * 1024) return
    const bytes = Buffer.alloc(at.bytes)
    try {
      const owner = { number: at.number, capacity: 0, users: 0 }
      if (segments.files.read(owner, bytes, at.offset + RECORD_HEADER_BYTES) < bytes.length) return
    } catch {
      return
    }
    await keep(seq, bytes)
  }

  async function keep(seq: number, bytes: Buffer): Promise<void> {
    if (batchProblem(bytes) !== null) return
    await store(engine, rows, seq, bytes)
    found.damaged.delete(seq)
    rescued.push(seq)
  }
}

function placeIn(seq: number, row: Buffer): Place | null {
  try {
    return decodeBatchRow(seq, row).place
  } catch {
    return null
  }
}

async function store(engine: Engine, rows: BatchRows, seq: number, bytes: Buffer): Promise<void> {
  const name = parseHead(bytes)
  if (bytes.length <= INLINE_BYTES_MAX) {
    const write = () => {
      rows.remove(seq, false)
      rows.putInline(seq, { bytes, name })
    }
    await engine.append(0, { write, done: nothing })
    return
  }
  const blob = engine.segments.add(seq, bytes, 'copy')
  const write = () => {
    rows.remove(seq, true)
    rows.put(seq, { place: blob.place, name })
  }
  await engine.append(0, { write, done: () => engine.segments.commit(blob) }, blob)
}

/** Takes a batch and all that refers to it out, in one transaction. */
async function remove(engine: Engine, { seq, references }: Damage, named: DamagedBatch): Promise<void> {
  const rows = new BatchRows(engine)
  const entries = engine.table('entries')
  const states = engine.table('states')
  const lanes = new Map<string, { key: [number, number]; ranges: Range[]; bytes: number; retained: number }>()
  for (const reference of references) {
    if (reference.kind !== 'entry') continue
    const key: [number, number] = [reference.queueId, reference.lane]
    const lane = lanes.get(String(key)) ?? { key, ranges: [], bytes: 0, retained: 0 }
    lanes.set(String(key), lane)
    const { entry } = reference
    const { settled } = decodeLaneState(states.get(key))
    const open = settled.missing(entry.position, endOf(entry)).reduce((sum, [from, to]) => sum + to - from, 0)
    lane.ranges.push([entry.position, endOf(entry)])
    lane.bytes += entry.bytes - settledBytes(entry, entry.count - open)
    if (open === 0) lane.retained += entry.bytes
  }
  const write = () => {
    for (const reference of references) {
      if (reference.kind === 'entry') entries.remove(reference.key)
      else engine.table('timers').remove(reference.timer.key)
    }
    for (const { key, ranges, bytes, retained } of lanes.values()) {
      const state = decodeLaneState(states.get(key))
      for (const [from, to] of ranges) state.settled.add(from, to)
      const left = Math.max(0, state.bytes - bytes)
      const kept = Math.max(0, state.retainedBytes - retained)
      states.put(key, encodeLaneState({ settled: state.settled, bytes: left, retainedBytes: kept }))
    }
    rows.remove(seq, null)
    engine.table('shares').remove(seq)
    engine.table('fates').remove(seq)
    engine.table(HOLDS_TABLE).remove(seq)
    engine.table('lost').put(seq, Buffer.from(JSON.stringify(named)))
  }
  engine.table('lost')
  engine.table('fates')
  engine.table('timers')
  await engine.append(0, { write, done: nothing })
  await turn()
}

/** Unreadable entries go; positions nobody answers for count as settled. */
async function mendLane(
  engine: Engine,
  { queueId, lane, gaps, unreadable }: LaneFinding,
  queueName: (id: number) => string,
): Promise<string[]> {
  const states = engine.table('states')
  const key = [queueId, lane]
  const { settled, bytes, retainedBytes } = decodeLaneState(states.get(key))
  const mended = new RangeSet(settled.floor, settled.above)
  for (const [from, to] of gaps) mended.add(from, to)
  const write = () => {
    for (const row of unreadable) engine.table('entries').remove(row)
    states.put(key, encodeLaneState({ settled: mended, bytes, retainedBytes }))
  }
  await engine.append(0, { write, done: nothing })
  const where = `queue ${queueName(queueId)}, lane ${lane}`
  return gaps.map(([from, to]) => `lost: ${where}, positions ${from}–${to - 1}: their entry is unreadable or missing`)
}

/** What the batches say counts. */
async function mendHolds(engine: Engine, { holds }: Survey): Promise<string[]> {
  const table = engine.table(HOLDS_TABLE)
  const lines: string[] = []
  for (const { seq, contents } of holds) {
    const write = () => (contents.length === 0 ? table.remove(seq) : table.put(seq, encodeHold(contents)))
    await engine.append(0, { write, done: nothing })
    lines.push(`batch ${seq}: it now holds ${contents.length === 0 ? 'no contents' : contents.join(' ')}`)
  }
  return lines
}

async function correctCounts(engine: Engine, { miscounted }: Survey): Promise<string[]> {
  const rows = new BatchRows(engine)
  const shares = engine.table('shares')
  const holds = engine.table(HOLDS_TABLE)
  const lines: string[] = []
  for (const { seq, counted, found } of miscounted) {
    const write = () => {
      if (found === 0) {
        rows.remove(seq, null)
        holds.remove(seq)
      }
      if (found < 2) shares.remove(seq)
      else shares.put(seq, encodeCount(found))
    }
    try {
      await engine.append(0, { write, done: nothing })
    } catch (error) {
      throw asFault(error, `batch ${seq}`)
    }
    lines.push(
      found === 0 ? `batch ${seq}: nobody refers to it, removed` : `batch ${seq}: ${counted} references, now ${found}`,
    )
  }
  return lines
}

function encodeCount(count: number): Buffer {
  const out = Buffer.allocUnsafe(4)
  out.writeUInt32LE(count)
  return out
}

function nothing(): void {
  // The rows are all there is to it.
}
