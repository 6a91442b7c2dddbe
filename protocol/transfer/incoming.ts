// The sink's side of one transfer, without I/O: puts chunks together from their frames and watches what the source may send.
// Whoever drives it hashes and stores whole chunks and says what became of them.

import { DIGEST_BYTES } from '#protocol/crypto/mod.ts'
import type { Chunks } from '#protocol/schema/mod.ts'
import { type Range, RangeSet } from '#protocol/session/mod.ts'
import type { ChunkList } from './chunk-list.ts'
import type { ChunkData } from './data.ts'
import { transferFault } from './faults.ts'
import { CHUNKS_PER_FRAME_MAX, DAMAGED_TRIES_MAX, PARTIAL_CHUNKS_MAX, WINDOW_BYTES } from './limits.ts'

/** A chunk all bytes of which have come. Its digest is not checked yet. */
export type Arrived = { readonly chunk: number; readonly bytes: Buffer }

export type IncomingOptions = {
  readonly list: ChunkList
  /** A buffer for a chunk of that length: its first bytes are used. It is given back by whoever stores the chunk. */
  readonly allocate: (bytes: number) => Buffer
  readonly windowBytes?: number
}

type Partial = { readonly bytes: Buffer; filled: number }

export class Incoming {
  readonly list: ChunkList
  /** Content bytes received in this session. */
  receivedBytes = 0
  private readonly allocate: (bytes: number) => Buffer
  private readonly windowBytes: number
  private readonly partial = new Map<number, Partial>()
  /** Wanted and not arrived. */
  private readonly missing = new Set<number>()
  private readonly stored = new RangeSet()
  private readonly tries = new Map<number, number>()
  /** Received bytes that are done with: stored, or thrown away. */
  private doneBytes = 0
  private grantedBytes: number

  constructor(options: IncomingOptions) {
    this.list = options.list
    this.allocate = options.allocate
    this.windowBytes = options.windowBytes ?? WINDOW_BYTES
    this.grantedBytes = this.windowBytes
  }

  /** Absolute, for TRANSFER_OPENED, FETCH and STORED. */
  get creditBytes(): number {
    this.grantedBytes = Math.max(this.grantedBytes, this.doneBytes + this.windowBytes)
    return this.grantedBytes
  }

  /** All chunks are named and stored. */
  get complete(): boolean {
    return this.list.complete && this.stored.floor >= this.list.count
  }

  get storedChunks(): number {
    return this.stored.floor + this.stored.above.reduce((sum, [from, to]) => sum + to - from, 0)
  }

  isStored(chunk: number): boolean {
    return this.stored.has(chunk)
  }

  /** Takes CHUNKS into the list; gives the run of new indexes. Faults: `TRANSFER_MALFORMED`. */
  named({ first, digests, lengths }: Pick<Chunks, 'first' | 'digests' | 'lengths'>): Range {
    const { list } = this
    const count = digests.length / DIGEST_BYTES
    const fits =
      Number.isInteger(count) &&
      count > 0 &&
      count <= CHUNKS_PER_FRAME_MAX &&
      first === list.count &&
      lengths.length === (list.chunkBytes === 0 ? count : 0)
    if (!fits) throw transferFault('TRANSFER_MALFORMED', { where: 'frame CHUNKS' })
    for (let i = 0; i < count; i++) {
      const digest = digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)
      list.add(digest, lengths[i] ?? list.nextLength)
    }
    return [first, list.count]
  }

  /** It was asked for. */
  wanted(chunk: number): void {
    this.missing.add(chunk)
  }

  /** It is durable here; `received`: it came by this transfer, and makes room for more. */
  keep(chunk: number, { received }: { received: boolean }): void {
    this.stored.add(chunk, chunk + 1)
    if (received) this.doneBytes += this.list.lengthAt(chunk)
  }

  /** It is not what its digest says: it is to be asked for again. Faults: `CHUNK_DAMAGED`. */
  damaged(chunk: number): void {
    const tries = (this.tries.get(chunk) ?? 0) + 1
    this.tries.set(chunk, tries)
    if (tries >= DAMAGED_TRIES_MAX) throw transferFault('CHUNK_DAMAGED', { where: `chunk ${chunk}` })
    this.doneBytes += this.list.lengthAt(chunk)
    this.wanted(chunk)
  }

  /** Takes a part of a chunk; gives the chunk when it is whole. Faults: `TRANSFER_MALFORMED`. */
  data({ chunk, offset, bytes }: ChunkData): Arrived | null {
    if (this.receivedBytes + bytes.length > this.grantedBytes) {
      throw transferFault('TRANSFER_MALFORMED', { why: 'more was sent than was allowed' })
    }
    const partial = this.partial.get(chunk) ?? this.begin(chunk)
    const length = this.list.lengthAt(chunk)
    if (offset !== partial.filled || offset + bytes.length > length) {
      throw transferFault('TRANSFER_MALFORMED', { where: `chunk ${chunk}`, why: `bytes from ${offset} on` })
    }
    bytes.copy(partial.bytes, offset)
    partial.filled += bytes.length
    this.receivedBytes += bytes.length
    if (partial.filled < length) return null
    this.partial.delete(chunk)
    return { chunk, bytes: partial.bytes.subarray(0, length) }
  }

  /** Buffers of chunks that will not be whole any more. */
  abandon(): Buffer[] {
    const left = [...this.partial.values()].map(({ bytes }) => bytes)
    this.partial.clear()
    return left
  }

  private begin(chunk: number): Partial {
    if (!this.missing.delete(chunk)) {
      throw transferFault('TRANSFER_MALFORMED', { where: `chunk ${chunk}`, why: 'nobody wants it' })
    }
    if (this.partial.size >= PARTIAL_CHUNKS_MAX) {
      throw transferFault('TRANSFER_MALFORMED', { why: 'too many chunks are begun' })
    }
    const partial: Partial = { bytes: this.allocate(this.list.lengthAt(chunk)), filled: 0 }
    this.partial.set(chunk, partial)
    return partial
  }
}

/** Ascending numbers as runs, for WANT and STORED. */
export function runsOf(chunks: readonly number[]): { from: number; count: number }[] {
  const out: { from: number; count: number }[] = []
  for (const chunk of chunks) {
    const last = out.at(-1)
    if (last !== undefined && last.from + last.count === chunk) last.count++
    else out.push({ from: chunk, count: 1 })
  }
  return out
}
