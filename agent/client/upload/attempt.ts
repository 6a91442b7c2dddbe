// One state of a file on its way to the hub under one id: opened again on every connection, named chunk by chunk, sent where the hub
// lacks it, sealed. Ends when it is sealed, refused for good, given up, or the file is not what it was any more.

import { performance } from 'node:perf_hooks'
import { asFault, Fault, jitteredBackoff } from '#protocol/base/mod.ts'
import type { Priority } from '#protocol/codec/mod.ts'
import { DIGEST_BYTES, type SigningKey } from '#protocol/crypto/mod.ts'
import { CHANNEL_CONTROL, FRAME_CHUNKS, FRAME_SEAL } from '#protocol/frame/mod.ts'
import { FEATURE_ENCODED_CHUNKS, hasFeature } from '#protocol/handshake/mod.ts'
import { type EndTransfer, encodeChunks, encodeSeal, type Stored, type Want } from '#protocol/schema/mod.ts'
import {
  CHUNKS_PER_FRAME_MAX,
  ChunkList,
  type CutSizes,
  dataFrameStart,
  IN_A_MOMENT,
  Outgoing,
  sealManifest,
} from '#protocol/transfer/mod.ts'
import type { HubConnection } from '../connection.ts'
import { clientFault } from '../faults.ts'
import type { Line } from '../line.ts'
import type { Pacer } from '../pace.ts'
import type { RateMeter } from '../rate.ts'
import type { Transfer, TransferHost, TransferLink, TransferReport, TransferWish } from '../transfers.ts'
import type { Compression } from './compression.ts'
import { ChunkFeed } from './feed.ts'
import type { Journal } from './journal.ts'
import { AHEAD_CHUNKS_MIN, REFUSED_MS_FIRST, REFUSED_MS_MAX } from './limits.ts'
import type { MemoryShare } from './memory.ts'
import { Opening } from './opening.ts'
import type { Counters } from './progress.ts'
import type { OpenFile } from './thread.ts'

/** What an upload needs of a client. */
export type UploadHost = TransferHost & {
  readonly name: string
  readonly sealingKey: SigningKey
}

export type AttemptParts = {
  readonly host: UploadHost
  readonly id: Buffer
  readonly name: string
  readonly mediaType: string
  readonly keepMs: number
  /** How much of its time is left; 0: it does not expire. Faults: `TRANSFER_EXPIRED`. */
  readonly expiresMs: () => number
  readonly priority: Priority
  readonly file: OpenFile
  /** 0: by content, as `cut` says. */
  readonly chunkBytes: number
  readonly cut: CutSizes | null
  /** At which level chunks are encoded, where the hub takes them so. */
  readonly compression: Compression
  readonly journal: Journal | null
  readonly memory: MemoryShare
  /** Its own limit, below that of the line; it wakes the line. */
  readonly pacer: Pacer
  readonly counters: Counters
  readonly meter: RateMeter
  readonly random: () => number
  readonly onOpened: () => void
  readonly onProgress: () => void
  readonly report: () => TransferReport
  readonly obey: (wish: TransferWish) => void
}

/** On one connection, from the hub's answer on. */
type Session = {
  readonly connection: HubConnection
  readonly transfer: number
  readonly outgoing: Outgoing
  /** Chunks named. */
  named: number
  sealing: boolean
}

export class Attempt implements Transfer {
  readonly direction = 'upload'
  priority: Priority
  /** Resolves when the content is sealed at the hub. Faults: `TRANSFER_REFUSED`, `CONTENT_CHANGED`, `CONTENT_UNREADABLE` and others. */
  readonly done: Promise<void>
  private readonly parts: AttemptParts
  private readonly list: ChunkList
  private readonly feed: ChunkFeed
  private readonly opening: Opening
  private readonly end = Promise.withResolvers<void>()
  private readonly line: Line
  private session: Session | null = null
  /** Counts attachments: what an older one finds out is out of date. */
  private attachment = 0
  private readonly backoff: ReturnType<typeof jitteredBackoff>
  private waiting: NodeJS.Timeout | null = null
  private scheduled = false
  private isPaused = false
  /** Outside the windows of the day. */
  private isClosed = false
  private isOver = false
  private manifest: Buffer | null = null
  /** Chunks whose bytes we put on the wire, and those counted as reused. */
  private readonly everSent = new Set<number>()
  private readonly reused = new Set<number>()
  private readonly knownBytes: number

  constructor(parts: AttemptParts) {
    this.parts = parts
    this.done = this.end.promise
    this.done.catch(() => undefined) // Whoever made it awaits it too.
    const { file, cut, compression, memory, journal, counters, random, host } = parts
    this.priority = parts.priority
    this.line = host.transferLine(this.direction)
    this.list = new ChunkList({ size: file.stamp.size, chunkBytes: parts.chunkBytes })
    for (const { digest, length } of journal?.known ?? []) this.list.add(digest, length)
    this.knownBytes = this.list.bytes
    const { id: content, name, mediaType, keepMs, chunkBytes } = parts
    this.opening = new Opening(host, { content, name, mediaType, size: file.stamp.size, chunkBytes, keepMs })
    this.backoff = jitteredBackoff({ firstMs: REFUSED_MS_FIRST, maxMs: REFUSED_MS_MAX, random })
    this.feed = new ChunkFeed({
      file,
      list: this.list,
      cut,
      compression,
      memory,
      events: {
        onHashed: ({ offset, length, digest }) => {
          counters.hashedBytes += length
          if (offset < this.knownBytes) counters.hashedAgainBytes += length
          journal?.add(digest, length)
          this.schedule()
        },
        onEncoding: (bytes) => {
          counters.encoderBytes += bytes
        },
        onReady: (chunk, readAgainBytes) => {
          counters.readAgainBytes += readAgainBytes
          // It has come there by another way meanwhile.
          if (this.session?.outgoing.has(chunk) === true) this.feed.release(chunk)
          this.schedule()
        },
        onFault: (fault) => this.fail(fault),
      },
    })
  }

  /** Begins to read and to send. Faults: `CLIENT_CLOSED`. */
  async start(): Promise<void> {
    const { file, chunkBytes, cut, counters, host } = this.parts
    counters.size = file.stamp.size
    counters.storedBytes = 0
    counters.reusedBytes = 0
    await file.plan({ offset: this.list.bytes, chunkBytes, cut })
    if (this.isOver) return
    host.addTransfer(this)
    this.schedule()
  }

  pause(isPaused: boolean): void {
    this.isPaused = isPaused
    if (isPaused) this.feed.rest()
    this.state()
    this.schedule()
  }

  /** Among the uploads of its client, from the next piece on. */
  prioritize(priority: Priority): void {
    this.priority = priority
    this.parts.memory.prioritize(priority)
    this.line.reorder(this)
    this.schedule()
  }

  /** See `Transfer`. */
  async attach({ connection, opened }: TransferLink): Promise<void> {
    this.leave()
    const { attachment } = this
    const { counters } = this.parts
    try {
      const expiresMs = this.parts.expiresMs()
      const { transfer, creditBytes, sealed } = await this.opening.ask(connection, expiresMs)
      if (attachment !== this.attachment || this.isOver) {
        // It was given up while it was asked for.
        if (!sealed) this.opening.tell(connection, transfer)
        return
      }
      this.parts.onOpened()
      if (sealed) {
        counters.storedBytes = this.list.size
        this.finish()
        return
      }
      opened(transfer)
      this.feed.encoding(hasFeature(connection.terms.features, FEATURE_ENCODED_CHUNKS))
      const outgoing = new Outgoing(this.list, creditBytes)
      this.session = { connection, transfer, outgoing, named: 0, sealing: false }
      counters.storedBytes = 0
      counters.fault = null
      this.state()
      this.go()
    } catch (error) {
      if (this.isOver && !connection.alive) this.opening.tellLater()
      if (attachment !== this.attachment || this.isOver) return
      if (!(error instanceof Fault) || error.code !== 'REQUEST_REFUSED') throw error
      this.refused({ retry: error.details.retry === true, fault: error })
    }
  }

  /** See `Transfer`. */
  detach(): void {
    this.leave()
    this.feed.detached()
    this.state()
  }

  /** See `Transfer`. */
  pump(): void {
    if (this.isOver) return
    const { session } = this
    if (session?.connection.alive === true) {
      this.name(session)
      this.finishNaming(session)
    }
    this.fill()
  }

  /** See `Mover`. */
  step(bytesMax: number): number {
    const { session } = this
    if (this.isOver || this.isPaused || session?.connection.alive !== true) return 0
    const allowed = Math.min(bytesMax, this.parts.pacer.allowed())
    this.windowChanged()
    return allowed === 0 ? 0 : this.send(session, allowed)
  }

  /** See `Mover`. */
  windowChanged(): void {
    const isClosed = this.line.isClosed || this.parts.pacer.isClosed
    if (isClosed === this.isClosed) return
    this.isClosed = isClosed
    // It may be closed for hours.
    if (isClosed) this.feed.rest()
    this.state()
    this.schedule()
  }

  /** See `Transfer`. */
  report(): TransferReport {
    return this.parts.report()
  }

  /** See `Transfer`. */
  obey(wish: TransferWish): void {
    this.parts.obey(wish)
  }

  want({ ranges, part }: Want): void {
    this.session?.outgoing.want(ranges, part)
    this.schedule()
  }

  stored({ ranges, creditBytes }: Stored): void {
    const { session } = this
    if (session === null) return
    const { counters } = this.parts
    const fresh: number[] = []
    for (const { from, count } of ranges) {
      const to = Math.min(from + count, session.named)
      for (let chunk = from; chunk < to; chunk++) if (!session.outgoing.has(chunk)) fresh.push(chunk)
    }
    session.outgoing.acknowledge(ranges, creditBytes)
    for (const chunk of fresh) {
      const length = this.list.lengthAt(chunk)
      counters.storedBytes += length
      if (!this.everSent.has(chunk) && !this.reused.has(chunk)) {
        this.reused.add(chunk)
        counters.reusedBytes += length
      }
    }
    this.feed.stored(fresh, performance.now())
    if (fresh.length > 0) this.backoff.reset()
    this.parts.onProgress()
    this.go()
  }

  sealed(): void {
    this.finish()
  }

  /** The hub ended it. */
  ended({ fault }: EndTransfer): void {
    this.leave()
    this.refused({
      retry: fault?.retry === true,
      fault: clientFault('TRANSFER_REFUSED', {
        where: this.parts.file.path,
        why: fault === null ? 'it gave none' : `${fault.code}: ${fault.message}`,
        hubCode: fault?.code ?? '',
        ...(fault === null ? {} : { todo: fault.remedy }),
      }),
    })
  }

  /** It does not go on; the hub is told, if it can be told, and forgets what is not wanted any more. */
  fail(fault: Fault): void {
    if (this.isOver) return
    this.opening.end(fault, this.session)
    this.over()
    this.end.reject(fault)
  }

  private finish(): void {
    if (this.isOver) return
    this.over()
    this.end.resolve()
  }

  private over(): void {
    this.isOver = true
    this.leave()
    this.feed.close()
    this.parts.host.removeTransfer(this)
  }

  /** The session, if there is one, is over. */
  private leave(): void {
    this.attachment++
    this.session = null
    if (this.waiting !== null) clearTimeout(this.waiting)
    this.waiting = null
    this.isClosed = false
  }

  /** The hub has no room now, or does not want it at all. */
  private refused({ retry, fault }: { retry: boolean; fault: Fault }): void {
    if (!retry) {
      this.fail(
        fault.code === 'TRANSFER_REFUSED'
          ? fault
          : clientFault('TRANSFER_REFUSED', {
              where: this.parts.file.path,
              why: fault.message,
              todo: fault.remedy,
              hubCode: fault.details.hubCode,
              cause: fault,
            }),
      )
      return
    }
    this.feed.detached()
    this.feed.rest()
    this.parts.counters.fault = fault
    this.waiting = setTimeout(() => {
      this.waiting = null
      this.parts.host.beginTransfer(this)
    }, this.backoff.next())
    this.state()
  }

  private schedule(): void {
    this.parts.onProgress()
    if (this.scheduled || this.isOver) return
    this.scheduled = true
    // What is ready in one turn is named in one frame.
    setImmediate(() => {
      this.scheduled = false
      this.go()
    })
  }

  /** What there is to do, and then whoever has a turn. */
  private go(): void {
    this.pump()
    this.line.pump()
    // The line may have been closed before it came to it.
    this.windowChanged()
  }

  /** Reads what is to be sent next. */
  private fill(): void {
    if (this.isPaused || this.isClosed || this.waiting !== null) return
    const { feed, session } = this
    const waiting = session?.outgoing.wantedChunks ?? 0
    const enoughBytes = this.parts.compression.aheadBytesMax
    const hasEnough = waiting >= AHEAD_CHUNKS_MIN && waiting * feed.usualBytes >= enoughBytes
    feed.fill(session?.outgoing.upcoming(feed.ahead) ?? [], { hasEnough })
  }

  private name(session: Session): void {
    const { list } = this
    while (session.named < list.count && session.connection.writable) {
      const first = session.named
      const to = Math.min(list.count, first + CHUNKS_PER_FRAME_MAX)
      const digests = Buffer.allocUnsafe((to - first) * DIGEST_BYTES)
      const lengths: number[] = []
      for (let chunk = first; chunk < to; chunk++) {
        list.digestAt(chunk).copy(digests, (chunk - first) * DIGEST_BYTES)
        if (list.chunkBytes === 0) lengths.push(list.lengthAt(chunk))
      }
      const body = encodeChunks({ transfer: session.transfer, first, digests, lengths })
      session.connection.send(FRAME_CHUNKS, CHANNEL_CONTROL, body)
      session.named = to
    }
  }

  /** Sends a piece; gives its bytes on the wire, or as `step`. */
  private send({ connection, transfer, outgoing }: Session, bytesMax: number): number {
    const { pacer, compression, counters, meter } = this.parts
    const { next } = outgoing
    let form = next < 0 ? null : this.feed.get(next)
    if (form === null && next >= 0) {
      // It may have become the next one since.
      this.fill()
      form = this.feed.get(next)
    }
    if (form === null) {
      if (outgoing.mayGoOn && this.feed.isBusy(next)) compression.dry(performance.now())
      return this.feed.isReading(next) && outgoing.mayGoOn ? IN_A_MOMENT : 0
    }
    const { bytes, encodedBytes } = form
    const piece = outgoing.take(bytesMax, encodedBytes)
    if (piece === null) return 0
    const { chunk, offset } = piece
    pacer.spend(piece.bytes)
    counters.sentBytes += piece.contentBytes
    counters.wireBytes += piece.bytes
    if (encodedBytes > 0) {
      counters.encodedFromBytes += piece.contentBytes
      counters.encodedToBytes += piece.bytes
    }
    counters.compressionLevel = this.feed.level
    const nowMs = performance.now()
    compression.sending(nowMs)
    meter.note(counters.sentBytes, nowMs)
    if (piece.isFirst) this.everSent.add(chunk)
    this.feed.sending(chunk, nowMs)
    const start = dataFrameStart({ transfer, chunk, offset, encodedBytes, bytes: piece.bytes })
    connection.sendParts(start, bytes.subarray(offset, offset + piece.bytes))
    // Its memory comes back when it is stored; what comes after it may be read already.
    if (offset + piece.bytes === bytes.length) this.fill()
    return piece.bytes
  }

  /** Once everything is named: what is sent later is what was named, whatever becomes of the file. */
  private finishNaming(session: Session): void {
    const { list } = this
    if (session.sealing || this.isPaused || !list.complete || session.named < list.count) return
    session.sealing = true
    this.sendSeal(session).catch((error: unknown) => this.fail(asFault(error, this.parts.file.path)))
  }

  private async sendSeal(session: Session): Promise<void> {
    const { file, host, id: contentId, name, mediaType } = this.parts
    await file.check()
    if (this.session !== session || !session.connection.alive) return
    const facts = { contentId, sealedAtMs: Date.now(), origin: host.name, name, mediaType }
    this.manifest ??= sealManifest(facts, this.list, host.sealingKey)
    const body = encodeSeal({ transfer: session.transfer, manifest: this.manifest })
    session.connection.send(FRAME_SEAL, CHANNEL_CONTROL, body)
  }

  private state(): void {
    const { counters } = this.parts
    if (this.isPaused) counters.state = 'paused'
    else if (this.session !== null && this.isClosed) counters.state = 'window'
    else counters.state = this.session === null ? 'waiting' : 'sending'
    this.parts.onProgress()
  }
}
