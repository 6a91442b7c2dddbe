// The keys that were here, oldest first, as a state.
//
// A record is what one call added: 0 u8 type 1 · 1 f64 age in ms · 9 digests of 16 bytes. What is forgotten needs no record: it
// follows from age and number.

import type { StateOwner } from '../../state/mod.ts'
import { stateFault } from '../../state/mod.ts'
import { DIGEST_CHARS, RECORD_KEYS_MAX } from './limits.ts'

const ADDED = 1
const HEAD_BYTES = 9

export class SeenKeys implements StateOwner {
  readonly #keysMax: number
  /** Digest → when it was first here. Maps keep the order of insertion. */
  readonly #seen = new Map<string, number>()

  constructor(keysMax: number) {
    this.#keysMax = keysMax
  }

  get size(): number {
    return this.#seen.size
  }

  /** False when it is known. */
  add(digest: string, ageMs: number): boolean {
    if (this.#seen.has(digest)) return false
    this.#seen.set(digest, ageMs)
    if (this.#seen.size > this.#keysMax) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest)
        break
      }
    }
    return true
  }

  /** Those that were first here at this age or before. */
  forgetUntil(ageMs: number): void {
    for (const [digest, since] of this.#seen) {
      if (since > ageMs) return
      this.#seen.delete(digest)
    }
  }

  static record(digests: readonly string[], ageMs: number): Buffer {
    const bytes = Buffer.allocUnsafe(HEAD_BYTES + digests.length * DIGEST_CHARS)
    bytes[0] = ADDED
    bytes.writeDoubleLE(ageMs, 1)
    let at = HEAD_BYTES
    for (const digest of digests) at += bytes.write(digest, at, DIGEST_CHARS, 'latin1')
    return bytes
  }

  // ---- a state ----

  clear(): void {
    this.#seen.clear()
  }

  replay(record: Buffer): void {
    if (record[0] !== ADDED || (record.length - HEAD_BYTES) % DIGEST_CHARS !== 0) {
      throw stateFault('STATE_INVALID', { where: 'channel deduplicate', why: 'it is the state of another channel' })
    }
    const ageMs = record.readDoubleLE(1)
    for (let at = HEAD_BYTES; at < record.length; at += DIGEST_CHARS) {
      const digest = record.toString('latin1', at, at + DIGEST_CHARS)
      // One that comes again had been forgotten in between.
      this.#seen.delete(digest)
      this.add(digest, ageMs)
    }
  }

  *snapshot(): Iterable<Buffer> {
    let digests: string[] = []
    let ageMs = 0
    for (const [digest, since] of this.#seen) {
      if (digests.length > 0 && (since !== ageMs || digests.length === RECORD_KEYS_MAX)) {
        yield SeenKeys.record(digests, ageMs)
        digests = []
      }
      ageMs = since
      digests.push(digest)
    }
    if (digests.length > 0) yield SeenKeys.record(digests, ageMs)
  }

  keptBytes(): number {
    return this.#seen.size * DIGEST_CHARS
  }
}
