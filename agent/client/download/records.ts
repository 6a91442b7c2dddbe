// Which chunks lie where in a file: by their index and by their digest. Compact, since content may have a quarter of a million.

import { DIGEST_BYTES } from '#protocol/crypto/mod.ts'

/** Where a chunk lies. `digest` is a view. */
export type ChunkPlace = {
  readonly index: number
  readonly offset: number
  readonly length: number
  readonly digest: Buffer
}

const FIRST_CAPACITY = 64

export class ChunkRecords {
  /** Chunks known, and their bytes. */
  count = 0
  bytes = 0
  private digests = Buffer.alloc(FIRST_CAPACITY * DIGEST_BYTES)
  private offsets = new Float64Array(FIRST_CAPACITY)
  /** 0: not known. */
  private lengths = new Uint32Array(FIRST_CAPACITY)
  /** By the first six bytes of the digest; of two that agree in them the later. */
  private readonly byDigest = new Map<number, number>()

  set({ index, offset, length, digest }: ChunkPlace): void {
    this.drop(index)
    this.makeRoom(index)
    digest.copy(this.digests, index * DIGEST_BYTES)
    this.offsets[index] = offset
    this.lengths[index] = length
    this.byDigest.set(keyOf(digest), index)
    this.count++
    this.bytes += length
  }

  drop(index: number): void {
    const length = this.lengths[index] ?? 0
    if (length === 0) return
    this.lengths[index] = 0
    const key = keyOf(this.digestAt(index))
    if (this.byDigest.get(key) === index) this.byDigest.delete(key)
    this.count--
    this.bytes -= length
  }

  at(index: number): ChunkPlace | null {
    const length = this.lengths[index] ?? 0
    if (length === 0) return null
    return { index, offset: this.offsets[index] as number, length, digest: this.digestAt(index) }
  }

  find(digest: Buffer): ChunkPlace | null {
    const index = this.byDigest.get(keyOf(digest))
    const place = index === undefined ? null : this.at(index)
    return place?.digest.equals(digest) === true ? place : null
  }

  private digestAt(index: number): Buffer {
    return this.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
  }

  private makeRoom(index: number): void {
    const before = this.lengths.length
    if (index < before) return
    const capacity = Math.max(2 * before, index + 1)
    const digests = Buffer.alloc(capacity * DIGEST_BYTES)
    this.digests.copy(digests)
    this.digests = digests
    const offsets = new Float64Array(capacity)
    offsets.set(this.offsets)
    this.offsets = offsets
    const lengths = new Uint32Array(capacity)
    lengths.set(this.lengths)
    this.lengths = lengths
  }
}

const keyOf = (digest: Buffer): number => digest.readUIntLE(0, 6)
