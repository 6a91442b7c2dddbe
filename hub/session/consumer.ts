// One consumer of a queue within a session: sends while it has credit, remembers what is out, takes settlements.

import type { HubStore, Lease, Queue } from '#hub/store/mod.ts'
import { placesOf } from '#hub/store/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { type Batch, BatchBuilder, type BatchHead, extractFrom, openBatch, parseHead } from '#protocol/codec/mod.ts'
import { CHANNEL_MESSAGES, FRAME_HEADER_BYTES } from '#protocol/frame/mod.ts'
import { Outcome, type Settlement } from '#protocol/schema/mod.ts'
import { deliverFrameStart, FORM_BATCH, FORM_EXTRACT, FORM_HUB_SEALED, type Range } from '#protocol/session/mod.ts'
import { hubSessionFault } from './faults.ts'
import type { HubIdentity } from './identity.ts'
import { Leases } from './leases.ts'

/** What a consumer needs of its session. */
export type Outlet = {
  /** False while the connection cannot take more; `Session` calls `pump` again when it can. */
  readonly writable: boolean
  sendParts(first: Buffer, second: Buffer): void
  /** Makes sure the peer has the origin's certificate before its first batch. */
  introduce(head: BatchHead): void
  /** Messages could not be delivered to anybody and were set aside. */
  onSetAside(fault: Fault): void
  /** A defect of ours: the connection ends, the hub goes on. */
  fail(fault: Fault): void
}

type Content = { readonly form: number; readonly content: Buffer; readonly head: BatchHead }

export class Consumer {
  readonly id: number
  readonly queue: Queue
  readonly ephemeral: boolean
  private readonly store: HubStore
  private readonly outlet: Outlet
  private readonly identity: HubIdentity
  private creditBytes: number
  private creditMessages: number
  private sentBytes = 0
  private sentMessages = 0
  private readonly leases = new Leases()
  private settling: Promise<unknown> = Promise.resolve()
  private closed = false

  constructor(options: {
    id: number
    queue: Queue
    store: HubStore
    outlet: Outlet
    identity: HubIdentity
    creditBytes: number
    creditMessages: number
  }) {
    this.id = options.id
    this.queue = options.queue
    this.ephemeral = options.queue.info.ephemeral
    this.store = options.store
    this.outlet = options.outlet
    this.identity = options.identity
    this.creditBytes = options.creditBytes
    this.creditMessages = options.creditMessages
  }

  /** New absolute totals; they never go down. */
  grant(bytes: number, messages: number): void {
    this.creditBytes = Math.max(this.creditBytes, bytes)
    this.creditMessages = Math.max(this.creditMessages, messages)
  }

  /** Sends one batch or part of one; false when there is nothing to send or no room. Bytes may pass the credit by one frame. */
  sendOne(): boolean {
    if (this.closed || !this.outlet.writable || this.sentBytes >= this.creditBytes) return false
    const lease = this.queue.take(this.creditMessages - this.sentMessages)
    if (lease === null) return false
    let made: Content
    try {
      made = this.contentOf(lease)
    } catch (error) {
      this.setAside(lease, asFault(error))
      return true
    }
    const { form, content, head } = made
    this.leases.add(lease)
    this.outlet.introduce(head)
    const start = deliverFrameStart(
      CHANNEL_MESSAGES,
      {
        consumer: this.id,
        form,
        attempt: lease.attempt,
        position: lease.from,
        floor: this.queue.settled.floor,
        count: lease.count,
      },
      content.length,
    )
    this.outlet.sendParts(start, content)
    this.sentBytes += start.length - FRAME_HEADER_BYTES + content.length
    this.sentMessages += lease.count
    return true
  }

  /** Settles messages as the peer says; resolves when this and all before it is durable. Faults: `SETTLEMENT_INVALID`. */
  settle(ranges: readonly Settlement[]): Promise<unknown> {
    const done: Promise<void>[] = []
    for (const range of ranges) {
      checkOutcome(range)
      const to = range.from + range.count
      for (let from = range.from; from < to; ) {
        const lease = this.leaseAt(from)
        const end = Math.min(to, lease.from + lease.count)
        this.leases.cut(lease, from, end)
        if (range.outcome === Outcome.RETRY) {
          this.queue.giveBack([{ entry: lease.entry, from, count: end - from, attempt: lease.attempt }])
        } else {
          done.push(this.apply(lease, [from, end], range))
        }
        from = end
      }
    }
    this.settling = Promise.all([this.settling, ...done])
    return this.settling
  }

  /** A defect met while sending: ends this session only. */
  fail(fault: Fault): void {
    this.outlet.fail(fault)
  }

  /** Ends it: what is not settled goes back to the queue. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.queue.giveBack(this.leases.all)
    this.leases.clear()
  }

  private apply(lease: Lease, range: Range, { outcome, reason }: Settlement): Promise<void> {
    if (outcome === Outcome.REJECTED) return this.store.settle(this.queue, lease, range, 'rejected', reason)
    return this.store.settle(this.queue, lease, range, 'processed', '')
  }

  private leaseAt(position: number): Lease {
    const lease = this.leases.at(position)
    if (lease !== undefined) return lease
    throw hubSessionFault('SETTLEMENT_INVALID', { where: `queue ${this.queue.info.name}`, why: `position ${position}` })
  }

  /** What nobody can be given (its origin lied, or the disk did) must not stand in the way of what follows. */
  private setAside(lease: Lease, fault: Fault): void {
    this.outlet.onSetAside(fault)
    const range: Range = [lease.from, lease.from + lease.count]
    void this.store.settle(this.queue, lease, range, 'rejected', `${fault.code}: ${fault.message}`)
  }

  /** What goes out for a lease. Faults: those of damaged or dishonest batches. */
  private contentOf(lease: Lease): Content {
    const bytes = this.store.batchBytes(lease.entry.batchSeq)
    const batch = openBatch(bytes)
    const { head } = batch
    if (lease.count === batch.count) return { form: FORM_BATCH, content: bytes, head }
    const places = placesOf(lease.entry, lease.from - lease.entry.position, lease.count)
    if (batch.hasTree) return { form: FORM_EXTRACT, content: extractFrom(batch, places), head }
    const content = this.reseal(batch, places)
    return { form: FORM_HUB_SEALED, content, head: parseHead(content) }
  }

  /** A batch of the hub's own with some messages of one whose origin made no tree. The hub vouches for them. */
  private reseal(batch: Batch, places: readonly number[]): Buffer {
    const { head } = batch
    const message = batch.messages()
    const builder = new BatchBuilder()
    for (const place of places) {
      const { envelope, key, body } = message(place)
      builder.add(envelope.topic, envelope.headers, key.length === 0 ? null : key, body)
    }
    return builder.seal({
      origin: this.identity.name,
      stream: head.stream,
      epoch: head.epoch,
      firstSeq: head.firstSeq + (places[0] as number),
      sealedAtMs: head.sealedAtMs,
      key: this.identity.key,
      compression: 'none',
      tree: false,
    })
  }
}

/** Before anything is taken off the leases: what is taken off and not settled would be in flight for ever. */
function checkOutcome({ outcome }: Settlement): void {
  const known = outcome === Outcome.PROCESSED || outcome === Outcome.REJECTED || outcome === Outcome.RETRY
  if (!known) throw hubSessionFault('SETTLEMENT_INVALID', { why: `outcome ${outcome}` })
}
