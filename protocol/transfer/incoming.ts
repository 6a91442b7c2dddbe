// The sink's side of one transfer, without I/O: puts chunks together from their frames and watches what the source may send.
// Whoever drives it decodes, hashes and stores whole chunks and says what became of them: `keep` or `damaged`, once for each that
// arrived.
//
// Of content received and not done with there are at most `windowBytes`; only the last chunk of it is not whole. So room comes
// back, and the source can always go on, if only a window holds the largest chunk. An encoded chunk takes less than its length
// until it is decoded, and counts for its length (`coding.ts`). What came of a chunk in an earlier session does not count again.

import { assert } from '#protocol/base/mod.ts'
import { DIGEST_BYTES } from '#protocol/crypto/mod.ts'
import type { Chunks } from '#protocol/schema/mod.ts'
import type { Range } from '#protocol/session/mod.ts'
import type { ChunkList } from './chunk-list.ts'
import { contentUpTo } from './coding.ts'
import type { ChunkData } from './data.ts'
import { transferFault } from './faults.ts'
import { CHUNK_BYTES_MAX, CHUNKS_PER_FRAME_MAX, DAMAGED_TRIES_MAX, WINDOW_BYTES } from './limits.ts'
import { ChunkMarks } from './marks.ts'

/** A chunk all bytes of which have come. Its digest is not checked yet. */
export type Arrived = {
  readonly chunk: number
  /** As `allocate` gave it. */
  readonly bytes: Buffer
  /** Its first bytes are the encoded chunk; 0: they are the chunk. */
  readonly encodedBytes: number
}

/** The beginning of a chunk. */
export type Part = {
  readonly chunk: number
  /** For all of it, as `allocate` gives it; its first `filled` bytes are there. */
  readonly bytes: Buffer
  readonly filled: number
  /** Of its encoded form, when that is what came; 0: it came as it is. */
  readonly encodedBytes: number
}

export type IncomingOptions = {
  readonly list: ChunkList
  /**
   * A buffer for a chunk of that length, of which so many bytes come: less when it is encoded. Its first bytes are used. It is
   * given back by whoever stores the chunk.
   */
  readonly allocate: (length: number, sentBytes: number) => Buffer
  /** Encoded chunks were agreed on. */
  readonly encoded?: boolean
  /** At least the largest chunk is taken. */
  readonly windowBytes?: number
}

/** It was asked for, and was not begun since. */
const MISSING = 1
const STORED = 2

export class Incoming {
  readonly list: ChunkList
  /** Content received in this session, by what credit counts. */
  receivedBytes = 0
  /** Content of chunks that were asked for and not begun since. */
  private askedBytes = 0
  private readonly allocate: IncomingOptions['allocate']
  private readonly encoded: boolean
  private readonly windowBytes: number
  private readonly marks = new ChunkMarks()
  private stored = 0
  private readonly tries = new Map<number, number>()
  /** How often one may come after the next time. */
  private readonly again = new Map<number, number>()
  /** The chunk that is being received, how far, and how much content that is; -1: none. */
  private current = -1
  private filled = 0
  private counted = 0
  /** Its length as it is sent, when it is encoded; 0: it is not. */
  private encodedBytes = 0
  /** Where it is put together; `null` when it is stored already, by another way: what still comes of it is thrown away. */
  private buffer: Buffer | null = null
  /** Of a chunk that was asked for and not begun since; without a buffer when it came by another way meanwhile. */
  private part: (Omit<Part, 'bytes'> & { readonly bytes: Buffer | null }) | null = null
  /** Of chunks that went on where an earlier session ended: how much content of them did not come in this one. */
  private readonly before = new Map<number, number>()
  /** Received bytes that are done with: stored, or thrown away. */
  private doneBytes = 0
  private grantedBytes: number

  constructor({ list, allocate, windowBytes = WINDOW_BYTES, encoded = false }: IncomingOptions) {
    this.list = list
    this.allocate = allocate
    this.encoded = encoded
    const largestBytes = Math.min(list.size, list.chunkBytes === 0 ? CHUNK_BYTES_MAX : list.chunkBytes)
    this.windowBytes = Math.max(windowBytes, largestBytes)
    this.grantedBytes = this.windowBytes
  }

  /** Absolute, for TRANSFER_OPENED, FETCH and STORED. Reading it grants it: say it to the source. */
  get creditBytes(): number {
    this.grantedBytes = Math.max(this.grantedBytes, this.doneBytes + this.windowBytes)
    return this.grantedBytes
  }

  /** All chunks are named and stored. */
  get complete(): boolean {
    return this.list.complete && this.stored === this.list.count
  }

  /** Content that is still to come of what was asked for. */
  get comingBytes(): number {
    return this.askedBytes + (this.buffer === null ? 0 : this.list.lengthAt(this.current) - this.counted)
  }

  get storedChunks(): number {
    return this.stored
  }

  isStored(chunk: number): boolean {
    return this.marks.has(chunk, STORED)
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

  /** It was asked for. The source may send it as often as it was asked for: it cannot know what crosses on the way. */
  wanted(chunk: number): void {
    assert(chunk < this.list.count, 'a chunk that was named')
    if (!this.marks.set(chunk, MISSING)) this.again.set(chunk, (this.again.get(chunk) ?? 0) + 1)
    else if (!this.isStored(chunk)) this.askedBytes += this.list.lengthAt(chunk)
  }

  /**
   * It is durable here; `received`: it came by this transfer, and makes room for more. When it was just being received, what came
   * of it is done with too, and its buffer is given back.
   */
  keep(chunk: number, { received }: { received: boolean }): Buffer | null {
    assert(chunk < this.list.count, 'a chunk that was named')
    if (this.marks.set(chunk, STORED)) {
      this.stored++
      // It is not sent any more, unless it is on its way.
      if (this.marks.has(chunk, MISSING)) this.askedBytes -= this.list.lengthAt(chunk)
    }
    if (received) this.doneWith(chunk, this.list.lengthAt(chunk))
    const { part } = this
    if (part?.chunk === chunk) {
      // The source may have begun to go on there.
      this.part = { ...part, bytes: null }
      return part.bytes
    }
    if (chunk !== this.current || this.buffer === null) return null
    const left = this.buffer
    this.buffer = null
    this.doneWith(chunk, this.counted)
    return left
  }

  /**
   * What came of a chunk in an earlier session, which is asked for now: its buffer is taken. The source may go on where it ends, or
   * send the chunk from its beginning.
   */
  resume(part: Part): void {
    const { chunk, bytes, filled, encodedBytes } = part
    const length = this.list.lengthAt(chunk)
    assert(this.part === null && this.marks.has(chunk, MISSING) && bytes.length === length, 'a chunk asked for')
    assert(filled > 0 && filled < (encodedBytes === 0 ? length : encodedBytes) && encodedBytes < length, 'a part of it')
    assert(encodedBytes === 0 || this.encoded, 'of a form that was agreed on')
    this.part = part
  }

  /** It is not what its digest says: it is to be asked for again. Faults: `CHUNK_DAMAGED`. */
  damaged(chunk: number): void {
    const tries = (this.tries.get(chunk) ?? 0) + 1
    this.tries.set(chunk, tries)
    if (tries >= DAMAGED_TRIES_MAX) throw transferFault('CHUNK_DAMAGED', { where: `chunk ${chunk}` })
    this.doneWith(chunk, this.list.lengthAt(chunk))
    this.wanted(chunk)
  }

  /** Takes a part of a chunk; gives the chunk when it is whole. Faults: `TRANSFER_MALFORMED`. */
  data({ chunk, offset, encodedBytes, bytes }: ChunkData): Arrived | null {
    if (chunk !== this.current) this.begin(chunk, offset, encodedBytes)
    const length = this.list.lengthAt(chunk)
    const sentBytes = encodedBytes === 0 ? length : encodedBytes
    const end = offset + bytes.length
    if (encodedBytes !== this.encodedBytes || offset !== this.filled || end > sentBytes) {
      throw transferFault('TRANSFER_MALFORMED', { where: `chunk ${chunk}`, why: `bytes from ${offset} on` })
    }
    const counted = contentUpTo(end, encodedBytes, length)
    const fresh = counted - this.counted
    if (this.receivedBytes + fresh > this.grantedBytes) {
      throw transferFault('TRANSFER_MALFORMED', { why: 'more was sent than was allowed' })
    }
    if (offset === 0 && !this.isStored(chunk)) this.buffer ??= this.allocate(length, sentBytes)
    const { buffer } = this
    this.receivedBytes += fresh
    this.filled = end
    this.counted = counted
    if (buffer === null) this.done(fresh)
    else bytes.copy(buffer, offset)
    if (end < sentBytes) return null
    this.current = -1
    this.buffer = null
    return buffer === null ? null : { chunk, bytes: buffer, encodedBytes }
  }

  /** The session is over: gives what did not become whole, with its buffer: the chunk that was coming, one that was to go on. */
  abandon(): Part[] {
    const { current: chunk, buffer: bytes, filled, encodedBytes, part } = this
    const left: Part[] = part === null || part.bytes === null ? [] : [{ ...part, bytes: part.bytes }]
    if (bytes !== null) left.unshift({ chunk, bytes, filled, encodedBytes })
    this.current = -1
    this.buffer = null
    this.part = null
    return left
  }

  private begin(chunk: number, offset: number, encodedBytes: number): void {
    if (this.buffer !== null) {
      throw transferFault('TRANSFER_MALFORMED', {
        where: `chunk ${chunk}`,
        why: `chunk ${this.current} is not whole yet`,
      })
    }
    if (!this.marks.clear(chunk, MISSING)) {
      throw transferFault('TRANSFER_MALFORMED', { where: `chunk ${chunk}`, why: 'nobody wants it' })
    }
    if (encodedBytes > 0 && (!this.encoded || encodedBytes >= this.list.lengthAt(chunk))) {
      throw transferFault('TRANSFER_MALFORMED', {
        where: `chunk ${chunk}`,
        why: this.encoded ? `${encodedBytes} bytes encode it` : 'it is encoded, which was not agreed',
      })
    }
    const isStored = this.isStored(chunk)
    if (!isStored) this.askedBytes -= this.list.lengthAt(chunk)
    const again = this.again.get(chunk) ?? 0
    if (again > 0) this.marks.set(chunk, MISSING)
    if (again > 0 && !isStored) this.askedBytes += this.list.lengthAt(chunk)
    if (again > 1) this.again.set(chunk, again - 1)
    else this.again.delete(chunk)
    this.current = chunk
    this.filled = 0
    this.counted = 0
    this.encodedBytes = encodedBytes
    const { part } = this
    if (part?.chunk !== chunk) return
    this.part = null
    this.buffer = part.bytes
    if (offset === 0 || encodedBytes !== part.encodedBytes) return
    this.filled = part.filled
    this.counted = contentUpTo(part.filled, encodedBytes, this.list.lengthAt(chunk))
    if (part.bytes !== null) this.before.set(chunk, this.counted)
  }

  private doneWith(chunk: number, contentBytes: number): void {
    this.done(contentBytes - (this.before.get(chunk) ?? 0))
    this.before.delete(chunk)
  }

  private done(bytes: number): void {
    this.doneBytes += bytes
    assert(this.doneBytes <= this.receivedBytes, 'nothing is done with that was not received')
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
