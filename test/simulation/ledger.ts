// What was sent, what became of it, and what must never be: the judge of a simulation.

import type { Delivery, ReceiptFacts } from '#agent/client/mod.ts'
import { RangeSet } from '#protocol/session/mod.ts'

/** A message as its sender knows it. */
export type Sent = {
  /** Also its body. */
  readonly id: string
  /** Queues that want it. */
  readonly queues: readonly string[]
  /** What it must stay in order with. */
  readonly stream: string
  readonly key: string
  readonly number: number
  /** `agent/stream/epoch/seq`, when the sender asked for receipts. */
  readonly receipt: string | null
  acceptedAtMs: number | null
}

export type Decision = 'effect' | 'rejected'

/**
 * How a queue's consumers recognise what comes again: by its position in the store; by that, and by identity what was done in
 * another store; by identity alone.
 */
export type Memory = 'position' | 'store' | 'identity'

/** The books of one queue's consumers: what they did, in one transaction with remembering that. */
class Book {
  readonly decisions = new Map<string, Decision>()
  readonly effects = new Map<string, number>()
  readonly done = new Map<string, RangeSet>()
  readonly last = new Map<string, number>()
}

export class Ledger {
  readonly sent = new Map<string, Sent>()
  readonly violations: string[] = []
  /** Final receipts by message. */
  readonly finals = new Map<string, string[]>()
  effects = 0
  private readonly books = new Map<string, Book>()
  private readonly orders: ReadonlyMap<string, 'stream' | 'key' | 'none'>
  private readonly memory: (queue: string) => Memory
  private readonly receiptsSeen = new RangeSet()
  private readonly onViolation: (what: string) => void

  constructor(options: {
    orders: ReadonlyMap<string, 'stream' | 'key' | 'none'>
    memory: (queue: string) => Memory
    onViolation: (what: string) => void
  }) {
    this.orders = options.orders
    this.memory = options.memory
    this.onViolation = options.onViolation
  }

  broken(what: string): void {
    if (this.violations.length < 20) this.violations.push(what)
    this.onViolation(what)
  }

  accepted(id: string, atMs: number): void {
    const message = this.sent.get(id)
    if (message === undefined) this.broken(`${id} was accepted and never sent`)
    else message.acceptedAtMs ??= atMs
  }

  /** What was decided on the message before, if it comes again and is recognised. */
  decided(queue: string, delivery: Delivery, place: number): Decision | null {
    const book = this.book(queue)
    const id = String(delivery.message(place).body)
    if (this.memory(queue) === 'identity') return book.decisions.get(id) ?? null
    const known = this.positions(book, delivery).has(delivery.position + place)
    if (known) return book.decisions.get(id) ?? 'effect'
    return this.memory(queue) === 'store' ? (book.decisions.get(id) ?? null) : null
  }

  /** The message takes effect, or is refused for good: once, whoever comes first. */
  decide(queue: string, delivery: Delivery, place: number, decision: Decision): void {
    if (this.decided(queue, delivery, place) !== null) return
    const book = this.book(queue)
    const id = String(delivery.message(place).body)
    this.positions(book, delivery).add(delivery.position + place, delivery.position + place + 1)
    book.decisions.set(id, decision)
    if (decision === 'rejected') return
    this.effects++
    const times = (book.effects.get(id) ?? 0) + 1
    book.effects.set(id, times)
    if (times > 1) this.broken(`${id} has its effect in ${queue} for the ${times}. time`)
    this.inOrder(queue, book, id)
  }

  /** A receipt, which may come again. */
  receipt(position: number, agent: string, { stream, epoch, from, to, state }: ReceiptFacts): void {
    if (this.receiptsSeen.has(position)) return
    this.receiptsSeen.add(position, position + 1)
    if (state === 'delivered') return
    for (let seq = from; seq <= to; seq++) {
      const name = `${agent}/${stream}/${epoch}/${seq}`
      const states = this.finals.get(name)
      if (states === undefined) this.finals.set(name, [state])
      else {
        states.push(state)
        this.broken(`${name} has the final states ${states.join(', ')}`)
      }
    }
  }

  hasEffect(queue: string, id: string): boolean {
    return this.book(queue).effects.has(id)
  }

  isRejected(queue: string, id: string): boolean {
    return this.book(queue).decisions.get(id) === 'rejected'
  }

  private inOrder(queue: string, book: Book, id: string): void {
    const order = this.orders.get(queue) ?? 'none'
    const message = this.sent.get(id)
    if (message === undefined) this.broken(`${id} has an effect and was never sent`)
    if (message === undefined || order === 'none') return
    const line = order === 'key' ? `${message.key}` : message.stream
    const last = book.last.get(line) ?? 0
    if (message.number <= last) this.broken(`${id} has its effect in ${queue} after number ${last} of ${line}`)
    book.last.set(line, Math.max(last, message.number))
  }

  private positions(book: Book, { storeId, lane }: Delivery): RangeSet {
    const name = `${storeId}/${lane}`
    let set = book.done.get(name)
    if (set === undefined) {
      set = new RangeSet()
      book.done.set(name, set)
    }
    return set
  }

  private book(queue: string): Book {
    let book = this.books.get(queue)
    if (book === undefined) {
      book = new Book()
      this.books.set(queue, book)
    }
    return book
  }
}
