// Destination `directory`: each portion becomes one file of CSV or JSON Lines; files appear whole, each row once.
//
//   <path>/<prefix>-000000000001.csv          what others take away
//   <path>/.causeway/<prefix>.position.json   the position: sequence number, file and the source's cursor
//   <path>/.causeway/<name>.part              written and flushed, not yet published
//
// One step commits rows and cursor together: the rename that replaces the position file.
//   1. write the part, flush it and its folder     crash after this: the part is unknown to the position; it is overwritten
//   2. replace the position file, flush            the commit
//   3. rename the part to its final name, flush    crash before this: `open` finds the part the position names and does it
// Were the file published before the commit, a reader could take it away, and after a crash in between get its rows again.
// The file's name follows from the sequence number, so a portion repeated with the same cursor replaces its own file.

import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { ComponentContext, Cursor, Destination, Portion, Reject } from '../../contract.ts'
import {
  exists,
  fileFault,
  flushFolder,
  makeFolder,
  removeIfThere,
  reportAll,
  writeFlushed,
} from '../../support/mod.ts'
import { type Position, PositionFile, prefixOf, WORK_FOLDER } from './position.ts'
import { renderRows } from './rendering.ts'
import type { DirectoryDestinationSettings } from './settings.ts'

export class DirectoryDestination implements Destination {
  readonly #settings: DirectoryDestinationSettings
  readonly #context: ComponentContext
  readonly #path: string
  readonly #prefix: string
  readonly #workPath: string
  readonly #positionFile: PositionFile
  #position: Position | null = null

  constructor(settings: DirectoryDestinationSettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
    this.#path = context.resolvePath(settings.path)
    this.#prefix = prefixOf(settings, context.flow)
    this.#workPath = join(this.#path, WORK_FOLDER)
    this.#positionFile = new PositionFile({ folder: this.#path, prefix: this.#prefix, flow: context.flow })
  }

  async open(): Promise<void> {
    try {
      await makeFolder(this.#path)
      await makeFolder(this.#workPath)
      this.#position = await this.#positionFile.read()
      await this.#publish()
      await this.#sweep(this.#position)
    } catch (error) {
      throw fileFault(error, this.#path)
    }
  }

  async position(): Promise<Cursor | null> {
    return this.#open().cursor
  }

  async write(portion: Portion, reject: (reject: Reject) => void): Promise<void> {
    const before = this.#open()
    try {
      // What an earlier write could not publish comes first, so that files appear in order.
      await this.#publish()
      const { bytes, rows, rejects } = renderRows(portion.items, this.#settings, this.#path)
      await reportAll(rejects, reject)
      const repeated = before.cursor === portion.cursor && before.file !== null
      const seq = rows === 0 || repeated ? before.seq : before.seq + 1
      const file = rows === 0 ? before.file : this.#nameOf(seq)
      if (rows > 0) {
        await writeFlushed(this.#partPath(this.#nameOf(seq)), bytes)
        await flushFolder(this.#workPath)
      }
      const after = { flow: before.flow, seq, file, rows: before.rows + (repeated ? 0 : rows), cursor: portion.cursor }
      await this.#positionFile.replace(after)
      this.#position = after
    } catch (error) {
      throw fileFault(error, this.#path)
    }
    await this.#publishCommitted()
  }

  async close(): Promise<void> {
    this.#position = null
  }

  #open(): Position {
    if (this.#position === null) throw new Error('the destination is not open')
    return this.#position
  }

  #nameOf(seq: number): string {
    return `${this.#prefix}-${String(seq).padStart(12, '0')}.${this.#settings.format}`
  }

  #partPath(name: string): string {
    return join(this.#workPath, `${name}.part`)
  }

  /** The rows are committed: a failure now must not look like one of `write`, or they would be written twice. */
  async #publishCommitted(): Promise<void> {
    try {
      await this.#publish()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#context.log('error', 'a committed file could not be published; trying again with the next', {
        path: this.#path,
        why,
      })
    }
  }

  /** Gives the part that the position names its final name. Nothing to do when that was done. */
  async #publish(): Promise<void> {
    const file = this.#position?.file ?? null
    if (file === null || !(await exists(this.#partPath(file)))) return
    await rename(this.#partPath(file), join(this.#path, file))
    await flushFolder(this.#path)
    await flushFolder(this.#workPath)
  }

  /** Removes what a crash before the commit left behind. */
  async #sweep({ seq }: Position): Promise<void> {
    const next = this.#nameOf(seq + 1)
    for (const name of await readdir(this.#workPath)) {
      if (name === `${next}.part` || name === this.#positionFile.leftover)
        await removeIfThere(join(this.#workPath, name))
    }
  }
}
