// Files here that may hold chunks of the content already (`candidates.ts`). Where one has an index (`journal.ts`) a chunk is looked
// up; without one, or with one of another plan, it may be looked for at its own place, which finds what stands before the first
// insertion. Nothing is believed: whoever copies a chunk hashes it, and a file that changed behind its index is soon left alone.

import { constants, type FileHandle, open } from 'node:fs/promises'
import type { Candidate } from './candidates.ts'
import { readJournal } from './journal.ts'
import { JOURNAL_RECORD_BYTES, REUSE_FILES_MAX, REUSE_MISSES_MAX, REUSE_RECORDS_MAX } from './limits.ts'
import { readAll } from './part-file.ts'
import { lstatIfThere } from './place.ts'
import type { ChunkPlace, ChunkRecords } from './records.ts'

type Source = {
  readonly file: FileHandle
  readonly size: number
  readonly records: ChunkRecords | null
  readonly guess: boolean
  /** Chunks in a row that were not where they were looked for. */
  misses: number
}

export class ReuseFiles {
  private readonly sources: Source[]

  private constructor(sources: Source[]) {
    this.sources = sources
  }

  /** Those that cannot be read, or do not help, are left out. `chunkBytes`: of the content wanted. */
  static async open(candidates: readonly Candidate[], chunkBytes: number): Promise<ReuseFiles> {
    const sources: Source[] = []
    let records = 0
    for (const candidate of candidates) {
      if (sources.length >= REUSE_FILES_MAX) break
      try {
        const source = await openSource(candidate, { chunkBytes, recordsMax: REUSE_RECORDS_MAX - records })
        if (source === null) continue
        sources.push(source)
        records += source.records?.count ?? 0
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
      const found = (await readAll(source.file, into, at).catch(() => false)) && (await isIt())
      source.misses = found ? 0 : source.misses + 1
      if (found) return true
    }
    return false
  }

  async close(): Promise<void> {
    for (const { file } of this.sources.splice(0)) await file.close()
  }
}

/** Where the chunk may lie in it, or -1. */
function placeIn({ records, size, guess, misses }: Source, { offset, length, digest }: ChunkPlace): number {
  if (misses >= REUSE_MISSES_MAX) return -1
  const known = records?.find(digest)
  if (known?.length === length) return known.offset
  return guess && offset + length <= size ? offset : -1
}

async function openSource(
  { path, indexPath, guess: mayGuess }: Candidate,
  { chunkBytes, recordsMax }: { chunkBytes: number; recordsMax: number },
): Promise<Source | null> {
  const records = await recordsOf(indexPath, { chunkBytes, recordsMax })
  // What an index of the same plan does not know is not there, and chunks cut by their content stand anywhere.
  const guess = mayGuess && chunkBytes > 0 && records === null
  if (records === null && !guess) return null
  // Opening a pipe would wait for whoever writes into it.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  const stat = await file.stat()
  if (stat.isFile()) return { file, size: stat.size, records, guess, misses: 0 }
  await file.close()
  return null
}

/** `null` when it says nothing of chunks of this plan, or more than may be kept in memory. */
async function recordsOf(
  path: string,
  { chunkBytes, recordsMax }: { chunkBytes: number; recordsMax: number },
): Promise<ChunkRecords | null> {
  const bytes = (await lstatIfThere(path))?.size ?? 0
  if (bytes === 0 || bytes > recordsMax * JOURNAL_RECORD_BYTES) return null
  const index = await readJournal(path)
  return index?.chunkBytes === chunkBytes && index.records.count > 0 ? index.records : null
}
