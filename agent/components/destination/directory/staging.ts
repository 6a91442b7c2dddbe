// Where files are made before they have their names: `<path>/.causeway/<prefix>.files/`. What is staged is whole and on disk. A
// content of the hub is staged under its id, so that a download that a crash ended goes on, whatever portion it is in then.

import { copyFile, lstat, mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { numberedName } from '#agent/client/download/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { checkName } from '#protocol/transfer/mod.ts'
import type { HubContent, Item } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { FOLDER_DEPTH_MAX, FOLDERS_KNOWN_MAX, PARTS_KEPT_MS, SMALL_FILE_BYTES_MAX, VERSIONS_MAX } from '../../limits.ts'
import { copyLocal, errorCode, exists, fetchRefusal, makeFolder, readSmall, writeFlushed } from '../../support/mod.ts'

/** A file that is whole and waits for its name: `folder` (with `/`, empty for the top) and `name`. */
export type Staged = { readonly file: string; readonly folder: string; readonly name: string }

/** Whether that is the name of a staged content of the hub. */
export const isContentId = (file: string): boolean => /^[0-9a-f]{32}$/.test(file)

export class Staging {
  readonly path: string
  readonly #target: string
  /** Folders of the target known to be there. */
  readonly #folders = new Set<string>()
  /** Contents of this portion that are staged or on their way. */
  readonly #contents = new Map<string, Promise<{ name: string; file: string }>>()

  /** `target`: the folder of the destination. */
  constructor(target: string, path: string) {
    this.#target = target
    this.path = path
  }

  /** Removes what a crash left, but what downloads may go on with. `keep`: files that are committed. */
  async open(keep: ReadonlySet<string>): Promise<void> {
    await makeFolder(this.path)
    for (const name of await readdir(this.path)) {
      const isPart = /^(?:[0-9a-f]{32}|\.[0-9a-f]{32}\..+|\.causeway)$/.test(name)
      const path = join(this.path, name)
      if (keep.has(name) || (isPart && Date.now() - (await lstat(path)).mtimeMs < PARTS_KEPT_MS)) continue
      await rm(path, { recursive: true, force: true })
    }
  }

  /** Before the first file of a portion. */
  begin(): void {
    this.#contents.clear()
  }

  /**
   * Makes the file of an item, `file` its name here unless the hub has it. Gives the fault for which it is refused; throws what
   * may pass, and errors of the system.
   */
  async stage(item: Item, file: string, signal: AbortSignal): Promise<Staged | Fault> {
    const { content, row, ref } = item
    const where = typeof row.name === 'string' ? JSON.stringify(row.name).slice(0, 300) : `item ${ref}`
    try {
      if (content === undefined) throw componentFault('FILE_WITHOUT_CONTENT', { where })
      const named = typeof row.name === 'string' && row.name !== '' ? await this.#place(row.name, where) : null
      if (content.kind === 'hub') return await this.#download(content, { file, named, where, signal })
      if (named === null) throw componentFault('FILE_NAMELESS', { where })
      const path = join(this.path, file)
      if (content.kind === 'bytes') await writeFlushed(path, content.bytes)
      else if (content.size > SMALL_FILE_BYTES_MAX) await copyLocal(content, path, { where, signal })
      else await writeFlushed(path, await readSmall(content, where))
      return { file, ...named }
    } catch (error) {
      signal.throwIfAborted()
      return fetchRefusal(error, where)
    }
  }

  /** The folder and the name of a path that came from elsewhere. Faults: `CONTENT_NAME_INVALID`, `FILE_NAME_TAKEN`. */
  async #place(path: string, where: string): Promise<{ folder: string; name: string }> {
    const names = path.split('/')
    for (const name of names) checkName(name)
    const taken = (why: string) => componentFault('FILE_NAME_TAKEN', { where, why })
    if (names.length > FOLDER_DEPTH_MAX) throw taken(`more than ${FOLDER_DEPTH_MAX} folders deep`)
    const name = names.pop() as string
    for (let depth = 1; depth <= names.length; depth += 1) {
      const why = await this.makeFolder(names.slice(0, depth).join('/'))
      if (why !== null) throw taken(why)
    }
    return { folder: names.join('/'), name }
  }

  /** Makes a folder of the target whose parent is there; gives why it cannot be. */
  async makeFolder(folder: string): Promise<string | null> {
    if (this.#folders.has(folder)) return null
    const path = join(this.#target, folder)
    try {
      await mkdir(path)
    } catch (error) {
      const code = errorCode(error)
      if (code === 'ENAMETOOLONG') return 'the path is too long'
      if (code !== 'EEXIST') throw error
      // A link would lead out of here.
      if (!(await lstat(path)).isDirectory()) return `${folder} is no folder here`
    }
    if (this.#folders.size >= FOLDERS_KNOWN_MAX) this.#folders.clear()
    this.#folders.add(folder)
    return null
  }

  /** What is known of folders may not be true any more. */
  forgetFolders(): void {
    this.#folders.clear()
  }

  async #download(
    content: HubContent,
    options: {
      readonly file: string
      readonly named: { folder: string; name: string } | null
      readonly where: string
      readonly signal: AbortSignal
    },
  ): Promise<Staged> {
    const { named, where, signal } = options
    const { id } = content
    const other = this.#contents.get(id)
    if (other !== undefined) {
      // Two messages refer to it.
      const first = await other
      const path = join(this.path, options.file)
      await copyFile(join(this.path, first.file), path)
      await flushFile(path)
      return { file: options.file, ...(named ?? (await this.#place(first.name || id, where))) }
    }
    const reuse = named === null ? [] : await versionsOf(join(this.#target, named.folder), named.name)
    const arriving = content
      .download({ path: join(this.path, id), reuse, signal })
      .then(({ name }) => ({ name, file: id }))
    this.#contents.set(id, arriving)
    const { name } = await arriving
    return { file: id, ...(named ?? (await this.#place(name || id, where))) }
  }
}

/** What lies under the name and the numbered ones behind it, the latest first. */
async function versionsOf(folder: string, name: string): Promise<string[]> {
  const paths: string[] = []
  for (let n = 1; n <= VERSIONS_MAX; n += 1) {
    const path = join(folder, n === 1 ? name : numberedName(name, n))
    if (!(await exists(path))) break
    paths.push(path)
  }
  return paths.reverse()
}

async function flushFile(path: string): Promise<void> {
  await using file = await open(path, 'r+')
  await file.sync()
}
