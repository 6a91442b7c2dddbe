// A content goes to an agent: its chunks are named as far as they are known, those it wants are sent as they become durable, at
// last what its origin signed. So a download may follow an upload, or begin years after it.

import { type StoredChunk, storeFault } from '#hub/store/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { DIGEST_BYTES } from '#protocol/crypto/mod.ts'
import { CHANNEL_CONTROL, CHUNK_DATA_BYTES_MAX, FRAME_CHUNKS, FRAME_SEAL } from '#protocol/frame/mod.ts'
import { encodeChunks, encodeSeal, type Stored, type Want } from '#protocol/schema/mod.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import {
  CHUNKS_PER_FRAME_MAX,
  dataFrameStart,
  IN_A_MOMENT,
  Outgoing,
  parseManifest,
  type SealedManifest,
} from '#protocol/transfer/mod.ts'
import type { Contents } from './contents.ts'
import { hubTransferFault } from './faults.ts'
import { READ_AHEAD_BYTES, READ_AHEAD_CHUNKS_MAX } from './limits.ts'
import type { LiveContent } from './live.ts'

export type ServingOptions = {
  readonly number: number
  readonly content: LiveContent
  readonly contents: Contents
  readonly creditBytes: number
  /** Encoded chunks were agreed on. */
  readonly encoded: boolean
  send(kind: number, channel: number, body: Uint8Array): void
  /** `sent`: the second is not needed any more. */
  sendParts(first: Buffer, second: Buffer, sent: () => void): void
  /** Makes sure the peer has the certificate of who signed. */
  introduce(manifest: SealedManifest): void
  /** There may be more to send now. */
  wake(): void
  end(fault: Fault): void
}

export class Serving {
  private readonly options: ServingOptions
  private readonly outgoing: Outgoing
  private readonly following = new DisposableStack()
  private readonly read = new Map<number, StoredChunk>()
  private readonly reading = new Set<number>()
  /** Sent once, and asked for again: it may be ours that is damaged. */
  private readonly doubtful = new Set<number>()
  private readonly sent = new RangeSet()
  private named = 0
  private sealSent = false
  private ended = false

  constructor(options: ServingOptions) {
    this.options = options
    this.outgoing = new Outgoing(options.content.list, options.creditBytes)
    const { content } = options
    this.following.use(content.follow(() => options.wake()))
    this.following.use(content.nearness.add(() => this.behindBytes))
  }

  /** Faults: `TRANSFER_MALFORMED`. */
  want({ ranges, part }: Want): void {
    this.outgoing.want(ranges, part)
    for (const { from, count } of ranges) {
      for (let chunk = from; chunk < from + count; chunk++) if (this.sent.has(chunk)) this.doubtful.add(chunk)
    }
    this.options.wake()
  }

  /** Faults: `TRANSFER_MALFORMED`. */
  stored({ ranges, creditBytes }: Stored): void {
    this.outgoing.acknowledge(ranges, creditBytes)
    // What the agent came to have by another way is not sent: it must not be held until the end.
    for (const [chunk, { bytes }] of this.read) if (this.outgoing.has(chunk)) this.drop(chunk, bytes)
    this.options.content.nearness.progressed()
    this.options.wake()
  }

  /** What waits for no turn: names what is new, reads ahead. */
  advance(): void {
    if (this.ended) return
    const { expired } = this.options.content
    if (expired !== null) {
      this.options.end(expired)
      return
    }
    this.name()
    this.seal()
    this.readAhead()
  }

  /** Sends a piece; gives how many bytes, 0 when there is nothing to send now, or `IN_A_MOMENT`. */
  step(): number {
    if (this.ended) return 0
    this.readAhead()
    const chunk = this.outgoing.next
    const form = this.read.get(chunk)
    if (form === undefined) return this.reading.has(chunk) && this.outgoing.mayGoOn ? IN_A_MOMENT : 0
    const { bytes } = form
    const encodedBytes = isEncoded(form) ? bytes.length : 0
    const piece = this.outgoing.take(CHUNK_DATA_BYTES_MAX, encodedBytes)
    if (piece === null) return 0
    const { number, content } = this.options
    const start = dataFrameStart({ transfer: number, chunk, offset: piece.offset, encodedBytes, bytes: piece.bytes })
    const { buffers } = this.options.contents
    buffers.hold(bytes)
    const sent = () => buffers.release(bytes)
    this.options.sendParts(start, bytes.subarray(piece.offset, piece.offset + piece.bytes), sent)
    if (piece.offset + piece.bytes === bytes.length) {
      this.drop(chunk, bytes)
      this.sent.add(chunk, chunk + 1)
      content.nearness.progressed()
    }
    return piece.bytes
  }

  close(): void {
    if (this.ended) return
    this.ended = true
    for (const [chunk, { bytes }] of this.read) this.drop(chunk, bytes)
    this.following[Symbol.dispose]()
    this.options.contents.leave(this.options.content)
  }

  /** What is here from the next chunk on that is to be sent. */
  private get behindBytes(): number {
    const { list, durable } = this.options.content
    const { next } = this.outgoing
    if (next < 0 || next >= durable.floor) return 0
    return list.offsetAt(durable.floor - 1) + list.lengthAt(durable.floor - 1) - list.offsetAt(next)
  }

  private drop(chunk: number, bytes: Buffer): void {
    this.read.delete(chunk)
    this.options.contents.buffers.release(bytes)
  }

  private name(): void {
    const { content, number } = this.options
    const { list } = content
    while (this.named < list.count) {
      const to = Math.min(list.count, this.named + CHUNKS_PER_FRAME_MAX)
      const digests = Buffer.allocUnsafe((to - this.named) * DIGEST_BYTES)
      const lengths: number[] = []
      for (let i = this.named; i < to; i++) {
        list.digestAt(i).copy(digests, (i - this.named) * DIGEST_BYTES)
        if (list.chunkBytes === 0) lengths.push(list.lengthAt(i))
      }
      const body = encodeChunks({ transfer: number, first: this.named, digests, lengths })
      this.options.send(FRAME_CHUNKS, CHANNEL_CONTROL, body)
      this.named = to
    }
  }

  private seal(): void {
    const { content, number } = this.options
    const { manifest } = content
    if (manifest === null || this.sealSent || !content.list.complete) return
    this.sealSent = true
    this.options.introduce(parseManifest(manifest))
    this.options.send(FRAME_SEAL, CHANNEL_CONTROL, encodeSeal({ transfer: number, manifest }))
  }

  private readAhead(): void {
    const { content } = this.options
    let aheadBytes = 0
    for (const [i, chunk] of this.outgoing.upcoming(READ_AHEAD_CHUNKS_MAX).entries()) {
      aheadBytes += content.list.lengthAt(chunk)
      // The next one is read while one is sent, however large it is.
      if (i > 1 && aheadBytes > READ_AHEAD_BYTES) return
      if (this.read.has(chunk) || this.reading.has(chunk)) continue
      // It is on its way here.
      if (!content.durable.has(chunk)) return
      this.load(chunk)
    }
  }

  private load(chunk: number): void {
    const { content, contents } = this.options
    const digest = Buffer.from(content.list.digestAt(chunk))
    const recent = this.doubtful.has(chunk) ? undefined : contents.recent.get(digest.toString('latin1'))
    if (recent === undefined || this.mustDecode(recent)) void this.prepare(chunk, digest, recent ?? null)
    else {
      contents.buffers.hold(recent.bytes)
      this.read.set(chunk, recent)
    }
  }

  private mustDecode(form: StoredChunk): boolean {
    return !this.options.encoded && isEncoded(form)
  }

  /**
   * From the disk, when it is not one of the `recent`; decoded for an agent that takes only chunks as they are. What the agent
   * receives it checks itself: here only what it doubts is, and what is decoded.
   */
  private async prepare(chunk: number, digest: Buffer, recent: StoredChunk | null): Promise<void> {
    const { content, contents, wake, end } = this.options
    this.reading.add(chunk)
    const buffer = contents.buffers.take(content.list.lengthAt(chunk))
    if (recent !== null) contents.buffers.hold(recent.bytes)
    let isKept = false
    try {
      const isDoubtful = this.doubtful.delete(chunk)
      let form = recent ?? (await contents.store.read(digest, buffer))
      const mustDecode = this.mustDecode(form)
      if (mustDecode || isDoubtful) {
        const found = await (mustDecode ? contents.hashing.decode(form, buffer) : contents.hashing.digestOf(form))
        if (found?.equals(digest) !== true) throw storeFault('STORE_DAMAGED')
        if (mustDecode) form = { bytes: buffer, length: form.length }
      }
      if (this.ended || this.outgoing.has(chunk)) return
      isKept = true
      this.read.set(chunk, form)
      wake()
    } catch (error) {
      const fault = asFault(error)
      if (fault.code === 'STORE_DAMAGED' || fault.code === 'CHUNK_UNKNOWN') {
        // The transfer ends either way; what could not be noted is found again by the next who reads it.
        await contents.lost(content, digest).catch(() => undefined)
        const cause = { where: `content ${content.id}, chunk ${chunk}`, cause: fault, retry: true }
        if (!this.ended) end(hubTransferFault('CONTENT_DAMAGED', cause))
      } else if (!this.ended) end(fault)
    } finally {
      this.reading.delete(chunk)
      if (!isKept) contents.buffers.release(buffer)
      if (recent !== null) contents.buffers.release(recent.bytes)
    }
  }
}

const isEncoded = ({ bytes, length }: StoredChunk): boolean => bytes.length < length
