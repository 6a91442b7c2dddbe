// One call of a chain. Inside, the `ref` of an item is its ordinal, so that no two are the same; it gets its own back on the way out.

import { hash } from 'node:crypto'
import type { Fault } from '#protocol/base/mod.ts'
import { type Item, isOwnRef } from '../contract.ts'
import { digestOf } from './encoding.ts'
import { Lending } from './lending.ts'
import type { ChainReject, ChainResult, LargeDocuments, StepRecord } from './types.ts'

/** Where a step stands in its chain. */
export type StepPlace = { readonly step: number; readonly type: string }

export class Call {
  readonly signal: AbortSignal | undefined
  readonly recorded: boolean
  readonly large: Lending
  /** The ordinal of the first item. They go on from call to call: what a channel kept and gives as its own is found out. */
  readonly #first: number
  readonly #refs: Item['ref'][] = []
  /** As they came in; `null`: made by a channel of what it had kept. */
  readonly #origins: (Item | null)[] = []
  readonly #refused = new Set<number>()
  readonly #rejects: ChainReject[] = []
  readonly #steps: StepRecord[] = []
  #digested: readonly Item[] | null = null
  #digest = ''

  constructor(options: {
    readonly first: number
    readonly recorded: boolean
    readonly signal: AbortSignal | undefined
    readonly large: LargeDocuments | undefined
  }) {
    this.#first = options.first
    this.recorded = options.recorded
    this.signal = options.signal
    this.large = new Lending(options.large ?? null, options.signal)
  }

  /** The first ordinal of the next call. */
  get next(): number {
    return this.#first + this.#refs.length
  }

  /** Items on their way in. */
  enter(items: readonly Item[]): Item[] {
    return items.map((item) => this.#numbered(item, item))
  }

  /** What a step gave and did not refuse, as it goes to the next. */
  passed(items: readonly Item[], place: StepPlace): readonly Item[] {
    let known = this.#refused.size === 0
    for (let i = 0; known && i < items.length; i += 1) known = this.#isOrdinal((items[i] as Item).ref)
    if (known) return items
    const passing: Item[] = []
    for (const item of items) {
      if (isOwnRef(item.ref)) passing.push(this.#numbered(item, null))
      else if (!this.#refused.has(this.#ordinal(item, place))) passing.push(item)
    }
    return passing
  }

  refuse(item: Item, fault: Fault, place: StepPlace): void {
    const { step, type } = place
    if (isOwnRef(item.ref)) {
      this.#rejects.push({ item, fault, step, type })
      return
    }
    const ordinal = this.#ordinal(item, place)
    if (this.#refused.has(ordinal)) return
    this.#refused.add(ordinal)
    const index = ordinal - this.#first
    const origin = this.#origins[index] ?? { ...item, ref: this.#refs[index] as Item['ref'] }
    this.#rejects.push({ item: origin, fault, step, type })
  }

  isRefused(ref: Item['ref']): boolean {
    return this.#refused.has(ref as number)
  }

  /** Of a list of items: of their own in order. What comes out of a step goes into the next. */
  digestOf(items: readonly Item[]): string {
    if (items !== this.#digested) {
      this.#digest = hash('sha256', Buffer.concat(items.map(digestOf)), 'hex')
      this.#digested = items
    }
    return this.#digest
  }

  record(record: StepRecord): void {
    this.#steps.push(record)
  }

  /** Items on their way out. */
  result(items: readonly Item[]): ChainResult {
    const out = items.map((item) => ({ ...item, ref: this.#refs[(item.ref as number) - this.#first] as Item['ref'] }))
    return { items: out, rejects: this.#rejects, steps: this.#steps }
  }

  #numbered(item: Item, origin: Item | null): Item {
    const { row, content } = item
    const ref = this.next
    this.#refs.push(item.ref)
    this.#origins.push(origin)
    return content === undefined ? { row, ref } : { row, ref, content: this.large.lent(content) }
  }

  #isOrdinal(ref: Item['ref']): boolean {
    return typeof ref === 'number' && ref >= this.#first && ref < this.next
  }

  #ordinal({ ref }: Item, { step, type }: StepPlace): number {
    if (!this.#isOrdinal(ref)) throw new Error(`channel ${step} (${type}) gave an item that is not of these: ${ref}`)
    return ref as number
  }
}
