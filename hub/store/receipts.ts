// What the hub tells an origin about its messages: small messages of the hub's own, in the origin's queue of receipts,
// written in the transaction of what they tell.

import type { Work } from './engine.ts'
import type { NewEntry } from './entry.ts'
import type { FateOwner, Final, FinalState } from './fates.ts'
import type { LaneBook } from './lane-book.ts'
import { receiptsOf } from './policy.ts'
import type { Queues } from './queues.ts'

/** Body of a receipt: messages from … to (inclusive sequence numbers) of one stream. */
export type Receipt = {
  readonly stream: string
  readonly epoch: number
  readonly from: number
  readonly to: number
  readonly state: 'delivered' | FinalState
  readonly queue: string
  /** The agent that did it; empty when it was the hub. */
  readonly by: string
  readonly reason: string
  readonly atMs: number
}

type Told = { readonly queue: string; readonly by: string; readonly atMs: number }

export class Receipts {
  private readonly queues: Queues
  private readonly book: LaneBook

  constructor(queues: Queues, book: LaneBook) {
    this.queues = queues
    this.book = book
  }

  /** Makes sure there is a queue for them. Faults: `STORE_IO` while the disk cannot be read. */
  prepare(origin: string): void {
    this.queues.own(receiptsOf(origin), origin)
  }

  /** Works for the group in which these become true. */
  tell(finals: readonly Final[], atMs: number): Work[] {
    return finals.map(({ origin, stream, epoch, firstSeq, from, to, state, queue, by, reason }) => {
      const numbers = { from: firstSeq + from, to: firstSeq + to - 1 }
      return this.write(origin, { stream, epoch, ...numbers, state, queue, by, reason, atMs })
    })
  }

  tellDelivered(owner: FateOwner, places: readonly (readonly [from: number, count: number])[], told: Told): Work[] {
    const { origin, stream, epoch, firstSeq } = owner
    return places.map(([from, count]) => {
      const numbers = { from: firstSeq + from, to: firstSeq + from + count - 1 }
      return this.write(origin, { stream, epoch, ...numbers, state: 'delivered', reason: '', ...told })
    })
  }

  private write(origin: string, receipt: Receipt): Work {
    const note = JSON.stringify(receipt)
    const entry: NewEntry = {
      batchSeq: 0,
      count: 1,
      bytes: Buffer.byteLength(note),
      storedAtMs: receipt.atMs,
      expiresAtMs: 0,
      attempts: 0,
      receiptFlags: 0,
      home: null,
      note,
      selection: null,
    }
    const queue = this.queues.own(receiptsOf(origin), origin)
    return this.book.append(this.book.lane(queue, 0), entry)
  }
}
