// One part on its way to the disk. What it does is decided when its transaction is put together: other adds, removals and
// lost chunks came before it or come after it, never in between.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Work } from '../engine.ts'
import { storeFault } from '../faults.ts'
import type { Blob } from '../segments.ts'
import type { Chunks } from './chunks.ts'
import type { ContentRow, PartRow } from './rows.ts'
import type { Tables } from './tables.ts'

/** A part's chunk. */
export type Chunk = {
  /** SHA-256 of the chunk, not of what encodes it. */
  readonly digest: Buffer
  readonly length: number
  /** In one piece or several; `null` when it is here already. */
  readonly bytes: Buffer | readonly Buffer[] | null
  /** `bytes` are the chunk's encoded form, which is shorter. */
  readonly isEncoded?: boolean
}

export type Adding = {
  readonly id: string
  /** The content's: one that begins under the same id meanwhile is another. */
  readonly number: number
  readonly index: number
  readonly digest: Buffer
  readonly length: number
  /** Where the chunk is being written; `null`: it is here. */
  readonly written: { readonly number: number; readonly blob: Blob } | null
}

export class AddWork implements Work {
  /** Why it was not added: the transaction went on without it. */
  refused: Fault | null = null
  private readonly tables: Tables
  private readonly chunks: Chunks
  private readonly adding: Adding
  private used = false

  constructor(tables: Tables, chunks: Chunks, adding: Adding) {
    this.tables = tables
    this.chunks = chunks
    this.adding = adding
  }

  write(): void {
    this.used = false
    this.refused = null
    try {
      this.put()
    } catch (error) {
      // Nothing was put yet. Others go on: their parts have nothing to do with it.
      this.refused = asFault(error)
    }
  }

  done(): void {
    const { written } = this.adding
    if (written === null) return
    if (this.used) this.chunks.stored(written.blob)
    else this.chunks.notStored(written.blob)
  }

  /** Throws before it puts anything. */
  private put(): void {
    const { id, number, index, digest, length, written } = this.adding
    const { contents, parts } = this.tables
    const where = `content ${id}, chunk ${index}`
    const content = contents.get(number)
    if (content === null) throw storeFault('CONTENT_UNKNOWN', { where })
    const before = parts.get([number, index])
    if (before !== null && this.chunks.isThere(before.chunk)) {
      if (before.digest.equals(digest) && before.length === length) return
      throw storeFault('CONTENT_CONFLICT', { where, why: 'another chunk is in this place' })
    }
    const counted = countedAnew(content, before, { index, length })
    if (content.state === 'sealed') throw storeFault('CONTENT_CONFLICT', { where, why: 'it is sealed' })
    if (counted.bytes > content.size) throw storeFault('CONTENT_CONFLICT', { where, why: 'it is larger than it said' })
    let chunk = this.chunks.use(digest, length)
    if (chunk === null) {
      if (written === null) throw storeFault('CHUNK_UNKNOWN', { where })
      chunk = written.number
      this.chunks.put(chunk, { digest, length, place: written.blob.place })
      this.used = true
    }
    parts.put([number, index], { digest: Buffer.from(digest), length, chunk })
    contents.put(number, counted)
  }
}

/** With one part more, or with a part in the place of one that was lost and is still counted. */
function countedAnew(
  content: ContentRow,
  before: PartRow | null,
  { index, length }: { index: number; length: number },
): ContentRow {
  return {
    ...content,
    parts: content.parts + (before === null ? 1 : 0),
    bytes: content.bytes + length - (before?.length ?? 0),
    end: Math.max(content.end, index + 1),
  }
}
