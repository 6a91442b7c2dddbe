// What one agent did since the hub started, over all its sessions. Sessions add to it as they work.

export type Tally = {
  /** Messages stored for it, repeats not counted, and bytes of their batches. */
  accepted: number
  acceptedBytes: number
  /** Messages it sent again. */
  duplicate: number
  /** Messages handed to it, every attempt counted, and bytes of the frames. */
  delivered: number
  deliveredBytes: number
  /** How it settled them. */
  processed: number
  rejected: number
  retried: number
  sessions: number
}
