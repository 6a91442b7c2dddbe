// What readers and writers of formats are to the channel: records come out of documents, and documents are made of records.

import type { Fault } from '#protocol/base/mod.ts'
import type { Row } from '../../contract.ts'
import { BATCH_RECORDS } from './limits.ts'

/** One record; or what is wrong with it and its text, for a person. */
export type ReadRecord = { readonly row: Row } | { readonly fault: Fault; readonly text: string }

/** Some records at a time, in order. */
export type Batches = Iterable<readonly ReadRecord[]> | AsyncIterable<readonly ReadRecord[]>

/** Throws when the document as a whole cannot be read; what it gave before is then void. `name` stands in faults. */
export type DocumentReader = (bytes: Buffer, name: string) => Batches

/** One document in the making. */
export type DocumentWriter = {
  /** The whole record or nothing of it: throws what is wrong with it, and the others can go on. */
  add(row: Row): void
  /** Throws what is wrong with the whole. A text stays one while it is in UTF-8. */
  end(): Buffer | string | Promise<Buffer>
}

export function* inBatches(records: Iterable<ReadRecord>): Generator<readonly ReadRecord[]> {
  let batch: ReadRecord[] = []
  for (const record of records) {
    batch.push(record)
    if (batch.length < BATCH_RECORDS) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
