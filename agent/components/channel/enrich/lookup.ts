// What the channel looks things up in; another kind of database is another of these.

import type { Row, Value } from '../../contract.ts'

export type Lookup = {
  /** Makes it ready. Faults stop the flow, or make it wait. */
  open(): Promise<void>
  /** Before the rows of a call: sees whether what it reads has changed. */
  refresh(): Promise<void>
  /** Names of what `find` gives, in their order, those of the key left out where they only repeat it. Valid after `open`. */
  columns(): readonly string[]
  /**
   * The row for the values of a key, none of which is null; `null` when there is none. Throws a fault: with `retry` when it may
   * pass, ENRICH_KEY_INVALID or ENRICH_QUERY_TIMEOUT when the row is to blame.
   */
  find(key: readonly Value[]): Row | null | Promise<Row | null>
  close(): Promise<void>
}
