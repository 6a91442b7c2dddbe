// What happened to messages, kept for a while after they are gone: when a batch was accepted and where its copies went,
// and each end, move or redelivery of them. A row for each event of a batch, not of a message.

import { ByteReader, varintBytes, writeVarint } from '#protocol/bytes/mod.ts'
import type { Batch } from '#protocol/codec/mod.ts'
import type { Key, Table } from './disk.ts'
import type { Engine } from './engine.ts'
import type { Places } from './fates.ts'
import { SWEEP_ENTRIES } from './limits.ts'

export type TraceWhat =
  | 'accepted'
  | 'delivered'
  | 'processed'
  | 'rejected'
  | 'retried'
  | 'expired'
  | 'dropped'
  | 'dead-lettered'
  | 'due'
  | 'redriven'
  | 'purged'
  | 'routed'
  | 'made'

/** A copy of messages in a lane. */
export type TracePlace = {
  readonly queueId: number
  readonly lane: number
  readonly position: number
  readonly places: readonly Places[]
}

export type TraceEvent = {
  readonly atMs: number
  readonly what: TraceWhat
  readonly queue: string
  /** Who did it: an agent, or the hub. */
  readonly by: string
  readonly reason: string
  /** What else whoever did it says, as JSON. */
  readonly detail?: unknown
  /** Which messages of the batch; empty for all. */
  readonly places: readonly Places[]
  /** Where copies went by it. */
  readonly to: readonly TracePlace[]
}

export type TracedBatch = {
  readonly batchSeq: number
  readonly origin: string
  readonly stream: string
  readonly epoch: number
  readonly firstSeq: number
  readonly count: number
  readonly acceptedAtMs: number
}

type Owner = { readonly origin: string; readonly stream: string; readonly epoch: number; readonly lastSeq: number }

export class Trace {
  private readonly batches: Table
  private readonly events: Table
  private readonly keepMs: number
  private readonly bytesMax: number
  private readonly run: number
  private next = 0
  /** Estimate of the rows' bytes: exact for what this run wrote. */
  private bytes: number
  /** Batches looked at by the sweep, which begins at the oldest. */
  private sweptTo = 0

  constructor(
    engine: Pick<Engine, 'table'>,
    options: { keepMs: number; bytesMax: number; run: number; bytes: number },
  ) {
    this.batches = engine.table('trace')
    this.events = engine.table('events')
    this.keepMs = options.keepMs
    this.bytesMax = options.bytesMax
    this.run = options.run
    this.bytes = options.bytes
  }

  get on(): boolean {
    return this.keepMs > 0
  }

  get usedBytes(): number {
    return this.bytes
  }

  /** Within a group's work. `made`: what of, and how, when the hub made it itself. */
  accepted(
    batchSeq: number,
    batch: Batch,
    atMs: number,
    to: readonly TracePlace[],
    made: { readonly of: string; readonly detail?: unknown } | null = null,
  ): void {
    if (!this.on) return
    const { origin, stream, epoch, firstSeq } = batch.head
    const row = encodeBatchRow([batchSeq, firstSeq, batch.count, atMs])
    this.batches.put([origin, stream, epoch, batch.lastSeq], row)
    const owner: Owner = { origin, stream, epoch, lastSeq: batch.lastSeq }
    const what = made === null ? 'accepted' : 'made'
    const event = {
      atMs,
      what,
      queue: '',
      by: origin,
      reason: made?.of ?? '',
      detail: made?.detail,
      places: [],
      to,
    } as const
    this.put(batchSeq, event, owner)
    this.bytes += row.length + origin.length + stream.length
  }

  /** Within a group's work. */
  add(batchSeq: number, event: TraceEvent): void {
    if (this.on && batchSeq > 0) this.put(batchSeq, event, null)
  }

  /** The batch that holds a message; the newest epoch of its stream when none is named. */
  find(id: { origin: string; stream: string; epoch: number | null; seq: number }): TracedBatch | null {
    const { origin, stream, seq } = id
    const epoch = id.epoch ?? this.newestEpoch(origin, stream)
    const [found] = this.batches.range({
      from: [origin, stream, epoch, seq],
      to: [origin, stream, epoch, Number.MAX_SAFE_INTEGER],
      limit: 1,
    })
    if (found === undefined) return null
    const reader = new ByteReader(found.value, 'trace')
    const [batchSeq, firstSeq, count, acceptedAtMs] = [
      reader.varint(),
      reader.varint(),
      reader.varint(),
      reader.varint(),
    ]
    if (firstSeq > seq) return null
    return { batchSeq, origin, stream, epoch, firstSeq, count, acceptedAtMs }
  }

  eventsOf(batchSeq: number): TraceEvent[] {
    const range = { from: [batchSeq], to: [batchSeq + 1], limit: 10_000 }
    return this.events.range(range).map(({ value }) => JSON.parse(String(value)) as TraceEvent)
  }

  /**
   * Finds events that are too old or too many, oldest batch first, not those of batches that are still there. Gives what
   * removes them (within a group's work), or `null` when there is nothing to do.
   */
  sweep(nowMs: number, isLive: (batchSeq: number) => boolean): (() => void) | null {
    const doomed: Key[] = []
    const owners: Owner[] = []
    let bytes = 0
    const rows = this.events.range({ from: [this.sweptTo], to: [Number.MAX_SAFE_INTEGER], limit: SWEEP_ENTRIES })
    let passed = this.sweptTo
    let isWhole = rows.length === SWEEP_ENTRIES
    for (const { key, value } of rows) {
      const batchSeq = (key as number[])[0] as number
      const event = JSON.parse(String(value)) as TraceEvent & { owner?: Owner }
      const tooMuch = this.bytes - bytes > this.bytesMax
      if (nowMs - event.atMs <= this.keepMs && !tooMuch) {
        isWhole = false
        break
      }
      passed = batchSeq
      if (isLive(batchSeq)) continue
      doomed.push(key)
      bytes += value.length
      if (event.owner !== undefined) owners.push(event.owner)
    }
    if (doomed.length === 0) {
      // Batches that are live are passed over, and looked at again when all were.
      this.sweptTo = isWhole ? passed + 1 : 0
      return null
    }
    this.bytes = Math.max(0, this.bytes - bytes)
    return () => {
      for (const key of doomed) this.events.remove(key)
      for (const { origin, stream, epoch, lastSeq } of owners) this.batches.remove([origin, stream, epoch, lastSeq])
    }
  }

  private newestEpoch(origin: string, stream: string): number {
    let newest = { epoch: 0, atMs: -1 }
    // Epochs are random numbers: the one that was accepted last is the newest.
    for (let from: Key = [origin, stream, 0]; ; ) {
      const [row] = this.batches.range({ from, to: [origin, stream, Number.MAX_SAFE_INTEGER], limit: 1 })
      if (row === undefined) return newest.epoch
      const epoch = (row.key as [string, string, number])[2]
      const last = this.batches.lastIn([origin, stream, epoch, 0], [origin, stream, epoch, Number.MAX_SAFE_INTEGER])
      const reader = new ByteReader((last ?? row).value, 'trace')
      for (let i = 0; i < 3; i++) reader.varint()
      const atMs = reader.varint()
      if (atMs >= newest.atMs) newest = { epoch, atMs }
      from = [origin, stream, epoch + 1]
    }
  }

  private put(batchSeq: number, event: TraceEvent, owner: Owner | null): void {
    const value = Buffer.from(JSON.stringify(owner === null ? event : { ...event, owner }))
    this.events.put([batchSeq, event.atMs, this.run, this.next++], value)
    this.bytes += value.length
  }
}

function encodeBatchRow(numbers: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(numbers.reduce((sum, value) => sum + varintBytes(value), 0))
  let at = 0
  for (const value of numbers) at = writeVarint(out, at, value)
  return out
}
