// What a peer is to the benchmark: a server of its own for one measurement, and the two ends of its usual Node client.
// A peer handicapped by a bad setting is a defect of the benchmark: each file says why its settings are its best.

import type { ChildProcess } from 'node:child_process'

/** One way to run a peer, measured by itself. */
export type Variant = {
  /** Unique among all peers; results use it. */
  readonly name: string
  /** What an acknowledgement promises, and how server and clients are set. */
  readonly conditions: string
  /** Why this installation cannot run it; null when it can. */
  readonly reason?: () => Promise<string | null>
}

export type Server = {
  readonly port: number
  readonly process: ChildProcess
  /** Ends every process `start` began. */
  readonly stop: () => Promise<void>
}

/** In messages. */
export type Tuning = {
  /** Handed to the client at once. */
  readonly batch: number
  /** Sent and not yet acknowledged. */
  readonly window: number
  /** Sent and not yet settled: a backlog slows a peer down, and has to be drained. */
  readonly lag: number
}

export type Producing = {
  /** Sends messages in order and reports as they are acknowledged. The bodies stay unchanged until then. */
  readonly send: (bodies: readonly Buffer[], acknowledged: (count: number) => void) => void
}

/** Called in order, for bodies the consumer has settled. They are valid during the call. */
export type OnSettled = (bodies: readonly Uint8Array[]) => void

export type Peer = {
  readonly name: string
  readonly program: string
  readonly variants: readonly Variant[]
  /** A private instance on a free port of 127.0.0.1 that keeps its files in `dir`. */
  start(dir: string, variant: string): Promise<Server>
  tuning(bodyBytes: number): Tuning
  producer(port: number): Promise<Producing>
  /** Resolves when messages can come. */
  consumer(port: number, variant: string, onSettled: OnSettled): Promise<void>
}

/** As many messages of `bodyBytes` as make up `bytes`, but at least `min` and at most `max`. */
export function messagesIn(bytes: number, bodyBytes: number, { min, max }: { min: number; max: number }): number {
  return Math.min(max, Math.max(min, Math.floor(bytes / bodyBytes)))
}
