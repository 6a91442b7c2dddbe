// A lane's entry: some or all messages of one stored batch, at consecutive positions. Bodies are never copied into a
// lane. The hub's own small messages (receipts) have no batch: their text stands in the entry itself.

import { ByteReader, varintBytes, writeVarint } from '#protocol/bytes/mod.ts'
import { storeFault } from './faults.ts'

const NUL = '\0'

/** Which messages of a batch: flat pairs (first place, how many), ascending; `null` for all. */
export type Selection = readonly number[] | null

/** The queue and lane something came from. */
export type Home = { readonly queueId: number; readonly lane: number }

/** What an entry is, before it has a position. */
export type NewEntry = {
  /** 0 for one of the hub's own messages. */
  readonly batchSeq: number
  readonly count: number
  /** Its share of the batch's bytes. */
  readonly bytes: number
  /** When the hub accepted its messages, by its wall clock. */
  readonly storedAtMs: number
  /** 0 for never. */
  readonly expiresAtMs: number
  /** Deliveries before it came to this place. */
  readonly attempts: number
  /** The flags of its batch that ask for receipts; 0 when nobody is told any more. */
  readonly receiptFlags: number
  /** Where it was before it went to the dead letters. */
  readonly home: Home | null
  /** Why it lies here; or the text of one of the hub's own messages. */
  readonly note: string
  /** Of dead letters, and of what no queue wants: the note it is to have when it is sent back. */
  readonly backNote: string
  readonly selection: Selection
}

export type Entry = NewEntry & {
  readonly position: number
  /** Messages not settled yet. */
  remaining: number
}

export function entryAt(position: number, entry: NewEntry): Entry {
  return { ...entry, position, remaining: entry.count }
}

export const endOf = (entry: Entry): number => entry.position + entry.count

/** Bytes of the entry that count as settled when `settled` of its messages are: additive in any order of settling. */
export const settledBytes = ({ bytes, count }: NewEntry, settled: number): number =>
  Math.floor((bytes * settled) / count)

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
export function placesOf(entry: Pick<NewEntry, 'selection' | 'count'>, skip: number, count: number): number[] {
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

/** A selection's pairs, one by one. */
export function pairsOf(pairs: readonly number[]): (readonly [from: number, count: number])[] {
  const out: (readonly [number, number])[] = []
  for (let i = 0; i < pairs.length; i += 2) out.push([pairs[i] as number, pairs[i + 1] as number])
  return out
}

/** Messages skip … skip+count-1 of `entry`, as an entry for another place. */
export function partOf(entry: Entry, skip: number, count: number): NewEntry {
  if (skip === 0 && count === entry.count) return entry
  return {
    ...entry,
    count,
    bytes: settledBytes(entry, count),
    selection: entry.batchSeq === 0 ? null : selectionOf(placesOf(entry, skip, count)),
  }
}

/**
 * Value of the entries table: varints batch, count, bytes, stored at, expires at, attempts, receipt flags, home queue
 * (0: none), home lane, length of the note; the note; then the selection's pairs (none: all). A note to be sent back with stands in
 * the note, behind a NUL; one in the note itself is replaced, since it may be a consumer's own words. The hub's own messages, whose text
 * the note is, have none.
 */
export function encodeEntry(entry: NewEntry): Buffer {
  const pairs = entry.selection ?? []
  const note = noteText(entry)
  const noteBytes = Buffer.byteLength(note)
  const { home } = entry
  const numbers = [
    entry.batchSeq,
    entry.count,
    entry.bytes,
    entry.storedAtMs,
    entry.expiresAtMs,
    entry.attempts,
    entry.receiptFlags,
    home?.queueId ?? 0,
    home?.lane ?? 0,
    noteBytes,
  ]
  let size = noteBytes
  for (const value of numbers) size += varintBytes(value)
  for (const value of pairs) size += varintBytes(value)
  const out = Buffer.allocUnsafe(size)
  let at = 0
  for (const value of numbers) at = writeVarint(out, at, value)
  at += out.write(note, at)
  for (const value of pairs) at = writeVarint(out, at, value)
  return out
}

function noteText({ batchSeq, note, backNote }: NewEntry): string {
  if (batchSeq === 0) return note
  const clean = note.includes(NUL) ? note.replaceAll(NUL, '\ufffd') : note
  return backNote === '' ? clean : clean + NUL + backNote
}

/** Faults: `STORE_DAMAGED`. */
export function decodeEntry(bytes: Buffer): NewEntry {
  try {
    return readEntry(new ByteReader(bytes, 'queue entry'))
  } catch (cause) {
    throw storeFault('STORE_DAMAGED', { where: 'queue entry', cause })
  }
}

function readEntry(reader: ByteReader): NewEntry {
  const batchSeq = reader.varint()
  const count = reader.varint()
  const bytes = reader.varint()
  const storedAtMs = reader.varint()
  const expiresAtMs = reader.varint()
  const attempts = reader.varint()
  const receiptFlags = reader.varint()
  const queueId = reader.varint()
  const lane = reader.varint()
  const text = reader.text(reader.varint())
  const split = batchSeq === 0 ? -1 : text.indexOf(NUL)
  const note = split < 0 ? text : text.slice(0, split)
  const backNote = split < 0 ? '' : text.slice(split + 1)
  const pairs: number[] = []
  while (reader.remaining > 0) pairs.push(reader.varint())
  const selection = pairs.length === 0 ? null : pairs
  const home = queueId === 0 ? null : { queueId, lane }
  return { batchSeq, count, bytes, storedAtMs, expiresAtMs, attempts, receiptFlags, home, note, backNote, selection }
}
