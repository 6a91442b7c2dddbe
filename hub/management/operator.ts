// What an operator may see and do in the queues of a running hub. The store implements it; the management port and its
// commands are built on nothing else. Nothing here may hold up the hub: whatever can be long is done in bounded steps.

import type { StepRecord } from '#agent/components/chain/mod.ts'
import type { Deployment, RoutesView, RulesVersion } from '#hub/router/mod.ts'
import type { Explanation, Sample } from '#hub/router/rules/mod.ts'
import type { QueuePolicy, TraceWhat } from '#hub/store/mod.ts'
import type { QueueStatus } from '#hub/telemetry/mod.ts'
import type { ContentDetails, ContentDiscarded, ContentsFilter, ContentsList } from '#hub/transfer/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import type { MessageId, TypedId } from './message-id.ts'

/** Which messages: all that fit everything given. `{}` fits every message. */
export type MessageFilter = {
  readonly ids?: readonly MessageId[]
  readonly origin?: string
  /** Topic pattern. */
  readonly topic?: string
  /** A fault code: reasons that begin with it. */
  readonly reason?: string
  /** The queue it was dead-lettered from. */
  readonly from?: string
  /** Accepted at least this long ago. */
  readonly olderThanMs?: number
}

export type LaneView = {
  readonly lane: number
  readonly priority: 'urgent' | 'normal' | 'bulk'
  readonly partition: number
  readonly depth: number
  readonly inFlight: number
  /** Everything below it is settled. */
  readonly floor: number
  /** One past the last position. */
  readonly tail: number
}

export type QueueView = QueueStatus & {
  readonly policy: QueuePolicy
  readonly lanes: readonly LaneView[]
}

export type MessageView = {
  readonly id: MessageId
  readonly lane: number
  readonly position: number
  readonly topic: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly key: string | null
  readonly bodyBytes: number
  /** The first 200 bytes, printable. */
  readonly preview: string
  readonly acceptedAtMs: number
  readonly attempts: number
  readonly reason: string
  readonly from: string | null
  readonly inFlight: boolean
  readonly expiresAtMs: number | null
}

export type CopyView = {
  readonly queue: string
  readonly lane: number
  readonly position: number
  readonly state: 'waiting' | 'in flight' | 'settled' | 'delayed'
  readonly attempts: number
}

export type EventView = {
  readonly atMs: number
  readonly what: TraceWhat
  readonly queue: string
  readonly by: string
  readonly reason: string
  /** Of what rules and pipelines did: `RouteDetail`. */
  readonly detail?: unknown
}

/** Which rules sent a message on, of which version, and through which steps of a pipeline. */
export type RouteDetail = {
  readonly version: number
  readonly by: string
  /** How what was sent back is decided. */
  readonly again?: string
  readonly rules: readonly {
    readonly rule: string
    readonly pipeline?: string
    readonly steps?: readonly StepRecord[]
    /** Ids of large contents. */
    readonly contents?: { readonly in: readonly string[]; readonly out: readonly string[] }
  }[]
}

export type TraceView = {
  readonly id: MessageId
  readonly batch: { readonly count: number; readonly acceptedAtMs: number }
  readonly copies: readonly CopyView[]
  readonly events: readonly EventView[]
}

/** How far a long operation is: it tells after each step, and stops between two when nobody waits for it any more. */
export type Progress = {
  /** Messages done so far. */
  report(messages: number): void
  readonly cancelled: boolean
}

export type Purged = { readonly messages: number }
export type Redriven = {
  readonly moved: number
  /** Fitting messages that stayed where they are, and how many for which reason. */
  readonly left: number
  readonly reasons: Readonly<Record<string, number>>
  /** What is to be known of messages that moved, and of how many. */
  readonly remarks?: Readonly<Record<string, number>>
}

/** Large content, by id: 32 hexadecimal digits. */
export type ContentsOperator = {
  /** Those that fit, `limit` of them: what moves first, then the newest. */
  list(filter: ContentsFilter, limit: number): ContentsList
  /** `null` when there is none. */
  details(id: string): ContentDetails | null
  /** For good; with `force` also what messages refer to, or what moves. */
  discard(id: string, options: { force: boolean }): Promise<ContentDiscarded>
}

/** Rules that were refused, and all that is wrong with them. */
export type RoutesRefused = { readonly refused: readonly Fault[] }

export type VersionForgotten = { readonly version: number }

/** The deployed rules. */
export type RoutesOperator = {
  view(): RoutesView
  /** What `bringFiles` has brought becomes the version that counts. */
  deploy(deployment: Deployment): Promise<RulesVersion | RoutesRefused>
  /** An older version's rules become a new version. */
  rollback(version: number, about: { by: string; note: string }): Promise<RulesVersion | RoutesRefused>
  /** What came in under a version that cannot be read is decided by the rules in force. */
  forget(version: number): Promise<void>
  /** Where a message would go, and why. */
  explain(sample: Sample, only: string | null): Promise<Explanation>
}

/** All that an operator works on. */
export type Operators = {
  readonly queues: Operator
  readonly contents: ContentsOperator
  readonly routes: RoutesOperator
}

export type Operator = {
  queues(): readonly QueueView[]
  /** The first `limit` messages that fit, in the order of their lanes. */
  peek(queue: string, options: { limit: number; filter: MessageFilter }): readonly MessageView[]
  /** Takes messages out for good; those in flight stay. */
  purge(queue: string, filter: MessageFilter, progress: Progress): Promise<Purged>
  /** Moves messages to where they came from, or `to` a queue. */
  redrive(queue: string, options: { filter: MessageFilter; to?: string }, progress: Progress): Promise<Redriven>
  /** Opens what is retained from there again, for whoever consumes the queue. */
  replay(queue: string, from: { fromMs: number } | { fromPosition: number }, progress: Progress): Promise<Purged>
  /** Removes a queue that an agent owns, with what is in it. */
  forget(queue: string, progress: Progress): Promise<Purged>
  /** `null` when nothing is known of it (any more). Without an epoch the newest one is meant. */
  trace(id: TypedId): TraceView | null
}
