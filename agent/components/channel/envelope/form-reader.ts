// What a web form sends (multipart/form-data, RFC 7578): values by name, and files. As strict as MIME elsewhere: a part that another
// reader could take for something else is refused.

import { isAscii } from 'node:buffer'
import type { Fault } from '#protocol/base/mod.ts'
import { nameProblem } from '#protocol/transfer/mod.ts'
import { envelopeFault } from './faults.ts'
import { decoded, type Parameterized, parseParameterized } from './header.ts'
import { FORM_NAME_CHARS_MAX, FORM_VALUES_BYTES_MAX } from './limits.ts'
import { type Entity, type Part, parseEntities } from './mime-reader.ts'

export type FormOptions = {
  readonly partsMax: number
  readonly lf: boolean
  /** Of headers, and of values that do not say theirs. */
  readonly charset: string
}

export type Form = {
  /** In the order of their first. */
  readonly values: ReadonlyMap<string, readonly string[]>
  readonly valueBytes: number
  /** Each with its `formName`. */
  readonly files: readonly Part[]
}

type Value = { readonly name: string; readonly entity: Entity; readonly type: Parameterized | null }

/** Faults: `CONTENT_TYPE_INVALID`, `MIME_INVALID`, `MIME_LIMIT`, `MIME_ENCODING`. */
export function readForm(bytes: Buffer, type: Parameterized, options: FormOptions): Form {
  const given: Value[] = []
  const files: Part[] = []
  let valueBytes = 0
  for (const entity of parseEntities(bytes, type, options)) {
    const { where, body, headers } = entity
    const { name, fileName } = namesOf(entity)
    const mediaType = headers.get('content-type') ?? null
    const type = mediaType === null ? null : parseParameterized(mediaType, where)
    checkTransfer(entity, type)
    if (fileName === null) {
      valueBytes += body.length
      if (valueBytes > FORM_VALUES_BYTES_MAX)
        throw envelopeFault('MIME_LIMIT', { where, why: `values of more than ${FORM_VALUES_BYTES_MAX} bytes` })
      given.push({ name, entity, type })
    } else if (fileName !== '' || body.length > 0) {
      const file = { headers, type: type ?? PLAIN, mediaType, contentId: null, bytes: body, formName: name }
      files.push({ ...file, name: fileName === '' ? null : fileName })
    }
    // Neither name nor bytes: nobody chose a file.
  }
  return { values: valuesOf(given, options.charset), valueBytes, files }
}

const PLAIN: Parameterized = { value: 'text/plain', parameters: new Map() }

/** Section 4.2. */
function namesOf({ headers, where }: Entity): { readonly name: string; readonly fileName: string | null } {
  const text = headers.get('content-disposition')
  if (text === undefined) throw invalid(where, 'it has no Content-Disposition')
  const { value, parameters } = parseParameterized(text, where, { asForm: true })
  if (value !== 'form-data') throw invalid(where, `its Content-Disposition is ${JSON.stringify(value.slice(0, 40))}`)
  for (const parameter of parameters.keys())
    if (parameter.includes('*')) throw invalid(where, `a form has no ${parameter} (RFC 7578, section 4.2)`)
  const name = parameters.get('name')
  if (name === undefined) throw invalid(where, 'it has no name')
  if (name.length > FORM_NAME_CHARS_MAX)
    throw envelopeFault('MIME_LIMIT', { where, why: `a name of more than ${FORM_NAME_CHARS_MAX} characters` })
  const given = parameters.get('filename')
  if (given === undefined) return { name, fileName: null }
  // Some send the whole path, by which nothing here is looked up or stored.
  const fileName = given.slice(Math.max(given.lastIndexOf('/'), given.lastIndexOf('\\')) + 1)
  const why = given === '' ? null : nameProblem(fileName)
  if (why !== null) throw invalid(where, `no file can have the name ${JSON.stringify(fileName.slice(0, 80))}: ${why}`)
  return { name, fileName }
}

/** Sections 4.3 and 4.7: neither transfer encodings nor multiparts inside; some readers would undo them, others not. */
function checkTransfer({ headers, body, where }: Entity, type: Parameterized | null): void {
  const encoding = (headers.get('content-transfer-encoding') ?? '').toLowerCase()
  if (!/^(?:|7bit|8bit|binary)$/.test(encoding))
    throw invalid(where, `a form has no transfer encoding ${JSON.stringify(encoding.slice(0, 40))}`)
  if (encoding === '7bit' && !isAscii(body))
    throw envelopeFault('MIME_ENCODING', { where, why: 'it names 7bit and has other bytes' })
  if (type?.value.startsWith('multipart/') === true)
    throw invalid(where, 'files of one name come as parts of that name, not as a multipart (RFC 7578, section 4.3)')
}

/** The character set is that of the part, else that of the part `_charset_` (section 4.6), else the given one. */
function valuesOf(given: readonly Value[], charset: string): Map<string, string[]> {
  const stated = given.find(({ name }) => name === '_charset_')?.entity.body.toString('latin1')
  const values = new Map<string, string[]>()
  for (const { name, entity, type } of given) {
    const text = decoded(entity.body, type?.parameters.get('charset') ?? stated ?? charset, entity.where)
    const list = values.get(name)
    if (list === undefined) values.set(name, [text])
    else list.push(text)
  }
  return values
}

const invalid = (where: string, why: string): Fault => envelopeFault('MIME_INVALID', { where, why })
