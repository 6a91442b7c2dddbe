// One stream's state in memory. `nextSeq` runs ahead of what is durable while appends are under way; all else is
// durable.

import type { SpoolEntry, SpooledBatch, SpoolStream } from './contract.ts'
import { encodeRecord, type StreamRecord } from './keys.ts'

/** What a stream needs of its spool. */
export type StreamHost = {
  append(stream: Stream, entry: SpoolEntry): Promise<void>
  read(stream: Stream, options: { seq: number; bytesMax: number }): SpooledBatch[]
  release(stream: Stream, seq: number, storeId: string | null): Promise<void>
}

export class Stream implements SpoolStream {
  readonly name: string
  readonly #host: StreamHost
  readonly #listeners = new Set<() => void>()
  /** What the disk holds. */
  durable: StreamRecord
  /** The sequence number the next `append` takes. */
  nextSeq: number

  constructor(host: StreamHost, name: string, record: StreamRecord) {
    this.#host = host
    this.name = name
    this.durable = record
    this.nextSeq = record.nextSeq
  }

  get id(): number {
    return this.durable.id
  }

  get epoch(): number {
    return this.durable.epoch
  }

  get releasedSeq(): number {
    return this.durable.releasedSeq
  }

  get releasedTo(): string | null {
    return this.durable.releasedTo
  }

  get cursor(): string | null {
    return this.durable.cursor
  }

  append(entry: SpoolEntry): Promise<void> {
    return this.#host.append(this, entry)
  }

  read(options: { seq: number; bytesMax: number }): SpooledBatch[] {
    return this.#host.read(this, options)
  }

  release(seq: number, storeId?: string): Promise<void> {
    return this.#host.release(this, seq, storeId ?? null)
  }

  onAppend(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /**
   * A listener that throws is a defect of its owner: it surfaces as an uncaught exception and does not stop the spool.
   */
  announce(): void {
    for (const listener of this.#listeners) queueMicrotask(listener)
  }

  /** The record after a transaction that moves the given fields. */
  recordWith(changes: Partial<Pick<StreamRecord, 'nextSeq' | 'releasedSeq' | 'releasedTo' | 'cursor'>>): {
    record: StreamRecord
    bytes: Buffer
  } {
    const record = { ...this.durable, ...changes }
    return { record, bytes: encodeRecord(record) }
  }
}
