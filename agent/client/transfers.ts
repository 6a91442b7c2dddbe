// The transfers of a client: each outlives connections. On every new one it is begun again, and what the other side has by then
// is not sent again. Frames find their transfer by the number the hub gave it for the connection.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Priority } from '#protocol/codec/mod.ts'
import {
  CHANNEL_CONTROL,
  FRAME_CHUNK_DATA,
  FRAME_CHUNKS,
  FRAME_END_TRANSFER,
  FRAME_FETCHED,
  FRAME_SEAL,
  FRAME_SEALED,
  FRAME_STORED,
  FRAME_TRANSFER_OPENED,
  FRAME_WANT,
} from '#protocol/frame/mod.ts'
import { FEATURE_TRANSFERS, hasFeature } from '#protocol/handshake/mod.ts'
import {
  type Chunks,
  decodeChunks,
  decodeEndTransfer,
  decodeFetched,
  decodeSeal,
  decodeSealed,
  decodeStored,
  decodeTransferOpened,
  decodeWant,
  type EndTransfer,
  encodeEndTransfer,
  type Fetched,
  type Seal,
  type Stored,
  type Want,
} from '#protocol/schema/mod.ts'
import { type ChunkData, parseChunkData } from '#protocol/transfer/mod.ts'
import type { HubConnection } from './connection.ts'
import type { DownloadState } from './download/mod.ts'
import { clientFault } from './faults.ts'
import { Line, type Mover } from './line.ts'
import type { Origins } from './origins.ts'
import { PRIORITY_NAMES, type PriorityName } from './outgoing.ts'
import type { BytesPerSecond } from './pace.ts'
import type { UploadState } from './upload/mod.ts'

/** What a transfer is lent of a connection. */
export type TransferLink = {
  readonly connection: HubConnection
  readonly origins: Origins
  /** FETCH goes out with this request number: from the turn in which it is answered, its frames come. */
  asked(request: number): void
  /** The hub has given it this number: its frames come from now on. Call it in the turn in which the answer came. */
  opened(transfer: number): void
}

export type Direction = 'upload' | 'download'

/** What all transfers of a client together keep to; each may have a limit of its own below it. */
export type TransferLimits = {
  readonly uploadBytesPerSecondMax?: BytesPerSecond
  readonly downloadBytesPerSecondMax?: BytesPerSecond
}

/** How a transfer is, for whoever watches an agent. */
export type TransferReport = {
  readonly direction: Direction
  readonly id: string
  /** Empty until it is known. */
  readonly name: string
  readonly priority: PriorityName
  readonly size: number
  /** Durable where it goes. */
  readonly doneBytes: number
  readonly bytesPerSecond: number
  /** `null`: nobody knows. */
  readonly secondsLeft: number | null
  readonly state: UploadState | DownloadState
  /** Why it waits, where there is a reason. */
  readonly fault: Fault | null
}

/** What somebody wants of a transfer while it runs; what is not said stays as it is. `cancelled`: it is given up. */
export type TransferWish = {
  readonly priority?: PriorityName
  readonly paused?: boolean
  readonly cancelled?: boolean
}

/** Why a transfer was given up, where a wish is the reason: for its fault. */
export const WISHED = 'by causeway-agent transfer cancel'

/** Contents given up of which the hub is told with the next connection. Of more it finds out when it has kept them long enough. */
const UNTOLD_MAX = 1000

/** Wishes that outlive the process. */
export type TransferWishes = {
  /** For the content with that id. */
  of(id: string): TransferWish | null
  /** It has arrived: nothing more is wished of it. */
  arrived(id: string): void
  /** What became of it is settled for good: nothing more is wished of it. */
  over(id: string): void
  /** What is sent has another id from now on. */
  renamed(id: string, to: string): void
  /** `changed` is called for each id of which another wish holds, until the result is called. */
  watch(changed: (id: string) => void): () => void
}

/** What a transfer needs of its client. */
export type TransferHost = {
  addTransfer(transfer: Transfer): void
  removeTransfer(transfer: Transfer): void
  /** Asks the hub for it again, on the connection that stands. */
  beginTransfer(transfer: Transfer): void
  transferLine(direction: Direction): Line
  /** The content is whole where it was to go. */
  transferDone?(id: string): void
  /** It goes on under another id. */
  transferRenamed?(id: string, to: string): void
  /** It was given up with no session to say so in: `tell` says it on the connection that stands, or the next one. */
  transferUnwanted?(tell: (connection: HubConnection) => void): void
}

/** Faults: `UPLOAD_INVALID` and the like, as `refuse` makes them. */
export function priorityOf(name: PriorityName | undefined, refuse: (why: string) => Fault): Priority {
  const priority = PRIORITY_NAMES.indexOf(name ?? 'normal')
  if (priority < 0) throw refuse(`the priority is ${JSON.stringify(name)}`)
  return priority as Priority
}

/** One upload or download. */
export type Transfer = Mover & {
  readonly direction: Direction
  /**
   * A connection stands: ask for the transfer there. Resolves when the hub has agreed. Faults: `REQUEST_REFUSED`; with
   * `retry` it is tried again later, else `fail` is called.
   */
  attach(link: TransferLink): Promise<void>
  /** The connection is gone; what was under way on it is forgotten. */
  detach(): void
  /** The connection can take more: what waits for no turn is done. */
  pump(): void
  fail(fault: Fault): void
  obey?(wish: TransferWish): void
  report(): TransferReport
  /** The answer to FETCH, as soon as it arrives, since CHUNKS may follow at once. */
  fetched?(fetched: Fetched): void
  chunks?(chunks: Chunks): void
  data?(data: ChunkData): void
  seal?(seal: Seal): void
  want?(want: Want): void
  stored?(stored: Stored): void
  sealed?(): void
  ended(end: EndTransfer): void
}

export class Transfers {
  private readonly all = new Set<Transfer>()
  private readonly byNumber = new Map<number, Transfer>()
  /** Whose FETCH has this request number. */
  private readonly asking = new Map<number, Transfer>()
  private connection: HubConnection | null = null
  private origins: Origins | null = null
  private readonly lines: Readonly<Record<Direction, Line>>
  private readonly wishes: TransferWishes | null
  private untold: ((connection: HubConnection) => void)[] = []
  private readonly unwatch: () => void

  constructor(
    { uploadBytesPerSecondMax = 0, downloadBytesPerSecondMax = 0 }: TransferLimits = {},
    wishes: TransferWishes | null = null,
  ) {
    this.wishes = wishes
    this.unwatch = wishes?.watch((id) => this.obey(id)) ?? (() => undefined)
    this.lines = {
      upload: new Line(uploadBytesPerSecondMax, () => this.connection?.bulkWritable === true),
      download: new Line(downloadBytesPerSecondMax, () => this.connection?.alive === true),
    }
  }

  line(direction: Direction): Line {
    return this.lines[direction]
  }

  /** Begins it, now or with the next connection. */
  add(transfer: Transfer): void {
    this.all.add(transfer)
    this.lines[transfer.direction].add(transfer)
    const wish = this.wishes?.of(transfer.report().id) ?? null
    if (wish !== null) transfer.obey?.(wish)
    this.begin(transfer)
  }

  /** It is over, or not wanted any more. */
  remove(transfer: Transfer): void {
    this.all.delete(transfer)
    this.lines[transfer.direction].delete(transfer)
    for (const [number, other] of this.byNumber) if (other === transfer) this.byNumber.delete(number)
  }

  /** Begins one again on the connection that stands: after it was paused, or refused for a while. */
  begin(transfer: Transfer): void {
    const { connection, origins } = this
    if (connection === null || origins === null || !connection.alive || !this.all.has(transfer)) return
    for (const [number, other] of this.byNumber) if (other === transfer) this.byNumber.delete(number)
    if (!hasFeature(connection.terms.features, FEATURE_TRANSFERS)) {
      transfer.fail(clientFault('TRANSFERS_UNSUPPORTED'))
      return
    }
    const opened = (number: number) => void this.byNumber.set(number, transfer)
    const asked = (request: number) => void this.asking.set(request, transfer)
    transfer.attach({ connection, origins, asked, opened }).catch((error: unknown) => {
      if (connection.alive) transfer.fail(asFault(error))
    })
  }

  attach(connection: HubConnection, origins: Origins): void {
    this.connection = connection
    this.origins = origins
    this.byNumber.clear()
    this.asking.clear()
    this.listen(connection)
    const { untold } = this
    this.untold = []
    for (const tell of untold) this.unwanted(tell)
    for (const transfer of this.all) this.begin(transfer)
  }

  detach(): void {
    this.connection = null
    this.byNumber.clear()
    this.asking.clear()
    for (const transfer of this.all) transfer.detach()
    for (const line of Object.values(this.lines)) line.stop()
  }

  pump(): void {
    for (const transfer of this.all) transfer.pump()
    for (const line of Object.values(this.lines)) line.pump()
  }

  reports(): TransferReport[] {
    return [...this.all].map((transfer) => transfer.report())
  }

  /** A content is whole where it was to go. */
  done(id: string): void {
    this.wishes?.arrived(id)
  }

  /** What became of one is settled: what was wished of it is forgotten. */
  settled(id: string): void {
    this.wishes?.over(id)
  }

  /** See `TransferHost.transferUnwanted`. */
  unwanted(tell: (connection: HubConnection) => void): void {
    const { connection } = this
    if (connection === null || !connection.alive) {
      if (this.untold.length < UNTOLD_MAX) this.untold.push(tell)
    } else if (hasFeature(connection.terms.features, FEATURE_TRANSFERS)) tell(connection)
  }

  /** One goes on under another id. */
  renamed(id: string, to: string): void {
    this.wishes?.renamed(id, to)
  }

  close(fault: Fault): void {
    this.unwatch()
    for (const transfer of [...this.all]) transfer.fail(fault)
  }

  private obey(id: string): void {
    const wish = this.wishes?.of(id) ?? null
    if (wish === null) return
    for (const transfer of this.all) if (transfer.report().id === id) transfer.obey?.(wish)
  }

  private listen(connection: HubConnection): void {
    connection.listen(FRAME_TRANSFER_OPENED, (_kind, body) =>
      connection.answer(decodeTransferOpened(body).request, body),
    )
    connection.listen(FRAME_FETCHED, (_kind, body) => this.fetched(connection, body))
    connection.listen(FRAME_CHUNK_DATA, (_kind, body) => {
      const data = parseChunkData(body)
      this.byNumber.get(data.transfer)?.data?.(data)
    })
    const route = <T extends { readonly transfer: number }>(
      kind: number,
      decode: (body: Buffer) => T,
      hand: (transfer: Transfer, frame: T) => void,
    ) => {
      connection.listen(kind, (_kind, body) => {
        const frame = decode(body)
        // Frames of one that was given up here cross its end on the way.
        const transfer = this.byNumber.get(frame.transfer)
        if (transfer !== undefined) hand(transfer, frame)
      })
    }
    route(FRAME_CHUNKS, decodeChunks, (transfer, frame) => transfer.chunks?.(frame))
    route(FRAME_SEAL, decodeSeal, (transfer, frame) => transfer.seal?.(frame))
    route(FRAME_WANT, decodeWant, (transfer, frame) => transfer.want?.(frame))
    route(FRAME_STORED, decodeStored, (transfer, frame) => transfer.stored?.(frame))
    route(FRAME_SEALED, decodeSealed, (transfer) => transfer.sealed?.())
    route(FRAME_END_TRANSFER, decodeEndTransfer, (transfer, frame) => {
      this.byNumber.delete(frame.transfer)
      transfer.ended(frame)
    })
  }

  private fetched(connection: HubConnection, body: Buffer): void {
    const fetched = decodeFetched(body)
    const { request, transfer: number } = fetched
    const transfer = this.asking.get(request)
    this.asking.delete(request)
    if (transfer !== undefined && this.all.has(transfer)) {
      this.byNumber.set(number, transfer)
      transfer.fetched?.(fetched)
    } else {
      // It was given up meanwhile.
      const end = encodeEndTransfer({ transfer: number, fault: null, cancel: false })
      connection.send(FRAME_END_TRANSFER, CHANNEL_CONTROL, end)
    }
    connection.answer(request, body)
  }
}
