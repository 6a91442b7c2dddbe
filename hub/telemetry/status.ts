// What a hub tells about itself, for `causeway-hub status`, metrics and tests.

/** Messages of a queue since the hub started. */
export type QueueCounters = {
  readonly in: number
  readonly delivered: number
  readonly processed: number
  readonly rejected: number
  readonly retried: number
  readonly expired: number
  readonly dropped: number
  readonly deadLettered: number
  readonly redriven: number
}

export type QueueStatus = {
  readonly name: string
  /** The agent whose own it is. */
  readonly owner: string | null
  /** Ends with its consumer's session. */
  readonly ephemeral: boolean
  readonly topics: readonly string[]
  /** Messages that are not settled: waiting, delayed, in flight. */
  readonly depth: number
  readonly bytes: number
  readonly inFlight: number
  readonly delayed: number
  /** Settled, and kept to be replayed. */
  readonly retained: number
  readonly consumers: number
  /** When the oldest one that is not settled was accepted. */
  readonly oldestAtMs: number | null
  /** One past the last position, over all lanes. */
  readonly tail: number
  readonly counters: QueueCounters
}

export const NOTHING_COUNTED: QueueCounters = {
  in: 0,
  delivered: 0,
  processed: 0,
  rejected: 0,
  retried: 0,
  expired: 0,
  dropped: 0,
  deadLettered: 0,
  redriven: 0,
}

export type HubStatus = {
  readonly name: string
  readonly storeId: string
  readonly processId: number
  readonly startedAtMs: number
  readonly rssBytes: number
  readonly listen: { readonly tcp: string; readonly websocket: string | null }
  readonly sessions: readonly {
    readonly agent: string
    readonly remote: string
    readonly transport: string
    readonly sinceMs: number
    readonly bytesIn: number
    readonly bytesOut: number
    readonly consumers: number
  }[]
  readonly queues: readonly QueueStatus[]
  /** Queues that are not shown: inboxes and receipts that hold nothing. */
  readonly queuesHidden?: number
  readonly messages: { readonly accepted: number; readonly duplicate: number; readonly settled: number }
  /** Bytes on sockets since start, above TLS. */
  readonly wire: { readonly bytesIn: number; readonly bytesOut: number }
  readonly store: { readonly bytes: number; readonly bytesMax: number; readonly groups: number }
  /** Large content; bytes received and sent since the start. */
  readonly contents: {
    readonly contents: number
    readonly bytes: number
    readonly bytesMax: number
    /** Chunks that were found damaged, and have not come again. */
    readonly lostChunks: number
    readonly uploads: number
    readonly downloads: number
    readonly receivedBytes: number
    readonly sentBytes: number
  }
  /** The port for people with a browser; `null` when it is off. */
  readonly http: {
    /** Under way. */
    readonly open: number
    /** By a link that was found good, since the start; those of them that failed; bytes of files. */
    readonly requests: number
    readonly failed: number
    readonly receivedBytes: number
    readonly sentBytes: number
  } | null
  /** Links that are good. */
  readonly links: number
}
