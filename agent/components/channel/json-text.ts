// JSON documents, both ways, for channels that work on them.

import { TextDecoder } from 'node:util'
import type { Value } from '../contract.ts'
import { componentFault } from '../faults.ts'
import { formatJsonRecord, parseJson } from '../formats/mod.ts'

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
  try {
    return rounded ? (JSON.parse(text) as unknown) : parseJson(text)
  } catch (error) {
    const { message } = error as Error
    const [, position, line, column] = /at position (\d+)(?: \(line (\d+) column (\d+)\))?/.exec(message) ?? []
    throw componentFault('DOCUMENT_NOT_JSON', {
      why: message,
      ...(position === undefined ? {} : { position: Number(position) }),
      ...(line === undefined ? {} : { line: Number(line), column: Number(column) }),
    })
  }
}

/** Integers keep every digit, bytes become base64. */
export function writeJson(value: Value): string {
  // A list of it, without its brackets.
  return formatJsonRecord([value]).slice(1, -1)
}
