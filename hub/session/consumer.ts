// One consumer of a queue within a session: sends while it has credit, remembers what is out, takes settlements.

import type { HubStore, Lane, Lease, Queue, Receipt } from '#hub/store/mod.ts'
import { placesOf } from '#hub/store/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import {
  type Batch,
  BatchBuilder,
  type BatchHead,
  extractFrom,
  NO_HEADERS,
  openBatch,
  parseHead,
} from '#protocol/codec/mod.ts'
import { CHANNEL_BULK, CHANNEL_MESSAGES, CHANNEL_URGENT, FRAME_HEADER_BYTES } from '#protocol/frame/mod.ts'
import { Outcome, type Settlement } from '#protocol/schema/mod.ts'
import { deliverFrameStart, FORM_BATCH, FORM_EXTRACT, FORM_HUB_SEALED, type Range } from '#protocol/session/mod.ts'
import { hubSessionFault } from './faults.ts'
import type { HubIdentity } from './identity.ts'
import { Leases } from './leases.ts'
import type { Tally } from './tally.ts'

/** What a consumer needs of its session. */
export type Outlet = {
  /** False while the connection cannot take more; `Session` calls `pump` again when it can. */
  readonly writable: boolean
  sendParts(first: Buffer, second: Buffer): void
  /** Makes sure the peer has the origin's certificate before its first batch. */
  introduce(head: BatchHead): void
  /** Messages are about to go out. */
  onDelivered(lease: Lease): void
  /** Messages could not be delivered to anybody and were set aside. */
  onSetAside(fault: Fault): void
  /** A defect of ours: the connection ends, the hub goes on. */
  fail(fault: Fault): void
}

/** Channels by priority: normal, urgent, bulk. */
const CHANNELS = [CHANNEL_MESSAGES, CHANNEL_URGENT, CHANNEL_BULK]
/** A year: nobody waits longer for another try. */
const RETRY_DELAY_MS_MAX = 366 * 86_400_000

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
  private readonly agent: string
  private readonly tally: Tally
  /** What is out, by lane. */
  private readonly leases = new Map<Lane, Leases>()
  private settling: Promise<unknown> = Promise.resolve()
  private closed = false
  /** Replays under way: what goes out before the answer of one, the peer takes for old and drops. */
  pauses = 0

  constructor(options: {
    id: number
    queue: Queue
    store: HubStore
    outlet: Outlet
    identity: HubIdentity
    /** Who consumes. */
    agent: string
    tally: Tally
    creditBytes: number
    creditMessages: number
  }) {
    this.id = options.id
    this.queue = options.queue
    this.ephemeral = options.queue.info.ephemeral
    this.store = options.store
    this.outlet = options.outlet
    this.identity = options.identity
    this.agent = options.agent
    this.tally = options.tally
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
    if (this.closed || this.pauses > 0 || !this.outlet.writable || this.sentBytes >= this.creditBytes) return false
    // For moments after a failed write: what cannot be read then is not damaged.
    if (!this.store.readable) return false
    const lease = this.store.take(this.queue, this.creditMessages - this.sentMessages, this)
    if (lease === null) return false
    let made: Content
    try {
      made = this.contentOf(lease)
    } catch (error) {
      this.setAside(lease, asFault(error))
      return true
    }
    const { form, content, head } = made
    const { lane } = lease
    this.leasesOf(lane).add(lease)
    this.outlet.introduce(head)
    this.outlet.onDelivered(lease)
    const start = deliverFrameStart(
      CHANNELS[lane.priority] as number,
      {
        consumer: this.id,
        form,
        attempt: lease.attempt,
        lane: lane.number,
        position: lease.from,
        floor: lane.floor,
        count: lease.count,
      },
      content.length,
    )
    this.outlet.sendParts(start, content)
    const bytes = start.length - FRAME_HEADER_BYTES + content.length
    this.sentBytes += bytes
    this.sentMessages += lease.count
    this.tally.delivered += lease.count
    this.tally.deliveredBytes += bytes
    this.store.delivered(lease, this.agent)
    return true
  }

  /** Settles messages as the peer says; resolves when this and all before it is durable. Faults: `SETTLEMENT_INVALID`. */
  settle(ranges: readonly Settlement[]): Promise<unknown> {
    const done: Promise<void>[] = []
    for (const range of ranges) {
      checkOutcome(range)
      const to = range.from + range.count
      for (let from = range.from; from < to; ) {
        const lease = this.leaseAt(range.lane, from)
        const end = Math.min(to, lease.from + lease.count)
        this.leasesOf(lease.lane).cut(lease, from, end)
        done.push(this.apply(lease, [from, end], range))
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
    this.abandon({ isTry: true })
  }

  /** Messages out at this consumer. */
  get messagesOut(): number {
    let sum = 0
    for (const leases of this.leases.values()) for (const { count } of leases.all) sum += count
    return sum
  }

  /** What is out goes back to the queue; its settlements are not taken any more. */
  abandon({ isTry }: { isTry: boolean }): void {
    const out = [...this.leases.values()].flatMap((leases) => leases.all)
    this.leases.clear()
    this.store.giveBack(isTry ? out : out.map((lease) => ({ ...lease, attempt: lease.attempt - 1 })), this.agent)
  }

  private apply(lease: Lease, range: Range, { outcome, reason, delayMs }: Settlement): Promise<void> {
    const told = { reason, by: this.agent }
    const count = range[1] - range[0]
    if (outcome === Outcome.PROCESSED) this.tally.processed += count
    else if (outcome === Outcome.REJECTED) this.tally.rejected += count
    else this.tally.retried += count
    if (outcome === Outcome.RETRY) {
      return this.store.retry(lease, range, { ...told, delayMs: Math.min(delayMs, RETRY_DELAY_MS_MAX) })
    }
    return this.store.settle(lease, range, outcome === Outcome.REJECTED ? 'rejected' : 'processed', told)
  }

  private leasesOf(lane: Lane): Leases {
    let leases = this.leases.get(lane)
    if (leases === undefined) {
      leases = new Leases()
      this.leases.set(lane, leases)
    }
    return leases
  }

  private leaseAt(number: number, position: number): Lease {
    const lane = this.queue.lanes.get(number)
    const lease = lane === undefined ? undefined : this.leases.get(lane)?.at(position)
    if (lease !== undefined) return lease
    const why = `lane ${number}, position ${position}`
    throw hubSessionFault('SETTLEMENT_INVALID', { where: `queue ${this.queue.info.name}`, why })
  }

  /** What nobody can be given (its origin lied, or the disk did) must not stand in the way of what follows. */
  private setAside(lease: Lease, fault: Fault): void {
    this.outlet.onSetAside(fault)
    const range: Range = [lease.from, lease.from + lease.count]
    void this.store.settle(lease, range, 'rejected', { reason: `${fault.code}: ${fault.message}`, by: '' })
  }

  /** What goes out for a lease. Faults: those of damaged or dishonest batches. */
  private contentOf(lease: Lease): Content {
    if (lease.entry.batchSeq === 0) return this.ownMessage(lease)
    const bytes = this.store.batchBytes(lease.entry.batchSeq)
    const batch = openBatch(bytes)
    const { head } = batch
    if (lease.count === batch.count) return { form: FORM_BATCH, content: bytes, head }
    const places = placesOf(lease.entry, lease.from - lease.entry.position, lease.count)
    if (batch.hasTree) return { form: FORM_EXTRACT, content: extractFrom(batch, places), head }
    const content = this.reseal(batch, places)
    return { form: FORM_HUB_SEALED, content, head: parseHead(content) }
  }

  /** One of the hub's own small messages: a receipt. */
  private ownMessage({ entry, from }: Lease): Content {
    const builder = new BatchBuilder()
    const { stream } = JSON.parse(entry.note) as Receipt
    builder.add(`receipt/${stream}`, NO_HEADERS, null, entry.note)
    const content = builder.seal({
      origin: this.identity.name,
      stream: this.queue.info.name,
      epoch: 1,
      firstSeq: from + 1,
      sealedAtMs: entry.storedAtMs,
      key: this.identity.key,
      compression: 'none',
      tree: false,
    })
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
