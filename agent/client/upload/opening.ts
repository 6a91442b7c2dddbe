// What the hub is asked and told of a content as a whole: that it comes, and that it does not come any more.

import type { Fault } from '#protocol/base/mod.ts'
import { CHANNEL_CONTROL, FRAME_END_TRANSFER, FRAME_OPEN_TRANSFER } from '#protocol/frame/mod.ts'
import {
  decodeTransferOpened,
  encodeEndTransfer,
  encodeOpenTransfer,
  type OpenTransfer,
  type TransferOpened,
} from '#protocol/schema/mod.ts'
import type { HubConnection } from '../connection.ts'
import type { TransferHost } from '../transfers.ts'

/** After these the content will never be sent under its id. */
export const GIVEN_UP: ReadonlySet<string> = new Set(['CONTENT_CHANGED', 'TRANSFER_CANCELLED', 'TRANSFER_EXPIRED'])

/** What stays the same however often it is opened. */
export type Opened = Omit<OpenTransfer, 'request' | 'expiresMs'>

export class Opening {
  private readonly host: TransferHost
  private readonly content: Opened
  /** Requests that are not answered: what comes too late is used to say so. */
  private asking = 0
  /** The hub may forget what it has of it. */
  private isGivenUp = false

  constructor(host: TransferHost, content: Opened) {
    this.host = host
    this.content = content
  }

  async ask(connection: HubConnection, expiresMs: number): Promise<TransferOpened> {
    this.asking++
    try {
      const answer = await connection.request(FRAME_OPEN_TRANSFER, (request) =>
        encodeOpenTransfer({ request, expiresMs, ...this.content }),
      )
      return decodeTransferOpened(answer)
    } finally {
      this.asking--
    }
  }

  /** It does not go on. `session`: where the hub can be told so; `null` when there is none. */
  end(fault: Fault, session: { readonly connection: HubConnection; readonly transfer: number } | null): void {
    this.isGivenUp = GIVEN_UP.has(fault.code)
    if (session !== null) this.tell(session.connection, session.transfer)
    else if (this.asking === 0) this.tellLater()
  }

  tell(connection: HubConnection, transfer: number): void {
    if (!connection.alive) return
    const body = encodeEndTransfer({ transfer, fault: null, cancel: this.isGivenUp })
    connection.send(FRAME_END_TRANSFER, CHANNEL_CONTROL, body)
  }

  /** The hub may have some of it from an earlier session; to say that it is not wanted needs a session, too. */
  tellLater(): void {
    if (this.isGivenUp) this.host.transferUnwanted?.((connection) => void this.tellUnwanted(connection))
  }

  private async tellUnwanted(connection: HubConnection): Promise<void> {
    try {
      const { transfer, sealed } = await this.ask(connection, 0)
      if (!sealed) this.tell(connection, transfer)
    } catch {
      // The hub does not want it either, or the connection is gone: then it goes when it was kept long enough.
    }
  }
}
