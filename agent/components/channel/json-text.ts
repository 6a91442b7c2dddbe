// JSON documents, both ways, for channels that work on them.

import { TextDecoder } from 'node:util'
import type { Value } from '../contract.ts'
import { componentFault } from '../faults.ts'
import { formatJsonRecord, jsonEndsAt, parseJson, repeatedName, whyNotJson } from '../formats/mod.ts'
import { placeIn } from '../xml/mod.ts'

export type JsonReading = {
  /** That of the content type, if it has one. */
  readonly charset?: string | null
  /** Integers beyond 2^53 as numbers, not as bigint. */
  readonly rounded?: true
}

/** Throws DOCUMENT_NOT_JSON, with the place where it is known. */
export function readJson(bytes: Buffer, { charset = null, rounded }: JsonReading = {}): unknown {
  let text: string
  try {
    text = new TextDecoder(charset ?? 'utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw componentFault('DOCUMENT_NOT_JSON', { why: `these are no characters of ${charset ?? 'UTF-8'}` })
  }
  let value: unknown
  try {
    value = rounded ? JSON.parse(text) : parseJson(text)
  } catch {
    const position = jsonEndsAt(text)
    const { line, column } = placeIn(text, position)
    const where = `line ${line}, column ${column}`
    throw componentFault('DOCUMENT_NOT_JSON', { where, why: whyNotJson(text, position), position, line, column })
  }
  const repeated = repeatedName(text, value)
  if (repeated === null) return value
  throw componentFault('DOCUMENT_NOT_JSON', { why: `the name ${JSON.stringify(repeated)} stands twice in one object` })
}

/** Integers keep every digit, bytes become base64. */
export function writeJson(value: Value): string {
  // A list of it, without its brackets.
  return formatJsonRecord([value]).slice(1, -1)
}
