// Destination `directory` with format `file`: every item becomes a file of its own, whole or not at all, each once.
//
//   <path>/<folders>/<name>                     what others take away
//   <path>/.causeway/<prefix>.files/            files without their names (staging.ts)
//   <path>/.causeway/<prefix>.files/<seq>.jsonl which of them is to have which name
//   <path>/.causeway/<prefix>.position.json     the position (position.ts): replacing it is the commit
//
//   1. stage the files of the portion, flush them
//   2. write the list, flush it                 crash after this: the position does not know it; all is staged again
//   3. replace the position, flush              the commit
//   4. give the files their names, flush, remove the list
//                                               crash before this is done: `open` finds the list the position names and goes on
// A file gets its name by a link, which never replaces another file, and gives up the old one. So a name that is taken is
// numbered, `plan (2).dwg`, and a link that is there already is recognised.

import { lstat, mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { indexPath, numberedName } from '#agent/client/download/mod.ts'
import { Fault } from '#protocol/base/mod.ts'
import type { ComponentContext, Cursor, Destination, Item, Portion, Reject } from '../../contract.ts'
import { FILES_AT_ONCE, LARGE_FILES_AT_ONCE, SMALL_FILE_BYTES_MAX } from '../../limits.ts'
import {
  atOnce,
  errorCode,
  fileFault,
  flushFolder,
  makeFolder,
  moveToFree,
  readIfThere,
  removeIfThere,
  reportAll,
  writeFlushed,
} from '../../support/mod.ts'
import { type Position, PositionFile, prefixOf, WORK_FOLDER } from './position.ts'
import type { DirectoryDestinationSettings } from './settings.ts'
import { isContentId, type Staged, Staging } from './staging.ts'

export class DirectoryFilesDestination implements Destination {
  readonly #path: string
  readonly #staging: Staging
  readonly #positionFile: PositionFile
  #position: Position | null = null
  /** Committed, and not all of them have their names. */
  #unnamed: readonly Staged[] = []

  constructor(settings: DirectoryDestinationSettings, context: ComponentContext) {
    this.#path = context.resolvePath(settings.path)
    const prefix = prefixOf(settings, context.flow)
    this.#positionFile = new PositionFile({ folder: this.#path, prefix, flow: context.flow })
    this.#staging = new Staging(this.#path, join(this.#path, WORK_FOLDER, `${prefix}.files`))
  }

  async open(): Promise<void> {
    try {
      await makeFolder(this.#path)
      await makeFolder(join(this.#path, WORK_FOLDER))
      const position = await this.#positionFile.read()
      const list = listName(position.seq)
      const unnamed = parseList((await readIfThere(join(this.#staging.path, list))) ?? '')
      await this.#staging.open(new Set([list, ...unnamed.map(({ file }) => file)]))
      this.#unnamed = unnamed
      this.#position = position
      await this.#name()
    } catch (error) {
      throw fileFault(error, this.#path)
    }
  }

  async position(): Promise<Cursor | null> {
    const { cursor } = this.#open()
    try {
      // Whoever asks after a failure may take the position for the end of it.
      await this.#name()
    } catch (error) {
      throw fileFault(error, this.#path)
    }
    return cursor
  }

  async write(portion: Portion, reject: (reject: Reject) => unknown, signal: AbortSignal): Promise<void> {
    const before = this.#open()
    try {
      await this.#name()
      if (before.cursor === portion.cursor) return
      const { staged, rejects } = await this.#stage(portion.items, before.seq + 1, signal)
      await reportAll(rejects, reject)
      const seq = staged.length === 0 ? before.seq : before.seq + 1
      if (staged.length > 0) await this.#writeList(seq, staged)
      const rows = before.rows + staged.length
      const after = { flow: before.flow, seq, file: null, rows, cursor: portion.cursor }
      await this.#positionFile.replace(after)
      this.#position = after
      this.#unnamed = staged
      await this.#name()
    } catch (error) {
      if (signal.aborted && error === signal.reason) throw error
      throw fileFault(error, this.#path)
    }
  }

  async close(): Promise<void> {
    this.#position = null
  }

  #open(): Position {
    if (this.#position === null) throw new Error('the destination is not open')
    return this.#position
  }

  async #stage(
    items: readonly Item[],
    seq: number,
    signal: AbortSignal,
  ): Promise<{ staged: Staged[]; rejects: Reject[] }> {
    this.#staging.begin()
    const results: (Staged | Fault)[] = []
    const stage = async (i: number): Promise<void> => {
      results[i] = await this.#staging.stage(items[i] as Item, `${seq}-${i}`, signal)
    }
    const places = [...items.keys()]
    await atOnce(
      places.filter((i) => isSmall(items[i] as Item)),
      stage,
      FILES_AT_ONCE,
    )
    await atOnce(
      places.filter((i) => !isSmall(items[i] as Item)),
      stage,
      LARGE_FILES_AT_ONCE,
    )
    const staged: Staged[] = []
    const rejects: Reject[] = []
    for (const [i, result] of results.entries()) {
      if (result instanceof Fault) rejects.push({ item: items[i] as Item, fault: result })
      else staged.push(result)
    }
    return { staged, rejects }
  }

  async #writeList(seq: number, staged: readonly Staged[]): Promise<void> {
    const lines = staged.map(({ file, folder, name }) => JSON.stringify([file, folder, name]))
    await writeFlushed(join(this.#staging.path, listName(seq)), `${lines.join('\n')}\n`)
    await flushFolder(this.#staging.path)
  }

  /** Gives committed files their names. What was done before a failure or a crash is found done. */
  async #name(): Promise<void> {
    if (this.#unnamed.length === 0) return
    const folders = new Set<string>()
    await atOnce(this.#unnamed, async (staged) => {
      const folder = join(this.#path, staged.folder)
      folders.add(folder)
      await this.#nameOne(staged, folder)
    })
    for (const folder of folders) await flushFolder(folder)
    await removeIfThere(join(this.#staging.path, listName(this.#open().seq)))
    this.#unnamed = []
  }

  async #nameOne({ file, name }: Staged, folder: string): Promise<void> {
    const path = join(this.#staging.path, file)
    try {
      const given = await moveToFree(path, folder, (n) => (n === 1 ? name : numberedName(name, n)))
      await this.#moveIndex({ file, from: path, to: join(folder, given) })
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      // It has its name already, or somebody has removed the folder.
      if ((await mkdir(folder, { recursive: true })) === undefined) return
      await this.#nameOne({ file, folder: '', name }, folder)
    }
  }

  /** What is known of the chunks of a download goes with its file: of the next version only what is new is fetched. */
  async #moveIndex({ file, from, to }: { file: string; from: string; to: string }): Promise<void> {
    if (!isContentId(file)) return
    const folder = dirname(indexPath(to))
    try {
      await mkdir(folder, { recursive: true })
      // Somebody's link would lead the index elsewhere.
      if ((await lstat(folder)).isDirectory()) await rename(indexPath(from), indexPath(to))
    } catch {
      // Without it more is fetched.
    }
  }
}

const listName = (seq: number): string => `${seq}.jsonl`

function parseList(text: string): Staged[] {
  const lines = text.split('\n').slice(0, -1)
  return lines.map((line) => {
    const [file, folder, name] = JSON.parse(line) as [string, string, string]
    return { file, folder, name }
  })
}

function isSmall({ content }: Item): boolean {
  return content?.kind === 'bytes' || (content?.kind === 'local' && content.size <= SMALL_FILE_BYTES_MAX)
}
