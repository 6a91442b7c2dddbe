// A queue's entry: some or all messages of one stored batch, at consecutive positions. Bodies are never copied into a
// queue.

import { ByteReader, varintBytes, writeVarint } from '#protocol/bytes/mod.ts'

/** Which messages of a batch: flat pairs (first place, how many), ascending; `null` for all. */
export type Selection = readonly number[] | null

export type Entry = {
  readonly position: number
  readonly count: number
  readonly batchSeq: number
  readonly selection: Selection
  /** Why it lies here, for the hub's own queues of unrouted and rejected messages; else empty. */
  readonly reason: string
  /** Messages not settled yet. */
  remaining: number
  /** Deliveries begun. */
  attempts: number
}

/** The selection of these places, ascending. */
export function selectionOf(places: readonly number[]): number[] {
  const pairs: number[] = []
  let end = -1
  for (const place of places) {
    if (place === end) (pairs[pairs.length - 1] as number)++
    else pairs.push(place, 1)
    end = place + 1
  }
  return pairs
}

/** Places in the batch of the entry's messages skip … skip+count-1. */
export function placesOf(entry: Entry, skip: number, count: number): number[] {
  const places: number[] = []
  let seen = 0
  const pairs = entry.selection ?? [0, entry.count]
  for (let i = 0; i < pairs.length && places.length < count; i += 2) {
    const from = pairs[i] as number
    const run = pairs[i + 1] as number
    for (let j = Math.max(0, skip - seen); j < run && places.length < count; j++) places.push(from + j)
    seen += run
  }
  return places
}

/** Value of the entries table: varints batch, count, reason length, reason, then the selection's pairs (none: all). */
export function encodeEntry(entry: Omit<Entry, 'remaining' | 'attempts' | 'position'>): Buffer {
  const pairs = entry.selection ?? []
  const reasonBytes = Buffer.byteLength(entry.reason)
  const numbers = [entry.batchSeq, entry.count, reasonBytes]
  const size = [...numbers, ...pairs].reduce((sum, value) => sum + varintBytes(value), reasonBytes)
  const out = Buffer.allocUnsafe(size)
  let at = 0
  for (const value of numbers) at = writeVarint(out, at, value)
  at += out.write(entry.reason, at)
  for (const value of pairs) at = writeVarint(out, at, value)
  return out
}

export function decodeEntry(position: number, bytes: Buffer): Entry {
  const reader = new ByteReader(bytes, 'queue entry')
  const batchSeq = reader.varint()
  const count = reader.varint()
  const reason = reader.text(reader.varint())
  const pairs: number[] = []
  while (reader.remaining > 0) pairs.push(reader.varint())
  return {
    position,
    count,
    batchSeq,
    selection: pairs.length === 0 ? null : pairs,
    reason,
    remaining: count,
    attempts: 0,
  }
}
