// Finds files that have come to rest, in a folder with any number of them, in bounded memory: names come from the folder as they
// are wanted, some ten thousand are observed at a time, and each is looked at twice, `stableMs` apart.
//
//   folder → observed (seen, since when it looks so), of these resting (long enough, by name) → taken
//
// One pass reads every folder once, a sub-folder where its name comes up: so one folder of each depth is open, and no list of
// folders is kept. What is dropped behind it is found by the next pass.

import type { Dir, Dirent, Stats } from 'node:fs'
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { FILES_AT_ONCE, FOLDER_DEPTH_MAX, OBSERVED_FILES_MAX, SCAN_READ_NAMES } from '../../limits.ts'
import { atOnce, errorCode, isDenied } from '../../support/mod.ts'

/** A file that rests. `name` is its path below the folder, with `/`. */
export type Found = { readonly name: string; readonly size: number; readonly changedMs: number; readonly inode: number }

/** What a file looked like, and since when (monotonic) it has looked so. */
type Observed = Found & { readonly sinceMs: number }

export type ScanOptions = {
  readonly path: string
  readonly matches: (name: string) => boolean
  readonly stableMs: number
  /** Whether files of sub-folders are taken too. */
  readonly subfolders: boolean
  /** Names at the top that are not the users': what is taken goes there. */
  readonly reserved: ReadonlySet<string>
  /** A sub-folder that may not be read: the others are. */
  readonly onDenied?: (folder: string, why: string) => void
}

export class FileScan {
  readonly #options: ScanOptions
  /** Folders this pass is in, each in the one before it. */
  #open: OpenFolder[] = []
  /** Seen and not taken, in the order of `sinceMs`. */
  readonly #observed = new Map<string, Observed>()
  /** Those of them that rested long enough, by name, the last one first; and some that are not observed so any more. */
  #resting: Observed[] = []
  /** Names read since the beginning, folders included: a measure of the work. */
  namesRead = 0
  /** Names of this pass that are not text in UTF-8: nobody could say which file is meant. */
  unreadableNames = 0
  /** What reading the folder has taken in this pass. */
  readMs = 0

  constructor(options: ScanOptions) {
    this.#options = options
  }

  /** Whether every name of this pass was read. */
  get passed(): boolean {
    return this.#open.length === 0
  }

  /** Folders that are open at the moment. */
  get foldersOpen(): number {
    return this.#open.length
  }

  /** Files seen and not taken, resting or not. */
  get waiting(): number {
    return this.#observed.size
  }

  /** Milliseconds until the first of the files observed may have come to rest; `null` when none is observed. */
  restsInMs(nowMs: number): number | null {
    for (const { sinceMs } of this.#observed.values()) return Math.max(0, sinceMs + this.#options.stableMs - nowMs)
    return null
  }

  /** Reads the folder again from its beginning. */
  async beginPass(): Promise<void> {
    await this.close()
    this.unreadableNames = 0
    this.readMs = 0
    await this.#enter('')
  }

  /**
   * The next files that rest, by name as far as they were seen together: at most `filesMax`, and no more once they have
   * `bytesMax` together. None: nothing rests now.
   */
  async take(nowMs: number, limits: { filesMax: number; bytesMax: number }): Promise<Found[]> {
    await this.#observe(nowMs)
    if (this.#resting.length === 0) this.#rest(nowMs)
    const taken: Found[] = []
    let bytes = 0
    while (taken.length < limits.filesMax && bytes < limits.bytesMax && this.#resting.length > 0) {
      const room = { files: limits.filesMax - taken.length, bytes: limits.bytesMax - bytes }
      const group = this.#nextResting(room)
      const looks = await atOnce(group, (file) => this.#look(file.name))
      for (const [i, file] of group.entries()) {
        const now = looks[i] ?? null
        this.#observed.delete(file.name)
        if (now === null) continue
        if (this.#options.stableMs === 0 || isSame(file, now)) {
          taken.push(now)
          bytes += now.size
        } else {
          // It is being written after all.
          this.#observed.set(file.name, { ...now, sinceMs: nowMs })
        }
      }
    }
    return taken
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = []
    for (const { dir } of open) await dir.close()
  }

  /** Reads on in the folder as far as memory allows. */
  async #observe(nowMs: number): Promise<void> {
    const beganMs = performance.now()
    while (!this.passed && this.waiting < OBSERVED_FILES_MAX) {
      const names = await this.#read()
      const looks = await atOnce(names, (name) => this.#look(name))
      for (const [i, name] of names.entries()) {
        const now = looks[i] ?? null
        if (now === null) {
          if (name.includes('\ufffd')) this.unreadableNames += 1
          continue
        }
        const before = this.#observed.get(name)
        if (before !== undefined && isSame(before, now)) continue
        // Behind the others: since when it looks so is later than theirs.
        this.#observed.delete(name)
        this.#observed.set(name, { ...now, sinceMs: nowMs })
      }
    }
    this.readMs += performance.now() - beganMs
  }

  /** Some of those that rest, with the one that fills the room. */
  #nextResting(room: { readonly files: number; readonly bytes: number }): Observed[] {
    const group: Observed[] = []
    for (let bytes = 0; bytes < room.bytes && group.length < Math.min(room.files, FILES_AT_ONCE); ) {
      const file = this.#resting.pop()
      if (file === undefined) break
      // Seen again in a later pass, it looked otherwise.
      if (this.#observed.get(file.name) !== file) continue
      group.push(file)
      bytes += file.size
    }
    return group
  }

  #rest(nowMs: number): void {
    for (const file of this.#observed.values()) {
      if (nowMs - file.sinceMs < this.#options.stableMs) break
      this.#resting.push(file)
    }
    this.#resting.sort((a, b) => (a.name < b.name ? 1 : -1))
  }

  /** Some names of files; there may be none although the pass has not ended. */
  async #read(): Promise<string[]> {
    const names: string[] = []
    for (let read = 0; read < SCAN_READ_NAMES; read += 1) {
      const open = this.#open.at(-1)
      if (open === undefined) break
      const entry = await open.dir.read()
      if (entry === null) {
        this.#open.pop()
        await open.dir.close()
        continue
      }
      this.namesRead += 1
      const folder = this.#sort(open.folder, entry, names)
      if (folder !== null) await this.#enter(folder)
    }
    return names
  }

  /** Adds it to `names`, when it is a name of the users'; gives the folder, when it is one to read. */
  #sort(folder: string, entry: Dirent, names: string[]): string | null {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (folder === '' && this.#options.reserved.has(entry.name)) return null
    // Links are not followed: they could name any file of this machine.
    if (entry.isSymbolicLink() || entry.name.startsWith('.')) return null
    if (!entry.isDirectory()) {
      if (this.#options.matches(entry.name)) names.push(name)
      return null
    }
    return this.#options.subfolders && this.#open.length < FOLDER_DEPTH_MAX ? name : null
  }

  async #enter(folder: string): Promise<void> {
    try {
      const dir = await opendir(join(this.#options.path, folder), { bufferSize: SCAN_READ_NAMES })
      this.#open.push({ dir, folder })
    } catch (error) {
      // A sub-folder may go while we look, or be another's; the folder itself may not.
      if (folder === '' || !(isGone(error) || isDenied(error))) throw error
      if (isDenied(error)) this.#options.onDenied?.(folder, (error as Error).message)
    }
  }

  async #look(name: string): Promise<Found | null> {
    let stats: Stats
    try {
      stats = await lstat(join(this.#options.path, name))
    } catch (error) {
      if (isGone(error)) return null
      throw error
    }
    return stats.isFile() ? { name, size: stats.size, changedMs: stats.mtimeMs, inode: stats.ino } : null
  }
}

type OpenFolder = { readonly dir: Dir; readonly folder: string }

const isGone = (error: unknown): boolean => errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR'

const isSame = (a: Found, b: Found): boolean => a.size === b.size && a.changedMs === b.changedMs && a.inode === b.inode
