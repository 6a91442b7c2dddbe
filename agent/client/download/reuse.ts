// Files here that may hold chunks of the content already: earlier versions of it. Where one has an index (`journal.ts`) a chunk is
// looked up; without one, or with one of another plan, it is looked for at its own place, which finds what stands before the
// first insertion. Nothing is believed: whoever copies a chunk hashes it.

import { constants, type FileHandle, open } from 'node:fs/promises'
import { readJournal } from './journal.ts'
import { REUSE_FILES_MAX, REUSE_MISSES_MAX } from './limits.ts'
import { readAll } from './part-file.ts'
import { indexPath } from './place.ts'
import type { ChunkPlace, ChunkRecords } from './records.ts'

type Source = {
  readonly file: FileHandle
  readonly size: number
  readonly records: ChunkRecords | null
  /** Chunks in a row that were not at their own place; -1: they are not looked for there. */
  misses: number
}

export class ReuseFiles {
  private readonly sources: Source[]

  private constructor(sources: Source[]) {
    this.sources = sources
  }

  /** Those that cannot be read are left out. `chunkBytes`: of the content wanted. */
  static async open(paths: readonly string[], chunkBytes: number): Promise<ReuseFiles> {
    const sources: Source[] = []
    for (const path of new Set(paths)) {
      if (sources.length >= REUSE_FILES_MAX) break
      try {
        const source = await openSource(path, chunkBytes)
        if (source !== null) sources.push(source)
      } catch {
        // It was a wish: without this file more is fetched.
      }
    }
    return new ReuseFiles(sources)
  }

  /** Whether it is worth looking. */
  mayHave(chunk: ChunkPlace): boolean {
    return this.sources.some((source) => placeIn(source, chunk) >= 0)
  }

  /** Fills `into` with what may be the chunk, from one file after the other, until `isIt`. Gives whether it was found. */
  async find(chunk: ChunkPlace, into: Buffer, isIt: () => Promise<boolean>): Promise<boolean> {
    for (const source of this.sources) {
      const at = placeIn(source, chunk)
      if (at < 0) continue
      const guessed = source.records?.find(chunk.digest) == null
      const found = (await readAll(source.file, into, at).catch(() => false)) && (await isIt())
      if (guessed && source.misses >= 0) source.misses = found ? 0 : source.misses + 1
      if (found) return true
    }
    return false
  }

  async close(): Promise<void> {
    for (const { file } of this.sources.splice(0)) await file.close()
  }
}

/** Where the chunk may lie in it, or -1. */
function placeIn({ records, size, misses }: Source, { offset, length, digest }: ChunkPlace): number {
  const known = records?.find(digest)
  if (known?.length === length) return known.offset
  return misses >= 0 && misses < REUSE_MISSES_MAX && offset + length <= size ? offset : -1
}

async function openSource(path: string, chunkBytes: number): Promise<Source | null> {
  const index = await readJournal(indexPath(path))
  const file = await open(path, constants.O_RDONLY)
  const stat = await file.stat()
  if (!stat.isFile()) {
    await file.close()
    return null
  }
  // What an index of the same plan does not know is not there, and chunks cut by their content stand anywhere.
  const guess = chunkBytes > 0 && index?.chunkBytes !== chunkBytes
  return { file, size: stat.size, records: index?.records ?? null, misses: guess ? 0 : -1 }
}
