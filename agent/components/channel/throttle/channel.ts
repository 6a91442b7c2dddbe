// Channel `throttle`: lets items pass at a rate.
//
// What passes is paid for before it passes: a portion waits until the rate allows all of it. What was not used is saved up, for one
// `perMs` at most: so in no time t more than the rate × (t + perMs) pass, but for a single portion that is larger than that. The
// rate is that of this instance: it does not survive a restart, and after one a full `perMs` is free. The time is monotonic.

import { f, type Infer } from '#protocol/fields/mod.ts'
import type { Channel, ComponentContext, Item, Reject, Value } from '../../contract.ts'
import { waitFor } from '../../support/mod.ts'

export const throttleSettings = f.object(
  {
    items: f.integer({ doc: 'Items in each `perMs`', min: 1, max: 1_000_000_000, optional: true }),
    bytes: f.bytes({
      doc: 'Bytes in each `perMs`: of contents, and of the values of rows (texts in characters, numbers as 8)',
      min: 1,
      optional: true,
    }),
    perMs: f.duration({ doc: 'The time in which so many pass', min: 1, max: 86_400_000, default: 1_000 }),
  },
  {
    check: ({ items, bytes }) =>
      items === undefined && bytes === undefined ? 'give `items` or `bytes`, or both' : null,
  },
)

export type ThrottleSettings = Infer<typeof throttleSettings>

/** A timer takes 24 days at most; a clock that was stopped is looked at again within this time. */
const WAIT_MS_MAX = 60_000

export class ThrottleChannel implements Channel {
  readonly alone = true
  readonly #settings: ThrottleSettings
  readonly #clock: ComponentContext['clock']
  readonly #closing = new AbortController()
  /** When all that has passed so far is paid for, by number and by size. */
  #paidItemsMs = Number.NEGATIVE_INFINITY
  #paidBytesMs = Number.NEGATIVE_INFINITY

  constructor(settings: ThrottleSettings, { clock }: ComponentContext) {
    this.#settings = settings
    this.#clock = clock
  }

  async process(
    items: readonly Item[],
    _reject: (reject: Reject) => void,
    signal?: AbortSignal,
  ): Promise<readonly Item[]> {
    const { items: itemsPer, bytes: bytesPer, perMs } = this.#settings
    const savedMs = this.#clock.nowMs() - perMs
    const paid = (sinceMs: number, amount: number, per: number | undefined): number =>
      per === undefined ? sinceMs : Math.max(sinceMs, savedMs) + (amount / per) * perMs
    this.#paidItemsMs = paid(this.#paidItemsMs, items.length, itemsPer)
    this.#paidBytesMs = paid(this.#paidBytesMs, bytesPer === undefined ? 0 : sizeOfAll(items), bytesPer)
    await this.#until(Math.max(this.#paidItemsMs, this.#paidBytesMs), signal)
    return items
  }

  async close(): Promise<void> {
    this.#closing.abort()
  }

  async #until(timeMs: number, stopped: AbortSignal | undefined): Promise<void> {
    const signal = stopped === undefined ? this.#closing.signal : AbortSignal.any([stopped, this.#closing.signal])
    for (;;) {
      signal.throwIfAborted()
      const leftMs = timeMs - this.#clock.nowMs()
      if (leftMs <= 0) return
      await waitFor(Math.min(Math.ceil(leftMs), WAIT_MS_MAX), signal)
    }
  }
}

function sizeOfAll(items: readonly Item[]): number {
  let size = 0
  for (const { row, content } of items) {
    size += sizeOf(row)
    if (content !== undefined) size += content.kind === 'bytes' ? content.bytes.byteLength : content.size
  }
  return size
}

function sizeOf(value: Value | undefined): number {
  if (typeof value === 'string') return value.length
  if (value instanceof Uint8Array) return value.byteLength
  if (typeof value !== 'object' || value === null) return 8
  let size = 0
  for (const each of Object.values(value) as Value[]) size += sizeOf(each)
  return size
}
