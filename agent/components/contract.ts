// What every component promises. A flow is source → channels → destination; rows travel in portions.
//
// One mechanism carries exactly-once through every pairing: **the destination keeps the position**. A portion brings the
// source's cursor *after* it; the destination commits that cursor together with the rows (one transaction in a database, the
// spool's enqueue for the hub). On start the flow asks the destination for its position and hands it to the source, which
// continues there. A portion that is repeated after a crash is therefore either wholly new or never produced again.

import type { Clock, Fault } from '#protocol/base/mod.ts'

/** One value of a record as databases, CSV and JSON give it. Binary stays bytes; integers beyond 2^53 stay bigint. */
export type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly Value[]
  | { readonly [field: string]: Value }

/** One record: field name → value, in the source's field order. */
export type Row = { readonly [field: string]: Value }

/**
 * What a file holds, beside the row that says its name: no component needs it in memory. It is the source's, and stays where it
 * is until the portion is committed.
 */
export type Content = LocalFile | BodyBytes | HubContent

/**
 * A file here that has come to rest. Whoever reads it makes sure that it is still what is said here, else refuses the item with
 * `FILE_STILL_WRITTEN`: the source then gives it again when it rests.
 */
export type LocalFile = {
  readonly kind: 'local'
  readonly path: string
  readonly size: number
  readonly changedMs: number
  readonly inode: number
}

/** Small enough to have come in a message. */
export type BodyBytes = { readonly kind: 'bytes'; readonly bytes: Uint8Array }

/** Large content at the hub, by its id. */
export type HubContent = {
  readonly kind: 'hub'
  readonly id: string
  /** As the message says; 0 when it says nothing. */
  readonly size: number
  /**
   * Brings it into the file `path`, in constant memory. What has arrived beside that file is not fetched again, nor what `reuse`
   * (earlier versions) has of it. Gives what its origin signed. Faults: those of `Client.download`; `DOCUMENT_TOO_LARGE` when it
   * has more than `bytesMax`.
   */
  download(options: {
    readonly path: string
    readonly reuse: readonly string[]
    readonly signal: AbortSignal
    readonly bytesMax?: number
  }): Promise<{ readonly name: string; readonly mediaType: string; readonly size: number }>
  /**
   * Lends its bytes, which are what its origin signed. Absent: whoever gives it does not. Faults: `DOCUMENT_TOO_LARGE`, what it is that
   * it cannot be had; with `retry`, what may pass.
   */
  read?(signal?: AbortSignal): Promise<Lent>
}

/** A document in memory, which is counted until `release`. */
export type Lent = { readonly bytes: Buffer; release(): void }

/**
 * A row with the place it came from, in the source's terms (line number, primary key, queue position). With `content` it is a
 * file: the row then has `name` (a path with `/`, or null for the name of the content itself), `size`, `modified` (ISO 8601 or
 * null) and `mediaType` (or null). Channels may change the row, and with it the name, and pass the content on.
 */
export type Item = { readonly row: Row; readonly ref: string | number; readonly content?: Content }

/** What the items of a source are, and what a destination takes. */
export type Carries = 'rows' | 'files' | 'both'

/** A source's position: JSON text, opaque to everyone but the source that made it; at most `CURSOR_BYTES_MAX`. */
export type Cursor = string
export const CURSOR_BYTES_MAX = 65_536

/** What a source yields: rows in order and the position after them. `items` may be empty when only the cursor moved. */
export type Portion = {
  readonly items: readonly Item[]
  readonly cursor: Cursor
  /** Rows the source itself has put aside on the way here. */
  readonly setAside?: number
}

/** A row that cannot go on, with the fault that says why. */
export type Reject = { readonly item: Item; readonly fault: Fault }

/** What the runtime lends a component. `dataDir` is the flow's own folder (of a channel that keeps state: its own below that) and exists. */
export type ComponentContext = {
  readonly flow: string
  readonly dataDir: string
  readonly clock: Clock
  /** Relative paths in settings are resolved against the flow file's folder. */
  resolvePath(path: string): string
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, details?: Readonly<Record<string, unknown>>): void
}

/**
 * Takes rows out of somewhere. Calls come one at a time, in this order:
 * `open`, then any of `next` / `reject` / `committed`, then `close` (also after a failure).
 */
export type Source = {
  /**
   * What is committed is let go here only when it has arrived: the flow awaits `Destination.arrived` before `committed`, and
   * before `open` with a position.
   */
  readonly keepsUntilArrived?: boolean
  /** `position` is the cursor of the last portion the destination committed, or `null` at the very first start. */
  open(position: Cursor | null): Promise<void>
  /** The next portion, or `null` when there is nothing now; then the flow calls `idle`. At most a few MiB at once. */
  next(signal: AbortSignal): Promise<Portion | null>
  /** Resolves when `next` may have something: an event where there is one, else the polling interval. */
  idle(signal: AbortSignal): Promise<void>
  /** Puts rows aside durably with their reasons, before the portion is committed. May be repeated for the same rows. */
  reject(rejects: readonly Reject[]): Promise<void>
  /**
   * The destination has committed this cursor: what lies before it may be settled, moved to done/ or forgotten. After a crash
   * it is not called again for what was committed before: `open` with the position says the same.
   */
  committed(cursor: Cursor): Promise<void>
  /** True when `next` gave `null` and nothing will ever follow (a source set to run once). Absent: the source never ends. */
  ended?(): boolean
  close(): Promise<void>
}

/**
 * Changes items on their way. Items that come of an item bear its `ref`; one that fails goes to `reject`, whatever it would have
 * given, and the others pass. The same input gives the same output, except where a channel says otherwise.
 *
 * What a channel has kept since earlier portions, and gives or refuses now, has a `ref` of its own, which no source knows:
 * `ownRef`. Whoever runs the channel passes it on as it is, and puts such a refused item aside itself.
 *
 * Most keep nothing between calls, and may run as several copies, in threads. One that does is `alone`: a single instance sees all
 * items, in order. What it must still know after a crash it puts on the disk in `save`, before the portion is written; what `save`
 * gives commits with the position of that portion, and comes back in `open`. Calls come one at a time, in this order:
 * `open`, then any of `process` or `due`, each followed by `save`, and by `committed` when it is; then `close`. Called again before
 * a `save` that succeeded, it is the same call repeated, and one that keeps something starts from what was saved last.
 */
export type Channel = {
  readonly alone?: true
  /** `state` is what `save` gave with the last portion that was committed; `null` at the very first start. */
  open?(state: string | null): Promise<void>
  /** One that waits ends with the reason of `signal` when that aborts. */
  process(
    items: readonly Item[],
    reject: (reject: Reject) => void,
    signal?: AbortSignal,
  ): readonly Item[] | Promise<readonly Item[]>
  /** Items whose time has come, with no other coming in. */
  due?(reject: (reject: Reject) => void): readonly Item[] | Promise<readonly Item[]>
  /** When `due` will have something (monotonic, see `ComponentContext.clock`); `null` when nothing waits. */
  dueAtMs?(): number | null
  /**
   * Some of what waits goes out as if its time had come: no more comes in that it could wait for. Called again while `waits` says that
   * there is more.
   */
  flush?(reject: (reject: Reject) => void): readonly Item[] | Promise<readonly Item[]>
  waits?(): boolean
  /**
   * What the item with this `ref` was made of, if it is one that the last `process` or `due` gave: for whoever can do nothing with the
   * whole. Valid until the next call.
   */
  membersOf?(ref: Item['ref']): readonly Item[] | null
  /** Makes durable what later items need, beside what the state before needs; names it, at most `STATE_BYTES_MAX`. */
  save?(): Promise<string>
  /** A portion with this state is committed: what only earlier ones needed may go. */
  committed?(state: string): Promise<void>
  close?(): Promise<void>
}
export const STATE_BYTES_MAX = 1_024

/** The `ref` of an item that is not of the portion in hand. `id` tells it from all others of its channel. */
const OWN_REF = 'channel:'
export const ownRef = (type: string, id: string): string => `${OWN_REF}${type}:${id}`
export const isOwnRef = (ref: Item['ref']): boolean => typeof ref === 'string' && ref.startsWith(OWN_REF)

/** Puts rows somewhere and keeps the position. A `write` either commits rows and cursor or neither. */
export type Destination = {
  open(): Promise<void>
  /** The cursor committed last by this flow, or `null`. Valid after `open`. */
  position(): Promise<Cursor | null>
  /**
   * Commits the rows and the cursor as one. Rows that the destination can never take (constraint, type) go to `reject`
   * and the others are committed; what `reject` gives back is awaited before the commit, so that no crash between the two
   * loses a refused row. A passing condition (locked, full, away) throws a fault whose `details.retry` is true:
   * the flow waits and repeats the same portion. When `signal` aborts, what may take long ends with its reason.
   */
  write(portion: Portion, reject: (reject: Reject) => unknown, signal: AbortSignal): Promise<void>
  /**
   * Resolves when everything committed is where it is to be for good: at the hub, not only in the spool. Absent: it is, once it
   * is committed. Throws as `write` does.
   */
  arrived?(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** One entry of the registry: how a flow file names a component, what its settings are, how it is made. */
export type ComponentKind = 'source' | 'channel' | 'destination'
