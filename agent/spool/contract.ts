// The spool's promise: what a flow took from its source is on this disk, with the source's cursor, before the source is told.

/** One sealed batch waiting for the hub's acknowledgement. `bytes` is owned by the caller once returned. */
export type SpooledBatch = { readonly firstSeq: number; readonly count: number; readonly bytes: Buffer }

export type SpoolUsage = {
  readonly bytes: number
  readonly bytesMax: number
  readonly batches: number
  readonly messages: number
}

/** What one append stores: `count` is the number of messages in each batch, at least 1. */
export type SpoolEntry = {
  readonly batches: readonly { readonly bytes: Uint8Array; readonly count: number }[]
  readonly cursor: string | null
}

/** A producer stream's durable end on the agent. Sequence numbers start at 1 and have no gaps. */
export type SpoolStream = {
  readonly name: string
  /** Random 48-bit number made with the stream: a new spool is a new epoch, so its sequence can never be mistaken for the old one. */
  readonly epoch: number
  /** The sequence number the next message will get. */
  readonly nextSeq: number
  /** Highest sequence number released (acknowledged by the hub); 0 when none. */
  readonly releasedSeq: number
  /** Id of the hub's store that has it, 32 hex digits: what shows later that the hub was put back to an older copy. `null`: unknown. */
  readonly releasedTo: string | null
  /** The cursor stored by the last `append`, or `null`. */
  readonly cursor: string | null
  /**
   * Stores sealed batches, the first starting at `nextSeq` and each at the end of the one before, and the cursor, in one
   * transaction; resolves when all is flushed to disk. Without batches the cursor alone is stored. Faults: `SPOOL_FULL` (bound reached),
   * `SPOOL_DISK_FULL` (the disk or the map is full); nothing is stored then, `details.retry` is true.
   */
  append(entry: SpoolEntry): Promise<void>
  /** Batches with `firstSeq >= seq`, ascending, until `bytesMax` is reached (at least one when there is one). Flushed ones only. */
  read(options: { seq: number; bytesMax: number }): SpooledBatch[]
  /**
   * Forgets everything up to and including `seq`: the hub has it durably, in its store `storeId` (left out: unknown, what
   * was known of it stays).
   */
  release(seq: number, storeId?: string): Promise<void>
  /** Called after an `append` is durable: there is something to send. Returns the unsubscribe function. */
  onAppend(listener: () => void): () => void
}

export type Spool = {
  stream(name: string): SpoolStream
  streams(): readonly string[]
  usage(): SpoolUsage
  /** Resolves when at least `bytes` fit under the bound. */
  space(bytes: number, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
