// What a hub tells about itself, for `causeway-hub status`, metrics and tests.

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
  readonly queues: readonly {
    readonly name: string
    readonly topics: readonly string[]
    readonly depth: number
    readonly inFlight: number
    readonly consumers: number
    readonly tail: number
  }[]
  readonly messages: { readonly accepted: number; readonly duplicate: number; readonly settled: number }
  /** Bytes on sockets since start, above TLS. */
  readonly wire: { readonly bytesIn: number; readonly bytesOut: number }
  readonly store: { readonly bytes: number; readonly bytesMax: number; readonly groups: number }
}
