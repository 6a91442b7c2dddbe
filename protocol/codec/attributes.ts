// Headers the hub itself reads: how urgent a message is, when it may be seen, how long it is worth anything, which large
// contents it refers to. Times are counted from its acceptance by the hub's clock, so a wrong clock at the sender does no
// harm.

import type { Batch, Run } from './batch.ts'
import { codecFault } from './faults.ts'
import type { Headers, HeaderValue } from './headers.ts'
import { CONTENTS_PER_MESSAGE_MAX } from './limits.ts'

export const HEADER_PRIORITY = ':priority'
export const HEADER_TTL_MS = ':ttl'
export const HEADER_DELAY_MS = ':delay'
export const HEADER_DELIVER_AT_MS = ':deliver-at'
export const HEADER_CONTENT = ':content'

/** What a queue's lanes are numbered by: 0 is the usual. */
export const PRIORITY_NORMAL = 0
export const PRIORITY_URGENT = 1
export const PRIORITY_BULK = 2
export type Priority = typeof PRIORITY_NORMAL | typeof PRIORITY_URGENT | typeof PRIORITY_BULK

/** Ten years: longer than anything waits, far below what a number holds exactly. */
export const ATTRIBUTE_MS_MAX = 10 * 366 * 24 * 3600 * 1000

export type Attributes = {
  readonly priority: Priority
  /** Time after acceptance at which the message is worthless; 0 for never. */
  readonly ttlMs: number
  /** Time after acceptance until it is delivered. */
  readonly delayMs: number
  /** Time of day (milliseconds since 1970) until which it is not delivered; 0 for none. */
  readonly deliverAtMs: number
  /** Ids of large contents it refers to, each 32 lower-case hexadecimal digits, as the sender lists them. */
  readonly contents: readonly string[]
}

export const NO_CONTENTS: readonly string[] = Object.freeze([])

export const PLAIN: Attributes = {
  priority: PRIORITY_NORMAL,
  ttlMs: 0,
  delayMs: 0,
  deliverAtMs: 0,
  contents: NO_CONTENTS,
}

/** Faults: `ATTRIBUTE_INVALID`. */
export function attributesOf(headers: Headers): Attributes {
  const priority = headers[HEADER_PRIORITY]
  const ttl = headers[HEADER_TTL_MS]
  const delay = headers[HEADER_DELAY_MS]
  const deliverAt = headers[HEADER_DELIVER_AT_MS]
  const content = headers[HEADER_CONTENT]
  const isPlain = priority === undefined && ttl === undefined && delay === undefined && deliverAt === undefined
  if (isPlain && content === undefined) return PLAIN
  return {
    priority: priorityOf(priority),
    ttlMs: milliseconds(HEADER_TTL_MS, ttl, ATTRIBUTE_MS_MAX),
    delayMs: milliseconds(HEADER_DELAY_MS, delay, ATTRIBUTE_MS_MAX),
    deliverAtMs: milliseconds(HEADER_DELIVER_AT_MS, deliverAt, Number.MAX_SAFE_INTEGER),
    contents: contentsOf(content),
  }
}

/**
 * The contents that messages of a batch refer to, each once: all its messages, or those of a selection (pairs: from, count).
 * Faults: `ATTRIBUTE_INVALID` and those of its index.
 */
export function contentsIn(batch: Batch, selection: readonly number[] | null = null): readonly string[] {
  const { envelopes, runs } = batch.index()
  let found: Set<string> | null = null
  for (const [i, { headers }] of envelopes.entries()) {
    if (headers[HEADER_CONTENT] === undefined) continue
    if (selection !== null && !runs.some((run) => run.envelope === i && meets(run, selection))) continue
    found ??= new Set()
    for (const id of attributesOf(headers).contents) found.add(id)
  }
  return found === null ? NO_CONTENTS : [...found]
}

function meets({ from, count }: Run, selection: readonly number[]): boolean {
  for (let i = 0; i < selection.length; i += 2) {
    const first = selection[i] as number
    if (first < from + count && first + (selection[i + 1] as number) > from) return true
  }
  return false
}

function priorityOf(value: HeaderValue | undefined): Priority {
  if (value === undefined || value === 'normal') return PRIORITY_NORMAL
  if (value === 'urgent') return PRIORITY_URGENT
  if (value === 'bulk') return PRIORITY_BULK
  throw invalid(HEADER_PRIORITY, value)
}

function milliseconds(name: string, value: HeaderValue | undefined, max: number): number {
  if (value === undefined) return 0
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) return value
  throw invalid(name, value)
}

const CONTENT_IDS = new RegExp(`^[0-9a-f]{32}( [0-9a-f]{32}){0,${CONTENTS_PER_MESSAGE_MAX - 1}}$`)

function contentsOf(value: HeaderValue | undefined): readonly string[] {
  if (value === undefined) return NO_CONTENTS
  if (typeof value === 'string' && CONTENT_IDS.test(value)) return value.split(' ')
  throw invalid(HEADER_CONTENT, value)
}

const invalid = (name: string, value: HeaderValue) =>
  codecFault('ATTRIBUTE_INVALID', { where: `header ${name}`, why: `it is ${String(value).slice(0, 40)}` })
