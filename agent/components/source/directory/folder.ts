// A drop folder: claims the files that have come to rest by rename, and settles them in done/ or bad/.
//
//   <path>/*                              dropped by others
//   <path>/.claimed/<owner>/<seq>/<name>  taken by one agent: a rename succeeds for one of several agents only
//   <path>/.claimed/<owner>/<seq>/.rows.jsonl, .summary.txt  rows set aside
//   <path>/.claimed/<owner>/<seq>/.reason.txt                why the whole file is set aside
//   <path>/done/<name>, <path>/bad/<name>
//
// `seq` grows with every claim. The position names a `seq`: what is claimed below it was committed whole and waits only
// to be moved; what is above it was never read. So files are given in the order of their claims, each of them.

import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, mkdir, readdir, rename, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { CLAIMS_AT_ONCE, PORTION_FILES_BYTES_MAX } from '../../limits.ts'
import {
  atOnce,
  errorCode,
  flushFolder,
  makeFolder,
  moveToFree,
  pointedName,
  type RejectEntry,
  readIfThere,
  removeIfThere,
  replaceFile,
} from '../../support/mod.ts'
import type { DropScan } from './drop-scan.ts'
import { reasonText, Tally } from './reason.ts'

/** What a claim's folder may hold beside its file. */
const ROWS = '.rows.jsonl'
const REASON = '.reason.txt'
const SUMMARY = '.summary.txt'

/** A file of ours: its folder holds it and what was set aside from it. */
export type Claimed = { readonly seq: number; readonly name: string; readonly folder: string }

export const pathOf = (claimed: Claimed): string => join(claimed.folder, claimed.name)
export const rowsPathOf = (claimed: Claimed): string => join(claimed.folder, ROWS)
const reasonPathOf = (claimed: Claimed): string => join(claimed.folder, REASON)
const summaryPathOf = (claimed: Claimed): string => join(claimed.folder, SUMMARY)

export class DropFolder {
  readonly path: string
  readonly owner: string
  readonly #claimedPath: string
  readonly #scan: DropScan
  /** Claimed and not given yet, oldest first. */
  #ready: Claimed[] = []
  /** Claimed, and perhaps not on disk yet. */
  #unflushed: Claimed[] = []
  #nextSeq = 1

  private constructor(path: string, owner: string, scan: DropScan) {
    this.path = path
    this.owner = owner
    this.#scan = scan
    this.#claimedPath = join(path, '.claimed', owner)
  }

  static async open(
    path: string,
    options: { dataDir: string; scan: DropScan; knownOwner: string | null },
  ): Promise<DropFolder> {
    await lstat(path)
    const owner = await claimOwner(options.dataDir, options.knownOwner)
    const folder = new DropFolder(path, owner, options.scan)
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
      else await this.#clear(seq, folder, names)
    }
    this.#nextSeq = Math.max(this.#nextSeq, seqMin)
    return found.sort((a, b) => a.seq - b.seq)
  }

  /** Nothing dropped waits to be given. */
  get isEmpty(): boolean {
    return this.#ready.length === 0 && this.#scan.isEmpty
  }

  /** Claims the next file that rests, by name as far as they were seen together; `null` when none does. */
  async claim(): Promise<Claimed | null> {
    while (this.#ready.length === 0) if (!(await this.#claimSome())) return null
    // After a failure before anything else: a claim that was passed over would pass for read.
    await this.#flush()
    return this.#ready.shift() ?? null
  }

  /** Some at a time, which are flushed together. False: nothing rests. */
  async #claimSome(): Promise<boolean> {
    const found = await this.#scan.take({ filesMax: CLAIMS_AT_ONCE, bytesMax: PORTION_FILES_BYTES_MAX })
    const firstSeq = this.#nextSeq
    this.#nextSeq += found.length
    try {
      await atOnce(found, ({ name }, i) => this.#claimOne(name, firstSeq + i))
    } finally {
      this.#ready.sort((a, b) => a.seq - b.seq)
    }
    return found.length > 0
  }

  async #claimOne(name: string, seq: number): Promise<void> {
    const folder = join(this.#claimedPath, String(seq).padStart(12, '0'))
    await mkdir(folder, { recursive: true })
    try {
      await rename(join(this.path, name), join(folder, name))
    } catch (error) {
      // Another agent was first, or whoever dropped the file took it back. Else the next start removes what is empty.
      if (errorCode(error) !== 'ENOENT') throw error
      await rmdir(folder)
      return
    }
    const claimed = { seq, name, folder }
    this.#ready.push(claimed)
    this.#unflushed.push(claimed)
  }

  async #flush(): Promise<void> {
    if (this.#unflushed.length === 0) return
    await atOnce(this.#unflushed, ({ folder }) => flushFolder(folder))
    await flushFolder(this.#claimedPath)
    await flushFolder(this.path)
    this.#unflushed = []
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
    const { name, folder } = claimed
    const there = new Set(await namesIn(folder))
    const condemned = there.has(REASON)
    if (there.has(ROWS) && !condemned && !there.has(SUMMARY)) {
      await replaceFile(summaryPathOf(claimed), reasonText(name, await tallyOf(rowsPathOf(claimed))))
      there.add(SUMMARY)
    }
    const summary = condemned ? REASON : SUMMARY
    if (there.has(ROWS)) await this.#move(rowsPathOf(claimed), 'bad', `${name}${ROWS}`)
    if (there.has(name)) await this.#move(pathOf(claimed), condemned ? 'bad' : 'done', name)
    if (there.has(summary)) await this.#move(join(folder, summary), 'bad', `${name}.reason.txt`)
    await this.#removeFolder(folder, there)
  }

  /** Under a free name, on disk. */
  async #move(path: string, target: 'done' | 'bad', name: string): Promise<void> {
    const folder = join(this.path, target)
    await moveToFree(path, folder, (n) => pointedName(name, n))
    await flushFolder(folder)
  }

  /** A claim without its file: what a crash, or someone's deleting the file, has left. */
  async #clear(seq: number, folder: string, names: readonly string[]): Promise<void> {
    for (const name of [ROWS, SUMMARY, REASON]) {
      if (names.includes(name)) await this.#move(join(folder, name), 'bad', `claimed-${seq}${name}`)
    }
    await this.#removeFolder(folder, new Set(names))
  }

  async #removeFolder(folder: string, there: ReadonlySet<string>): Promise<void> {
    for (const name of there)
      if (name.endsWith('.txt.tmp') && name.startsWith('.')) await removeIfThere(join(folder, name))
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
    await this.#move(note, 'bad', `${basename(name)}.reason.txt`)
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

/** Nothing of a folder that is gone. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

async function tallyOf(path: string): Promise<Tally> {
  const tally = new Tally()
  for await (const line of createInterface({ input: createReadStream(path) })) {
    tally.add(JSON.parse(line) as RejectEntry)
  }
  return tally
}
