// Looks at a stopped hub's contents: every chunk against its digest, and every count against a recount. Changes nothing.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { asFault } from '#protocol/base/mod.ts'
import { CHUNK_BYTES_MAX } from '#protocol/transfer/mod.ts'
import type { Table } from '../disk.ts'
import { Engine } from '../engine.ts'
import { storeFault } from '../faults.ts'
import { CONTENT_ROWS, CONTENT_SCAN_PARTS } from '../limits.ts'
import { isChunk, nameOf } from './chunks.ts'
import { type ChunkRow, type ContentRow, isHere, type NamedKey, type PartKey, type PartRow } from './rows.ts'
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

/** Chunks of a content that were found damaged before, and given up: they come again with whatever content has them. */
export type IncompleteContent = {
  readonly id: string
  readonly origin: string
  readonly name: string
  readonly chunks: number
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
  readonly incomplete: readonly IncompleteContent[]
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
  const engine = openContentsOffline(folder)
  try {
    return (await surveyContents(engine, folder, options)).report
  } finally {
    await engine.close()
  }
}

/** The engine of an existing folder. Faults: as `checkContents`. */
export function openContentsOffline(folder: string): Engine {
  if (!existsSync(join(folder, 'store.mdb'))) throw storeFault('STORE_MISSING', { where: folder })
  const engine = Engine.open(folder, BYTES_MAX, { freeBytesMin: 0 })
  try {
    const version = versionOf(engine)
    if (isReadable(version)) return engine
    throw storeFault('STORE_VERSION', { where: folder, why: `the contents are of version ${version ?? 'none'}` })
  } catch (error) {
    void engine.close()
    throw error
  }
}

/** `bad`: chunks, by number, whose bytes are not what was written. With `hash: false` chunks are not read, so none is. */
export async function surveyContents(
  engine: Engine,
  folder: string,
  options: { onProgress?: ContentsProgress; hash?: boolean } = {},
): Promise<{ report: ContentsReport; bad: ReadonlySet<number> }> {
  const { onProgress = () => undefined, hash = true } = options
  const check = new Check(engine)
  await check.checkChunks(onProgress, hash)
  check.checkDigests()
  check.checkContents()
  check.checkReferences()
  check.checkNames()
  const { contents, chunks, bytes, damaged, incomplete, problems, bad } = check
  const ok = damaged.length + problems.length === 0
  return { report: { ok, folder, contents, chunks, bytes, damaged, incomplete, problems }, bad }
}

/** What is to be told of a chunk. */
type Known = { readonly row: ChunkRow; counted: number; readonly why: string | null }

class Check {
  contents = 0
  chunks = 0
  bytes = 0
  readonly damaged: DamagedPart[] = []
  readonly incomplete: IncompleteContent[] = []
  readonly problems: string[] = []
  private readonly known = new Map<number, Known>()
  /** Parts of one origin that consist of a chunk, by `chunk/origin`. */
  private readonly owned = new Map<string, number>()
  private readonly engine: Engine
  private readonly tables: Tables

  constructor(engine: Engine) {
    this.engine = engine
    this.tables = new Tables(engine)
  }

  get bad(): ReadonlySet<number> {
    return new Set([...this.known].filter(([, { why }]) => why !== null).map(([number]) => number))
  }

  async checkChunks(onProgress: ContentsProgress, hash: boolean): Promise<void> {
    const { table } = this.tables.chunks
    const of = table.keys().length
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES_MAX)
    let done = 0
    for (const { number, value } of numbered(table, CONTENT_SCAN_PARTS)) {
      const row = this.sound(() => this.tables.chunks.decode(value, number))
      onProgress(done++, of)
      if (row === null) continue
      const why = hash && isHere(row) ? await this.problemOf(number, row, buffer) : null
      this.known.set(number, { row, counted: 0, why })
      if (!isHere(row)) continue
      this.chunks++
      this.bytes += row.place.bytes
    }
    onProgress(done, of)
  }

  checkDigests(): void {
    const { digests } = this.tables
    let named = 0
    for (const { row } of this.known.values()) {
      if (row.references === 0) continue
      named++
      const number = this.sound(() => digests.stored(nameOf(row.digest)))
      if (number !== null && this.known.get(number)?.row === row) continue
      this.problems.push(`The chunk ${row.digest.toString('hex')} cannot be found by its digest.`)
    }
    const found = digests.table.keys().length
    if (found !== named) this.problems.push(`There are ${found} digests of ${named} chunks.`)
  }

  checkContents(): void {
    const { ids, contents, parts } = this.tables
    const rows = new Map<number, ContentRow>()
    const counted = new Map<number, { parts: number; bytes: number; missing: number }>()
    for (const { number, value } of numbered(contents.table, CONTENT_ROWS)) {
      this.contents++
      counted.set(number, { parts: 0, bytes: 0, missing: 0 })
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
        if (part.missing) count.missing++
        else {
          count.parts++
          count.bytes += part.length
        }
      } else if (count === undefined && this.tables.removing.stored(key[0]) === null) {
        this.problems.push(`A part ${key[1]} belongs to no content.`)
      }
      if (part === null) continue
      const origin = rows.get(key[0])?.origin ?? this.tables.removing.stored(key[0]) ?? ''
      this.owned.set(`${part.chunk}/${origin}`, (this.owned.get(`${part.chunk}/${origin}`) ?? 0) + 1)
      this.checkPart(rows.get(key[0]) ?? null, key[1], part)
    }
    for (const [number, row] of rows) {
      const { parts, bytes, missing } = counted.get(number) ?? { parts: 0, bytes: 0, missing: 0 }
      const { id, origin, name } = row
      if (missing > 0) this.incomplete.push({ id, origin, name, chunks: missing })
      if (parts === row.parts && bytes === row.bytes) continue
      this.problems.push(
        `The content ${nameOfContent(row)} has ${parts} parts of ${bytes} bytes; its row says ${row.parts} of ${row.bytes}.`,
      )
    }
  }

  checkReferences(): void {
    for (const { row, counted } of this.known.values()) {
      if (counted === row.references || row.references === 0) continue
      const digest = row.digest.toString('hex')
      this.problems.push(`The chunk ${digest} is used ${counted} times; its row says ${row.references}.`)
    }
  }

  /** Fewer than there are is no harm: an older program did not count them. */
  checkNames(): void {
    const { owners, readers } = this.tables
    for (const { key, value } of allNamed(owners.table)) {
      const count = this.sound(() => owners.decode(value, key)) ?? 0
      const found = this.owned.get(key.join('/')) ?? 0
      if (count <= found) continue
      this.problems.push(`The chunk number ${key[0]} is used ${found} times by ${key[1]}; its row says ${count}.`)
    }
    for (const { key, value } of allNamed(readers.table)) this.sound(() => readers.decode(value, key))
  }

  private checkPart(content: ContentRow | null, index: number, part: PartRow): void {
    const chunk = this.known.get(part.chunk)
    if (chunk !== undefined) chunk.counted++
    const digest = part.digest.toString('hex')
    let why = chunk === undefined ? 'its chunk is missing' : chunk.why
    const isSettled = chunk?.row.state === 'here' || chunk?.row.state === 'lost'
    if (chunk !== undefined && isSettled && part.missing === isHere(chunk.row)) {
      this.problems.push(`The part ${index} of ${content?.id ?? 'a removed content'} does not know how its chunk is.`)
    }
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

export function* allParts({ parts }: Tables): Generator<{ key: PartKey; value: Buffer }> {
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

export function* allNamed(table: Table): Generator<{ key: NamedKey; value: Buffer }> {
  let from: NamedKey = [0, '']
  for (;;) {
    const rows = table.range({ from, to: [Number.MAX_SAFE_INTEGER, ''], limit: CONTENT_SCAN_PARTS })
    for (const { key, value } of rows) {
      const [number, name] = key as NamedKey
      from = [number, `${name}\x01`]
      yield { key: [number, name], value }
    }
    if (rows.length < CONTENT_SCAN_PARTS) return
  }
}

const nameOfContent = ({ id, origin, name }: ContentRow): string => `${id} (${name} of ${origin})`
