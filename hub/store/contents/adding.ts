// One part on its way to the disk. What it does is decided when its transaction is put together: other adds, removals and
// lost chunks came before it or come after it, never in between.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Work } from '../engine.ts'
import { storeFault } from '../faults.ts'
import type { Chunks, Written } from './chunks.ts'
import { type ContentRow, counted, type PartKey, type PartRow } from './rows.ts'
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
  readonly written: Written | null
}

export class AddWork implements Work {
  /** Why it was not added: the transaction went on without it. */
  refused: Fault | null = null
  /** The part was lost, and is there again. */
  healed = false
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
    this.healed = false
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
    if (this.used) this.chunks.stored(written)
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
    const state = before === null ? null : this.chunks.stateOf(before.chunk)
    // The row of its chunk cannot be read: it is as if there were none.
    if (before !== null && state !== null) {
      const isSame = before.digest.equals(digest) && before.length === length
      if (!isSame) throw storeFault('CONTENT_CONFLICT', { where, why: 'another chunk is in this place' })
      this.again(content, before, where)
      return
    }
    const isCounted = before?.missing === false
    const more = counted(content, { parts: isCounted ? 0 : 1, bytes: length - (isCounted ? before.length : 0) })
    if (content.state === 'sealed') throw storeFault('CONTENT_CONFLICT', { where, why: 'it is sealed' })
    if (more.bytes > content.size) throw storeFault('CONTENT_CONFLICT', { where, why: 'it is larger than it said' })
    const used = this.chunks.use(digest, length, written)
    if (used === null) throw storeFault('CHUNK_UNKNOWN', { where })
    this.used = used.isUsed
    this.chunks.own(used.number, content.origin)
    parts.put([number, index], { digest: Buffer.from(digest), length, chunk: used.number, missing: false })
    // Who adds what there was no row for seals it then.
    contents.put(number, { ...more, state: content.state, end: Math.max(content.end, index + 1) })
  }

  /** The same part as before, whose chunk may have been given up meanwhile, and come again. */
  private again(content: ContentRow, before: PartRow, where: string): void {
    const { number, index, written } = this.adding
    const state = this.chunks.stateOf(before.chunk)
    if (state === 'lost' || state === 'losing') {
      this.used = this.chunks.heal(before.chunk, written, 0)
      if (!this.used) throw storeFault('CHUNK_UNKNOWN', { where })
    }
    if (!before.missing) return
    this.healed = true
    const key: PartKey = [number, index]
    this.tables.parts.put(key, { ...before, missing: false })
    this.tables.contents.put(number, counted(content, { parts: 1, bytes: before.length }))
  }
}
