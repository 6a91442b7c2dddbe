// Looks at a stopped hub's contents: every chunk against its digest, and every count against a recount. Changes nothing.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { asFault } from '#protocol/base/mod.ts'
import { CHUNK_BYTES_MAX } from '#protocol/transfer/mod.ts'
import { Engine } from '../engine.ts'
import { storeFault } from '../faults.ts'
import { CONTENT_ROWS, CONTENT_SCAN_PARTS } from '../limits.ts'
import { isChunk, nameOf } from './chunks.ts'
import type { ChunkRow, ContentRow, PartKey, PartRow } from './rows.ts'
import { numbered, Tables } from './tables.ts'
import { isReadable, versionOf } from './version.ts'

/** Address space only: nothing is appended up to this bound. */
const BYTES_MAX = 2 ** 40

export type DamagedPart = {
  readonly id: string
  readonly origin: string
  readonly name: string
  readonly index: number
  /** In hex. */
  readonly digest: string
  readonly why: string
}

export type ContentsReport = {
  /** Nothing is damaged and nothing contradicts itself. */
  readonly ok: boolean
  readonly folder: string
  readonly contents: number
  readonly chunks: number
  /** Of the chunks as they lie there, each counted once. */
  readonly bytes: number
  /** Parts whose chunk is not what was written, by content, ascending. */
  readonly damaged: readonly DamagedPart[]
  /** Contradictions, each a sentence. */
  readonly problems: readonly string[]
}

/** Chunks checked, of how many. */
export type ContentsProgress = (chunks: number, of: number) => void

/**
 * Reads all of the contents' store in `folder` (`DATA/contents`). Memory: some 100 bytes for each chunk. Faults:
 * `STORE_MISSING`, `STORE_IN_USE`, `STORE_VERSION`, `STORE_DAMAGED` when LMDB's own file cannot be read, `STORE_IO`.
 */
export async function checkContents(
  folder: string,
  options: { onProgress?: ContentsProgress } = {},
): Promise<ContentsReport> {
  if (!existsSync(join(folder, 'store.mdb'))) throw storeFault('STORE_MISSING', { where: folder })
  const engine = Engine.open(folder, BYTES_MAX, { freeBytesMin: 0 })
  try {
    const version = versionOf(engine)
    if (!isReadable(version)) {
      throw storeFault('STORE_VERSION', { where: folder, why: `the contents are of version ${version ?? 'none'}` })
    }
    const check = new Check(engine)
    await check.checkChunks(options.onProgress ?? (() => undefined))
    check.checkDigests()
    check.checkContents()
    check.checkReferences()
    const { contents, chunks, bytes, damaged, problems } = check
    return {
      ok: damaged.length + problems.length === 0,
      folder,
      contents,
      chunks: chunks.size,
      bytes,
      damaged,
      problems,
    }
  } finally {
    await engine.close()
  }
}

/** What is to be told of a chunk. */
type Known = { readonly row: ChunkRow; counted: number; readonly why: string | null }

class Check {
  contents = 0
  bytes = 0
  readonly chunks = new Map<number, Known>()
  readonly damaged: DamagedPart[] = []
  readonly problems: string[] = []
  /** Given up: that is known, and parts that name them count as missing. */
  private readonly lost = new Set<number>()
  private readonly engine: Engine
  private readonly tables: Tables

  constructor(engine: Engine) {
    this.engine = engine
    this.tables = new Tables(engine)
  }

  async checkChunks(onProgress: ContentsProgress): Promise<void> {
    const { table } = this.tables.chunks
    const of = table.keys().length
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES_MAX)
    let done = 0
    for (const { number, value } of numbered(table, CONTENT_SCAN_PARTS)) {
      const row = this.sound(() => this.tables.chunks.decode(value, number))
      onProgress(done++, of)
      if (row?.givenUp === true) this.lost.add(number)
      if (row === null || row.givenUp) continue
      this.bytes += row.place.bytes
      this.chunks.set(number, { row, counted: 0, why: await this.problemOf(number, row, buffer) })
    }
    onProgress(done, of)
  }

  checkDigests(): void {
    const { digests } = this.tables
    for (const { row } of this.chunks.values()) {
      const number = this.sound(() => digests.stored(nameOf(row.digest)))
      if (number !== null && this.chunks.get(number)?.row === row) continue
      this.problems.push(`The chunk ${row.digest.toString('hex')} cannot be found by its digest.`)
    }
    const found = digests.table.keys().length
    if (found !== this.chunks.size) this.problems.push(`There are ${found} digests of ${this.chunks.size} chunks.`)
  }

  checkContents(): void {
    const { ids, contents, parts } = this.tables
    const rows = new Map<number, ContentRow>()
    const counted = new Map<number, { parts: number; bytes: number }>()
    for (const { number, value } of numbered(contents.table, CONTENT_ROWS)) {
      this.contents++
      counted.set(number, { parts: 0, bytes: 0 })
      const row = this.sound(() => contents.decode(value, number))
      if (row === null) continue
      rows.set(number, row)
      if (this.sound(() => ids.stored(row.id)) === number) continue
      this.problems.push(`The content ${nameOfContent(row)} cannot be found by its id.`)
    }
    for (const { key, value } of allParts(this.tables)) {
      const part = this.sound(() => parts.decode(value, key))
      const count = counted.get(key[0])
      if (count !== undefined && part !== null) {
        count.parts++
        count.bytes += part.length
      } else if (count === undefined && this.tables.removing.stored(key[0]) === null) {
        this.problems.push(`A part ${key[1]} belongs to no content.`)
      }
      if (part !== null) this.checkPart(rows.get(key[0]) ?? null, key[1], part)
    }
    for (const [number, row] of rows) {
      const { parts, bytes } = counted.get(number) ?? { parts: 0, bytes: 0 }
      if (parts === row.parts && bytes === row.bytes) continue
      this.problems.push(
        `The content ${nameOfContent(row)} has ${parts} parts of ${bytes} bytes; its row says ${row.parts} of ${row.bytes}.`,
      )
    }
  }

  checkReferences(): void {
    for (const { row, counted } of this.chunks.values()) {
      if (counted === row.references) continue
      const digest = row.digest.toString('hex')
      this.problems.push(`The chunk ${digest} is used ${counted} times; its row says ${row.references}.`)
    }
  }

  private checkPart(content: ContentRow | null, index: number, part: PartRow): void {
    if (this.lost.has(part.chunk)) return
    const chunk = this.chunks.get(part.chunk)
    if (chunk !== undefined) chunk.counted++
    const digest = part.digest.toString('hex')
    let why = chunk === undefined ? 'its chunk is missing' : chunk.why
    if (chunk !== undefined && (!chunk.row.digest.equals(part.digest) || chunk.row.length !== part.length)) {
      why = 'it names a chunk that is another one'
    }
    if (why === null || content === null) return
    const { id, origin, name } = content
    this.damaged.push({ id, origin, name, index, digest, why })
  }

  private async problemOf(number: number, { place, length, digest }: ChunkRow, buffer: Buffer): Promise<string | null> {
    if (length > buffer.length || place.bytes > length) return 'its length is impossible'
    const bytes = buffer.subarray(0, place.bytes)
    try {
      await this.engine.segments.readInto(place, number, bytes)
    } catch (error) {
      const { where, message } = asFault(error)
      return where === null ? message : `${where}: ${message}`
    }
    if (await isChunk({ bytes, length }, digest)) return null
    const { files } = this.engine.segments
    return `${files.pathOf(place.segment)} at byte ${place.offset}: the bytes are not those of the digest`
  }

  /** A row that is damaged is a problem of its own. */
  private sound<T>(read: () => T | null): T | null {
    try {
      return read()
    } catch (error) {
      const { code, where, message } = asFault(error)
      if (code !== 'STORE_DAMAGED') throw error
      this.problems.push(`${where}: ${message}.`)
      return null
    }
  }
}

function* allParts({ parts }: Tables): Generator<{ key: PartKey; value: Buffer }> {
  let from: PartKey = [0, 0]
  for (;;) {
    const rows = parts.table.range({ from, to: [Number.MAX_SAFE_INTEGER, 0], limit: CONTENT_SCAN_PARTS })
    for (const { key, value } of rows) {
      const [content, index] = key as PartKey
      from = [content, index + 1]
      yield { key: [content, index], value }
    }
    if (rows.length < CONTENT_SCAN_PARTS) return
  }
}

const nameOfContent = ({ id, origin, name }: ContentRow): string => `${id} (${name} of ${origin})`
