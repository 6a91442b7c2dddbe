// The chunks of one content in their order: lengths and digests, as far as they are known. The signature is over the root of a
// tree over all of them (RFC 9162, as with batches); entry: 0x00 ‖ u32 length ‖ SHA-256 of the chunk.

import { assert } from '#protocol/base/mod.ts'
import { DIGEST_BYTES, ed25519, LEAF_PREFIX, merkleRoot } from '#protocol/crypto/mod.ts'
import { transferFault } from './faults.ts'
import { CHUNK_BYTES_MAX, CHUNKS_MAX, CUT_CHUNK_BYTES_MIN } from './limits.ts'
import { checkPlan } from './plan.ts'

export type Plan = {
  readonly size: number
  /** Length of every chunk but the last; 0: chunks are cut by their content. */
  readonly chunkBytes: number
}

const FIRST_CAPACITY = 64

export class ChunkList {
  readonly size: number
  readonly chunkBytes: number
  /** Chunks known, and where they end. */
  count = 0
  private end = 0
  private digests = Buffer.alloc(FIRST_CAPACITY * DIGEST_BYTES)
  /** Where each begins; for chunks of one size that is arithmetic. */
  private starts: Float64Array | null

  /** Faults: `TRANSFER_TOO_LARGE`, `TRANSFER_MALFORMED`. */
  constructor(plan: Plan) {
    checkPlan(plan)
    this.size = plan.size
    this.chunkBytes = plan.chunkBytes
    this.starts = plan.chunkBytes === 0 ? new Float64Array(FIRST_CAPACITY) : null
  }

  /** All chunks are known. Content of no bytes has no chunks. */
  get complete(): boolean {
    return this.end === this.size
  }

  /** Bytes of the content that the known chunks make up. */
  get bytes(): number {
    return this.end
  }

  /** How long the next chunk is, where the plan says it; 0 when it does not, or there is none. */
  get nextLength(): number {
    return Math.min(this.chunkBytes, this.size - this.end)
  }

  /**
   * Adds the next one; gives its index. `digest` is copied. Where chunks are cut by their content, only the last may be shorter than
   * `CUT_CHUNK_BYTES_MIN`. Faults: `TRANSFER_MALFORMED`.
   */
  add(digest: Uint8Array, length: number): number {
    assert(digest.length === DIGEST_BYTES, 'a digest of its length')
    if (!this.fits(length)) {
      throw transferFault('TRANSFER_MALFORMED', { where: `chunk ${this.count}`, why: `it has ${length} bytes` })
    }
    const index = this.count++
    this.makeRoom()
    this.digests.set(digest, index * DIGEST_BYTES)
    if (this.starts !== null) this.starts[index] = this.end
    this.end += length
    return index
  }

  /** A view that is good until the next `add`. */
  digestAt(index: number): Buffer {
    return this.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
  }

  /** Where it begins in the content. */
  offsetAt(index: number): number {
    return this.starts === null ? index * this.chunkBytes : (this.starts[index] as number)
  }

  lengthAt(index: number): number {
    const next = index + 1 === this.count ? this.end : this.offsetAt(index + 1)
    return next - this.offsetAt(index)
  }

  /** Root over all chunks, 32 bytes; of content without chunks the digest of nothing. */
  root(): Buffer {
    if (this.count === 0) return ed25519.digest(new Uint8Array())
    const entry = Buffer.alloc(1 + 4 + DIGEST_BYTES, LEAF_PREFIX)
    const leaves: string[] = new Array(this.count)
    for (let i = 0; i < this.count; i++) {
      entry.writeUInt32LE(this.lengthAt(i), 1)
      this.digestAt(i).copy(entry, 5)
      leaves[i] = ed25519.digestLatin1(entry)
    }
    return Buffer.from(merkleRoot(ed25519, leaves), 'latin1')
  }

  private fits(length: number): boolean {
    const end = this.end + length
    if (!(length > 0) || end > this.size || this.count >= CHUNKS_MAX) return false
    if (this.chunkBytes > 0) return length === this.nextLength
    return length <= CHUNK_BYTES_MAX && (length >= CUT_CHUNK_BYTES_MIN || end === this.size)
  }

  private makeRoom(): void {
    if (this.count * DIGEST_BYTES <= this.digests.length) return
    const digests = Buffer.alloc(2 * this.digests.length)
    this.digests.copy(digests)
    this.digests = digests
    if (this.starts === null) return
    const starts = new Float64Array(2 * this.starts.length)
    starts.set(this.starts)
    this.starts = starts
  }
}
