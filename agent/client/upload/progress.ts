// How far an upload is. One object for all its attempts: what a change of the file made useless was work done all the same.

export type UploadState = 'waiting' | 'sending' | 'paused' | 'sealed' | 'failed'

export type UploadProgress = {
  readonly size: number
  readonly hashedBytes: number
  /** Content bytes put on the wire, repeats included. */
  readonly sentBytes: number
  /** The same as they travel: fewer where chunks are encoded. */
  readonly wireBytes: number
  /** Durable at the hub, as far as it has said so on this connection. */
  readonly storedBytes: number
  /** Of these, what the hub had without our sending it. */
  readonly reusedBytes: number
  /** Hashed although the journal or this process knew them. */
  readonly hashedAgainBytes: number
  /** Read a second time, because it was wanted and not in memory any more. */
  readonly readAgainBytes: number
  readonly state: UploadState
}

export type Counters = { -readonly [key in keyof UploadProgress]: UploadProgress[key] }

export const newCounters = (): Counters => ({
  size: 0,
  hashedBytes: 0,
  sentBytes: 0,
  wireBytes: 0,
  storedBytes: 0,
  reusedBytes: 0,
  hashedAgainBytes: 0,
  readAgainBytes: 0,
  state: 'waiting',
})
