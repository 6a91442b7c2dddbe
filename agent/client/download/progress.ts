// How far a download is, and what it has come to.

import type { Fault } from '#protocol/base/mod.ts'

export type DownloadState =
  | 'connecting'
  | 'receiving'
  /** By `pause`. */
  | 'paused'
  /** Outside its windows of the day, or those of the agent. */
  | 'window'
  /** The hub refuses it for the moment, or the disk is full: see `fault`. */
  | 'waiting'
  | 'finishing'
  | 'done'
  | 'failed'

export type DownloadProgress = {
  /** Empty until it is known, or when it has none. */
  readonly name: string
  /** 0 until it is known. */
  readonly size: number
  /** Content bytes that came from the hub; those that came twice count twice. */
  readonly receivedBytes: number
  /** The same as they travelled: fewer where chunks came encoded. */
  readonly wireBytes: number
  /** Durable here, wherever from. */
  readonly storedBytes: number
  /** Copied from files here. */
  readonly reusedBytes: number
  /** Of chunks that had been verified before. */
  readonly hashedAgainBytes: number
  /** Content received or copied, over the last five seconds. */
  readonly bytesPerSecond: number
  /** `null`: nobody knows. */
  readonly secondsLeft: number | null
  readonly state: DownloadState
  /** Why it waits, or failed. */
  readonly fault: Fault | null
}

export type Downloaded = {
  readonly path: string
  readonly size: number
  readonly name: string
  readonly mediaType: string
  readonly origin: string
  /** Root over its chunks, 64 hexadecimal digits: what its origin signed. */
  readonly root: string
}
