// Mends the contents of a stopped hub. What was sent stays the measure: a chunk that is damaged is given up, and comes again with
// whatever content brings it; a part whose row is gone is missing, and comes again from its sender; a content whose own row
// cannot be read is gone. What follows from other rows (counts, references, names) is made anew.

import type { Engine } from '../engine.ts'
import { CONTENT_ROWS, CONTENT_SCAN_PARTS } from '../limits.ts'
import { nothing } from '../works.ts'
import {
  allNamed,
  allParts,
  type ContentsProgress,
  type ContentsReport,
  openContentsOffline,
  surveyContents,
} from './check.ts'
import { chunkName, NOWHERE, nameOf, sound } from './chunks.ts'
import { type ChunkRow, type ContentRow, isHere, isWhole, type PartRow } from './rows.ts'
import { numbered, Tables } from './tables.ts'
import { checkVersion } from './version.ts'

/** Rows changed in one transaction. */
const STEP_ROWS = 1024

export type ContentsRepair = {
  readonly before: ContentsReport
  readonly after: ContentsReport
  /** What was done, one line each. */
  readonly lines: readonly string[]
}

/** Faults: as `checkContents`, `STORE_FULL`. Killed in between, it is simply run again. Memory: some 300 bytes for each chunk. */
export async function repairContents(
  folder: string,
  options: { onProgress?: ContentsProgress } = {},
): Promise<ContentsRepair> {
  const engine = openContentsOffline(folder)
  try {
    const { report: before, bad } = await surveyContents(engine, folder, options)
    if (before.ok) return { before, after: before, lines: [] }
    checkVersion(engine)
    const repair = new Repair(engine, bad)
    await repair.run()
    const { report: after } = await surveyContents(engine, folder, { hash: false })
    return { before, after, lines: repair.lines }
  } finally {
    await engine.close()
  }
}

type Chunk = { readonly row: ChunkRow; references: number }
type Content = { readonly row: ContentRow; parts: number; bytes: number; end: number; isCut: boolean }

class Repair {
  readonly lines: string[] = []
  private readonly engine: Engine
  private readonly tables: Tables
  private readonly bad: ReadonlySet<number>
  private readonly chunks = new Map<number, Chunk>()
  /** The one that parts of a digest consist of. */
  private readonly byDigest = new Map<string, number>()
  private readonly contents = new Map<number, Content>()
  private readonly owners = new Map<string, number>()
  private nextChunk = 1
  private changed = 0

  constructor(engine: Engine, bad: ReadonlySet<number>) {
    this.engine = engine
    this.tables = new Tables(engine)
    this.bad = bad
    engine.beforeCommit = () => this.tables.flush()
    engine.onDiscarded = () => this.tables.discard()
  }

  async run(): Promise<void> {
    await this.readChunks()
    await this.readContents()
    await this.mendParts()
    await this.mendChunks()
    await this.mendContents()
    await this.mendNames()
    await this.write()
  }

  private async readChunks(): Promise<void> {
    const { chunks } = this.tables
    for (const { number, value } of numbered(chunks.table, CONTENT_SCAN_PARTS)) {
      this.nextChunk = number + 1
      const row = sound(() => chunks.decode(value, number))
      if (row === null) {
        chunks.remove(number)
        await this.did(`the row of chunk number ${number} cannot be read: it comes again with whatever content has it`)
        continue
      }
      const isBad = this.bad.has(number)
      if (isBad) this.lines.push(`${chunkName(row.digest)} is damaged: it comes again with whatever content has it`)
      const now = isBad ? lostChunk(row) : row
      this.chunks.set(number, { row: now, references: 0 })
      const known = this.byDigest.get(nameOf(row.digest))
      if (known === undefined || (isHere(now) && !isHere((this.chunks.get(known) as Chunk).row))) {
        this.byDigest.set(nameOf(row.digest), number)
      }
    }
  }

  private async readContents(): Promise<void> {
    const { contents, ids } = this.tables
    for (const { number, value } of numbered(contents.table, CONTENT_ROWS)) {
      const row = sound(() => contents.decode(value, number))
      if (row !== null) {
        this.contents.set(number, { row, parts: 0, bytes: 0, end: 0, isCut: false })
        continue
      }
      contents.remove(number)
      await this.did(`the row of content number ${number} cannot be read: the content is gone`)
    }
    for (const key of ids.table.keys() as string[]) {
      const number = sound(() => ids.stored(key))
      if (number !== null && this.contents.get(number)?.row.id === key) continue
      ids.remove(key)
      await this.did(`content ${key} is gone, or was found again by its number`)
    }
    for (const [number, { row }] of this.contents) if (sound(() => ids.get(row.id)) === null) ids.put(row.id, number)
  }

  private async mendParts(): Promise<void> {
    const { parts, removing } = this.tables
    for (const { key, value } of allParts(this.tables)) {
      const [number, index] = key
      const content = this.contents.get(number)
      const part = sound(() => parts.decode(value, key))
      const isRemoved = content === undefined && sound(() => removing.stored(number)) === null
      if (part === null || isRemoved) {
        parts.remove(key)
        if (content !== undefined) content.isCut = true
        if (isRemoved) await this.step()
        else
          await this.did(
            `chunk ${index} of content ${content?.row.id ?? number} cannot be read: its sender sends it again`,
          )
        continue
      }
      const chunk = this.chunkOf(part)
      const { row } = this.chunks.get(chunk) as Chunk
      const missing = !isHere(row)
      this.count(content, part, { chunk, index, missing, origin: content?.row.origin ?? removing.stored(number) ?? '' })
      if (chunk === part.chunk && missing === part.missing) continue
      parts.put(key, { ...part, chunk, missing })
      await this.step()
    }
  }

  /** The chunk that a part consists of: a lost one when there is none. */
  private chunkOf({ digest, length }: PartRow): number {
    const known = this.byDigest.get(nameOf(digest))
    if (known !== undefined && this.chunks.get(known)?.row.length === length) return known
    const number = this.nextChunk++
    const row = lostChunk({ digest: Buffer.from(digest), length, references: 0, place: NOWHERE, state: 'lost' })
    this.chunks.set(number, { row, references: 0 })
    this.byDigest.set(nameOf(digest), number)
    return number
  }

  private count(
    content: Content | undefined,
    { length }: PartRow,
    of: { chunk: number; index: number; missing: boolean; origin: string },
  ): void {
    const chunk = this.chunks.get(of.chunk) as Chunk
    chunk.references++
    const owner = `${of.chunk}/${of.origin}`
    this.owners.set(owner, (this.owners.get(owner) ?? 0) + 1)
    if (content === undefined) return
    content.end = Math.max(content.end, of.index + 1)
    if (of.missing) return
    content.parts++
    content.bytes += length
  }

  private async mendChunks(): Promise<void> {
    const { chunks, digests } = this.tables
    for (const [number, { row, references }] of this.chunks) {
      const state = isHere(row) ? 'here' : 'lost'
      const stored = sound(() => chunks.get(number))
      if (references === 0) chunks.remove(number)
      else if (stored?.references === references && stored.state === state) continue
      else chunks.put(number, { ...row, references, state })
      await this.step()
    }
    const isUsed = (number: number) => (this.chunks.get(number)?.references ?? 0) > 0
    for (const key of digests.table.keys() as string[]) {
      const number = this.byDigest.get(key)
      if (number !== undefined && isUsed(number)) continue
      digests.remove(key)
      await this.step()
    }
    for (const [name, number] of this.byDigest) {
      if (!isUsed(number) || sound(() => digests.get(name)) === number) continue
      digests.put(name, number)
      await this.step()
    }
  }

  private async mendContents(): Promise<void> {
    const { contents } = this.tables
    for (const [number, { row, parts, bytes, end, isCut }] of this.contents) {
      const counted = { ...row, parts, bytes, end: Math.max(row.end, end), manifest: isCut ? null : row.manifest }
      const state = counted.manifest !== null && isWhole(counted) ? 'sealed' : 'open'
      if (row.parts === parts && row.bytes === bytes && row.state === state && !isCut) continue
      contents.put(number, { ...counted, state })
      if (row.state === 'sealed' && state === 'open') {
        this.lines.push(`content ${row.id} (${row.name} of ${row.origin}) is not whole any more`)
      }
      await this.step()
    }
  }

  private async mendNames(): Promise<void> {
    const { owners, readers } = this.tables
    for (const { key, value } of allNamed(owners.table)) {
      const name = key.join('/')
      const count = this.owners.get(name)
      this.owners.delete(name)
      if (count !== undefined && sound(() => owners.decode(value, key)) === count) continue
      if (count === undefined) owners.remove(key)
      else owners.put(key, count)
      await this.step()
    }
    for (const [name, count] of this.owners) {
      const at = name.indexOf('/')
      owners.put([Number(name.slice(0, at)), name.slice(at + 1)], count)
      await this.step()
    }
    for (const { key, value } of allNamed(readers.table)) {
      const id = sound(() => readers.decode(value, key))
      if (id !== null && this.contents.get(key[0])?.row.id === id) continue
      readers.remove(key)
      if (id === null) await this.did(`whether ${key[1]} may read content number ${key[0]} is not known any more`)
      else await this.step()
    }
  }

  private async did(line: string): Promise<void> {
    this.lines.push(line)
    await this.step()
  }

  private async step(): Promise<void> {
    this.changed++
    if (this.changed % STEP_ROWS === 0) await this.write()
  }

  /** What was put until now. */
  private async write(): Promise<void> {
    await this.engine.append(0, { write: nothing, done: nothing })
  }
}

const lostChunk = (row: ChunkRow): ChunkRow => ({ ...row, place: NOWHERE, state: 'lost' })
