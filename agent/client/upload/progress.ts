// How far an upload is. One object for all its attempts: what a change of the file made useless was work done all the same.

import type { Fault } from '#protocol/base/mod.ts'

export type UploadState =
  /** For the connection, or, with `fault`, until the hub takes it. */
  | 'waiting'
  | 'sending'
  /** By `pause`. */
  | 'paused'
  /** Outside its windows of the day, or those of the agent. */
  | 'window'
  | 'sealed'
  | 'failed'

/** What is counted. */
export type Counters = {
  size: number
  hashedBytes: number
  /** Content bytes put on the wire, repeats included. */
  sentBytes: number
  /** The same as they travel: fewer where chunks are encoded. */
  wireBytes: number
  /** Content bytes among these that were put on the wire encoded, and as what: what compression was worth. */
  encodedFromBytes: number
  encodedToBytes: number
  /** Content bytes given to the encoder, whether they gained or not. */
  encoderBytes: number
  /** At which level of zstd chunks that compress are encoded at present; 0: all travel as they are. */
  compressionLevel: number
  /** Durable at the hub, as far as it has said so on this connection. */
  storedBytes: number
  /** Of these, what the hub had without our sending it. */
  reusedBytes: number
  /** Hashed although the journal or this process knew them. */
  hashedAgainBytes: number
  /** Read a second time, because it was wanted and not in memory any more. */
  readAgainBytes: number
  state: UploadState
  /** Why the hub does not take it for the moment, when it waits for that; why it failed. */
  fault: Fault | null
}

export type UploadProgress = Readonly<Counters> & {
  /** As those who receive it see it. */
  readonly name: string
  /** Content sent, over the last five seconds. */
  readonly bytesPerSecond: number
  /** Until the hub has all of it; `null`: nobody knows. */
  readonly secondsLeft: number | null
}

export const newCounters = (): Counters => ({
  size: 0,
  hashedBytes: 0,
  sentBytes: 0,
  wireBytes: 0,
  encodedFromBytes: 0,
  encodedToBytes: 0,
  encoderBytes: 0,
  compressionLevel: 0,
  storedBytes: 0,
  reusedBytes: 0,
  hashedAgainBytes: 0,
  readAgainBytes: 0,
  state: 'waiting',
  fault: null,
})
