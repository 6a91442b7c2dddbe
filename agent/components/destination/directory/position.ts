// The position of a `directory` destination, beside what it wrote: `<path>/.causeway/<prefix>.position.json`. Replacing it is the
// commit.

import { join } from 'node:path'
import type { Cursor } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { readIfThere, replaceFile } from '../../support/mod.ts'
import type { DirectoryDestinationSettings } from './settings.ts'

export const WORK_FOLDER = '.causeway'

/** `file` is the one that the last commit with rows published; `seq` counts commits with rows or files. */
export type Position = {
  readonly flow: string
  readonly seq: number
  readonly file: string | null
  readonly rows: number
  readonly cursor: Cursor | null
}

/** What the names of a flow's own files in the folder begin with. */
export function prefixOf({ prefix }: Pick<DirectoryDestinationSettings, 'prefix'>, flow: string): string {
  return prefix ?? flow.replace(/[/\\\0]/g, '_').replace(/^\./, '_')
}

export class PositionFile {
  /** What a crash may leave beside it. */
  readonly leftover: string
  readonly #path: string
  readonly #options: { readonly folder: string; readonly prefix: string; readonly flow: string }

  constructor(options: { folder: string; prefix: string; flow: string }) {
    const name = `${options.prefix}.position.json`
    this.#options = options
    this.#path = join(options.folder, WORK_FOLDER, name)
    this.leftover = `${name}.tmp`
  }

  /** Faults: `DIRECTORY_POSITION_DAMAGED`, `COMPONENT_SETTINGS`. */
  async read(): Promise<Position> {
    const { flow, prefix, folder } = this.#options
    const text = await readIfThere(this.#path)
    if (text === null) return { flow, seq: 0, file: null, rows: 0, cursor: null }
    const position = parsePosition(text, this.#path)
    if (position.flow === flow) return position
    throw componentFault('COMPONENT_SETTINGS', {
      where: this.#path,
      why: `\`prefix: ${prefix}\` is used in ${folder} by flow ${position.flow}`,
      todo: 'Give each flow a prefix of its own',
    })
  }

  async replace(position: Position): Promise<void> {
    await replaceFile(this.#path, `${JSON.stringify({ v: 1, ...position })}\n`)
  }
}

function parsePosition(text: string, path: string): Position {
  const damaged = (why: string): Error => componentFault('DIRECTORY_POSITION_DAMAGED', { where: path, why })
  let parsed: Partial<Record<string, unknown>>
  try {
    parsed = JSON.parse(text) as Partial<Record<string, unknown>>
  } catch (error) {
    throw damaged((error as Error).message)
  }
  const { v, flow, seq, file, rows, cursor } = parsed
  const counts = Number.isSafeInteger(seq) && Number.isSafeInteger(rows)
  const named = typeof file === 'string' ? !/[/\\]/.test(file) : file === null
  if (v !== 1 || typeof flow !== 'string' || typeof cursor !== 'string' || !counts || !named)
    throw damaged('it has another form')
  return { flow, seq: seq as number, file: file as string | null, rows: rows as number, cursor }
}
