// What is sent, where it goes and what is promised about it: pure, the same for those who send, consume and count.

import { type BatchBuilder, type Headers, NO_HEADERS } from '#protocol/codec/mod.ts'

/** Streams of the producer's spool. */
export const STREAMS = ['one', 'two', 'mixed', 'fan', 'keyed'] as const
export type StreamName = (typeof STREAMS)[number]
/** Of the producer's own memory: groups of messages that take effect all or not at all. */
export const GROUPS = 'groups'

/** Streams whose origin asks what became of each message. */
export const RECEIPTED: readonly StreamName[] = ['mixed', 'fan']

/** Ways to an effect: a queue, or a subscription of the consumer's. */
export const FLOWS = ['plain', 'mixed', 'fan-all', 'fan-some', 'keyed', 'left', 'right'] as const
export type Flow = (typeof FLOWS)[number]

/** Queues of the hub; the other flows are subscriptions. */
export const QUEUES = [
  { name: 'plain', topics: ['crash/plain/#'] },
  { name: 'mixed', topics: ['crash/mixed'] },
  { name: 'keyed', topics: ['crash/keyed'], order: 'key', partitions: 8 },
  { name: 'left', topics: ['crash/group/left'] },
  { name: 'right', topics: ['crash/group/right'] },
]

export const SUBSCRIPTIONS = {
  'fan-all': { name: 'fan-all', topics: ['crash/fan'] },
  'fan-some': { name: 'fan-some', topics: ['crash/fan'], where: { kind: 'a' } },
} as const

/**
 * Collects some of the batches of stream `one` and is never consumed: its entries keep segments from being freed, so that
 * there is something to compact, to drop and to forget.
 */
export const SPARE = {
  name: 'spare',
  topics: ['crash/plain/one'],
  where: { keep: 'yes' },
  policy: { messagesMax: 1500, onFull: 'drop-oldest' },
} as const

const KEYS = 20
const DELAYS_MS = [20, 60, 150]
const KEEP: Headers = { keep: 'yes' }
const KINDS: readonly Headers[] = [{ kind: 'a' }, { kind: 'b' }]
const WISHES: readonly Headers[] = [
  NO_HEADERS,
  NO_HEADERS,
  { ':priority': 'urgent' },
  { ':priority': 'bulk' },
  ...DELAYS_MS.map((ms) => ({ ':delay': ms })),
]

const hashOf = (number: number): number => {
  const mixed = Math.imul(number ^ (number >>> 13), 0x9e3779b1) >>> 0
  return (mixed ^ (mixed >>> 15)) >>> 0
}

/** Delays are rare: every one is a transaction of its own. */
const wishOf = (number: number): number => (hashOf(number) % 40 === 0 ? 4 + (number % 3) : hashOf(number) % 4)
const keyOf = (number: number): number => hashOf(number + 7) % KEYS

/** The consumer asks for it once more when it comes for the first time. */
export function isRetried(flow: Flow, number: number): boolean {
  return (flow === 'mixed' || flow === 'keyed') && hashOf(number + 1) % 97 === 0
}
export const RETRY_MS = 30

/** The consumer cannot do anything with it, until its defect is mended. */
export const isRejected = (flow: Flow, number: number): boolean => flow === 'mixed' && hashOf(number + 2) % 151 === 0

/** Goes to the second subscription as well. */
export const isSome = (number: number): boolean => hashOf(number + 3) % 3 === 0

/** Adds message `number` of a stream of the spool. `portion` is a number all messages of a batch share. */
export function add(builder: BatchBuilder, stream: StreamName, number: number, filling: number, portion: number): void {
  const body = Buffer.alloc(16 + filling)
  body.writeUIntBE(number, 0, 6)
  switch (stream) {
    case 'one':
      return void builder.add('crash/plain/one', portion % 3 === 0 ? KEEP : NO_HEADERS, null, body)
    case 'two':
      return void builder.add('crash/plain/two', NO_HEADERS, null, body)
    case 'mixed':
      return void builder.add('crash/mixed', WISHES[wishOf(number)] as Headers, null, body)
    case 'fan':
      return void builder.add('crash/fan', KINDS[isSome(number) ? 0 : 1] as Headers, null, body)
    case 'keyed':
      return void builder.add('crash/keyed', NO_HEADERS, Buffer.from([keyOf(number)]), body)
  }
}

/** Messages whose effects come in the order of their numbers; `null` for those nothing is promised about. */
export function orderOf(flow: Flow, stream: string, number: number): string | null {
  if (flow === 'keyed') return `key ${keyOf(number)}`
  if (flow === 'left' || flow === 'right') return `run ${runOf(groupOf(number))}`
  if (flow !== 'mixed') return stream
  // What is moved to a later place leaves the order; the rest keeps it, each priority by itself.
  const moved = wishOf(number) > 3 || isRetried(flow, number) || isRejected(flow, number)
  return moved ? null : `priority ${Math.max(1, wishOf(number))}`
}

/** Groups: numbered within a run of the producer, each member a message; a member's number tells all of it. */
const RUN_GROUPS = 1_000_000
const MEMBERS_MAX = 8
export const groupId = (run: number, index: number): number => run * RUN_GROUPS + index
const runOf = (group: number): number => Math.floor(group / RUN_GROUPS)
export const groupSize = (group: number): number => 2 + (hashOf(group) % (MEMBERS_MAX - 2))
export const memberNumber = (group: number, member: number): number => group * MEMBERS_MAX + member
export const groupOf = (number: number): number => Math.floor(number / MEMBERS_MAX)
export const sideOf = (member: number): 'left' | 'right' => (member % 2 === 0 ? 'left' : 'right')
