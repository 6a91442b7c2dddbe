// The transfers of a client: each outlives connections. On every new one it is begun again, and what the other side has by then
// is not sent again. Frames find their transfer by the number the hub gave it for the connection.

import { asFault, type Fault } from '#protocol/base/mod.ts'
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
import { clientFault } from './faults.ts'
import type { Origins } from './origins.ts'

/** What a transfer is lent of a connection. */
export type TransferLink = {
  readonly connection: HubConnection
  readonly origins: Origins
  /** FETCH goes out with this request number: from the turn in which it is answered, its frames come. */
  asked(request: number): void
  /** The hub has given it this number: its frames come from now on. Call it in the turn in which the answer came. */
  opened(transfer: number): void
}

/** One upload or download. */
export type Transfer = {
  /**
   * A connection stands: ask for the transfer there. Resolves when the hub has agreed. Faults: `REQUEST_REFUSED`; with
   * `retry` it is tried again later, else `fail` is called.
   */
  attach(link: TransferLink): Promise<void>
  /** The connection is gone; what was under way on it is forgotten. */
  detach(): void
  /** The connection can take more. */
  pump(): void
  fail(fault: Fault): void
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

  /** Begins it, now or with the next connection. */
  add(transfer: Transfer): void {
    this.all.add(transfer)
    this.begin(transfer)
  }

  /** It is over, or not wanted any more. */
  remove(transfer: Transfer): void {
    this.all.delete(transfer)
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
    for (const transfer of this.all) this.begin(transfer)
  }

  detach(): void {
    this.connection = null
    this.byNumber.clear()
    this.asking.clear()
    for (const transfer of this.all) transfer.detach()
  }

  pump(): void {
    for (const transfer of this.all) transfer.pump()
    // Who comes first may fill the line: next time it is another.
    const [first] = this.all
    if (first === undefined || this.all.size === 1) return
    this.all.delete(first)
    this.all.add(first)
  }

  close(fault: Fault): void {
    for (const transfer of [...this.all]) transfer.fail(fault)
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
