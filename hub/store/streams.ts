// Producer streams: the last number of each is what makes a repeated send harmless. On disk for ever, in memory while a
// session uses it or something of it is on its way to the disk.

import type { Table } from './disk.ts'
import { storeFault } from './faults.ts'
import { STREAM_NAME_BYTES_MAX, STREAMS_PER_AGENT_MAX } from './limits.ts'

/** A producer stream's state at the hub. */
export type Stream = {
  readonly origin: string
  readonly name: string
  readonly epoch: number
  /** Last sequence number that is on disk. */
  durableSeq: number
  /** Last sequence number on its way there. */
  plannedSeq: number
  /** Sessions that have it open. */
  users: number
}

export class Streams {
  private readonly table: Table
  private readonly open_ = new Map<string, Stream>()
  /** Streams in memory, by agent. */
  private readonly counts = new Map<string, number>()

  constructor(table: Table) {
    this.table = table
  }

  /** Streams in memory. */
  get size(): number {
    return this.open_.size
  }

  /** The stream's state, with one user more; a new one begins at 0. Faults: `STREAM_LIMIT`, `STREAM_NAME_INVALID`. */
  open(origin: string, name: string, epoch: number): Stream {
    const known = this.open_.get(idOf({ origin, name, epoch }))
    if (known !== undefined) {
      known.users++
      return known
    }
    const nameBytes = Buffer.byteLength(name)
    if (nameBytes === 0 || nameBytes > STREAM_NAME_BYTES_MAX) {
      throw storeFault('STREAM_NAME_INVALID', { where: `agent ${origin}`, why: `it has ${nameBytes} bytes` })
    }
    const count = this.counts.get(origin) ?? 0
    if (count >= STREAMS_PER_AGENT_MAX) throw storeFault('STREAM_LIMIT', { where: `agent ${origin}` })
    const durableSeq = Number(this.table.get([origin, name, epoch])?.readBigUInt64LE(0) ?? 0n)
    const stream: Stream = { origin, name, epoch, durableSeq, plannedSeq: durableSeq, users: 1 }
    this.open_.set(idOf(stream), stream)
    this.counts.set(origin, count + 1)
    return stream
  }

  close(stream: Stream): void {
    stream.users--
    this.forgetUnused(stream)
  }

  /** Within a group's work. */
  put(stream: Stream, lastSeq: number): void {
    this.table.put([stream.origin, stream.name, stream.epoch], encodeSeq(lastSeq))
  }

  /** What was just put is on disk. */
  stored(stream: Stream, lastSeq: number): void {
    stream.durableSeq = lastSeq
    this.forgetUnused(stream)
  }

  /** It goes on behind `lastSeq`, without a batch that leads there; that is on disk. */
  skipped(stream: Stream, lastSeq: number): void {
    stream.plannedSeq = Math.max(stream.plannedSeq, lastSeq)
    this.stored(stream, Math.max(stream.durableSeq, lastSeq))
  }

  /** Nothing under way was written. */
  forgetPlans(): void {
    for (const stream of this.open_.values()) {
      stream.plannedSeq = stream.durableSeq
      this.forgetUnused(stream)
    }
  }

  private forgetUnused(stream: Stream): void {
    if (stream.users > 0 || stream.plannedSeq !== stream.durableSeq) return
    if (!this.open_.delete(idOf(stream))) return
    const left = (this.counts.get(stream.origin) ?? 1) - 1
    if (left > 0) this.counts.set(stream.origin, left)
    else this.counts.delete(stream.origin)
  }
}

const idOf = ({ origin, name, epoch }: Pick<Stream, 'origin' | 'name' | 'epoch'>): string =>
  `${origin}\0${name}\0${epoch}`

function encodeSeq(seq: number): Buffer {
  const out = Buffer.allocUnsafe(8)
  out.writeBigUInt64LE(BigInt(seq))
  return out
}
