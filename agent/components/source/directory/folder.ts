// A drop folder: finds files that have come to rest, claims them by rename, and settles them in done/ or bad/.
//
//   <path>/*                              dropped by others
//   <path>/.claimed/<owner>/<seq>/<name>  taken by one agent: a rename succeeds for one of several agents only
//   <path>/.claimed/<owner>/<seq>/.rows.jsonl, .summary.txt  rows set aside
//   <path>/.claimed/<owner>/<seq>/.reason.txt                why the whole file is set aside
//   <path>/done/<name>, <path>/bad/<name>
//
// `seq` grows with every claim. The position names a `seq`: what is claimed below it was committed whole and waits only
// to be moved; what is above it was never read.

import { randomBytes } from 'node:crypto'
import { createReadStream, type Stats } from 'node:fs'
import { lstat, mkdir, opendir, readdir, rename, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { SCAN_NAMES_MAX, SCAN_STABLE_MAX } from '../../limits.ts'
import {
  errorCode,
  exists,
  flushFolder,
  makeFolder,
  moveInto,
  type RejectEntry,
  readIfThere,
  removeIfThere,
  replaceFile,
} from '../../support/mod.ts'
import { reasonText, Tally } from './reason.ts'

/** A file of ours: its folder holds it and what was set aside from it. */
export type Claimed = { readonly seq: number; readonly name: string; readonly folder: string }

export const pathOf = (claimed: Claimed): string => join(claimed.folder, claimed.name)
export const rowsPathOf = (claimed: Claimed): string => join(claimed.folder, '.rows.jsonl')
const reasonPathOf = (claimed: Claimed): string => join(claimed.folder, '.reason.txt')
const summaryPathOf = (claimed: Claimed): string => join(claimed.folder, '.summary.txt')

/** What a dropped file looked like, and since when (monotonic) it has looked so. */
type Observed = { readonly look: string; readonly sinceMs: number }

export class DropFolder {
  readonly path: string
  readonly #matches: (name: string) => boolean
  readonly #stableMs: number
  readonly #claimedPath: string
  readonly #observed = new Map<string, Observed>()
  readonly owner: string
  /** Dropped files seen in the last scan, resting or not. */
  waiting = 0
  #nextSeq = 1

  private constructor(path: string, owner: string, options: { matches: (name: string) => boolean; stableMs: number }) {
    this.path = path
    this.owner = owner
    this.#matches = options.matches
    this.#stableMs = options.stableMs
    this.#claimedPath = join(path, '.claimed', owner)
  }

  static async open(
    path: string,
    options: { dataDir: string; matches: (name: string) => boolean; stableMs: number; knownOwner: string | null },
  ): Promise<DropFolder> {
    await lstat(path)
    const owner = await claimOwner(options.dataDir, options.knownOwner)
    const folder = new DropFolder(path, owner, options)
    for (const each of [join(path, 'done'), join(path, 'bad'), folder.#claimedPath]) await makeFolder(each)
    return folder
  }

  /** Our claimed files, oldest first. `seqMin` is the least number the next claim may have. */
  async claimed(seqMin: number): Promise<Claimed[]> {
    const found: Claimed[] = []
    for (const entry of await readdir(this.#claimedPath)) {
      if (!/^\d{12}$/.test(entry)) continue
      const folder = join(this.#claimedPath, entry)
      const seq = Number(entry)
      seqMin = Math.max(seqMin, seq + 1)
      const names = await readdir(folder)
      const name = names.find((each) => !each.startsWith('.'))
      if (name !== undefined) found.push({ seq, name, folder })
      else await this.#clear(seq, folder)
    }
    this.#nextSeq = Math.max(this.#nextSeq, seqMin)
    return found.sort((a, b) => a.seq - b.seq)
  }

  /** A claim without its file: what a crash, or someone's deleting the file, has left. */
  async #clear(seq: number, folder: string): Promise<void> {
    for (const name of ['rows.jsonl', 'summary.txt', 'reason.txt']) {
      const path = join(folder, `.${name}`)
      if (await exists(path)) await moveInto(path, join(this.path, 'bad'), `claimed-${seq}.${name}`)
    }
    await this.#removeFolder(folder)
  }

  /** Claims the first file by name that has come to rest; `null` when there is none. */
  async claim(nowMs: number): Promise<Claimed | null> {
    for (const name of await this.#resting(nowMs)) {
      const claimed = await this.#tryClaim(name)
      if (claimed !== null) return claimed
    }
    return null
  }

  /** Milliseconds until a file now observed may have come to rest; `null` when none is observed. */
  restsInMs(nowMs: number): number | null {
    let least: number | null = null
    for (const { sinceMs } of this.#observed.values()) {
      const rest = Math.max(0, sinceMs + this.#stableMs - nowMs)
      if (least === null || rest < least) least = rest
    }
    return least
  }

  async #resting(nowMs: number): Promise<string[]> {
    const names = await this.#matching()
    this.waiting = names.length
    const observable = names.slice(0, SCAN_STABLE_MAX)
    const present = new Set(observable)
    for (const name of this.#observed.keys()) if (!present.has(name)) this.#observed.delete(name)
    const resting: string[] = []
    for (const name of observable) {
      const stats = await lookAt(join(this.path, name))
      if (stats === null) {
        this.waiting -= 1
        continue
      }
      const look = lookOf(stats)
      const before = this.#observed.get(name)
      if (before?.look !== look) this.#observed.set(name, { look, sinceMs: nowMs })
      if (nowMs - (this.#observed.get(name)?.sinceMs ?? nowMs) >= this.#stableMs) resting.push(name)
    }
    return resting
  }

  async #matching(): Promise<string[]> {
    const names: string[] = []
    let seen = 0
    for await (const entry of await opendir(this.path)) {
      seen += 1
      // Links are not followed: they could name any file of this machine.
      const never = entry.isDirectory() || entry.isSymbolicLink()
      if (!never && this.#matches(entry.name)) names.push(entry.name)
      if (seen >= SCAN_NAMES_MAX) break
    }
    return names.sort()
  }

  async #tryClaim(name: string): Promise<Claimed | null> {
    const seq = this.#nextSeq
    const folder = join(this.#claimedPath, String(seq).padStart(12, '0'))
    const claimed: Claimed = { seq, name, folder }
    await mkdir(folder, { recursive: true })
    try {
      await rename(join(this.path, name), pathOf(claimed))
    } catch (error) {
      // Another agent was first, or whoever dropped the file took it back.
      if (errorCode(error) === 'ENOENT') return null
      throw error
    }
    this.#nextSeq = seq + 1
    this.#observed.delete(name)
    await flushFolder(folder)
    await flushFolder(this.#claimedPath)
    await flushFolder(this.path)
    return claimed
  }

  /** Notes durably that the whole file goes to bad/, before the position passes it. */
  async condemn(claimed: Claimed, reason: string): Promise<void> {
    await replaceFile(reasonPathOf(claimed), reason)
  }

  /** Takes that back: the file could be read after all. */
  async pardon(claimed: Claimed): Promise<void> {
    await removeIfThere(reasonPathOf(claimed))
  }

  /**
   * Moves a file whose rows are committed out of the way: what was set aside first, the file last. Each step leaves what the
   * next ones need, so that after a failure or a crash in between it is called again.
   */
  async settle(claimed: Claimed): Promise<void> {
    const bad = join(this.path, 'bad')
    const condemned = await exists(reasonPathOf(claimed))
    if (await exists(rowsPathOf(claimed))) {
      if (!condemned && !(await exists(summaryPathOf(claimed)))) {
        await replaceFile(summaryPathOf(claimed), reasonText(claimed.name, await tallyOf(rowsPathOf(claimed))))
      }
      await moveInto(rowsPathOf(claimed), bad, `${claimed.name}.rows.jsonl`)
    }
    const summary = condemned ? reasonPathOf(claimed) : summaryPathOf(claimed)
    const target = condemned ? bad : join(this.path, 'done')
    if (await exists(pathOf(claimed))) await moveInto(pathOf(claimed), target, claimed.name)
    if (await exists(summary)) await moveInto(summary, bad, `${claimed.name}.reason.txt`)
    await this.#removeFolder(claimed.folder)
  }

  async #removeFolder(folder: string): Promise<void> {
    for (const name of ['.reason.txt.tmp', '.summary.txt.tmp']) await removeIfThere(join(folder, name))
    try {
      await rmdir(folder)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
  }

  /** A file that vanished while claimed: the reason is all that can be kept. */
  async noteVanished(name: string, reason: string): Promise<void> {
    const note = join(this.#claimedPath, '.vanished.txt')
    await replaceFile(note, reason)
    await moveInto(note, join(this.path, 'bad'), `${basename(name)}.reason.txt`)
  }
}

/** The name under which this flow claims: kept in its data folder, so that another agent on the folder has another. */
export async function claimOwner(dataDir: string, known: string | null): Promise<string> {
  const path = join(dataDir, 'claim-owner')
  const kept = (await readIfThere(path))?.trim()
  if (kept !== undefined && /^[0-9a-f]{16}$/.test(kept)) return kept
  // The data folder was lost but the destination still knows the name: go on with its claims.
  const owner = known !== null && /^[0-9a-f]{16}$/.test(known) ? known : randomBytes(8).toString('hex')
  await replaceFile(path, `${owner}\n`)
  return owner
}

async function lookAt(path: string): Promise<Stats | null> {
  try {
    const stats = await lstat(path)
    return stats.isFile() ? stats : null
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

function lookOf(stats: Stats): string {
  return `${stats.ino} ${stats.size} ${stats.mtimeMs}`
}

async function tallyOf(path: string): Promise<Tally> {
  const tally = new Tally()
  for await (const line of createInterface({ input: createReadStream(path) })) {
    tally.add(JSON.parse(line) as RejectEntry)
  }
  return tally
}
