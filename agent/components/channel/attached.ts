// Files in a field of a row: what archives and envelopes hold beside the document itself. In a row each is
// `{ name, mediaType, contentId, bytes }`; whoever writes one may give `text` or `base64` instead of `bytes`.

import type { Fault } from '#protocol/base/mod.ts'
import { nameProblem } from '#protocol/transfer/mod.ts'
import type { Row, Value } from '../contract.ts'
import { componentFault } from '../faults.ts'
import { decodeBase64 } from './encode/mod.ts'

/** 100 bytes of objects each. */
export const ATTACHED_MAX = 10_000
/** Folders of a name below one another: names of 255 bytes in so many are longer than systems take. */
const NAME_DEPTH_MAX = 32
const NAME_BYTES_MAX = 4_096
const TEXT_CHARS_MAX = 1_000

export type Attached = {
  /** A path with `/`. */
  readonly name: string | null
  readonly mediaType: string | null
  /** Without angle brackets. */
  readonly contentId: string | null
  readonly bytes: Buffer
}

/** Why no file can have this path on every system, or `null`. */
export function pathProblem(path: string): string | null {
  const names = path.split('/')
  if (Buffer.byteLength(path) > NAME_BYTES_MAX) return `it is longer than ${NAME_BYTES_MAX} bytes`
  if (names.length > NAME_DEPTH_MAX) return `it has more than ${NAME_DEPTH_MAX} folders`
  if (path.startsWith('/')) return 'it is absolute'
  for (const name of names) {
    const why = nameProblem(name)
    if (why !== null) return why
  }
  return null
}

/** What two paths have in common that systems take for the same. */
export const sameOnDisk = (path: string): string => path.normalize('NFC').toLowerCase()

/** The files in `field`; none when the row has no such field, or null. Faults: `ATTACHED_INVALID`, `DOCUMENT_TOO_LARGE`. */
export function attachedIn(row: Row, field: string, limitBytes: number): Attached[] {
  const list = Object.hasOwn(row, field) ? row[field] : null
  if (list === null || list === undefined) return []
  if (!Array.isArray(list)) throw invalid(`field ${field}`, 'it is no list')
  if (list.length > ATTACHED_MAX) throw invalid(`field ${field}`, `it has more than ${ATTACHED_MAX} files`)
  let total = 0
  return list.map((value: Value, i) => {
    const where = `field ${field}[${i}]`
    if (value === null || typeof value !== 'object' || value instanceof Uint8Array || Array.isArray(value)) {
      throw invalid(where, 'it is no object with name and bytes, text or base64')
    }
    const file = value as Row
    const bytes = bytesOf(file, where)
    total += bytes.length
    if (total > limitBytes) throw componentFault('DOCUMENT_TOO_LARGE', { where, why: `${total} bytes`, limitBytes })
    const name = textOf(file, 'name', where)
    const why = name === null ? null : pathProblem(name)
    if (why !== null) throw invalid(`${where}.name`, why)
    return { name, mediaType: textOf(file, 'mediaType', where), contentId: textOf(file, 'contentId', where), bytes }
  })
}

/** As it stands in a row. */
export const attachedValue = ({ name, mediaType, contentId, bytes }: Attached): Value => ({
  name,
  mediaType,
  contentId,
  bytes,
})

function bytesOf(file: Row, where: string): Buffer {
  const given = ['bytes', 'text', 'base64'].filter((key) => Object.hasOwn(file, key) && file[key] !== null)
  if (given.length !== 1) throw invalid(where, 'give one of bytes, text and base64')
  const { bytes, text, base64 } = file
  if (bytes instanceof Uint8Array) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (typeof text === 'string' && text.isWellFormed()) return Buffer.from(text)
  if (typeof base64 === 'string') return decodeBase64(base64, { urlSafe: false, padding: true })
  throw invalid(`${where}.${given[0]}`, 'it has the wrong type')
}

function textOf(file: Row, key: string, where: string): string | null {
  const value = Object.hasOwn(file, key) ? file[key] : null
  if (value === null || value === undefined) return null
  if (typeof value !== 'string' || value.length > TEXT_CHARS_MAX || !value.isWellFormed() || /\p{Cc}/u.test(value)) {
    throw invalid(`${where}.${key}`, `it is no text of one line of ${TEXT_CHARS_MAX} characters at most`)
  }
  return value
}

const invalid = (where: string, why: string): Fault => componentFault('ATTACHED_INVALID', { where, why })
