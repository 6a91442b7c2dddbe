// The position of a directory source: which claimed file, and how far in it.

import { componentFault } from '../../faults.ts'

/**
 * `owner` is whose claims it speaks of; `seq` counts that owner's claimed files. `sizeBytes` and `changedMs` are what the
 * file was when reading it began. `byte` and `line` are where the next record starts; `end` says there is none.
 */
export type Position = {
  readonly owner: string
  readonly seq: number
  readonly name: string
  readonly sizeBytes: number
  readonly changedMs: number
  readonly byte: number
  readonly line: number
  readonly rows: number
  readonly end: boolean
}

export function encodePosition(position: Position): string {
  return JSON.stringify({ v: 1, ...position })
}

export function decodePosition(cursor: string): Position {
  const where = 'source directory'
  try {
    const parsed = JSON.parse(cursor) as Record<string, unknown>
    const numbers = [parsed.seq, parsed.sizeBytes, parsed.changedMs, parsed.byte, parsed.line, parsed.rows]
    const fits = parsed.v === 1 && typeof parsed.owner === 'string' && typeof parsed.name === 'string'
    if (fits && typeof parsed.end === 'boolean' && numbers.every((value) => typeof value === 'number' && value >= 0)) {
      return parsed as unknown as Position
    }
  } catch (error) {
    throw componentFault('SOURCE_POSITION_INVALID', { where, why: (error as Error).message })
  }
  throw componentFault('SOURCE_POSITION_INVALID', { where, why: 'it has another form' })
}
