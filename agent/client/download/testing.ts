// For tests: a hub that serves contents frame by frame to a client's transfers, and what can go wrong with it.

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Fault } from '#protocol/base/mod.ts'
import { KEY } from '#protocol/codec/testing.ts'
import {
  FRAME_CHUNK_DATA,
  FRAME_CHUNKS,
  FRAME_END_TRANSFER,
  FRAME_FETCH,
  FRAME_FETCHED,
  FRAME_HEADER_BYTES,
  FRAME_SEAL,
  FRAME_SEALED,
  FRAME_STORED,
  FRAME_WANT,
} from '#protocol/frame/mod.ts'
import { FEATURE_ENCODED_CHUNKS, FEATURE_TRANSFERS, featureWords } from '#protocol/handshake/mod.ts'
import {
  decodeEndTransfer,
  decodeFetch,
  decodeStored,
  decodeWant,
  type EndTransfer,
  encodeChunks,
  encodeEndTransfer,
  encodeFetched,
  encodeSeal,
  type Fetched,
} from '#protocol/schema/mod.ts'
import { CHUNKS_PER_FRAME_MAX, ChunkList, dataFrameStart, Outgoing, sealManifest } from '#protocol/transfer/mod.ts'
import type { HubConnection } from '../connection.ts'
import { clientFault } from '../faults.ts'
import type { Origins } from '../origins.ts'
import { Transfers } from '../transfers.ts'
import { type Download, type DownloadOptions, startDownload } from './mod.ts'

export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

export function temporaryFolder(t: { teardown(act: () => void): unknown }): string {
  const path = mkdtempSync(join(tmpdir(), 'causeway-download-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A content as its origin has it: all in memory, or made when asked for. */
export class TestContent {
  readonly id: Buffer
  name: string
  mediaType = 'application/octet-stream'
  origin = 'agent-a'
  readonly list: ChunkList
  readonly chunk: (index: number) => Buffer
  manifest: Buffer

  constructor(options: {
    id?: Buffer
    name?: string
    size: number
    chunkBytes: number
    chunk: (index: number) => Buffer
    digests?: readonly Buffer[]
    lengths?: readonly number[]
  }) {
    const { size, chunkBytes, chunk, digests, lengths } = options
    this.id = options.id ?? randomBytes(16)
    this.name = options.name ?? 'report.pdf'
    this.chunk = chunk
    this.list = new ChunkList({ size, chunkBytes })
    for (let i = 0; !this.list.complete; i++) {
      this.list.add(digests?.[i] ?? sha256(chunk(i)), lengths?.[i] ?? this.list.nextLength)
    }
    this.manifest = this.seal()
  }

  static of(
    bytes: Buffer,
    { name, chunkBytes = 65_536, lengths }: { name?: string; chunkBytes?: number; lengths?: number[] } = {},
  ) {
    const starts: number[] = []
    for (let at = 0, i = 0; lengths !== undefined && at < bytes.length; i++) {
      starts.push(at)
      at += lengths[i] as number
    }
    const chunk = (i: number) => {
      const from = lengths === undefined ? i * chunkBytes : (starts[i] as number)
      return bytes.subarray(from, Math.min(bytes.length, from + (lengths?.[i] ?? chunkBytes)))
    }
    return new TestContent({
      size: bytes.length,
      chunkBytes: lengths === undefined ? chunkBytes : 0,
      chunk,
      ...(name === undefined ? {} : { name }),
      ...(lengths === undefined ? {} : { lengths }),
    })
  }

  seal(changes: { origin?: string; name?: string; contentId?: Buffer; list?: ChunkList } = {}): Buffer {
    const { id: contentId, origin, name, mediaType } = this
    const manifest = { contentId, sealedAtMs: 1_780_000_000_000, origin, name, mediaType, ...changes }
    return sealManifest(manifest, changes.list ?? this.list, KEY)
  }
}

/** The same in every process: 32 MiB and a bit, every chunk different. */
export function madeUp(): TestContent {
  const chunkBytes = 128 * 1024
  const size = 256 * chunkBytes + 1000
  const seed = Buffer.alloc(chunkBytes)
  for (let i = 0; i < seed.length; i++) seed[i] = (i * 131) >> 3
  const chunk = (i: number) => {
    const bytes = Buffer.from(seed.subarray(0, Math.min(chunkBytes, size - i * chunkBytes)))
    bytes.writeUInt32LE(i)
    return bytes
  }
  return new TestContent({ id: Buffer.alloc(16, 5), size, chunkBytes, chunk })
}

export type Mischief = {
  /** Changes the bytes of a piece, and can be other bytes each time. */
  piece?: (chunk: number, offset: number, bytes: Buffer) => Buffer
  fetched?: Partial<Fetched>
  /** Instead of the true manifest. */
  manifest?: Buffer
  /** Answers FETCH with this fault. */
  refuse?: Fault
  /** Names and offers no more than so many chunks, and no manifest. */
  chunksMax?: number
  /** Sends pieces only while this is true. */
  sends?: () => boolean
  /** The encoded form in which it sends a chunk; `null`: as it is. */
  encoded?: (chunk: number, bytes: Buffer) => Buffer | null
}

/** One connection to a hub that has one content. Frames reach the client in later turns, several in one. */
export class TestHub {
  readonly terms = { storeId: Buffer.alloc(16), features: featureWords([FEATURE_TRANSFERS, FEATURE_ENCODED_CHUNKS]) }
  alive = true
  sentBytes = 0
  sealed = 0
  readonly ends: EndTransfer[] = []
  readonly wants: number[] = []
  readonly storedChunks = new Set<number>()
  creditBytes = 0
  readonly fetches: { creditBytes: number }[] = []
  mischief: Mischief
  /** Content bytes it sends in one turn. */
  turnBytes = 4 * 1024 * 1024
  private readonly content: TestContent
  private readonly listeners = new Map<number, (kind: number, body: Buffer) => void>()
  private readonly waiting = new Map<number, PromiseWithResolvers<Buffer>>()
  private nextRequest = 1
  private number = 0
  private outgoing: Outgoing | null = null
  private named = 0
  private sealSent = false
  private scheduled = false

  constructor(content: TestContent, mischief: Mischief = {}) {
    this.content = content
    this.mischief = mischief
  }

  get hub(): HubConnection {
    return this as unknown as HubConnection
  }

  listen(kind: number, listener: (kind: number, body: Buffer) => void): void {
    this.listeners.set(kind, listener)
  }

  request(kind: number, encode: (request: number) => Uint8Array): Promise<Buffer> {
    const request = this.nextRequest++
    const answer = Promise.withResolvers<Buffer>()
    this.waiting.set(request, answer)
    this.send(kind, 0, encode(request))
    return answer.promise
  }

  answer(request: number, body: Buffer): void {
    this.waiting.get(request)?.resolve(body)
  }

  /** What the client sends. */
  send(kind: number, _channel: number, bytes: Uint8Array): void {
    const body = Buffer.from(bytes)
    if (kind === FRAME_FETCH) this.fetch(body)
    else if (kind === FRAME_WANT) {
      const { ranges, part } = decodeWant(body)
      for (const { from, count } of ranges) for (let i = from; i < from + count; i++) this.wants.push(i)
      this.outgoing?.want(ranges, part)
    } else if (kind === FRAME_STORED) {
      const { ranges, creditBytes } = decodeStored(body)
      for (const { from, count } of ranges) for (let i = from; i < from + count; i++) this.storedChunks.add(i)
      this.creditBytes = creditBytes
      this.outgoing?.acknowledge(ranges, creditBytes)
    } else if (kind === FRAME_SEALED) this.sealed++
    else if (kind === FRAME_END_TRANSFER) {
      this.ends.push(decodeEndTransfer(body))
      this.outgoing = null
    }
    this.wake()
  }

  /** Names, sends, seals what it may, in a later turn. */
  wake(): void {
    if (this.scheduled || !this.alive) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      if (this.alive && this.outgoing !== null) this.serve(this.outgoing)
    })
  }

  endTransfer(fault: EndTransfer['fault']): void {
    this.outgoing = null
    this.frame(FRAME_END_TRANSFER, encodeEndTransfer({ transfer: this.number, fault, cancel: false }))
  }

  /** A piece that the client may not expect. */
  sendPiece(chunk: number, offset: number, bytes: Buffer, encodedBytes = 0): void {
    const start = dataFrameStart({ transfer: this.number, chunk, offset, encodedBytes, bytes: bytes.length })
    this.frame(FRAME_CHUNK_DATA, Buffer.concat([start.subarray(FRAME_HEADER_BYTES), bytes]))
  }

  private fetch(body: Buffer): void {
    const { request, creditBytes } = decodeFetch(body)
    this.fetches.push({ creditBytes })
    const { refuse } = this.mischief
    if (refuse !== undefined) {
      setImmediate(() => this.waiting.get(request)?.reject(refuse))
      return
    }
    const { name, mediaType, origin, list } = this.content
    this.number++
    this.outgoing = new Outgoing(list, creditBytes)
    this.named = 0
    this.sealSent = false
    const { size, chunkBytes } = list
    const fetched = { request, transfer: this.number, origin, name, mediaType, size, chunkBytes }
    setImmediate(() => {
      this.frame(FRAME_FETCHED, encodeFetched({ ...fetched, ...this.mischief.fetched }))
      // In the same turn, as when both come in one packet.
      if (this.outgoing !== null) this.serve(this.outgoing)
    })
  }

  private serve(outgoing: Outgoing): void {
    const { list } = this.content
    const { chunksMax = list.count, sends, piece: changed } = this.mischief
    while (this.named < Math.min(chunksMax, list.count)) this.nameSome(Math.min(chunksMax, list.count))
    if (this.named === list.count && !this.sealSent) {
      this.sealSent = true
      const manifest = this.mischief.manifest ?? this.content.manifest
      this.frame(FRAME_SEAL, encodeSeal({ transfer: this.number, manifest }))
    }
    for (let bytes = 0; bytes < this.turnBytes && this.outgoing === outgoing && sends?.() !== false; ) {
      if (outgoing.next < 0) return
      const plain = this.content.chunk(outgoing.next)
      const encoded = this.mischief.encoded?.(outgoing.next, plain) ?? null
      const piece = outgoing.take(undefined, encoded?.length ?? 0)
      if (piece === null) return
      const { chunk, offset } = piece
      const whole = (encoded ?? plain).subarray(offset, offset + piece.bytes)
      const sent = changed === undefined ? whole : changed(chunk, offset, Buffer.from(whole))
      this.sentBytes += sent.length
      bytes += sent.length
      this.sendPiece(chunk, offset, sent, encoded?.length ?? 0)
    }
    if (this.outgoing === outgoing && sends?.() !== false) this.wake()
  }

  private nameSome(end: number): void {
    const { list } = this.content
    const to = Math.min(end, this.named + CHUNKS_PER_FRAME_MAX)
    const indexes = Array.from({ length: to - this.named }, (_, i) => this.named + i)
    const digests = Buffer.concat(indexes.map((i) => list.digestAt(i)))
    const lengths = list.chunkBytes === 0 ? indexes.map((i) => list.lengthAt(i)) : []
    this.frame(FRAME_CHUNKS, encodeChunks({ transfer: this.number, first: this.named, digests, lengths }))
    this.named = to
  }

  private frame(kind: number, body: Buffer): void {
    if (this.alive) this.listeners.get(kind)?.(kind, body)
  }
}

const origins = {
  keyFor: (origin: string, keyId: Buffer) => {
    if (keyId.equals(KEY.keyId)) return KEY.publicKey
    throw clientFault('ORIGIN_UNKNOWN', { where: origin })
  },
} as unknown as Origins

/** A client's transfers, and the connections that are made for them. */
export class TestClient {
  readonly transfers = new Transfers()
  private current: TestHub | null = null

  connect(hub: TestHub): TestHub {
    this.disconnect()
    this.current = hub
    this.transfers.attach(hub.hub, origins)
    return hub
  }

  disconnect(): void {
    if (this.current === null) return
    this.current.alive = false
    this.current = null
    this.transfers.detach()
  }

  download(options: DownloadOptions): Download {
    return startDownload(options, {
      addTransfer: (transfer) => this.transfers.add(transfer),
      beginTransfer: (transfer) => this.transfers.begin(transfer),
      removeTransfer: (transfer) => this.transfers.remove(transfer),
      transferLine: (direction) => this.transfers.line(direction),
    })
  }
}
