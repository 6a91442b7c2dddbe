// The transfers of one session: gives them numbers, brings them their frames, lets them take turns on the line.

import type { KeyObject } from 'node:crypto'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import {
  CHANNEL_CONTROL,
  FRAME_CHUNK_DATA,
  FRAME_CHUNKS,
  FRAME_END_TRANSFER,
  FRAME_FETCH,
  FRAME_FETCHED,
  FRAME_OPEN_TRANSFER,
  FRAME_SEAL,
  FRAME_SEALED,
  FRAME_STORED,
  FRAME_TRANSFER_OPENED,
  FRAME_WANT,
} from '#protocol/frame/mod.ts'
import {
  decodeChunks,
  decodeEndTransfer,
  decodeFetch,
  decodeOpenTransfer,
  decodeSeal,
  decodeSealed,
  decodeStored,
  decodeWant,
  encodeEndTransfer,
  encodeFetched,
  encodeTransferOpened,
  type Fetch,
  type OpenTransfer,
} from '#protocol/schema/mod.ts'
import { parseChunkData, priorityOfWant, type SealedManifest, Turns, transferPriority } from '#protocol/transfer/mod.ts'
import type { Contents } from './contents.ts'
import { hubTransferFault } from './faults.ts'
import { TRANSFERS_PER_SESSION_MAX } from './limits.ts'
import type { LiveContent } from './live.ts'
import type { Movement } from './movement.ts'
import { Serving } from './serving.ts'
import { Upload } from './upload.ts'

export type DeskOptions = {
  readonly agent: string
  /** May it send at all? Faults: `RIGHT_MISSING`. */
  readonly checkMaySend: () => void
  /** May it fetch this content? */
  mayRead(id: string): boolean
  readonly publicKey: () => KeyObject
  readonly contents: Contents
  /** Encoded chunks were agreed on. */
  readonly encoded: boolean
  /** The connection as large content may use it. */
  readonly bulkWritable: () => boolean
  send(kind: number, channel: number, body: Uint8Array): void
  sendParts(first: Buffer, second: Buffer, sent: () => void): void
  introduce(manifest: SealedManifest): void
  /** Answers a request that could not be done. */
  failed(request: number, fault: Fault): void
  reportOf(fault: Fault): { code: string; message: string; remedy: string; retry: boolean }
  log(level: 'debug' | 'info' | 'warn', message: string, details: Readonly<Record<string, unknown>>): void
}

type Item = { readonly movement: Movement } & (
  | { readonly upload: Upload; readonly serving: null }
  | { readonly upload: null; readonly serving: Serving }
)

export class TransferDesk {
  private readonly options: DeskOptions
  private readonly items = new Map<number, Item>()
  private readonly contentOf = new Map<number, LiveContent>()
  private readonly turns = new Turns<Serving>()
  private nextNumber = 1
  private opening = 0
  private scheduled = false
  private closed = false

  constructor(options: DeskOptions) {
    this.options = options
  }

  /** Is it one of ours? Faults, which end the session: those of transfers. */
  frame(kind: number, body: Buffer): boolean {
    switch (kind) {
      case FRAME_CHUNK_DATA: {
        const data = parseChunkData(body)
        this.within(data.transfer, ({ upload, movement }) => {
          movement.moved(data.bytes.length)
          upload?.data(data)
        })
        return true
      }
      case FRAME_OPEN_TRANSFER:
        void this.open(decodeOpenTransfer(body))
        return true
      case FRAME_FETCH:
        this.fetch(decodeFetch(body))
        return true
      case FRAME_CHUNKS: {
        const frame = decodeChunks(body)
        this.within(frame.transfer, ({ upload }) => upload?.chunks(frame))
        return true
      }
      case FRAME_WANT: {
        const frame = decodeWant(body)
        this.within(frame.transfer, ({ serving }) => {
          const priority = priorityOfWant(frame.priority)
          if (serving !== null && priority !== null) this.turns.move(serving, priority)
          serving?.want(frame)
        })
        return true
      }
      case FRAME_STORED: {
        const frame = decodeStored(body)
        this.within(frame.transfer, ({ serving }) => serving?.stored(frame))
        return true
      }
      case FRAME_SEAL: {
        const frame = decodeSeal(body)
        this.within(frame.transfer, ({ upload }) => upload?.seal(frame))
        return true
      }
      case FRAME_SEALED: {
        const { transfer } = decodeSealed(body)
        if (this.items.get(transfer)?.serving != null) this.drop(transfer)
        return true
      }
      case FRAME_END_TRANSFER:
        this.ended(body)
        return true
      default:
        return false
    }
  }

  /** The line can take more, or there is more to send. Each transfer sends a piece in its turn, urgent ones before others. */
  pump(): void {
    if (this.scheduled || this.closed) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      for (const { serving } of this.items.values()) serving?.advance()
      while (!this.closed && this.options.bulkWritable()) {
        if (this.turns.turn((serving) => serving.step()) === 0) return
      }
    })
  }

  close(): void {
    this.closed = true
    for (const number of [...this.items.keys()]) this.drop(number)
  }

  get count(): number {
    return this.items.size
  }

  private async open(request: OpenTransfer): Promise<void> {
    const { contents, agent } = this.options
    let place: Disposable | null = null
    this.opening++
    try {
      this.options.checkMaySend()
      this.checkRoom()
      const content = await contents.open(request, agent)
      if (this.closed) return contents.leave(content)
      if (content.manifest !== null) {
        const body = { request: request.request, transfer: this.nextNumber++, creditBytes: 0, sealed: true }
        this.options.send(FRAME_TRANSFER_OPENED, CHANNEL_CONTROL, encodeTransferOpened(body))
        return contents.leave(content)
      }
      if (content.uploader !== null) throw hubTransferFault('CONTENT_BUSY', { where: content.id, retry: true })
      place = contents.windows.enter()
      if (place === null) throw hubTransferFault('TRANSFERS_TOO_MANY', { retry: true })
      const number = this.nextNumber++
      const upload = new Upload({
        number,
        content,
        contents,
        agent,
        publicKey: this.options.publicKey(),
        place,
        encoded: this.options.encoded,
        send: (kind, channel, bytes) => {
          this.options.send(kind, channel, bytes)
          // With that it is over.
          if (kind === FRAME_SEALED) this.drop(number)
        },
        end: (fault) => this.give(number, fault),
      })
      const movement = contents.move(content.id, { direction: 'in', by: `agent ${agent}` })
      this.items.set(number, { upload, serving: null, movement })
      this.contentOf.set(number, content)
      const { creditBytes } = upload
      const body = { request: request.request, transfer: number, creditBytes, sealed: false }
      this.options.send(FRAME_TRANSFER_OPENED, CHANNEL_CONTROL, encodeTransferOpened(body))
    } catch (error) {
      place?.[Symbol.dispose]()
      if (!this.closed) this.options.failed(request.request, asFault(error))
    } finally {
      this.opening--
    }
  }

  private fetch({ request, content: id, creditBytes, priority }: Fetch): void {
    const { contents } = this.options
    try {
      this.checkRoom()
      const content = contents.find(id, (content) => this.options.mayRead(content))
      const number = this.nextNumber++
      const { origin, name, mediaType, size, chunkBytes } = content.view
      const answer = { request, transfer: number, origin, name, mediaType, size, chunkBytes }
      this.options.send(FRAME_FETCHED, CHANNEL_CONTROL, encodeFetched(answer))
      const movement = contents.move(content.id, { direction: 'out', by: `agent ${this.options.agent}` })
      const serving = new Serving({
        number,
        content,
        contents,
        creditBytes,
        encoded: this.options.encoded,
        send: (kind, channel, bytes) => this.options.send(kind, channel, bytes),
        sendParts: (first, second, sent) => {
          movement.moved(second.length)
          this.options.sendParts(first, second, sent)
        },
        introduce: (manifest) => this.options.introduce(manifest),
        wake: () => this.pump(),
        end: (fault) => this.give(number, fault),
      })
      this.items.set(number, { upload: null, serving, movement })
      this.contentOf.set(number, content)
      this.turns.add(serving, transferPriority(priority))
      this.pump()
    } catch (error) {
      this.options.failed(request, asFault(error))
    }
  }

  private checkRoom(): void {
    if (this.items.size + this.opening <= TRANSFERS_PER_SESSION_MAX) return
    throw hubTransferFault('TRANSFERS_TOO_MANY', { why: `${this.items.size} in this session`, retry: true })
  }

  /** Frames of a transfer that has ended here cross its end on the way. What is wrong with one ends that one. */
  private within(number: number, work: (item: Item) => void): void {
    const item = this.items.get(number)
    if (item === undefined) {
      if (number > 0 && number < this.nextNumber) return
      throw hubTransferFault('TRANSFER_UNKNOWN', { why: `transfer ${number}` })
    }
    try {
      work(item)
    } catch (error) {
      this.give(number, asFault(error))
    }
  }

  private ended(body: Buffer): void {
    const { transfer, cancel } = decodeEndTransfer(body)
    const content = this.contentOf.get(transfer)
    const isUpload = this.items.get(transfer)?.upload != null
    this.drop(transfer)
    if (cancel && isUpload && content !== undefined) void this.options.contents.cancel(content)
  }

  /** It does not go on: its peer is told why. */
  private give(number: number, fault: Fault): void {
    if (!this.items.has(number)) return
    this.options.log('warn', 'transfer ended', { agent: this.options.agent, fault: fault.toJSON() })
    const body = encodeEndTransfer({ transfer: number, fault: this.options.reportOf(fault), cancel: false })
    this.options.send(FRAME_END_TRANSFER, CHANNEL_CONTROL, body)
    this.drop(number)
  }

  private drop(number: number): void {
    const item = this.items.get(number)
    this.items.delete(number)
    this.contentOf.delete(number)
    item?.movement[Symbol.dispose]()
    item?.upload?.close()
    if (item?.serving == null) return
    this.turns.delete(item.serving)
    item.serving.close()
  }
}
