// Cuts content where the content itself says so, so that bytes put in at one place move no cut far behind it, and what did not
// change is not sent again. FastCDC (Xia et al., USENIX ATC 2016): a gear hash over the last 32 bytes, and a cut where its upper
// bits are zero; one bit more before the average length and one fewer behind it keep chunks near the average.

import { ed25519 } from '#protocol/crypto/mod.ts'
import { CHUNK_BYTES_MAX, CHUNKS_MAX, EARLIER_PLAN_FACTOR } from './limits.ts'

export type CutSizes = {
  /** Bytes; the last chunk alone may be shorter. */
  readonly min: number
  /** A power of two. */
  readonly average: number
  readonly max: number
}

/**
 * The shortest chunk is a quarter of the average, 16 KiB at least, so it may be shorter than `CHUNK_BYTES_MIN`, which holds for
 * chunks of one size; the longest has four times the average.
 */
const AVERAGE_MIN = 64 * 1024
/** For what `AVERAGE_MAX` would cut into too many. */
const AVERAGE_MAX = 1024 * 1024
const AVERAGE_OF_LARGE = CHUNK_BYTES_MAX / 4

/** Parts of a content that its average chunk is made for. */
const CHUNKS_FOR_AVERAGE = 16_384
/**
 * Bits by which a cut is less likely before the average length, and more likely behind it. The more there are, the more alike are
 * the lengths, and the later a changed place finds back to the old cuts: of 1 GB with 100 places of 105 KB replaced 3.8 % are
 * new with three bits, 2.8 % with two, 2.4 % with one, 2.6 % with none.
 */
const NORMAL_BITS = 1
/** Bytes that the hash depends on: each is shifted out after 32 more. */
const HASH_BYTES = 32

/** Both ends need the same numbers only where they want the same cuts; change the text and nothing is found again. */
const GEAR_SEED = 'causeway gear v1/'

/** 256 numbers of 32 bits: the first four bytes of SHA-256 of the seed and the number's place, little-endian. */
const GEAR = Int32Array.from({ length: 256 }, (_, i) => ed25519.digest(Buffer.from(`${GEAR_SEED}${i}`)).readInt32LE(0))

/**
 * Sizes for content of `size` bytes, those of an earlier version with that average as long as there are not far too many chunks;
 * `null` when so many chunks could not be listed: it is cut into chunks of one size.
 */
export function cutSizesFor(size: number, earlier = 0): CutSizes | null {
  const wanted = 2 ** Math.round(Math.log2(Math.max(1, size / CHUNKS_FOR_AVERAGE)))
  let average = Math.min(AVERAGE_MAX, Math.max(AVERAGE_MIN, wanted))
  const isAverage = Number.isInteger(Math.log2(earlier)) && earlier >= AVERAGE_MIN && earlier <= AVERAGE_OF_LARGE
  if (isAverage && size / earlier <= EARLIER_PLAN_FACTOR * CHUNKS_FOR_AVERAGE) average = earlier
  // The shortest chunks that can come of it must still be few enough: 64 GiB of 256 KiB, then 128 GiB of 512 KiB.
  if (size / (average / 4) > CHUNKS_MAX) average = AVERAGE_OF_LARGE
  if (size / (average / 4) > CHUNKS_MAX) return null
  return { min: average / 4, average, max: 4 * average }
}

export class Cutter {
  readonly sizes: CutSizes
  private readonly strict: number
  private readonly loose: number
  /** Bytes of the open chunk seen so far, and their hash. */
  private seen = 0
  private hash = 0

  constructor(sizes: CutSizes) {
    this.sizes = sizes
    const bits = Math.log2(sizes.average)
    this.strict = upperBits(bits + NORMAL_BITS)
    this.loose = upperBits(bits - NORMAL_BITS)
  }

  /**
   * Goes on with the open chunk at `bytes[from]`; gives where it ends in `bytes` (behind its last byte), or -1: it goes on in
   * the bytes that follow. After an end the next chunk is open. The cuts do not depend on how content is handed over.
   */
  cut(bytes: Uint8Array, from = 0): number {
    const { min, average, max } = this.sizes
    // Places in `bytes` that belong to places in the chunk.
    const start = from - this.seen
    const end = Math.min(bytes.length, start + max)
    let at = Math.min(end, Math.max(from, start + min - HASH_BYTES))
    // The hash at the first place where a cut may be depends on 32 bytes as everywhere else.
    at = this.warm(bytes, at, Math.min(end, start + min))
    if (at >= start + min) {
      const found = this.search(bytes, at, Math.min(end, start + average), this.strict)
      at =
        found < 0 && start + average < end ? this.search(bytes, Math.max(at, start + average), end, this.loose) : found
      if (at < 0 && end === start + max) at = end
    } else {
      at = -1
    }
    if (at < 0) {
      this.seen = bytes.length - start
      return -1
    }
    this.seen = 0
    this.hash = 0
    return at
  }

  private warm(bytes: Uint8Array, from: number, to: number): number {
    let hash = this.hash
    for (let at = from; at < to; at++) hash = ((hash << 1) + (GEAR[bytes[at] as number] as number)) | 0
    this.hash = hash
    return Math.max(from, to)
  }

  /** Behind the first byte after which all bits of `mask` are zero, or -1. */
  private search(bytes: Uint8Array, from: number, to: number, mask: number): number {
    const gear = GEAR
    let hash = this.hash
    let at = from
    // Four bytes a round: half as fast again as one.
    for (; at + 3 < to; at += 4) {
      hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0
      if ((hash & mask) === 0) return at + 1
      hash = ((hash << 1) + (gear[bytes[at + 1] as number] as number)) | 0
      if ((hash & mask) === 0) return at + 2
      hash = ((hash << 1) + (gear[bytes[at + 2] as number] as number)) | 0
      if ((hash & mask) === 0) return at + 3
      hash = ((hash << 1) + (gear[bytes[at + 3] as number] as number)) | 0
      if ((hash & mask) === 0) return at + 4
    }
    for (; at < to; at++) {
      hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0
      if ((hash & mask) === 0) return at + 1
    }
    this.hash = hash
    return -1
  }
}

/** The upper bits of the hash depend on the most bytes. */
const upperBits = (count: number): number => (-1 << (32 - count)) | 0
