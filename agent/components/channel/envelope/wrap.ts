// Putting envelopes on: a document and its attachments → a MIME multipart, a form, a SOAP message, or a SOAP message in a multipart.

import type { Item, Row, Value } from '../../contract.ts'
import { documentOf, withDocument } from '../../document.ts'
import { componentFault } from '../../faults.ts'
import { decodeXml, type XmlParser } from '../../xml/mod.ts'
import { type Attached, attachedIn } from '../attached.ts'
import { envelopeFault } from './faults.ts'
import { type FormPart, writeForm } from './form-writer.ts'
import { headerLine, parameterized, parseParameterized } from './header.ts'
import { FORM_NAME_CHARS_MAX, SOAP_HEADERS_MAX } from './limits.ts'
import { contentIdFor, type PartToWrite, writeMultipart } from './mime-writer.ts'
import type { EnvelopeSettings } from './settings.ts'
import { headerElement, rootElement, SOAP_TYPES, wrapSoap } from './soap.ts'
import { extractIncludes, XOP_TYPE } from './xop.ts'

type Parameters = readonly (readonly [string, string])[]
type Wrapped = {
  readonly bytes: Buffer
  readonly type: string
  readonly parameters: Parameters
  readonly headers: Parameters
}

const OCTETS = 'application/octet-stream'

/** Faults: `ATTACHED_INVALID`, `SOAP_HEADER_INVALID`, `CONTENT_TYPE_INVALID`, those of XML and of documents. */
export async function wrap(item: Item, settings: EnvelopeSettings, parser: XmlParser): Promise<Item> {
  const { format, field, headers, contentTypeField, attachmentsField, headersField, bytesMax } = settings
  const bytes = await documentOf(item, settings)
  const attached = attachedIn(item.row, attachmentsField, bytesMax)
  const wrapped =
    format === 'multipart'
      ? multipart(bytes, attached, item, settings)
      : format === 'form'
        ? form(bytes, attached, item, settings)
        : soap(bytes, attached, item.row, { settings, parser })
  const taken = format === 'multipart' ? [] : format === 'form' ? [settings.formField, 'formName'] : [headersField]
  const row = withoutFields(item.row, [attachmentsField, ...taken])
  const content = headers === 'inside' ? Buffer.concat([headOf(wrapped), wrapped.bytes]) : wrapped.bytes
  const changed = withDocument(
    { ...item, row },
    field !== undefined && format === 'soap' ? content.toString() : content,
    settings,
  )
  const contentType = headers === 'inside' ? 'message/rfc822' : parameterized(wrapped.type, wrapped.parameters)
  const action = wrapped.headers.find(([name]) => name === 'SOAPAction')?.[1]
  const told: Row = action === undefined ? {} : { [settings.actionField]: action.slice(1, -1) }
  return { ...changed, row: { ...changed.row, ...told, [contentTypeField]: contentType } }
}

const withoutFields = (row: Row, fields: readonly string[]): Row =>
  Object.fromEntries(Object.entries(row).filter(([name]) => !fields.includes(name)))

function headOf({ type, parameters, headers }: Wrapped): Buffer {
  const lines = headers.map(([name, value]) => headerLine(name, value)).join('')
  return Buffer.from(`MIME-Version: 1.0\r\n${headerLine('Content-Type', type, parameters)}${lines}\r\n`)
}

function multipart(bytes: Buffer, attached: readonly Attached[], { row }: Item, settings: EnvelopeSettings): Wrapped {
  const { field, subtype, transferEncoding } = settings
  const mediaType =
    field === undefined && typeof row.mediaType === 'string' ? checkedType(row.mediaType, 'mediaType') : OCTETS
  const isRelated = subtype === 'related'
  const root: PartToWrite = {
    mediaType,
    contentId: isRelated ? contentIdFor(bytes, 1) : null,
    name: field === undefined && typeof row.name === 'string' ? lastName(row.name) : null,
    disposition: 'inline',
    bytes,
  }
  const { value } = parseParameterized(mediaType, 'mediaType')
  const parameters: Parameters = isRelated
    ? [
        ['type', value],
        ['start', `<${root.contentId}>`],
      ]
    : []
  const parts = [root, ...attached.map(attachedPart)]
  const written = writeMultipart(parts, { subtype, parameters, encoding: transferEncoding })
  return { bytes: written.bytes, type: `multipart/${subtype}`, parameters: written.parameters, headers: [] }
}

/** Values first, as forms with files are mostly laid out; then the document and the attachments, each a file. */
function form(bytes: Buffer, attached: readonly Attached[], { row }: Item, settings: EnvelopeSettings): Wrapped {
  const { field, documentName, attachmentsField } = settings
  const isContent = field === undefined
  const type = isContent && typeof row.mediaType === 'string' ? checkedType(row.mediaType, 'mediaType') : OCTETS
  const names = row[attachmentsField] as readonly Row[] | undefined
  const fileOf = (name: string | null, mediaType: string) => ({ name: lastName(name ?? '') || 'blob', mediaType })
  const parts: FormPart[] = [
    ...formValues(row, settings.formField),
    {
      name: formName(documentName ?? row.formName ?? 'file', 'field formName'),
      file: fileOf(isContent && typeof row.name === 'string' ? row.name : null, type),
      bytes,
    },
    ...attached.map(({ name, mediaType, bytes }, i) => {
      const where = `field ${attachmentsField}[${i}]`
      const given = mediaType === null ? OCTETS : checkedType(mediaType, where)
      return { name: formName(names?.[i]?.formName ?? 'file', where), file: fileOf(name, given), bytes }
    }),
  ]
  const written = writeForm(parts)
  return {
    bytes: written.bytes,
    type: 'multipart/form-data',
    parameters: [['boundary', written.boundary]],
    headers: [],
  }
}

/** Texts as they are; numbers, true and false as JSON has them; null is left out. */
function formValues(row: Row, field: string): FormPart[] {
  const values = Object.hasOwn(row, field) ? row[field] : null
  if (values === null || values === undefined) return []
  if (typeof values !== 'object' || Array.isArray(values) || values instanceof Uint8Array)
    throw envelopeFault('FORM_VALUE_INVALID', { where: `field ${field}`, why: 'it is no object of values by name' })
  return Object.entries(values as Row).flatMap(([key, value]) => {
    const where = `field ${field}.${key.slice(0, 80)}`
    const name = formName(key, where)
    return (Array.isArray(value) ? value : [value]).flatMap((each: Value) => {
      if (each === null) return []
      if (typeof each === 'object' || (typeof each === 'string' && !each.isWellFormed()))
        throw envelopeFault('FORM_VALUE_INVALID', {
          where,
          why: 'it is no text, number or truth value, nor a list of those',
        })
      return [{ name, file: null, bytes: Buffer.from(String(each)) }]
    })
  })
}

function formName(name: unknown, where: string): string {
  if (
    typeof name === 'string' &&
    name.length <= FORM_NAME_CHARS_MAX &&
    name.isWellFormed() &&
    !/[\p{Cc}\\]/u.test(name)
  )
    return name
  throw envelopeFault('FORM_VALUE_INVALID', {
    where,
    why: `it has no name of ${FORM_NAME_CHARS_MAX} characters at most`,
  })
}

function soap(
  bytes: Buffer,
  attached: readonly Attached[],
  row: Row,
  { settings, parser }: { readonly settings: EnvelopeSettings; readonly parser: XmlParser },
): Wrapped {
  const { format, soapVersion, transferEncoding, extract, extractBytesMin } = settings
  const body = rootElement(parser, decodeXml(bytes))
  const envelope = wrapSoap(body, soapVersion, headerBlocks(row, settings.headersField, parser))
  const action = actionOf(row, settings)
  const isNew = soapVersion === '1.2'
  const actionParameter: Parameters = isNew && action !== null ? [['action', action]] : []
  // Quotes belong to the value of SOAPAction (SOAP 1.1, section 6.1.1); a message of 1.1 without an action says so by "".
  const headers: Parameters = isNew ? [] : [['SOAPAction', `"${action ?? ''}"`]]
  const type = SOAP_TYPES[soapVersion]
  if (format === 'soap') {
    if (attached.length > 0) {
      const why = 'a plain SOAP message has no attachments: set `format: swa` or `mtom`'
      throw componentFault('ATTACHED_INVALID', { where: `field ${settings.attachmentsField}`, why })
    }
    return { bytes: Buffer.from(envelope), type, parameters: [['charset', 'utf-8'], ...actionParameter], headers }
  }
  const options = { elements: new Set(extract), bytesMin: extractBytesMin, first: attached.length + 2 }
  const { text, parts } = format === 'mtom' ? extractIncludes(parser, envelope, options) : { text: envelope, parts: [] }
  const root = Buffer.from(text)
  const isXop = format === 'mtom'
  const contentId = contentIdFor(root, 1)
  const rootType = isXop
    ? parameterized(XOP_TYPE, [['charset', 'utf-8'], ['type', type], ...actionParameter])
    : parameterized(type, [['charset', 'utf-8'], ...actionParameter])
  const written = writeMultipart(
    [
      { mediaType: rootType, contentId, name: null, disposition: 'inline', bytes: root },
      ...[...attached, ...parts].map(attachedPart),
    ],
    {
      subtype: 'related',
      parameters: [
        ['type', isXop ? XOP_TYPE : type],
        ['start', `<${contentId}>`],
        ...(isXop ? ([['start-info', type]] as const) : []),
        ...actionParameter,
      ],
      encoding: transferEncoding,
    },
  )
  return { bytes: written.bytes, type: 'multipart/related', parameters: written.parameters, headers }
}

function attachedPart({ name, mediaType, contentId, bytes }: Attached, i: number): PartToWrite {
  const where = `attachment ${i + 1}`
  if (contentId !== null && !/^[!-;=?-~]+$/.test(contentId)) {
    throw componentFault('ATTACHED_INVALID', { where, why: `${JSON.stringify(contentId)} cannot be a Content-ID` })
  }
  return {
    mediaType: mediaType === null ? OCTETS : checkedType(mediaType, where),
    contentId: contentId ?? contentIdFor(bytes, i + 2),
    name: name === null ? null : lastName(name),
    disposition: 'attachment',
    bytes,
  }
}

const lastName = (path: string): string => path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)

/** A Content-Type that can stand in a header as it is. */
function checkedType(text: string, where: string): string {
  if (!/^[ -~]+$/.test(text) || !/^[^/\s;]+\/[^/\s;]+$/.test(parseParameterized(text, where).value)) {
    throw envelopeFault('CONTENT_TYPE_INVALID', { where, why: `${JSON.stringify(text.slice(0, 80))} is no media type` })
  }
  return text
}

function actionOf(row: Row, { action, actionField }: EnvelopeSettings): string | null {
  const given = Object.hasOwn(row, actionField) ? row[actionField] : null
  const text = typeof given === 'string' && given !== '' ? given : (action ?? null)
  if (text !== null && !/^[!#-~]*$/.test(text)) {
    throw envelopeFault('CONTENT_TYPE_INVALID', { where: `field ${actionField}`, why: 'a SOAP action is a URI' })
  }
  return text
}

function headerBlocks(row: Row, field: string, parser: XmlParser): string[] {
  const list = Object.hasOwn(row, field) ? row[field] : null
  if (list === null || list === undefined) return []
  if (!Array.isArray(list) || list.length > SOAP_HEADERS_MAX) {
    throw envelopeFault('SOAP_HEADER_INVALID', {
      where: `field ${field}`,
      why: `it is no list of ${SOAP_HEADERS_MAX} at most`,
    })
  }
  return list.map((each: unknown, i) => {
    const xml =
      each !== null && typeof each === 'object' && Object.hasOwn(each, 'xml') ? (each as { xml: unknown }).xml : each
    const where = `field ${field}[${i}]`
    if (typeof xml !== 'string') throw envelopeFault('SOAP_HEADER_INVALID', { where, why: 'it is no text' })
    return headerElement(parser, xml, where)
  })
}
