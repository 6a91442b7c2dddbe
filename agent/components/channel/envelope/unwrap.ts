// Taking envelopes off: a MIME multipart or a SOAP message → the root's document, and its attachments.

import type { Item, Row, Value } from '../../contract.ts'
import { documentOf, withDocument } from '../../document.ts'
import { decodeXml, type XmlParser } from '../../xml/mod.ts'
import { attachedValue } from '../attached.ts'
import { envelopeFault } from './faults.ts'
import { readForm } from './form-reader.ts'
import { decoded, type Headers, type Parameterized, parseParameterized } from './header.ts'
import { FORM_COPIED_BYTES_MAX } from './limits.ts'
import { type Part, parseMultipart, splitMessage } from './mime-reader.ts'
import type { EnvelopeSettings } from './settings.ts'
import { expandedName, type SoapHeader, unwrapSoap } from './soap.ts'
import { inlineIncludes, XOP_TYPE } from './xop.ts'

type Opened = { readonly type: Parameterized | null; readonly headers: Headers; readonly body: Buffer }

/** Faults: `CONTENT_TYPE_…`, `MIME_…`, `SOAP_…`, `XOP_INVALID`, those of XML and of documents. */
export async function unwrap(item: Item, settings: EnvelopeSettings, parser: XmlParser): Promise<readonly Item[]> {
  const opened = open(await documentOf(item, settings), item.row, settings)
  if (settings.format === 'multipart') {
    const { root, others } = partsOf(opened, settings)
    return itemsOf(item, { document: root.bytes, mediaType: root.mediaType, name: root.name, others }, settings)
  }
  if (settings.format === 'form') return form(item, opened, settings)
  return soap(item, opened, { settings, parser })
}

/** The document is the file that `documentName` names, else the first; of a form without files its values, as JSON. */
function form(item: Item, { type, body }: Opened, settings: EnvelopeSettings): readonly Item[] {
  const { partsMax, lf, formCharset, formField, documentName } = settings
  if (type === null) throw envelopeFault('CONTENT_TYPE_MISSING', {})
  if (type.value !== 'multipart/form-data')
    throw envelopeFault('CONTENT_TYPE_INVALID', { why: `${type.value} is no form` })
  const { values, valueBytes, files } = readForm(body, type, { partsMax, lf, charset: formCharset })
  const given = Object.fromEntries(
    [...values].map(([name, texts]) => [name, texts.length === 1 ? texts[0] : texts]),
  ) as Row
  if (settings.attachments === 'items' && valueBytes * files.length > FORM_COPIED_BYTES_MAX) {
    const why = `${valueBytes} bytes of values for each of ${files.length} files`
    throw envelopeFault('MIME_LIMIT', { why, todo: 'Set `attachments: field`, or have fewer files sent at once' })
  }
  const root = documentName === undefined ? files[0] : files.find(({ formName }) => formName === documentName)
  if (root === undefined && documentName !== undefined)
    throw envelopeFault('MIME_INVALID', { why: `the form has no file named ${JSON.stringify(documentName)}` })
  const {
    bytes: document,
    mediaType,
    name,
    formName,
  } = root ?? {
    bytes: Buffer.from(JSON.stringify(given)),
    mediaType: 'application/json',
    name: null,
  }
  const row: Row = { [formField]: given, ...(formName === undefined ? {} : { formName }) }
  return itemsOf(item, { document, mediaType, name, others: files.filter((file) => file !== root), row }, settings)
}

function open(bytes: Buffer, row: Row, { headers, contentTypeField, lf }: EnvelopeSettings): Opened {
  if (headers === 'inside') {
    const { headers, body } = splitMessage(bytes, { lf })
    const text = headers.get('content-type')
    return { type: text === undefined ? null : parseParameterized(text, 'the message'), headers, body }
  }
  const text = Object.hasOwn(row, contentTypeField) ? row[contentTypeField] : null
  const type = typeof text === 'string' && text !== '' ? parseParameterized(text, `field ${contentTypeField}`) : null
  return { type, headers: new Map(), body: bytes }
}

/** The root of multipart/related is the part that `start` names, of all others the first (RFC 2387, section 3.2). */
function partsOf({ type, body }: Opened, settings: EnvelopeSettings): { root: Part; others: readonly Part[] } {
  if (type === null) throw envelopeFault('CONTENT_TYPE_MISSING', {})
  if (!type.value.startsWith('multipart/'))
    throw envelopeFault('CONTENT_TYPE_INVALID', { why: `${type.value} is no multipart` })
  const parts = parseMultipart(body, type, settings)
  const start = type.value === 'multipart/related' ? type.parameters.get('start') : undefined
  const id = start?.replace(/^<(.*)>$/, '$1')
  const root = id === undefined ? parts[0] : parts.find(({ contentId }) => contentId === id)
  if (root === undefined)
    throw envelopeFault('MIME_INVALID', {
      why: id === undefined ? 'it has no part' : `no part has the Content-ID ${id} of \`start\``,
    })
  return { root, others: parts.filter((part) => part !== root) }
}

function soap(
  item: Item,
  opened: Opened,
  { settings, parser }: { readonly settings: EnvelopeSettings; readonly parser: XmlParser },
): readonly Item[] {
  const isMultipart = opened.type?.value.startsWith('multipart/') === true
  if (isMultipart && settings.format === 'soap') {
    throw envelopeFault('CONTENT_TYPE_INVALID', { why: 'it is a multipart: set `format: swa` or `mtom`' })
  }
  const { root, others } = isMultipart
    ? partsOf(opened, settings)
    : { root: { type: opened.type, bytes: opened.body }, others: [] }
  const charset = root.type?.parameters.get('charset') ?? null
  const given = charset === null ? decodeXml(root.bytes) : textIn(root.bytes, charset)
  const isXop = root.type?.value === XOP_TYPE && settings.inline
  const byId = new Map(others.map(({ contentId, bytes }) => [contentId, bytes]))
  const contentOf = (id: string): Buffer | null => byId.get(id) ?? null
  const { text, used } = isXop ? inlineIncludes(parser, given, contentOf) : { text: given, used: NONE }
  const message = unwrapSoap(parser, text, settings.namespaces)
  if (message.fault !== null && settings.onFault === 'reject') {
    const { code, reason } = message.fault
    throw envelopeFault('SOAP_FAULT', { why: `${code}: ${reason}`, soapCode: code, soapReason: reason })
  }
  const action = actionOf(opened, root.type)
  const row: Row = {
    soapVersion: message.version,
    ...(action === null ? {} : { [settings.actionField]: action }),
    ...headerRow(message.headers, settings),
    ...(message.fault === null ? {} : { soapFault: message.fault }),
  }
  const left = others.filter(({ contentId }) => contentId === null || !used.has(contentId))
  return itemsOf(
    item,
    { document: message.body, mediaType: 'application/xml', name: null, others: left, row },
    settings,
  )
}

const NONE: ReadonlySet<string> = new Set()

/** What Content-Type says of the character set goes before what the document says (RFC 7303, section 3), but not before its mark. */
function textIn(bytes: Buffer, charset: string): string {
  const isMarked =
    (bytes[0] === 0xef && bytes[1] === 0xbb) ||
    (bytes[0] === 0xff && bytes[1] === 0xfe) ||
    (bytes[0] === 0xfe && bytes[1] === 0xff)
  return isMarked || /^utf-16/i.test(charset) ? decodeXml(bytes) : decoded(bytes, charset, 'the root')
}

function actionOf({ type, headers }: Opened, rootType: Parameterized | null): string | null {
  const header = headers.get('soapaction')?.replace(/^"(.*)"$/, '$1')
  const nested = rootType?.parameters.get('type')
  const inType = nested === undefined ? undefined : parseParameterized(nested, 'the root').parameters.get('action')
  const action = header ?? type?.parameters.get('action') ?? rootType?.parameters.get('action') ?? inType
  return action === undefined || action === '' ? null : action
}

/** Faults: `SOAP_NOT_UNDERSTOOD`. */
function headerRow(
  headers: readonly SoapHeader[],
  { headersField, headerFields, mustUnderstand }: EnvelopeSettings,
): Row {
  const known = new Set(Object.values(headerFields))
  const unknown = headers.find((header) => header.mustUnderstand && !known.has(expandedName(header)))
  if (unknown !== undefined && mustUnderstand === 'refuse') {
    throw envelopeFault('SOAP_NOT_UNDERSTOOD', { where: expandedName(unknown) })
  }
  const row: Record<string, Value> = {}
  for (const [field, wanted] of Object.entries(headerFields)) {
    row[field] = headers.find((header) => expandedName(header) === wanted)?.text ?? null
  }
  return headers.length === 0 ? row : { ...row, [headersField]: headers.map((header): Value => ({ ...header })) }
}

type Unwrapped = {
  readonly document: Buffer | string
  readonly mediaType: string | null
  readonly name: string | null
  readonly others: readonly Part[]
  readonly row?: Row
}

function itemsOf(
  item: Item,
  { document, mediaType, name, others, row = {} }: Unwrapped,
  settings: EnvelopeSettings,
): readonly Item[] {
  const { field, attachments, attachmentsField, contentTypeField } = settings
  const changed = withDocument(item, document, settings)
  const isContent = field === undefined
  const root: Row = {
    ...changed.row,
    ...(isContent ? { mediaType, ...(name === null ? {} : { name }) } : { [contentTypeField]: mediaType }),
    ...row,
  }
  if (attachments === 'field' || settings.format === 'soap') {
    if (settings.format === 'soap') return [{ ...changed, row: root }]
    return [{ ...changed, row: { ...root, [attachmentsField]: others.map(partValue) } }]
  }
  const parts = others.length + 1
  const files = others.map(({ name, mediaType, contentId, bytes, formName }, i) => {
    const told =
      formName === undefined ? { contentId } : { [settings.formField]: row[settings.formField] ?? null, formName }
    const numbered = { name: name ?? `part-${i + 2}`, mediaType, ...told, part: i + 2, parts }
    const { row: given, ...rest } = withDocument(item, bytes, settings)
    return { ...rest, row: { ...given, ...numbered } }
  })
  return [{ ...changed, row: { ...root, part: 1, parts } }, ...files]
}

const partValue = (part: Part): Value => {
  const value = attachedValue(part) as Row
  return part.formName === undefined ? value : { ...value, formName: part.formName }
}
