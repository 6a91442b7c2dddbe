// A message as an application gives it. What it wants of the hub (urgency, lifetime, delay) travels as headers that the hub
// reads; messages that agree in headers and wishes share one object, because that is what a batch encodes once.

import {
  attributesOf,
  HEADER_CONTENT,
  HEADER_DELAY_MS,
  HEADER_DELIVER_AT_MS,
  HEADER_PRIORITY,
  HEADER_TTL_MS,
  type Headers,
  type HeaderValue,
  NO_HEADERS,
} from '#protocol/codec/mod.ts'

/** `normal` unless said otherwise. Urgent messages overtake, bulk ones wait; none waits for ever. */
export type PriorityName = 'normal' | 'urgent' | 'bulk'

/** By their numbers on the wire. */
export const PRIORITY_NAMES: readonly PriorityName[] = ['normal', 'urgent', 'bulk']

export type OutgoingMessage = {
  readonly topic: string
  readonly body: Uint8Array
  readonly key?: Uint8Array
  /** Share one object among messages with equal headers: it is encoded once. */
  readonly headers?: Headers
  readonly priority?: PriorityName
  /** After its acceptance by the hub the message is worth something for so long; 0 for ever. */
  readonly ttlMs?: number
  /** The hub delivers it so long after its acceptance. */
  readonly delayMs?: number
  /** The hub delivers it at this time of its clock (milliseconds since 1970). */
  readonly deliverAtMs?: number
  /** Ids of large contents it refers to, 1 to 16: the hub keeps them as long as this message is not settled everywhere. */
  readonly contents?: readonly string[]
}

/** Distinct wishes remembered for one object of headers: enough for choices, and times of day do not pile up. */
const WISHES_MAX = 256

/** Turns wishes into headers: the same object for the same headers and wishes, mostly without looking anything up. */
export class HeaderSets {
  private readonly known = new WeakMap<Headers, Map<string, Headers>>()
  private base: Headers = NO_HEADERS
  private priority: PriorityName | undefined = undefined
  private ttlMs: number | undefined = undefined
  private delayMs: number | undefined = undefined
  private deliverAtMs: number | undefined = undefined
  private contents: readonly string[] | undefined = undefined
  private made: Headers = NO_HEADERS

  /** Faults: `ATTRIBUTE_INVALID`, also for wishes that the application wrote into the headers itself. */
  of(message: OutgoingMessage): Headers {
    const { headers = NO_HEADERS, priority, ttlMs, delayMs, deliverAtMs, contents } = message
    if (
      headers === this.base &&
      priority === this.priority &&
      ttlMs === this.ttlMs &&
      delayMs === this.delayMs &&
      deliverAtMs === this.deliverAtMs &&
      contents === this.contents
    ) {
      return this.made
    }
    const looked = this.look(headers, message)
    // Each message has contents of its own: but for the last ones they are not remembered.
    this.made = contents === undefined ? looked : withContents(looked, contents)
    this.base = headers
    this.priority = priority
    this.ttlMs = ttlMs
    this.delayMs = delayMs
    this.deliverAtMs = deliverAtMs
    this.contents = contents
    return this.made
  }

  private look(headers: Headers, message: OutgoingMessage): Headers {
    const { priority, ttlMs, delayMs, deliverAtMs } = message
    const name = `${priority} ${ttlMs} ${delayMs} ${deliverAtMs}`
    let wishes = this.known.get(headers)
    const found = wishes?.get(name)
    if (found !== undefined) return found
    const made = merged(headers, message)
    attributesOf(made)
    if (wishes === undefined || wishes.size >= WISHES_MAX) {
      wishes = new Map()
      this.known.set(headers, wishes)
    }
    wishes.set(name, made)
    return made
  }
}

function withContents(headers: Headers, contents: readonly string[]): Headers {
  const out: Record<string, HeaderValue> = { ...headers }
  if (contents.length > 0) out[HEADER_CONTENT] = contents.join(' ')
  else delete out[HEADER_CONTENT]
  attributesOf(out)
  return Object.keys(out).length === 0 ? NO_HEADERS : out
}

/** Without wishes the headers as they are; a wish replaces what the headers say, and one for the usual takes no header. */
function merged(headers: Headers, { priority, ttlMs, delayMs, deliverAtMs }: OutgoingMessage): Headers {
  const wishes: readonly (readonly [name: string, value: HeaderValue | undefined, usual: HeaderValue])[] = [
    [HEADER_PRIORITY, priority, 'normal'],
    [HEADER_TTL_MS, ttlMs, 0],
    [HEADER_DELAY_MS, delayMs, 0],
    [HEADER_DELIVER_AT_MS, deliverAtMs, 0],
  ]
  if (wishes.every(([, value]) => value === undefined)) return headers
  const out: Record<string, HeaderValue> = { ...headers }
  for (const [name, value, usual] of wishes) {
    if (value === undefined) continue
    if (value === usual) delete out[name]
    else out[name] = value
  }
  return Object.keys(out).length === 0 ? NO_HEADERS : out
}
