// Where the content goes, and the hidden files beside it while it grows. Names come from other machines: they have to pass
// `checkName`, and no link is followed in the folder, so nothing is written outside it.

import type { Stats } from 'node:fs'
import { constants, link, lstat, mkdir, open, rename, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { checkName } from '#protocol/transfer/mod.ts'
import { downloadFault } from './faults.ts'
import { peekJournal } from './journal.ts'
import { FILE_NAME_BYTES_MAX, HIDDEN_NAME_BYTES_MAX, NUMBERS_MAX } from './limits.ts'

export type Overwrite = 'refuse' | 'replace' | 'number'

/** Indexes of complete files lie in this folder beside them. */
const INDEX_FOLDER = '.causeway'
export const INDEX_ENDING = '.chunks'

export class Place {
  readonly folder: string
  readonly name: string
  readonly partPath: string
  readonly journalPath: string

  private constructor(folder: string, name: string, id: string) {
    this.folder = folder
    this.name = name
    const hidden = join(folder, `.${cut(name, HIDDEN_NAME_BYTES_MAX)}.${id.slice(0, 8)}`)
    this.partPath = `${hidden}.part`
    this.journalPath = `${hidden}.journal`
  }

  /** `name` is what the content is called, empty for nothing. Faults: `CONTENT_NAME_INVALID`, `DOWNLOAD_INVALID`. */
  static async find(options: { to: string; as: 'folder' | 'file'; name: string; id: string }): Promise<Place> {
    const { as, id } = options
    const to = resolve(options.to)
    const [folder, name] = as === 'file' ? [dirname(to), basename(to)] : [to, options.name === '' ? id : options.name]
    if (as === 'folder') checkName(name)
    // It may be a link: that was chosen here, not by a peer.
    const isFolder = (await stat(folder).catch(() => null))?.isDirectory() === true
    if (!isFolder) throw downloadFault('DOWNLOAD_INVALID', { where: folder, why: 'it is no folder' })
    return new Place(folder, name, id)
  }

  /** Where the content goes when its own name is free, or taken for the `n`-th time. */
  numbered(n: number): string {
    return join(this.folder, n === 1 ? this.name : numberedName(this.name, n))
  }

  /**
   * Gives the part file its name, never that of another file unless `replace` is wished. Gives the path.
   * Faults: `TARGET_EXISTS`, errors of the system.
   */
  async publish(overwrite: Overwrite): Promise<string> {
    const last = overwrite === 'number' ? NUMBERS_MAX : 1
    for (let n = 1; n <= last; n++) {
      const path = this.numbered(n)
      if (overwrite === 'replace') {
        await rename(this.partPath, path)
        return path
      }
      if (await moveToFree(this.partPath, path)) return path
    }
    throw downloadFault('TARGET_EXISTS', { where: this.numbered(1) })
  }

  /** The name, or a numbered one, under which just this content lies here already, unchanged since it came; and its journal. */
  async published(id: Buffer, overwrite: Overwrite): Promise<{ path: string; journalPath: string } | null> {
    for (const path of await this.taken(overwrite === 'number' ? NUMBERS_MAX : 1)) {
      const there = await lstatIfThere(path)
      for (const journalPath of [indexPath(path), this.journalPath]) {
        const index = await peekJournal(journalPath)
        if (there === null || index === null || index.completeMs !== Math.floor(there.mtimeMs)) continue
        if (there.isFile() && there.size === index.size && index.id.equals(id)) return { path, journalPath }
      }
    }
    return null
  }

  /** What has the name, and the numbered ones behind it. */
  async taken(max: number = NUMBERS_MAX): Promise<string[]> {
    const paths: string[] = []
    for (let n = 1; n <= max; n++) {
      const path = this.numbered(n)
      if ((await lstatIfThere(path)) === null) break
      paths.push(path)
    }
    return paths
  }

  get indexFolder(): string {
    return join(this.folder, INDEX_FOLDER)
  }

  /** The journal becomes the index of the complete file; without one, where it cannot be kept, more is fetched later. */
  async keepIndex(path: string): Promise<void> {
    const index = indexPath(path)
    try {
      await mkdir(dirname(index)).catch(ignore('EEXIST'))
      // Somebody's link would lead the index elsewhere.
      if ((await lstat(dirname(index))).isDirectory()) await rename(this.journalPath, index)
      else await unlink(this.journalPath)
    } catch {
      // What cannot even be removed lies there until this content comes again.
      await rm(this.journalPath, { force: true }).catch(() => undefined)
    }
  }

  async removeLeftovers(): Promise<void> {
    await rm(this.partPath, { force: true })
    await rm(this.journalPath, { force: true })
  }

  /** What was made, named or removed in it is durable afterwards. */
  async sync(): Promise<void> {
    // Windows can neither open nor flush a folder; its file system journals renames.
    if (process.platform === 'win32') return
    const folder = await open(this.folder, constants.O_RDONLY)
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }
}

/** Where the index of a complete file is kept. */
export const indexPath = (path: string): string =>
  join(dirname(path), INDEX_FOLDER, `${cut(basename(path), HIDDEN_NAME_BYTES_MAX)}${INDEX_ENDING}`)

/** What has that name, a link itself; `null` for nothing that can be seen. */
export async function lstatIfThere(path: string): Promise<Stats | null> {
  try {
    return await lstat(path)
  } catch {
    return null
  }
}

/** `report (2).pdf`, within the length a name may have. */
export function numberedName(name: string, n: number): string {
  const dot = name.lastIndexOf('.')
  const end = ` (${n})${dot > 0 ? name.slice(dot) : ''}`
  const stem = dot > 0 ? name.slice(0, dot) : name
  return Buffer.byteLength(end) >= FILE_NAME_BYTES_MAX
    ? `${cut(name, FILE_NAME_BYTES_MAX - 8)} (${n})`
    : `${cut(stem, FILE_NAME_BYTES_MAX - Buffer.byteLength(end))}${end}`
}

/** The beginning of a name, at most so many bytes of whole characters. */
function cut(name: string, bytesMax: number): string {
  if (Buffer.byteLength(name) <= bytesMax) return name
  let out = ''
  let bytes = 0
  for (const character of name) {
    bytes += Buffer.byteLength(character)
    if (bytes > bytesMax) break
    out += character
  }
  return out
}

/** Gives whether it was moved: not when there is something of that name already, in whatever case the system takes for equal. */
async function moveToFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (code === 'ENOENT') throw error
    // No second names on this file system: between the look and the move somebody else could come.
    if ((await lstatIfThere(to)) !== null) return false
    await rename(from, to)
    return true
  }
  await unlink(from)
  return true
}

const ignore = (code: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== code) throw error
}
