// Which files a command line means: paths as they are, patterns for shells that expand none, folders with all that is in them.

import type { Dirent } from 'node:fs'
import { glob, readdir, stat } from 'node:fs/promises'
import { basename, join, relative, resolve, sep } from 'node:path'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { agentFault } from '../telemetry/mod.ts'

/** Some 300 bytes each. More are sent by a flow, which takes any number. */
export const FILES_MAX = 100_000

export type FoundFile = {
  readonly path: string
  /** With `/`: below the folder that was given, or the one where a pattern begins; else the last name. */
  readonly name: string
  readonly size: number
}

export type Found = {
  readonly files: readonly FoundFile[]
  /** Paths under which nothing is to be had, each by itself. */
  readonly faults: readonly Fault[]
  /** Links, devices and the like inside of folders. */
  readonly leftOut: number
}

const MAGIC = /[*?[{]/
const SEPARATOR = sep === '/' ? /\// : /[\\/]/

/** The files meant, each once, in the order given. Faults: `FILES_TOO_MANY`. */
export async function findFiles(given: readonly string[], { recursive }: { recursive: boolean }): Promise<Found> {
  const search = new Search(recursive)
  for (const path of given) await search.add(path)
  return { files: [...search.files.values()], faults: search.faults, leftOut: search.leftOut }
}

class Search {
  /** By whole path. */
  readonly files = new Map<string, FoundFile>()
  readonly faults: Fault[] = []
  leftOut = 0
  private readonly recursive: boolean

  constructor(recursive: boolean) {
    this.recursive = recursive
  }

  async add(path: string): Promise<void> {
    const there = await kindOf(path)
    // One of that very name goes before a pattern.
    if (there === null && MAGIC.test(path)) await this.match(path)
    else if (there?.isFolder === true && this.recursive) await this.walk(path, folderName(path))
    // What cannot be sent is told by who tries to.
    else this.keep({ path, name: basename(resolve(path)), size: there?.size ?? 0 })
  }

  private async match(pattern: string): Promise<void> {
    const before = this.files.size + this.faults.length
    const from = fixedPart(pattern)
    for await (const path of glob(pattern)) {
      const there = await kindOf(path)
      const name = slashed(relative(from, path))
      if (there?.isFolder !== true) this.keep({ path, name, size: there?.size ?? 0 })
      else if (this.recursive) await this.walk(path, name)
    }
    if (this.files.size + this.faults.length === before) this.nothing(pattern)
  }

  private async walk(folder: string, name: string): Promise<void> {
    const before = this.files.size + this.faults.length
    const folders = [{ path: folder, name }]
    for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
      for (const entry of await this.entriesOf(at.path)) {
        const path = join(at.path, entry.name)
        const below = at.name === '' ? entry.name : `${at.name}/${entry.name}`
        if (entry.isDirectory()) folders.push({ path, name: below })
        else if (entry.isFile()) this.keep({ path, name: below, size: (await kindOf(path))?.size ?? 0 })
        else this.leftOut++
      }
    }
    if (this.files.size + this.faults.length === before) this.nothing(folder)
  }

  private async entriesOf(folder: string): Promise<Dirent[]> {
    try {
      const entries = await readdir(folder, { withFileTypes: true })
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    } catch (error) {
      this.faults.push(asFault(error, folder))
      return []
    }
  }

  private keep(file: FoundFile): void {
    const whole = resolve(file.path)
    if (this.files.has(whole)) return
    this.files.set(whole, file)
    if (this.files.size > FILES_MAX) throw agentFault('FILES_TOO_MANY', { why: `more than ${FILES_MAX}` })
  }

  private nothing(where: string): void {
    this.faults.push(agentFault('FILES_NONE', { where }))
  }
}

async function kindOf(path: string): Promise<{ readonly isFolder: boolean; readonly size: number } | null> {
  try {
    const found = await stat(path)
    return { isFolder: found.isDirectory(), size: found.size }
  } catch {
    return null
  }
}

/** Where all that fits lies below. */
function fixedPart(pattern: string): string {
  const names = pattern.split(SEPARATOR)
  const fixed = names.slice(
    0,
    Math.max(
      0,
      names.findIndex((name) => MAGIC.test(name)),
    ),
  )
  return fixed.length === 0 ? '.' : `${fixed.join(sep)}${sep}`
}

/** What is in the folder one is in has no folder's name. */
function folderName(path: string): string {
  const last = path.split(SEPARATOR).findLast((name) => name !== '')
  return last === undefined || last === '.' || last === '..' ? '' : last
}

const slashed = (path: string): string => path.split(sep).join('/')
