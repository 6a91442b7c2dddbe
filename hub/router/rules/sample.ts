// A message as a person writes it down, as the rules see one.

import { type Envelope, HEADER_CONTENT_TYPE, type Headers } from '#protocol/codec/mod.ts'
import { rulesFault } from './faults.ts'
import type { SampleSpec } from './spec.ts'

export type Sample = {
  readonly envelope: Envelope
  readonly key: Buffer
  /** `null` when nothing is said of it. */
  readonly body: Buffer | null
  readonly contentType: string
}

/** The bytes of a file that a rule file names. Faults: `RULES_FILE_UNREADABLE`, `RULES_FILE_TOO_LARGE`. */
export type ReadFile = (path: string) => Promise<Buffer>

/** `where` names it in faults. Faults: `CASE_INPUT_UNCLEAR`; those of `readFile`. */
export async function sampleOf(spec: SampleSpec, options: { where: string; readFile: ReadFile }): Promise<Sample> {
  const { topic, headers, key = '', contentType } = spec
  const given = contentType ?? headers[HEADER_CONTENT_TYPE] ?? (spec.json === undefined ? '' : 'application/json')
  const all: Headers = given === '' ? headers : { ...headers, [HEADER_CONTENT_TYPE]: given }
  const body = await bodyOf(spec, options)
  return { envelope: { topic, headers: all }, key: Buffer.from(key), body, contentType: given }
}

type Written = Pick<SampleSpec, 'body' | 'json' | 'base64' | 'file'>

/** The bytes that one of four settings gives; `null` without any. */
export async function bodyOf(
  written: Written,
  { where, readFile }: { where: string; readFile: ReadFile },
): Promise<Buffer | null> {
  const { body, json, base64, file } = written
  const given = [body, json, base64, file].filter((one) => one !== undefined).length
  if (given > 1) throw rulesFault('CASE_INPUT_UNCLEAR', { where, why: `${given} are given` })
  if (file !== undefined) return await readFile(file)
  if (json !== undefined) return Buffer.from(JSON.stringify(json))
  if (base64 === undefined) return body === undefined ? null : Buffer.from(body)
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(base64)) {
    throw rulesFault('CASE_INPUT_UNCLEAR', { where, why: 'base64 has other characters', todo: 'Correct it' })
  }
  return Buffer.from(base64, 'base64')
}
