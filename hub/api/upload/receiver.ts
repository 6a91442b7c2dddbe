// Bytes of an upload, as they come, into chunks of the content's plan: each is hashed in a thread and stored while the next one
// fills. What is under way is bounded by the hub's windows: beyond that the sender waits.

import { type Contents, hubTransferFault, type LiveContent } from '#hub/transfer/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'

export type ReceiverOptions = {
  readonly contents: Contents
  readonly content: LiveContent
  /** What came before, behind the last whole chunk. */
  readonly rest: Buffer
}

export class Receiver {
  private readonly contents: Contents
  private readonly content: LiveContent
  /** The chunk that fills, and its bytes; `null` before its first one. */
  private index: number
  private buffer: Buffer | null = null
  private length = 0
  private filled = 0
  /** Chunks are named, and begun to be stored, in their order. */
  private named: Promise<void> = Promise.resolve()
  private readonly pending = new Set<Promise<void>>()
  private pendingBytes = 0
  private failed: Fault | null = null

  constructor({ contents, content, rest }: ReceiverOptions) {
    this.contents = contents
    this.content = content
    this.index = content.durable.floor
    if (rest.length === 0) return
    this.filled = rest.copy(this.open())
  }

  /** `bytes` are copied. Waits while too much is under way. Faults: those of the store, `CONTENT_FOREIGN`. */
  async take(bytes: Buffer): Promise<void> {
    this.contents.receivedBytes += bytes.length
    for (let at = 0; at < bytes.length; ) {
      if (this.buffer === null) await this.makeRoom()
      if (this.failed !== null) throw this.failed
      const buffer = this.buffer ?? this.open()
      const copied = bytes.copy(buffer, this.filled, at, at + this.length - this.filled)
      at += copied
      this.filled += copied
      if (this.filled === this.length) this.store(buffer)
    }
  }

  /** Waits for what is under way; `take` is not called any more. Gives the fault that ended it, if one did. */
  async settle(): Promise<Fault | null> {
    while (this.pending.size > 0) await Promise.all(this.pending)
    return this.failed
  }

  /** What is behind the last whole chunk, after `settle`; nothing when a chunk before it is not stored. */
  rest(): Buffer {
    if (this.failed !== null || this.buffer === null) return Buffer.alloc(0)
    return this.buffer.subarray(0, this.filled)
  }

  /** Gives its memory back: `rest` is not looked at any more. */
  close(): void {
    if (this.buffer !== null) this.contents.buffers.release(this.buffer)
    this.buffer = null
  }

  private open(): Buffer {
    this.length = this.lengthOf(this.index)
    this.buffer = this.contents.buffers.take(this.length)
    return this.buffer
  }

  private lengthOf(index: number): number {
    const { size, chunkBytes } = this.content.list
    return Math.min(chunkBytes, size - index * chunkBytes)
  }

  private async makeRoom(): Promise<void> {
    const { windows } = this.contents
    const length = this.lengthOf(this.index)
    while (this.pendingBytes > 0 && this.pendingBytes + length > windows.of(this.content.list.chunkBytes)) {
      await Promise.race(this.pending)
    }
  }

  private store(buffer: Buffer): void {
    const bytes = buffer.subarray(0, this.length)
    const work = this.keep(this.index, bytes).catch((error: unknown) => {
      this.failed ??= asFault(error)
    })
    const done = work.finally(() => {
      this.contents.buffers.release(buffer)
      this.pending.delete(done)
      this.pendingBytes -= bytes.length
    })
    this.pending.add(done)
    this.pendingBytes += bytes.length
    this.index++
    this.buffer = null
    this.filled = 0
  }

  /** Settles when nobody reads `bytes` any more. */
  private async keep(index: number, bytes: Buffer): Promise<void> {
    const { contents, content } = this
    const digesting = contents.hashing.digest(bytes)
    const naming = this.named.then(async () => this.name(index, await digesting, bytes.length))
    this.named = naming
    const [named, digested] = await Promise.allSettled([naming, digesting])
    if (named.status === 'rejected') throw named.reason
    if (digested.status === 'rejected') throw digested.reason
    const digest = digested.value
    await contents.store.add(content.id, index, { digest, length: bytes.length, bytes })
    content.durable.add(index, index + 1)
    content.tell()
  }

  /** For whoever follows. One that an earlier request named, and could not store, must be the same. */
  private name(index: number, digest: Buffer, length: number): void {
    const { list, id } = this.content
    if (this.failed !== null) throw this.failed
    if (index >= list.count) list.add(digest, length)
    else if (!list.digestAt(index).equals(digest)) {
      throw hubTransferFault('CONTENT_FOREIGN', { where: `content ${id}, chunk ${index}` })
    }
  }
}
