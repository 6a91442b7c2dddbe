// Which messages are done, by what they are for ever: (origin, stream, epoch, sequence number). While the hub's store stays the
// same, positions say it better: they are few, and one message sent back to be done again has a new one. Identities are for the
// time after the hub was put back to an older copy, when positions mean other messages.
//
// What is remembered is bounded: of many streams those used last, of a stream with many gaps the highest numbers. What is
// forgotten may be done twice after a restore; nothing is ever taken for done that is not.

import { type Range, RangeSet } from '#protocol/session/mod.ts'

/** Streams remembered; those that were added to last. */
const STREAMS_MAX = 32
/** Runs of consecutive numbers remembered of a stream; the highest. */
const RUNS_MAX = 32
/** As written in a cursor, of which 64 KiB may be taken: twice this, and positions beside it. */
const ENCODED_BYTES_MAX = 12 * 1024

/** A producer stream, as deliveries name it. */
export type StreamName = { readonly origin: string; readonly stream: string; readonly epoch: number }

type Remembered = StreamName & { seqs: RangeSet }

/** As written down: the stream used last comes first. */
export type EncodedIdentities = readonly (readonly [
  origin: string,
  stream: string,
  epoch: number,
  seqs: readonly Range[],
])[]

export class Identities {
  /** The stream used last comes last. */
  readonly #streams = new Map<string, Remembered>()

  /** The numbers done of a stream, or `null`. */
  of(name: StreamName): Pick<RangeSet, 'has'> | null {
    return this.#streams.get(keyOf(name))?.seqs ?? null
  }

  /** Numbers from ≤ n < to; they begin at 1. */
  add(name: StreamName, from: number, to: number): void {
    const key = keyOf(name)
    const { origin, stream, epoch } = name
    const remembered = this.#streams.get(key) ?? { origin, stream, epoch, seqs: new RangeSet() }
    remembered.seqs.add(from, to)
    const runs = remembered.seqs.above
    // Some more than allowed, so that it is not done for each number.
    if (runs.length >= 2 * RUNS_MAX) remembered.seqs = new RangeSet(0, runs.slice(-RUNS_MAX))
    this.#streams.delete(key)
    this.#streams.set(key, remembered)
    if (this.#streams.size <= STREAMS_MAX) return
    for (const oldest of this.#streams.keys()) {
      this.#streams.delete(oldest)
      return
    }
  }

  /** It was not done after all. */
  remove(name: StreamName, seq: number): void {
    const remembered = this.#streams.get(keyOf(name))
    if (remembered?.seqs.has(seq) !== true) return
    const kept: Range[] = []
    for (const [from, to] of remembered.seqs.above) {
      if (from < Math.min(to, seq)) kept.push([from, Math.min(to, seq)])
      if (Math.max(from, seq + 1) < to) kept.push([Math.max(from, seq + 1), to])
    }
    remembered.seqs = new RangeSet(0, kept)
  }

  addAll(others: Identities): void {
    for (const remembered of others.#streams.values()) {
      for (const [from, to] of remembered.seqs.above) this.add(remembered, from, to)
    }
  }

  encode(): EncodedIdentities {
    const encoded: EncodedIdentities[number][] = []
    let bytes = 0
    for (const { origin, stream, epoch, seqs } of [...this.#streams.values()].reverse()) {
      const entry = [origin, stream, epoch, seqs.above.slice(-RUNS_MAX)] as const
      bytes += Buffer.byteLength(JSON.stringify(entry)) + 1
      if (bytes > ENCODED_BYTES_MAX) break
      encoded.push(entry)
    }
    return encoded
  }

  /** `null` when it is not what `encode` gives. */
  static decode(encoded: unknown): Identities | null {
    if (!Array.isArray(encoded)) return null
    const identities = new Identities()
    for (const entry of encoded.toReversed()) {
      if (!isEntry(entry)) return null
      const [origin, stream, epoch, seqs] = entry
      for (const [from, to] of seqs) identities.add({ origin, stream, epoch }, from, to)
    }
    return identities
  }
}

const keyOf = ({ origin, stream, epoch }: StreamName): string => `${origin}\0${stream}\0${epoch}`

function isEntry(entry: unknown): entry is EncodedIdentities[number] {
  if (!Array.isArray(entry) || entry.length !== 4) return false
  const [origin, stream, epoch, seqs] = entry as unknown[]
  const isNamed = typeof origin === 'string' && typeof stream === 'string' && isWhole(epoch)
  return isNamed && Array.isArray(seqs) && seqs.every(isRun)
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function isRun(run: unknown): run is Range {
  if (!Array.isArray(run) || run.length !== 2) return false
  const [from, to] = run as unknown[]
  return isWhole(from) && isWhole(to) && from >= 1 && from < to
}
