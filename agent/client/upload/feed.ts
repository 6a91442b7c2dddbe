// Chunks of one file in memory, for sending: hashes ahead from front to back as far as memory allows, encodes what is wanted, and
// reads again what is wanted and not here any more. What the hub turns out to have is never encoded. What was sent stays until it is
// stored at the hub, because the socket may still hold it.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { ChunkList, CutSizes } from '#protocol/transfer/mod.ts'
import type { Compression } from './compression.ts'
import type { HashedChunk, Prepared } from './content-file.ts'
import { AT_THREAD_BYTES, AT_THREAD_CHUNKS_MAX, READ_AHEAD_BYTES, READ_AHEAD_CHUNKS_MAX } from './limits.ts'
import type { MemoryShare } from './memory.ts'
import type { OpenFile } from './thread.ts'

export type FeedEvents = {
  /** A chunk was hashed and added to the list. */
  onHashed(chunk: HashedChunk): void
  /** A chunk that was needed is as it is to be sent; so much of it had to be read again. */
  onReady(chunk: number, readAgainBytes: number): void
  /** The encoder was given so much. */
  onEncoding(bytes: number): void
  onFault(fault: Fault): void
}

/** A chunk in memory. */
type Held = {
  readonly memory: SharedArrayBuffer
  /** As it is sent. */
  readonly bytes: Buffer
  /** Of its encoded form, when that is what is sent; else 0. */
  readonly encodedBytes: number
  /** It was hashed, and the hub may have it: in which form it is sent is decided when it is wanted. */
  readonly isOpen: boolean
}

export class ChunkFeed {
  /** How many chunks are worth asking for ahead. */
  readonly ahead: number
  private readonly file: OpenFile
  private readonly list: ChunkList
  private readonly memory: MemoryShare
  private readonly events: FeedEvents
  private readonly here = new Map<number, Held>()
  /** At the thread, to be read or encoded. */
  private readonly reading = new Set<number>()
  /** Begun to be sent and not stored yet, and when the last of it went out. */
  private readonly sent = new Map<number, number>()
  private readonly hashingMax: number
  private readonly shortest: number
  /** Length of most chunks. */
  readonly usualBytes: number
  private hashing = 0
  /** Tasks at the thread that hold memory. */
  private working = 0
  private isOpen = true
  private isResting = false
  private readonly compression: Compression
  /** The hub takes encoded chunks, as far as is known. */
  private encode = true

  constructor(parts: {
    file: OpenFile
    compression: Compression
    list: ChunkList
    cut: CutSizes | null
    memory: MemoryShare
    events: FeedEvents
  }) {
    this.file = parts.file
    this.compression = parts.compression
    this.list = parts.list
    this.memory = parts.memory
    this.events = parts.events
    this.memory.giveUp = () => this.drop(() => false)
    const { chunkBytes } = parts.memory
    this.shortest = parts.cut?.min ?? chunkBytes
    this.usualBytes = parts.cut?.average ?? chunkBytes
    this.hashingMax = within(AT_THREAD_CHUNKS_MAX, AT_THREAD_BYTES / chunkBytes)
    this.ahead = within(READ_AHEAD_CHUNKS_MAX, READ_AHEAD_BYTES / chunkBytes)
  }

  /** A chunk that is in memory as it is to be sent: good until `release`. Before that `fill` was told that it is needed. */
  get(chunk: number): Pick<Held, 'bytes' | 'encodedBytes'> | null {
    const held = this.here.get(chunk)
    return held === undefined || held.isOpen ? null : held
  }

  /** The thread is at work on what is to be sent next. */
  isBusy(next: number): boolean {
    return next < 0 ? this.hashing > 0 : this.reading.has(next)
  }

  /** It comes to be in memory by itself. */
  isReading(chunk: number): boolean {
    return this.reading.has(chunk)
  }

  /** On a new connection: whether its hub takes encoded chunks. If not, such are read again as they are. */
  encoding(encode: boolean): void {
    this.encode = encode
    if (encode) return
    for (const [chunk, { encodedBytes }] of this.here) if (encodedBytes > 0) this.release(chunk)
  }

  /** At which chunks are encoded at present; 0: they are not. */
  get level(): number {
    return this.encode ? this.compression.level : 0
  }

  /** Its bytes go to the socket. */
  sending(chunk: number, nowMs: number): void {
    this.sent.set(chunk, nowMs)
  }

  /** They are at the hub, so also what was sent of them. */
  stored(chunks: readonly number[], nowMs: number): void {
    let bytes = 0
    let latencyMs = Number.POSITIVE_INFINITY
    for (const chunk of chunks) {
      const sentMs = this.sent.get(chunk)
      if (sentMs !== undefined) {
        bytes += this.here.get(chunk)?.bytes.length ?? 0
        latencyMs = Math.min(latencyMs, nowMs - sentMs)
      }
      this.release(chunk)
    }
    if (bytes > 0) this.compression.acknowledged(bytes, latencyMs, nowMs)
  }

  /** It is at the hub. */
  release(chunk: number): void {
    const held = this.here.get(chunk)
    this.here.delete(chunk)
    this.sent.delete(chunk)
    if (held !== undefined) this.memory.give(held.memory)
  }

  /** The connection is gone: what was sent on it can be dropped like anything else. */
  detached(): void {
    this.sent.clear()
    this.compression.rest()
  }

  /** Gives back what was not sent, until `fill`: it may take long. */
  rest(): void {
    this.isResting = true
    this.compression.rest()
    for (const chunk of [...this.here.keys()]) if (!this.sent.has(chunk)) this.release(chunk)
  }

  /** Gets the chunks that are needed next, then hashes ahead where there is not enough to be sent. `needed` in their order. */
  fill(needed: readonly number[], { hasEnough }: { hasEnough: boolean }): void {
    if (!this.isOpen) return
    this.isResting = false
    for (const [i, chunk] of needed.entries()) {
      if (this.reading.has(chunk)) continue
      const held = this.here.get(chunk)
      if (held !== undefined) {
        if (held.isOpen) this.decide(chunk, held)
        continue
      }
      const memory = this.memory.take() ?? (i === 0 ? this.evict(needed) : null)
      // What is hashed ahead would take what is needed now.
      if (memory === null) return
      void this.read(chunk, memory)
    }
    if (hasEnough) return
    while (this.hashing < this.hashingMax && this.list.bytes + this.hashing * this.shortest < this.list.size) {
      const memory = this.memory.take()
      if (memory === null) return
      void this.hashNext(memory)
    }
  }

  /** What is at the thread comes back first. */
  close(): void {
    this.isOpen = false
    for (const chunk of [...this.here.keys()]) this.release(chunk)
    if (this.working === 0) this.memory.close()
  }

  /** Takes the memory of the chunk that is needed last. */
  private evict(needed: readonly number[]): SharedArrayBuffer | null {
    return this.drop((chunk) => needed.includes(chunk)) ? this.memory.take() : null
  }

  /** Lets go of the last chunk that was not begun to be sent: it is read again. False when there is none but those to keep. */
  private drop(isKept: (chunk: number) => boolean): boolean {
    let last = -1
    for (const chunk of this.here.keys()) {
      if (chunk > last && !this.sent.has(chunk) && !isKept(chunk)) last = chunk
    }
    if (last >= 0) this.release(last)
    return last >= 0
  }

  private async hashNext(memory: SharedArrayBuffer): Promise<void> {
    this.hashing++
    this.working++
    try {
      const chunk = await this.file.next(memory)
      this.hashing--
      this.compression.read(chunk.length, chunk.readMs)
      if (!this.isOpen || chunk.length === 0) this.memory.give(memory)
      else {
        this.keep(this.list.add(chunk.digest, chunk.length), memory, { encodedBytes: 0, isOpen: true })
        this.events.onHashed(chunk)
      }
    } catch (error) {
      this.hashing--
      this.memory.give(memory)
      this.failed(error)
    }
    this.done()
  }

  private decide(chunk: number, held: Held): void {
    const length = this.list.lengthAt(chunk)
    const level = this.levelFor(length)
    if (level === 0) {
      this.here.set(chunk, { ...held, isOpen: false })
      return
    }
    this.here.delete(chunk)
    const { memory } = held
    void this.prepare(chunk, { memory, level, readAgainBytes: 0 }, () => this.file.encode(memory, { length, level }))
  }

  private async read(chunk: number, memory: SharedArrayBuffer): Promise<void> {
    const length = this.list.lengthAt(chunk)
    const level = this.levelFor(length)
    const offset = this.list.offsetAt(chunk)
    await this.prepare(chunk, { memory, level, readAgainBytes: length }, () =>
      this.file.read(memory, { offset, length, level }),
    )
  }

  private async prepare(
    chunk: number,
    { memory, level, readAgainBytes }: { memory: SharedArrayBuffer; level: number; readAgainBytes: number },
    act: () => Promise<Prepared>,
  ): Promise<void> {
    this.reading.add(chunk)
    this.working++
    try {
      const length = this.list.lengthAt(chunk)
      if (level > 0) this.events.onEncoding(length)
      const { encodedBytes, readMs, encodeMs } = await act()
      this.reading.delete(chunk)
      if (readMs > 0) this.compression.read(length, readMs)
      this.compression.worked({ level, length, encodedBytes, encodeMs })
      if (this.isOpen) this.keep(chunk, memory, { encodedBytes, isOpen: false })
      else this.memory.give(memory)
      if (this.isOpen) this.events.onReady(chunk, readAgainBytes)
    } catch (error) {
      this.reading.delete(chunk)
      this.memory.give(memory)
      this.failed(error)
    }
    this.done()
  }

  private keep(
    chunk: number,
    memory: SharedArrayBuffer,
    { encodedBytes, isOpen }: Pick<Held, 'encodedBytes' | 'isOpen'>,
  ): void {
    const bytes = Buffer.from(memory, 0, encodedBytes > 0 ? encodedBytes : this.list.lengthAt(chunk))
    if (this.isResting || (encodedBytes > 0 && !this.encode)) this.memory.give(memory)
    else this.here.set(chunk, { memory, bytes, encodedBytes, isOpen })
  }

  private levelFor(length: number): number {
    return this.encode ? this.compression.choose(length) : 0
  }

  private failed(error: unknown): void {
    if (this.isOpen) this.events.onFault(asFault(error, this.file.path))
  }

  private done(): void {
    this.working--
    if (!this.isOpen && this.working === 0) this.memory.close()
  }
}

const within = (max: number, value: number): number => Math.max(2, Math.min(max, Math.floor(value)))
