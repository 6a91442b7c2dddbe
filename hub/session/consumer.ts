// One consumer of a queue within a session: sends while it has credit, remembers what is out, takes settlements.

import type { HubStore, Lease, Queue } from '#hub/store/mod.ts'
import { placesOf } from '#hub/store/mod.ts'
import { assert } from '#protocol/base/mod.ts'
import {
  type Batch,
  BatchBuilder,
  type BatchHead,
  extractFrom,
  openBatch,
  parseHead,
  parseRecord,
} from '#protocol/codec/mod.ts'
import { CHANNEL_MESSAGES } from '#protocol/frame/mod.ts'
import { Outcome, type Settlement } from '#protocol/schema/mod.ts'
import { deliverFrameStart, FORM_BATCH, FORM_EXTRACT, FORM_HUB_SEALED, type Range } from '#protocol/session/mod.ts'
import { hubSessionFault } from './faults.ts'
import type { HubIdentity } from './identity.ts'

/** What a consumer needs of its session. */
export type Outlet = {
  /** False while the connection cannot take more; `Session` calls `pump` again when it can. */
  readonly writable: boolean
  sendParts(first: Buffer, second: Buffer): void
  /** Makes sure the peer has the origin's certificate before its first batch. */
  introduce(head: BatchHead): void
}

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
  private leases: Lease[] = []
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
    this.leases.push(lease)
    const bytes = this.store.batchBytes(lease.entry.batchSeq)
    const { form, content, head } = this.contentOf(lease, bytes)
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
    this.sentBytes += start.length + content.length
    this.sentMessages += lease.count
    return true
  }

  /** Settles messages as the peer says; resolves when it is durable. Faults: `SETTLEMENT_INVALID`. */
  settle(ranges: readonly Settlement[]): Promise<unknown> {
    const done: Promise<void>[] = []
    for (const range of ranges) {
      const to = range.from + range.count
      for (let from = range.from; from < to; ) {
        const lease = this.leaseAt(from)
        const end = Math.min(to, lease.from + lease.count)
        this.shrink(lease, from, end)
        if (range.outcome === Outcome.RETRY) {
          this.queue.giveBack([{ entry: lease.entry, from, count: end - from, attempt: lease.attempt }])
        } else {
          done.push(this.apply(lease, [from, end], range))
        }
        from = end
      }
    }
    return Promise.all(done)
  }

  /** Ends it: what is not settled goes back to the queue. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.queue.giveBack(this.leases)
    this.leases = []
  }

  private apply(lease: Lease, range: Range, { outcome, reason }: Settlement): Promise<void> {
    if (outcome === Outcome.PROCESSED) return this.store.settle(this.queue, lease, range, 'processed', '')
    if (outcome === Outcome.REJECTED) return this.store.settle(this.queue, lease, range, 'rejected', reason)
    throw hubSessionFault('SETTLEMENT_INVALID', { why: `outcome ${outcome}` })
  }

  private leaseAt(position: number): Lease {
    for (const lease of this.leases) if (position >= lease.from && position < lease.from + lease.count) return lease
    throw hubSessionFault('SETTLEMENT_INVALID', { where: `queue ${this.queue.info.name}`, why: `position ${position}` })
  }

  /** Takes from … to out of a lease, which may leave two smaller ones. */
  private shrink(lease: Lease, from: number, to: number): void {
    const at = this.leases.indexOf(lease)
    assert(at >= 0, 'a lease that is settled is held')
    const end = lease.from + lease.count
    const rest: Lease[] = []
    if (from > lease.from) rest.push({ ...lease, count: from - lease.from })
    if (to < end) rest.push({ ...lease, from: to, count: end - to })
    this.leases.splice(at, 1, ...rest)
  }

  private contentOf(lease: Lease, bytes: Buffer): { form: number; content: Buffer; head: BatchHead } {
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
    const { envelopes } = batch.index()
    const payload = batch.open()
    const builder = new BatchBuilder()
    for (const place of places) {
      const { envelope, key, body } = parseRecord(payload.record(place), envelopes)
      builder.add(envelope.topic, envelope.headers, key.length === 0 ? null : key, body)
    }
    return builder.seal({
      origin: this.identity.name,
      stream: `${head.origin}/${head.stream}`.slice(0, 200),
      epoch: head.epoch,
      firstSeq: head.firstSeq + (places[0] as number),
      sealedAtMs: head.sealedAtMs,
      key: this.identity.key,
      compression: 'none',
      tree: false,
    })
  }
}
