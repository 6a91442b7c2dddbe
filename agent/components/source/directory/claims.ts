// Claims of whole files, many at a time: a claim is a folder that holds the files of one portion under their numbers.
//
//   <path>/.claimed/<owner>/<seq>/.files.jsonl     which number is which file; on disk before the first one is moved
//   <path>/.claimed/<owner>/<seq>/1, 2, …          the files: a rename succeeds for one of several agents only
//   <path>/.claimed/<owner>/<seq>/.refused.jsonl   which of them are refused, and why; on disk before the position passes them
//   <path>/done/<name>, <path>/bad/<name>          where they go then
//
// `seq` grows with every claim. The position names the last one whose portion is committed: the files of those up to it wait only
// to be moved, those behind it are given again. A file that was still being written goes back to where it was dropped.

import { lstat, mkdir, open, readdir, rename, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import {
  atOnce,
  errorCode,
  flushFolder,
  isDenied,
  makeFolder,
  moveToFree,
  pointedName,
  type RejectEntry,
  RejectFile,
  readIfThere,
  removeIfThere,
  replaceFile,
} from '../../support/mod.ts'
import { claimOwner } from './folder.ts'
import { wholeReasonText } from './reason.ts'
import type { Found } from './scan.ts'

/** A file of ours. Its number is its place in the claim, from 1. */
export type ClaimedFile = Found & { readonly path: string; readonly number: number }
export type Claim = { readonly seq: number; readonly folder: string; readonly files: readonly ClaimedFile[] }

/** A refused file goes to bad/ with its reason, or back to where it was dropped. */
export type Refusal = RejectEntry & { readonly ref: number; readonly back?: true }

export class FileClaims {
  readonly owner: string
  readonly #path: string
  readonly #claimedPath: string
  readonly #onDenied: (folder: string, why: string) => void
  #nextSeq = 1
  /** A claim that failed halfway: some files may be in it. */
  #halfway: Pick<Claim, 'seq' | 'folder'> | null = null

  private constructor(path: string, owner: string, onDenied: (folder: string, why: string) => void) {
    this.#path = path
    this.owner = owner
    this.#onDenied = onDenied
    this.#claimedPath = join(path, '.claimed', owner)
  }

  /** `onDenied`: told of sub-folders out of which nothing may be moved. */
  static async open(
    path: string,
    options: { dataDir: string; knownOwner: string | null; onDenied: (folder: string, why: string) => void },
  ): Promise<FileClaims> {
    await lstat(path)
    const claims = new FileClaims(path, await claimOwner(options.dataDir, options.knownOwner), options.onDenied)
    for (const each of [join(path, 'done'), join(path, 'bad'), claims.#claimedPath]) await makeFolder(each)
    return claims
  }

  /** What was claimed before and is not settled, oldest first. `seqMin` is the least number the next claim may have. */
  async claimed(seqMin: number): Promise<Claim[]> {
    const claims: Claim[] = []
    for (const entry of await readdir(this.#claimedPath)) {
      if (!/^\d{12}$/.test(entry)) continue
      const claim = await this.#read(Number(entry), join(this.#claimedPath, entry))
      seqMin = Math.max(seqMin, claim.seq + 1)
      if (claim.files.length > 0) claims.push(claim)
      else await this.#remove(claim)
    }
    this.#nextSeq = Math.max(this.#nextSeq, seqMin)
    return claims.sort((a, b) => a.seq - b.seq)
  }

  /** Claims those that are still there; `null` when none is. After a failure `takeUp` says what was claimed all the same. */
  async claim(found: readonly Found[]): Promise<Claim | null> {
    const seq = this.#nextSeq
    const folder = join(this.#claimedPath, String(seq).padStart(12, '0'))
    this.#nextSeq = seq + 1
    this.#halfway = { seq, folder }
    await mkdir(folder, { recursive: true })
    await writeLines(join(folder, '.files.jsonl'), found.map(lineOf))
    await flushFolder(folder)
    await flushFolder(this.#claimedPath)
    const claimed = await atOnce(found, (file, i) => this.#take(file, { folder, number: i + 1 }))
    return await this.#finish({ seq, folder, files: claimed.filter((file) => file !== null) })
  }

  /** What a claim that failed has got; `null` for nothing. */
  async takeUp(): Promise<Claim | null> {
    if (this.#halfway === null) return null
    const { seq, folder } = this.#halfway
    await mkdir(folder, { recursive: true })
    return await this.#finish(await this.#read(seq, folder))
  }

  /** Its renames are on disk afterwards. */
  async #finish(claim: Claim): Promise<Claim | null> {
    const { folder, files } = claim
    if (files.length === 0) await this.#remove(claim)
    else {
      await flushFolder(folder)
      for (const each of new Set(files.map(({ name }) => dirname(name)))) await flushFolder(join(this.#path, each))
    }
    this.#halfway = null
    return files.length === 0 ? null : claim
  }

  async #take(file: Found, place: { folder: string; number: number }): Promise<ClaimedFile | null> {
    const path = join(place.folder, String(place.number))
    try {
      await rename(join(this.#path, file.name), path)
      return { ...file, path, number: place.number }
    } catch (error) {
      // Another agent was first, or whoever dropped the file took it back.
      if (errorCode(error) === 'ENOENT') return null
      const folder = dirname(file.name)
      // What concerns a sub-folder must not keep the others' files.
      if (folder === '.' || !(isDenied(error) || errorCode(error) === 'EXDEV')) throw error
      this.#onDenied(folder, (error as Error).message)
      return null
    }
  }

  /** Notes durably what is refused of a claim; what was noted before stays. */
  async refuse(claim: Claim, refusals: readonly Refusal[]): Promise<void> {
    const file = await RejectFile.open(refusedPathOf(claim))
    try {
      await file.append(refusals)
    } finally {
      await file.close()
    }
  }

  /** Its portion is given again: what was refused then may be taken now. */
  async pardon(claim: Claim): Promise<void> {
    await removeIfThere(refusedPathOf(claim))
  }

  /** Moves the files of a committed claim out of the way. After a failure or a crash in between it is called again. */
  async settle(claim: Claim): Promise<void> {
    const refused = await readRefusals(claim)
    const folders = new Set<string>()
    const made = new Set<string>()
    await atOnce(claim.files, async (file) => {
      const refusal = refused.get(file.number)
      const target = refusal === undefined ? 'done' : refusal.back === true ? '' : 'bad'
      if (target === 'bad') await this.#explain(claim, file, refusal as Refusal)
      folders.add(await this.#move(file, target, made))
    })
    for (const folder of folders) await flushFolder(folder)
    await this.#remove(claim)
  }

  /** Gives the file a free name below `target`; gives the folder it is in now. */
  async #move(file: ClaimedFile, target: string, made: Set<string>): Promise<string> {
    let folder = join(this.#path, target, dirname(file.name))
    let name = basename(file.name)
    try {
      if (!made.has(folder)) await mkdir(folder, { recursive: true })
      made.add(folder)
    } catch (error) {
      if (errorCode(error) !== 'EEXIST' && errorCode(error) !== 'ENOTDIR') throw error
      // A file has the name of the folder.
      folder = join(this.#path, target)
      name = file.name.replaceAll('/', '_')
    }
    try {
      await moveToFree(file.path, folder, (n) => pointedName(name, n))
    } catch (error) {
      // It is there already, or somebody took it.
      if (errorCode(error) !== 'ENOENT') throw error
    }
    return folder
  }

  /** The reason first: a file in bad/ without one would puzzle. */
  async #explain(claim: Claim, file: ClaimedFile, refusal: Refusal): Promise<void> {
    const note = join(claim.folder, `.${file.number}.txt`)
    await replaceFile(note, wholeReasonText(file.name, refusal))
    await moveToFree(note, join(this.#path, 'bad'), (n) => pointedName(`${basename(file.name)}.reason.txt`, n))
  }

  async #read(seq: number, folder: string): Promise<Claim> {
    const there = new Set(await readdir(folder))
    const lines = ((await readIfThere(join(folder, '.files.jsonl'))) ?? '').split('\n')
    const files: ClaimedFile[] = []
    for (const [i, line] of lines.entries()) {
      const number = i + 1
      const found = there.has(String(number)) ? foundOf(line) : null
      if (found !== null) files.push({ ...found, path: join(folder, String(number)), number })
    }
    return { seq, folder, files }
  }

  async #remove({ folder }: Pick<Claim, 'folder'>): Promise<void> {
    for (const name of await readdir(folder)) if (name.startsWith('.')) await removeIfThere(join(folder, name))
    await rmdir(folder)
  }
}

const refusedPathOf = ({ folder }: Claim): string => join(folder, '.refused.jsonl')

async function readRefusals(claim: Claim): Promise<Map<number, Refusal>> {
  const text = (await readIfThere(refusedPathOf(claim))) ?? ''
  const lines = text.split('\n').slice(0, -1)
  return new Map(lines.map((line) => JSON.parse(line) as Refusal).map((refusal) => [refusal.ref, refusal]))
}

const lineOf = ({ name, size, changedMs, inode }: Found): string => JSON.stringify([name, size, changedMs, inode])

/** `null` for a line that is none: what a crash has left of one whose file was not moved. */
function foundOf(line: string): Found | null {
  try {
    const [name, size, changedMs, inode] = JSON.parse(line) as [string, number, number, number]
    return { name, size, changedMs, inode }
  } catch {
    return null
  }
}

async function writeLines(path: string, lines: readonly string[]): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(`${lines.join('\n')}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
}
