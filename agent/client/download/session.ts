// A download on one connection: its number there, what the hub has named, what it may send, what was asked for and acknowledged.

import type { Fault } from '#protocol/base/mod.ts'
import type { Priority } from '#protocol/codec/mod.ts'
import { DIGEST_BYTES } from '#protocol/crypto/mod.ts'
import {
  CHANNEL_CONTROL,
  CHANNEL_RECEIPTS,
  FRAME_END_TRANSFER,
  FRAME_FETCH,
  FRAME_SEALED,
  FRAME_STORED,
  FRAME_WANT,
} from '#protocol/frame/mod.ts'
import { FEATURE_ENCODED_CHUNKS, hasFeature } from '#protocol/handshake/mod.ts'
import {
  type ChunkPart,
  encodeEndTransfer,
  encodeFetch,
  encodeSealed,
  encodeStored,
  encodeWant,
  type Fetch,
  type Fetched,
} from '#protocol/schema/mod.ts'
import {
  type Arrived,
  type ChunkData,
  ChunkList,
  Incoming,
  type Part,
  priorityInWant,
  RANGES_MAX,
  runsOf,
} from '#protocol/transfer/mod.ts'
import type { HubConnection } from '../connection.ts'
import type { TransferLink } from '../transfers.ts'
import type { ChunkArena } from './arena.ts'
import type { ChunkPlace } from './records.ts'

const FAULT_TEXT_LENGTH_MAX = 1024

/** What came of a chunk before its connection was gone; its buffer is of the arena. */
export type LeftPart = { readonly part: Part; readonly place: ChunkPlace }

export type SessionCredit = {
  /** There is no limit at present: all that there is room for may come. */
  isFree(): boolean
  /** There is a limit, and more may be wished for than before. */
  onWish(): void
}

export class Session {
  readonly link: TransferLink
  readonly incoming: Incoming
  /** Chunks below were decided on: there, on their way, or asked for. */
  sorted = 0
  private readonly transfer: number
  private readonly arena: ChunkArena
  /** Came on this connection and are not durable yet. */
  private readonly received = new Set<number>()
  private granted: number
  private readonly credit: SessionCredit
  private readonly encoded: boolean
  /** Its chunk was not asked for yet. */
  private left: LeftPart | null

  /** `granted`: what FETCH allowed. `left`: of the session before, if there was something. */
  constructor(
    link: TransferLink,
    fetched: Fetched,
    {
      granted,
      credit,
      arena,
      left,
    }: { granted: number; credit: SessionCredit; arena: ChunkArena; left: LeftPart | null },
  ) {
    this.link = link
    this.transfer = fetched.transfer
    this.arena = arena
    this.granted = granted
    this.credit = credit
    this.left = left
    const list = new ChunkList(fetched)
    this.encoded = hasFeature(link.connection.terms.features, FEATURE_ENCODED_CHUNKS)
    // An encoded chunk is decoded in its place.
    this.incoming = new Incoming({ list, allocate: (length) => arena.allocate(length), encoded: this.encoded })
  }

  get list(): ChunkList {
    return this.incoming.list
  }

  /** A chunk that was named; its digest is its own. */
  placeOf(index: number): ChunkPlace {
    const digest = Buffer.allocUnsafeSlow(DIGEST_BYTES)
    this.list.digestAt(index).copy(digest)
    return { index, offset: this.list.offsetAt(index), length: this.list.lengthAt(index), digest }
  }

  /** Whether it is what this connection's hub names so. */
  names({ index, offset, length, digest }: ChunkPlace): boolean {
    const { list } = this
    if (index >= list.count) return false
    return list.offsetAt(index) === offset && list.lengthAt(index) === length && list.digestAt(index).equals(digest)
  }

  /** Faults: `TRANSFER_MALFORMED`. */
  data(data: ChunkData): Arrived | null {
    const arrived = this.incoming.data(data)
    if (arrived !== null) this.received.add(arrived.chunk)
    return arrived
  }

  want(chunks: readonly number[]): void {
    for (const chunk of chunks) this.incoming.wanted(chunk)
    const part = this.resume(chunks)
    // In a frame of its own, and first: as it was in the session before.
    if (part !== null) this.ask([part.chunk], part)
    this.ask(part === null ? chunks : chunks.filter((chunk) => chunk !== part.chunk))
    this.more()
  }

  /** Is not what its digest says: asks again. Faults: `CHUNK_DAMAGED`. */
  damaged(chunk: number): void {
    this.received.delete(chunk)
    this.incoming.damaged(chunk)
    this.ask([chunk])
    this.more()
  }

  /** Among what this session fetches, from now on. */
  prioritize(priority: Priority): void {
    const { transfer } = this
    this.transmit(FRAME_WANT, encodeWant({ transfer, ranges: [], part: null, priority: priorityInWant(priority) }))
  }

  /** They are durable. */
  keep(chunks: readonly number[]): void {
    for (const chunk of chunks) {
      const buffer = this.incoming.keep(chunk, { received: this.received.delete(chunk) })
      if (buffer !== null) this.arena.free(buffer)
      // It came by another way.
      if (this.left?.part.chunk === chunk) this.forget(this.left)
    }
    const isFree = this.credit.isFree()
    if (isFree) this.granted = Math.max(this.granted, this.incoming.creditBytes)
    this.send(chunks, (ranges) => [
      FRAME_STORED,
      encodeStored({ transfer: this.transfer, ranges, creditBytes: this.granted }),
    ])
    if (!isFree) this.credit.onWish()
  }

  /** What was allowed and has not come. */
  get aheadBytes(): number {
    return this.granted - this.incoming.receivedBytes
  }

  /** How much more it would let come, when `aheadBytesMax` may be on its way: not more than is still to come. */
  wish(aheadBytesMax: number): number {
    const { incoming } = this
    const ahead = incoming.receivedBytes + Math.min(aheadBytesMax, incoming.comingBytes)
    return Math.max(0, Math.min(incoming.creditBytes, ahead) - this.granted)
  }

  /** Lets so much more come, as far as there is room. */
  grant(bytes: number): void {
    const creditBytes = Math.min(this.incoming.creditBytes, this.granted + bytes)
    if (creditBytes <= this.granted) return
    this.granted = creditBytes
    this.transmit(FRAME_STORED, encodeStored({ transfer: this.transfer, ranges: [], creditBytes }))
  }

  sealed(): void {
    this.transmit(FRAME_SEALED, encodeSealed({ transfer: this.transfer }))
  }

  end(fault: Fault | null): void {
    endTransfer(this.link.connection, this.transfer, fault)
  }

  /** The connection is gone: gives what came of a chunk that did not become whole. Of several the longest. */
  abandon(): LeftPart | null {
    const parts = this.incoming.abandon().map((part) => ({ part, place: this.placeOf(part.chunk) }))
    if (this.left !== null) parts.push(this.left)
    this.left = null
    const [longest, ...others] = parts.sort((a, b) => b.part.filled - a.part.filled)
    for (const { part } of others) this.arena.free(part.bytes)
    if (longest === undefined || longest.part.filled > 0) return longest ?? null
    this.arena.free(longest.part.bytes)
    return null
  }

  /** When the chunk is asked for of which there is a part, it goes on there. */
  private resume(chunks: readonly number[]): ChunkPart | null {
    const { left } = this
    if (left === null || !chunks.includes(left.part.chunk)) return null
    const { chunk, filled, encodedBytes } = left.part
    if (!this.names(left.place) || (encodedBytes > 0 && !this.encoded)) {
      this.forget(left)
      return null
    }
    this.left = null
    this.incoming.resume(left.part)
    return { chunk, bytes: filled, encodedBytes }
  }

  private forget({ part }: LeftPart): void {
    this.left = null
    this.arena.free(part.bytes)
  }

  private ask(chunks: readonly number[], part: ChunkPart | null = null): void {
    const { transfer } = this
    this.send(chunks, (ranges) => [FRAME_WANT, encodeWant({ transfer, ranges, part, priority: 0 })])
  }

  /** There may be more room, or more to come. */
  private more(): void {
    if (this.credit.isFree()) this.grant(Number.MAX_SAFE_INTEGER)
    else this.credit.onWish()
  }

  private send(chunks: readonly number[], frame: (ranges: ReturnType<typeof runsOf>) => [number, Uint8Array]): void {
    const ranges = runsOf([...chunks].sort((a, b) => a - b))
    for (let at = 0; at < ranges.length; at += RANGES_MAX) this.transmit(...frame(ranges.slice(at, at + RANGES_MAX)))
  }

  private transmit(kind: number, body: Uint8Array): void {
    if (this.link.connection.alive) this.link.connection.send(kind, CHANNEL_RECEIPTS, body)
  }
}

/** Asks the hub for a content; `creditBytes`: what it may send at first. Faults: `REQUEST_REFUSED`, `CONNECTION_LOST`. */
export async function fetchContent(link: TransferLink, fetch: Omit<Fetch, 'request'>): Promise<void> {
  await link.connection.request(FRAME_FETCH, (request) => {
    link.asked(request)
    return encodeFetch({ ...fetch, request })
  })
}

/** Tells the hub that it does not go on, and why. */
export function endTransfer(connection: HubConnection, transfer: number, fault: Fault | null): void {
  const report = fault === null ? null : reportOf(fault)
  const body = encodeEndTransfer({ transfer, fault: report, cancel: false })
  if (connection.alive) connection.send(FRAME_END_TRANSFER, CHANNEL_CONTROL, body)
}

const reportOf = (fault: Fault) => ({
  code: fault.code.slice(0, 64),
  message: fault.message.slice(0, FAULT_TEXT_LENGTH_MAX).toWellFormed(),
  remedy: fault.remedy.slice(0, FAULT_TEXT_LENGTH_MAX).toWellFormed(),
  retry: fault.details.retry === true,
})
