// Files here that may hold chunks of a content, the likeliest first: those it was said of; earlier versions under its name, the
// newest first; what other downloads into the folder have got so far, an aborted try of the same for one; then any file of the
// folder that has an index. Looking must not cost more than it can spare, so folders are looked through so far only, the less the
// smaller the content is.

import { lstat, opendir, unlink } from 'node:fs/promises'
import { extname, join } from 'node:path'
import {
  FOLDER_ENTRIES_MAX,
  HIDDEN_NAME_BYTES_MAX,
  INDEXES_MAX,
  LOOKING_SHARE_MIN,
  LOOKING_SIZE_FULL,
  LOOKING_SIZE_MIN,
  REUSE_FILES_MAX,
} from './limits.ts'
import { INDEX_ENDING, indexPath, lstatIfThere, type Place } from './place.ts'

export type Candidate = {
  readonly path: string
  /** A journal that says what lies in it. */
  readonly indexPath: string
  /** It is worth looking for chunks at their own places where the index does not help. */
  readonly guess: boolean
}

type Dated = Candidate & { readonly changedMs: number; readonly rank: number }

const NAMES_AT_ONCE = 256

/** `wished`: paths that were given. */
export async function candidatesFor(place: Place, size: number, wished: readonly string[]): Promise<Candidate[]> {
  const found = new Map<string, Candidate>()
  const add = (some: readonly Candidate[], max: number) => {
    const fresh = some.filter(({ path }) => !found.has(path)).slice(0, max)
    for (const candidate of fresh) found.set(candidate.path, candidate)
  }
  const share = Math.min(1, Math.max(LOOKING_SHARE_MIN, size / LOOKING_SIZE_FULL))
  const filesMax = share * REUSE_FILES_MAX
  add(
    wished.map((path) => ({ path, indexPath: indexPath(path), guess: true })),
    wished.length,
  )
  const [newest, ...older] = await versionsOf(place)
  if (newest !== undefined) add([{ ...newest, guess: true }], 1)
  add(older, filesMax / 2)
  if (size < LOOKING_SIZE_MIN) return [...found.values()]
  const parts = await partsIn(place, share * FOLDER_ENTRIES_MAX)
  const indexed = await indexedIn(place, share * INDEXES_MAX)
  add([...parts, ...indexed].sort(likelier), filesMax)
  return [...found.values()]
}

/** Newest first. */
async function versionsOf(place: Place): Promise<Dated[]> {
  const versions: Dated[] = []
  for (const path of await place.taken()) {
    const stat = await lstatIfThere(path)
    if (stat?.isFile() !== true) continue
    versions.push({ path, indexPath: indexPath(path), guess: false, changedMs: stat.mtimeMs, rank: 0 })
  }
  // Written within one tick of the clock, the greater number is the later one.
  return versions.reverse().sort(likelier)
}

/** What other downloads have. */
async function partsIn(place: Place, namesMax: number): Promise<Dated[]> {
  const parts: Dated[] = []
  for (const name of await namesIn(place.folder, namesMax)) {
    const its = /^\.(.+)\.[0-9a-f]{8}\.journal$/.exec(name)?.[1]
    const journal = join(place.folder, name)
    if (its === undefined || journal === place.journalPath) continue
    const path = journal.replace(/journal$/, 'part')
    const stat = await lstatIfThere(path)
    if (stat?.isFile() !== true) continue
    const rank = its === place.name ? 0 : rankOf(its, place.name)
    parts.push({ path, indexPath: journal, guess: false, changedMs: stat.mtimeMs, rank })
  }
  return parts
}

/** Other files with an index. An index whose file is gone is removed. */
async function indexedIn(place: Place, namesMax: number): Promise<Dated[]> {
  const files: Dated[] = []
  const folder = place.indexFolder
  // Somebody's link would lead elsewhere.
  if ((await lstatIfThere(folder))?.isDirectory() !== true) return []
  for (const entry of await namesIn(folder, namesMax)) {
    if (!entry.endsWith(INDEX_ENDING)) continue
    const name = entry.slice(0, -INDEX_ENDING.length)
    const path = join(place.folder, name)
    try {
      const stat = await lstat(path)
      if (!stat.isFile()) continue
      const rank = rankOf(name, place.name)
      files.push({ path, indexPath: join(folder, entry), guess: false, changedMs: stat.mtimeMs, rank })
    } catch (error) {
      // That of a long name does not say which file is meant.
      const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT'
      const isWhole = Buffer.byteLength(name) < HIDDEN_NAME_BYTES_MAX
      // Where it cannot be removed it stays.
      if (isGone && isWhole) await unlink(join(folder, entry)).catch(() => undefined)
    }
  }
  return files
}

/** Of the same kind of file first. */
const rankOf = (name: string, wanted: string): number => (extname(name) === extname(wanted) ? 1 : 2)

const likelier = (a: Dated, b: Dated): number => a.rank - b.rank || b.changedMs - a.changedMs

async function namesIn(folder: string, max: number): Promise<string[]> {
  const names: string[] = []
  try {
    for await (const { name } of await opendir(folder, { bufferSize: NAMES_AT_ONCE })) {
      names.push(name)
      if (names.length >= max) break
    }
  } catch {
    // What cannot be looked at holds nothing for us.
  }
  return names
}
