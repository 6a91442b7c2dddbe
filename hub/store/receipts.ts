// What the hub tells an origin about its messages: small messages of the hub's own, in the origin's queue of receipts,
// written in the transaction of what they tell.
//
// An agent that does not collect its receipts is not to fill the store, and none that says what became of a message in the end
// is to be lost. So beyond a bound the hub takes no more messages of it that ask for receipts, and tells no deliveries any
// more; final receipts of what it took before still come, at most one for each message.

import type { Work } from './engine.ts'
import type { NewEntry } from './entry.ts'
import type { FateOwner, Final, FinalState } from './fates.ts'
import { storeFault } from './faults.ts'
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
  private readonly bytesMax: number

  /** `bytesMax`: of receipts that one agent has not collected; 0 is no limit. */
  constructor(queues: Queues, book: LaneBook, bytesMax: number) {
    this.queues = queues
    this.book = book
    this.bytesMax = bytesMax
  }

  /** May the agent ask for more? Faults: `RECEIPTS_FULL`. */
  check(origin: string): void {
    if (!this.isFull(origin)) return
    const name = receiptsOf(origin)
    const bytes = this.queues.get(name)?.bytes ?? 0
    throw storeFault('RECEIPTS_FULL', {
      where: `queue ${name}`,
      why: `${bytes} bytes`,
      bytesMax: this.bytesMax,
      retry: true,
    })
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

  /** Nothing when the agent has too many already: it may be told of one message again and again. */
  tellDelivered(owner: FateOwner, places: readonly (readonly [from: number, count: number])[], told: Told): Work[] {
    const { origin, stream, epoch, firstSeq } = owner
    if (this.isFull(origin)) return []
    return places.map(([from, count]) => {
      const numbers = { from: firstSeq + from, to: firstSeq + from + count - 1 }
      return this.write(origin, { stream, epoch, ...numbers, state: 'delivered', reason: '', ...told })
    })
  }

  private isFull(origin: string): boolean {
    return this.bytesMax > 0 && (this.queues.get(receiptsOf(origin))?.bytes ?? 0) >= this.bytesMax
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
      backNote: '',
      selection: null,
    }
    const queue = this.queues.own(receiptsOf(origin), origin)
    return this.book.append(this.book.lane(queue, 0), entry)
  }
}
