// Source `hub`: messages of a queue or subscription become rows again, or files. Every message has a position in a lane of its queue; the
// cursor says which positions the destination has committed, so what the hub delivers twice is recognised and only settled.
//
//   taken       positions handed on in portions, committed or not
//   committed   positions whose portion the destination has committed: only these are settled at the hub
//   fresh       the same messages as taken (without those that were refused), by identity
//   former      messages done in another store of the hub, by identity
//
// A hub that was put back to an older copy has another store id: positions begin anew, and what it delivers again is recognised
// by identity.

import { join } from 'node:path'
import type { Client, Delivery, SubscribeOptions, Subscription } from '#agent/client/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { HEADER_CONTENT_TYPE, type MessageView } from '#protocol/codec/mod.ts'
import type { ComponentContext, Cursor, Item, Portion, Reject, Source } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { parseJsonBody } from '../../formats/mod.ts'
import { PORTION_BYTES_MAX } from '../../limits.ts'
import { RejectFile, reasonOf } from '../../support/rejects.ts'
import { waitFor } from '../../support/wait.ts'
import { fileItems } from './files.ts'
import { Identities } from './identities.ts'
import { decodeHubPosition, encodeHubPosition, LanePositions, placeOf, refOf } from './position.ts'
import type { HubSourceSettings } from './settings.ts'

const POLL_MS = 5000
/** Portions that may be out at the destination; a flow has one, and one made ahead. */
const GIVEN_MAX = 16
/** Rows of one portion; deliveries are joined up to it, so that many small batches share one commit. */
const PORTION_ROWS_MAX = 4000
/** Files of one portion have so much together: what is there of them is seen, and settled, when all are there. */
const PORTION_CONTENT_BYTES_MAX = 16 * 2 ** 20
const PORTION_FILES_MAX = 512
/** Messages sent ahead when they are files, each of which may take long: a second portion, others at the same queue get the rest. */
const FILES_AHEAD_MAX = 2 * PORTION_FILES_MAX
/** Refused messages remembered, of which the hub may not have heard: with their reasons 2 MB. */
const REFUSED_MAX = 4096

export class HubSource implements Source {
  /** A content stays at the hub as long as a message refers to it: until that which replaces this one is there. */
  readonly keepsUntilArrived: boolean
  readonly #settings: HubSourceSettings
  readonly #client: Client
  readonly #context: ComponentContext
  #subscription: Subscription | null = null
  #subscribing: Promise<void> | null = null
  #failure: Fault | null = null
  #store = ''
  #queue = ''
  #taken = new LanePositions()
  #committed = new LanePositions()
  #fresh = new Identities()
  #former = new Identities()
  /** Portions given and not committed yet. */
  #given: { readonly cursor: Cursor; readonly done: LanePositions }[] = []
  /** Messages recognised by identity since the last portion. */
  #recognised = 0
  /** Reasons by place of what was refused: should the hub not have heard of it, it is told when it delivers that again. */
  readonly #refused = new Map<string, string>()
  /** Deliveries with messages that are not settled yet. */
  #open: Delivery[] = []
  /** Contents given up as somebody wished, whose messages are refused and not committed. */
  #cancelled: string[] = []
  #held: Delivery | null = null
  /** Put aside since the last portion. */
  #brokenRows = 0
  #rejects: RejectFile | null = null
  #wake: (() => void) | null = null
  #closed = false

  constructor(settings: HubSourceSettings, client: Client, context: ComponentContext) {
    this.keepsUntilArrived = settings.format === 'file'
    this.#settings = settings
    this.#client = client
    this.#context = context
  }

  async open(position: Cursor | null): Promise<void> {
    if (position !== null) {
      const { store, queue, done, fresh, former } = decodeHubPosition(position)
      this.#store = store
      this.#queue = queue
      this.#committed = done
      this.#taken = done.copy()
      this.#fresh = fresh
      this.#former = former
    }
    this.#subscribe()
  }

  async next(): Promise<Portion | null> {
    if (this.#failure !== null) {
      const fault = this.#failure
      this.#failure = null
      this.#subscribe()
      throw fault
    }
    const items: Item[] = []
    let moved = false
    let bytes = 0
    const room = this.#room()
    while (items.length < PORTION_ROWS_MAX && bytes < PORTION_BYTES_MAX && !room.isFull) {
      // One that could not be taken (its broken messages could not be put aside) is the next again.
      this.#held ??= this.#subscription?.tryNext() ?? null
      const delivery = this.#held
      if (delivery === null) break
      // What the destination has in hand may still be refused, by position: positions change their meaning after it only.
      if (this.#isElsewhere(delivery) && (moved || this.#given.length > 0)) break
      const taken = await this.#take(delivery, items, room)
      moved = taken.moved || moved
      if (taken.whole) this.#held = null
      bytes += delivery.rawBytes
    }
    if (!moved) return null
    const setAside = this.#brokenRows
    this.#brokenRows = 0
    if (this.#recognised > 0) {
      const details = { queue: this.#queue, messages: this.#recognised }
      this.#context.log('info', 'messages done before the hub was restored came again', details)
      this.#recognised = 0
    }
    const done = this.#taken.copy()
    const cursor = encodeHubPosition({
      store: this.#store,
      queue: this.#queue,
      done,
      fresh: this.#fresh,
      former: this.#former,
    })
    this.#given.push({ cursor, done })
    if (this.#given.length > GIVEN_MAX) this.#given.shift()
    return { items, cursor, setAside }
  }

  idle(signal: AbortSignal): Promise<void> {
    return waitFor(POLL_MS, signal, (wake) => {
      this.#wake = wake
      if (this.#failure !== null || this.#held !== null || this.#subscription?.hasNext === true) wake()
    })
  }

  /** Kept here durably; the hub is told as well, so that its operator sees them among the rejected messages. */
  async reject(rejects: readonly Reject[]): Promise<void> {
    this.#rejects ??= await RejectFile.open(join(this.#context.dataDir, 'rejected.jsonl'))
    await this.#rejects.append(
      rejects.map((reject) => ({
        ref: reject.item.ref,
        code: reject.fault.code,
        reason: reasonOf(reject),
        row: reject.item.row,
      })),
    )
    for (const { item, fault } of rejects) {
      // A redrive must not find it given up.
      if (fault.code === 'TRANSFER_CANCELLED' && item.content?.kind === 'hub') this.#cancelled.push(item.content.id)
      const { lane, position } = placeOf(item.ref)
      const reason = `${fault.code}: ${fault.message}`
      this.#remember(`${lane}:${position}`, reason)
      // The last one: after a reconnect the same messages come again, and only their newest delivery counts.
      const delivery = this.#open.findLast(
        (one) => one.lane === lane && position >= one.position && position < one.position + one.count,
      )
      const place = position - (delivery?.position ?? 0)
      // A write that is repeated refuses the same rows again.
      if (delivery === undefined || delivery.isSettled(place)) continue
      // An operator may send it here again, once the reason is gone: then it must not pass for done.
      const seq = delivery.seqOf(place)
      if (seq !== null) this.#fresh.remove(delivery, seq)
      delivery.reject(reason, place, 1)
    }
  }

  #remember(place: string, reason: string): void {
    this.#refused.delete(place)
    this.#refused.set(place, reason)
    if (this.#refused.size <= REFUSED_MAX) return
    for (const oldest of this.#refused.keys()) {
      this.#refused.delete(oldest)
      return
    }
  }

  async committed(cursor: Cursor): Promise<void> {
    this.#rejects?.forget()
    const at = this.#given.findIndex((given) => given.cursor === cursor)
    const committed = this.#given[at]
    if (committed === undefined) return
    this.#given.splice(0, at + 1)
    this.#committed = committed.done
    for (const id of this.#cancelled.splice(0)) this.#client.transferSettled(id)
    this.#open = this.#open.filter((delivery) => !this.#settle(delivery))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#subscription?.close()
    this.#subscription = null
    await this.#rejects?.close()
    this.#rejects = null
  }

  #subscribe(): void {
    if (this.#subscribing !== null || this.#closed) return
    const { queue, subscribe } = this.#settings
    this.#subscribing = this.#client
      .subscribe({
        ...(queue === undefined ? subscriptionOf(subscribe) : { queue }),
        ...(this.#settings.format === 'file' ? { creditMessages: FILES_AHEAD_MAX } : {}),
      })
      .then((subscription) => {
        if (this.#closed) return subscription.close()
        this.#subscription = subscription
        subscription.onDelivery = () => this.#wake?.()
        subscription.onFailed = (fault) => this.#fail(fault)
      })
      .catch((error: unknown) => this.#fail(asFault(error)))
      .finally(() => {
        this.#subscribing = null
        this.#wake?.()
      })
  }

  /** Rights may be granted and queues declared later, without anyone touching this agent: the flow waits and tries again. */
  #fail(fault: Fault): void {
    this.#subscription = null
    this.#failure = componentFault('HUB_SUBSCRIPTION_REFUSED', {
      why: fault.message,
      todo: fault.remedy,
      retry: true,
      cause: fault,
    })
    this.#wake?.()
  }

  /** Takes what is new in a delivery, as far as there is room; says whether the position moved, and whether that was all. */
  async #take(delivery: Delivery, items: Item[], room: Room): Promise<{ moved: boolean; whole: boolean }> {
    if (this.#isElsewhere(delivery)) this.#startOver(delivery)
    const { lane, position, count, floor } = delivery
    const taken = this.#taken.of(lane)
    const open = taken.missing(position, position + count)
    const done = this.#former.of(delivery)
    const handled: [number, number][] = []
    const fresh: Item[] = []
    const freshRuns: [number, number][] = []
    const broken: Reject[] = []
    let recognised = 0
    let whole = true
    for (const [from, to] of open) {
      let at = from
      for (; at < to && !room.isFull; at++) {
        const seq = delivery.seqOf(at - position)
        if (seq !== null && done?.has(seq) === true) {
          recognised++
          continue
        }
        const made = this.#itemsAt(delivery, at)
        if ('fault' in made) {
          broken.push(made)
          continue
        }
        for (const item of made) {
          fresh.push(item)
          room.take(item)
        }
        const last = freshRuns.at(-1)
        if (seq === null) continue
        if (last?.[1] === seq) last[1]++
        else freshRuns.push([seq, seq + 1])
      }
      if (at > from) handled.push([from, at])
      if (at === to) continue
      whole = false
      break
    }
    if (!this.#open.includes(delivery)) this.#open.push(delivery)
    if (broken.length > 0) await this.reject(broken)
    this.#brokenRows += broken.length
    this.#recognised += recognised
    for (const item of fresh) items.push(item)
    for (const [from, to] of freshRuns) this.#fresh.add(delivery, from, to)
    for (const [from, to] of handled) taken.add(from, to)
    // What the hub counts as settled needs no memory here: the set stays at a few numbers.
    if (floor > 0) taken.raise(Math.min(floor, position))
    if (open.length > 0) return { moved: handled.length > 0, whole }
    if (this.#settle(delivery)) this.#open = this.#open.filter((one) => one !== delivery)
    return { moved: false, whole: true }
  }

  /** Settles what is committed of a delivery; true when nothing of it is left. Of files each by itself, since they may take long. */
  #settle(delivery: Delivery): boolean {
    const from = delivery.position
    const to = from + delivery.count
    const waiting = this.#committed.of(delivery.lane).missing(from, to)
    if (delivery.attempt > 1) this.#refuseAgain(delivery)
    if (waiting.length === 0) {
      delivery.settleOpen()
      return true
    }
    if (this.#settings.format === 'file') {
      let at = from
      for (const [first, behind] of [...waiting, [to, to] as const]) {
        for (; at < first; at++) if (delivery.isOpen(at - from)) delivery.settle(at - from, 1)
        at = behind
      }
    }
    return false
  }

  #refuseAgain(delivery: Delivery): void {
    for (const [place, reason] of this.#refused) {
      const { lane, position } = placeOf(place)
      const i = position - delivery.position
      if (lane === delivery.lane && i >= 0 && i < delivery.count && delivery.isOpen(i)) delivery.reject(reason, i, 1)
    }
  }

  #room(): Room {
    return this.#settings.format === 'file' ? new FilesRoom() : ROWS_ROOM
  }

  /** The message at a position as items, or why it is none: also when its origin sealed something unreadable. */
  #itemsAt(delivery: Delivery, position: number): readonly Item[] | Reject {
    const ref = refOf(delivery.lane, position)
    try {
      const message = delivery.message(position - delivery.position)
      const { format, stallMs } = this.#settings
      if (format === 'file') return fileItems(message, { ref, client: this.#client, stallMs })
      return rowItems(message, ref)
    } catch (error) {
      return { item: { row: {}, ref }, fault: asFault(error, `from ${delivery.origin}`) }
    }
  }

  #isElsewhere({ storeId, queue }: Delivery): boolean {
    return storeId !== this.#store || queue !== this.#queue
  }

  /** Another hub, or a hub whose store is another one: its positions begin anew. */
  #startOver(delivery: Delivery): void {
    if (this.#store !== '') {
      this.#context.log('warn', 'the hub has another store: positions begin anew', { queue: delivery.queue })
    }
    this.#former.addAll(this.#fresh)
    this.#fresh = new Identities()
    this.#store = delivery.storeId
    this.#queue = delivery.queue
    this.#taken = new LanePositions()
    this.#committed = new LanePositions()
    this.#refused.clear()
    this.#open = []
  }
}

function subscriptionOf(settings: HubSourceSettings['subscribe']): SubscribeOptions {
  if (settings === undefined) return {}
  const { name, topics, where, order, limits, onFull, maxDeliver, onExpire } = settings
  const { messages: messagesMax, bytes: bytesMax, ageMs: ageMsMax } = limits
  const policy = { order, messagesMax, bytesMax, ageMsMax, onFull, maxDeliver, onExpire }
  return { name, topics, where, policy }
}

function rowItems({ envelope, body }: MessageView, ref: Item['ref']): readonly Item[] | Reject {
  const type = envelope.headers[HEADER_CONTENT_TYPE] ?? 'application/json'
  const refused = (why: string): Reject => ({
    item: { row: { topic: envelope.topic, body: body.toString('base64') }, ref },
    fault: componentFault('HUB_MESSAGE_NOT_A_ROW', { where: `topic ${envelope.topic}`, why }),
  })
  if (type !== 'application/json') return refused(`its content type is ${String(type)}`)
  const record = parseJsonBody(body)
  return record.ok ? [{ row: record.row, ref }] : refused(record.why)
}

/** What still fits a portion, beside its number of rows and their bytes. */
type Room = { readonly isFull: boolean; take(item: Item): void }

const ROWS_ROOM: Room = { isFull: false, take: () => undefined }

class FilesRoom implements Room {
  #files = 0
  #bytes = 0

  get isFull(): boolean {
    return this.#files >= PORTION_FILES_MAX || this.#bytes >= PORTION_CONTENT_BYTES_MAX
  }

  take({ content }: Item): void {
    this.#files += 1
    if (content?.kind === 'bytes') this.#bytes += content.bytes.byteLength
    // Of whose size nothing is said may have any.
    else if (content !== undefined) this.#bytes += content.size > 0 ? content.size : PORTION_CONTENT_BYTES_MAX
  }
}
