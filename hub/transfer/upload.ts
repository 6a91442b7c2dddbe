// An agent sends a content: its chunks are named, those that are here already are taken as they are, the others are asked for,
// hashed, stored, acknowledged. What is durable is never asked for again, whatever breaks.

import type { KeyObject } from 'node:crypto'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { CHANNEL_RECEIPTS, FRAME_SEALED, FRAME_STORED, FRAME_WANT } from '#protocol/frame/mod.ts'
import { type Chunks, encodeSealed, encodeStored, encodeWant, type Seal } from '#protocol/schema/mod.ts'
import {
  type Arrived,
  type ChunkData,
  ChunkList,
  checkAgainst,
  Incoming,
  parseManifest,
  RANGES_MAX,
  runsOf,
  transferFault,
  verifyManifest,
} from '#protocol/transfer/mod.ts'
import type { Contents } from './contents.ts'
import { hubTransferFault } from './faults.ts'
import type { LiveContent } from './live.ts'
import { Twins } from './twins.ts'

export type UploadOptions = {
  /** Number of the transfer in its session. */
  readonly number: number
  readonly content: LiveContent
  readonly contents: Contents
  readonly agent: string
  readonly publicKey: KeyObject
  readonly place: Disposable
  /** Encoded chunks were agreed on. */
  readonly encoded: boolean
  send(kind: number, channel: number, body: Uint8Array): void
  /** It does not go on in this session. */
  end(fault: Fault): void
}

export class Upload {
  private readonly options: UploadOptions
  private readonly incoming: Incoming
  private readonly following: Disposable
  private readonly storedNow: number[] = []
  private readonly twins = new Twins()
  private scheduled = false
  private ended = false
  private manifest: Buffer | null = null
  private sealing = false

  constructor(options: UploadOptions) {
    this.options = options
    const { content, contents, encoded } = options
    content.uploader = this
    this.following = content.follow(() => {
      if (content.expired !== null) this.fail(content.expired)
    })
    const { size, chunkBytes } = content.list
    this.incoming = new Incoming({
      list: new ChunkList({ size, chunkBytes }),
      // An encoded chunk is stored as it comes.
      allocate: (_length, sentBytes) => contents.buffers.take(sentBytes),
      windowBytes: contents.windows.of(chunkBytes),
      encoded,
    })
  }

  get creditBytes(): number {
    return this.incoming.creditBytes
  }

  /** Faults: `TRANSFER_MALFORMED`, `CONTENT_FOREIGN`. */
  chunks(frame: Chunks): void {
    const { content, contents } = this.options
    const { incoming } = this
    const [from, to] = incoming.named(frame)
    const wanted: number[] = []
    for (let chunk = from; chunk < to; chunk++) {
      const digest = incoming.list.digestAt(chunk)
      this.agreed(chunk, digest)
      const part = contents.store.part(content.id, chunk)
      if (part !== null && !part.digest.equals(digest)) {
        throw hubTransferFault('CONTENT_FOREIGN', { where: `content ${content.id}, chunk ${chunk}` })
      }
      if (part !== null) this.keep(chunk, false)
      else if (contents.isHeld(digest, this.options.agent)) void this.link(chunk)
      else if (!this.twins.waits(chunk, incoming.list)) wanted.push(chunk)
    }
    this.want(wanted)
    content.tell()
    // Content of no bytes names no chunks, so this is not the only place that may complete it.
    this.sealWhenComplete()
  }

  /** Faults: `TRANSFER_MALFORMED`. */
  data(data: ChunkData): void {
    const { contents } = this.options
    contents.receivedBytes += data.bytes.length
    const arrived = this.incoming.data(data)
    if (arrived !== null) void this.take(arrived)
  }

  /** Faults: `MANIFEST_*`. */
  seal({ manifest: bytes }: Seal): void {
    const { content, agent, publicKey } = this.options
    const manifest = parseManifest(Buffer.from(bytes))
    const { name, mediaType } = content.view
    if (manifest.origin !== agent || manifest.name !== name || manifest.mediaType !== mediaType) {
      throw transferFault('MANIFEST_INVALID', { why: 'it names another origin, file or type' })
    }
    verifyManifest(manifest, publicKey)
    checkAgainst(manifest, Buffer.from(content.id, 'hex'), this.incoming.list)
    this.manifest = Buffer.from(bytes)
    this.sealWhenComplete()
  }

  close(): void {
    if (this.ended) return
    this.ended = true
    const { content, contents, place } = this.options
    for (const { bytes } of this.incoming.abandon()) contents.buffers.release(bytes)
    place[Symbol.dispose]()
    content.nearness.release()
    this.following[Symbol.dispose]()
    if (content.uploader === this) content.uploader = null
    contents.leave(content)
  }

  /** Names the chunk for whoever follows; one that was named before must be the same. */
  private agreed(chunk: number, digest: Buffer): void {
    const { list } = this.options.content
    if (chunk >= list.count) list.add(digest, this.incoming.list.lengthAt(chunk))
    else if (!list.digestAt(chunk).equals(digest)) {
      throw hubTransferFault('CONTENT_FOREIGN', { where: `content ${this.options.content.id}, chunk ${chunk}` })
    }
  }

  private want(chunks: readonly number[]): void {
    for (const chunk of chunks) this.incoming.wanted(chunk)
    const ranges = runsOf(chunks)
    for (let at = 0; at < ranges.length; at += RANGES_MAX) {
      const body = encodeWant({
        transfer: this.options.number,
        ranges: ranges.slice(at, at + RANGES_MAX),
        part: null,
        priority: 0,
      })
      this.options.send(FRAME_WANT, CHANNEL_RECEIPTS, body)
    }
  }

  /** The chunk is here, by another content or at another place of this one. */
  private async link(chunk: number): Promise<void> {
    const { content, contents } = this.options
    const digest = Buffer.from(this.incoming.list.digestAt(chunk))
    const length = this.incoming.list.lengthAt(chunk)
    try {
      await contents.store.add(content.id, chunk, { digest, length, bytes: null })
      this.keep(chunk, false)
    } catch (error) {
      const fault = asFault(error)
      // It went meanwhile.
      if (fault.code === 'CHUNK_UNKNOWN' && !this.ended) this.want([chunk])
      else this.fail(fault)
    }
  }

  private async take({ chunk, bytes, encodedBytes }: Arrived): Promise<void> {
    const { content, contents } = this.options
    const { list } = this.incoming
    const digest = Buffer.from(list.digestAt(chunk))
    const length = list.lengthAt(chunk)
    try {
      const found = await contents.hashing.digestOf({ bytes, length })
      if (this.ended) return
      if (found?.equals(digest) !== true) {
        this.incoming.damaged(chunk)
        this.want([chunk])
        // What was thrown away is room again. The agent may have none left to send it again with.
        this.tellStored([])
        return
      }
      contents.recent.keep(digest.toString('latin1'), { bytes, length })
      await contents.store.add(content.id, chunk, { digest, length, bytes, isEncoded: encodedBytes > 0 })
      this.keep(chunk, true)
      for (const twin of this.twins.arrived(chunk, digest)) void this.link(twin)
    } catch (error) {
      this.fail(asFault(error))
    } finally {
      contents.buffers.release(bytes)
    }
  }

  private keep(chunk: number, received: boolean): void {
    const { content } = this.options
    content.durable.add(chunk, chunk + 1)
    content.tell()
    if (this.ended) return
    const left = this.incoming.keep(chunk, { received })
    if (left !== null) this.options.contents.buffers.release(left)
    this.storedNow.push(chunk)
    if (this.scheduled) return
    this.scheduled = true
    // One STORED for all that became durable together.
    queueMicrotask(() => {
      if (this.incoming.complete) this.acknowledgeAll()
      else content.nearness.pace(() => this.acknowledgeAll())
    })
  }

  private acknowledgeAll(): void {
    this.scheduled = false
    this.acknowledge()
    this.sealWhenComplete()
  }

  private acknowledge(): void {
    if (this.ended) return
    const ranges = runsOf(this.storedNow.splice(0).sort((a, b) => a - b))
    for (let at = 0; at < ranges.length; at += RANGES_MAX) this.tellStored(ranges.slice(at, at + RANGES_MAX))
  }

  private tellStored(ranges: ReturnType<typeof runsOf>): void {
    const { creditBytes } = this.incoming
    const body = encodeStored({ transfer: this.options.number, ranges, creditBytes })
    this.options.send(FRAME_STORED, CHANNEL_RECEIPTS, body)
  }

  private sealWhenComplete(): void {
    if (this.manifest === null || this.sealing || this.ended || !this.incoming.complete) return
    this.sealing = true
    void this.sealWith(this.manifest)
  }

  private async sealWith(sent: Buffer): Promise<void> {
    const { content, contents, number } = this.options
    try {
      // One that was sealed before, and had lost a chunk, is so again.
      const view = contents.store.get(content.id)
      const manifest = view?.state === 'sealed' && view.manifest !== null ? view.manifest : sent
      await contents.store.seal(content.id, manifest)
      content.manifest = manifest
      content.tell()
      if (!this.ended) this.options.send(FRAME_SEALED, CHANNEL_RECEIPTS, encodeSealed({ transfer: number }))
      this.close()
    } catch (error) {
      this.fail(asFault(error))
    }
  }

  private fail(fault: Fault): void {
    if (!this.ended) this.options.end(fault)
  }
}
