// Settings of the `envelope` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { DOCUMENT_BYTES_MAX } from '../../limits.ts'
import { EXTRACT_BYTES_DEFAULT, FORM_NAME_CHARS_MAX, PARTS_DEFAULT, PARTS_MAX, SOAP_HEADERS_MAX } from './limits.ts'

const fieldName = (doc: string, fallback: string) => f.text({ doc, maxLength: 200, default: fallback })
const EXPANDED = /^\{[^{}\s]+\}[^{}\s:]+$/

export const envelopeSettings = f.object(
  {
    format: f.choice(['multipart', 'soap', 'swa', 'mtom', 'form'], {
      doc: 'MIME multipart; SOAP 1.1 and 1.2; SOAP with attachments; SOAP with MTOM/XOP; a web form (multipart/form-data)',
    }),
    direction: f.choice(['wrap', 'unwrap'], { doc: 'put the envelope on, or take it off' }),
    ...documentSettings,
    contentTypeField: fieldName('field with the Content-Type of the envelope; wrap fills it', 'mediaType'),
    headers: f.choice(['outside', 'inside'], {
      doc: 'outside: the Content-Type is in the field, as of HTTP; inside: the document begins with its MIME headers',
      default: 'outside',
    }),
    attachments: f.choice(['items', 'field'], {
      doc: 'unwrap: attachments come as items of their own behind the root, or in `attachmentsField` of the root',
      default: 'items',
    }),
    attachmentsField: fieldName(
      'field with the attachments, a list of `{ name, mediaType, contentId, bytes or text or base64 }`; wrap takes them from it',
      'attachments',
    ),
    partsMax: f.integer({ doc: 'unwrap: most parts of a message', min: 1, max: PARTS_MAX, default: PARTS_DEFAULT }),
    lf: f.boolean({ doc: 'unwrap: lines of MIME may end in LF alone', default: false }),
    nested: f.boolean({
      doc: 'unwrap: multiparts inside are opened, and their parts stand in their place',
      default: false,
    }),
    subtype: f.choice(['mixed', 'related'], { doc: 'wrap multipart: mixed or related', default: 'mixed' }),
    transferEncoding: f.choice(['binary', 'base64', 'quoted-printable'], {
      doc: 'wrap: Content-Transfer-Encoding of parts; quoted-printable for text, base64 for the others; mail needs one of these two',
      default: 'binary',
    }),
    formField: fieldName('form: field with its values by name; a list where a name comes several times', 'form'),
    documentName: f.text({
      doc: 'form: name of the part that is the document; left out: unwrap takes the first file, wrap names it file',
      maxLength: FORM_NAME_CHARS_MAX,
      optional: true,
    }),
    formCharset: f.choice(['utf-8', 'gb18030', 'big5', 'shift_jis', 'euc-kr', 'windows-1252'], {
      doc: 'unwrap form: encoding of names, and of values that do not say theirs',
      default: 'utf-8',
    }),
    soapVersion: f.choice(['1.1', '1.2'], { doc: 'wrap: version of SOAP; unwrap takes both', default: '1.1' }),
    action: f.text({
      doc: 'wrap: SOAP action, if the row has none in `actionField`',
      maxLength: 1_000,
      optional: true,
    }),
    actionField: fieldName('field with the SOAP action', 'soapAction'),
    headersField: fieldName('field with the SOAP header blocks, a list of `{ xml }` and more', 'soapHeaders'),
    headerFields: f.record(f.text({ doc: 'a header block as {namespace}name', maxLength: 500, pattern: EXPANDED }), {
      doc: 'unwrap: field: {namespace}name of the header block whose text it takes; null when it is not there',
      max: SOAP_HEADERS_MAX,
      keys: /^(?!__proto__$)[^\0]{1,200}$/,
      default: {},
    }),
    mustUnderstand: f.choice(['keep', 'refuse'], {
      doc: 'unwrap: what becomes of messages with a header block that must be understood and is not in `headerFields`',
      default: 'keep',
    }),
    onFault: f.choice(['reject', 'pass'], {
      doc: 'unwrap: SOAP faults are rejected with their reason, or pass as documents with code and reason in the field soapFault',
      default: 'reject',
    }),
    namespaces: f.choice(['used', 'all'], {
      doc: 'unwrap: the body takes along the namespaces of the envelope whose prefix occurs in it, or all',
      default: 'used',
    }),
    inline: f.boolean({ doc: 'unwrap mtom: what xop:Include names is put in its place, as base64', default: true }),
    extract: f.list(f.text({ doc: 'an element, as name or {namespace}name', maxLength: 500 }), {
      doc: 'wrap mtom: elements whose base64 becomes a part',
      max: 100,
      default: [],
    }),
    extractBytesMin: f.bytes({
      doc: 'wrap mtom: less stays base64',
      min: 0,
      max: DOCUMENT_BYTES_MAX,
      default: EXTRACT_BYTES_DEFAULT,
    }),
  },
  {
    check: ({ format, direction, field, attachments, extract, transferEncoding, nested }) => {
      if (format === 'form' && (transferEncoding !== 'binary' || nested))
        return 'a form has neither transfer encodings nor multiparts inside'
      if (extract.length > 0 && (format !== 'mtom' || direction === 'unwrap'))
        return '`extract` is for wrapping in mtom'
      return field !== undefined && direction === 'unwrap' && format !== 'soap' && attachments === 'items'
        ? 'of a document in a `field` the attachments must come with `attachments: field`'
        : null
    },
  },
)

export type EnvelopeSettings = Infer<typeof envelopeSettings>
