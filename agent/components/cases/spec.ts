// Cases as they stand in a flow file: what goes into its channels, and what is to come of it.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { CASE_ITEMS_MAX, CASE_TEXT_CHARS_MAX, CASES_MAX } from './limits.ts'

const fault = { doc: 'code of a fault', pattern: /^[A-Z][A-Z0-9_]*$/, maxLength: 64, example: 'EXPRESSION_FAILED' }

const contentFields = {
  text: f.text({ doc: 'the document as text', minLength: 0, maxLength: CASE_TEXT_CHARS_MAX, optional: true }),
  file: f.text({ doc: 'a file that holds it; relative to the file with the cases', maxLength: 4_096, optional: true }),
  base64: f.text({
    doc: 'the document in base64',
    minLength: 0,
    maxLength: CASE_TEXT_CHARS_MAX,
    pattern: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
    optional: true,
  }),
}

type Contents = { readonly text?: string; readonly file?: string; readonly base64?: string }

const oneContent = ({ text, file, base64 }: Contents): string | null =>
  [text, file, base64].filter((each) => each !== undefined).length === 1 ? null : 'give one of text, file and base64'

const name = { doc: 'its name', maxLength: 1_024 }
const mediaType = { doc: 'its media type', maxLength: 255, example: 'application/xml' }

const inputDocument = f.object(
  {
    ...contentFields,
    name: f.text({ ...name, optional: true }),
    mediaType: f.text({ ...mediaType, doc: 'its media type; left out: by its name', optional: true }),
  },
  { doc: 'one document', check: oneContent },
)

const expectedDocument = f.object(
  {
    ...contentFields,
    name: f.text({ ...name, optional: true }),
    mediaType: f.text({ ...mediaType, optional: true }),
    compare: f.choice(['auto', 'xml', 'json', 'exact'] as const, {
      doc: 'xml and json by what they say, exact to the last byte; auto: by its media type or its beginning, else exact',
      default: 'auto',
    }),
  },
  { doc: 'one document', check: oneContent },
)

const row = f.record(f.any({ doc: 'value' }), { doc: 'one row' })

const input = f.object(
  {
    rows: f.list(row, { doc: 'rows', min: 1, max: CASE_ITEMS_MAX, optional: true }),
    documents: f.list(inputDocument, { doc: 'documents', min: 1, max: CASE_ITEMS_MAX, optional: true }),
  },
  {
    doc: 'what the source would give',
    check: ({ rows, documents }) =>
      (rows === undefined) === (documents === undefined) ? 'give either rows or documents' : null,
  },
)

const expect = f.object(
  {
    rows: f.list(row, { doc: 'all rows that come, in their order', max: CASE_ITEMS_MAX, optional: true }),
    documents: f.list(expectedDocument, {
      doc: 'all documents that come, in their order',
      max: CASE_ITEMS_MAX,
      optional: true,
    }),
    rejected: f.list(f.text(fault), {
      doc: 'codes with which items are refused, in the order of the steps',
      max: CASE_ITEMS_MAX,
      default: [],
    }),
  },
  { doc: 'what comes of it; rows or documents that are left out are not looked at' },
)

const oneCase = f.object(
  { name: f.text({ doc: 'name of the case', maxLength: 200 }), input, expect },
  {
    doc: 'one case',
    check: ({ expect: { rows, documents, rejected } }) =>
      rows === undefined && documents === undefined && rejected.length === 0 ? 'it expects nothing' : null,
  },
)

/** For the file of what has channels. */
export const casesSpec = f.list(oneCase, {
  doc: 'samples of what goes in with what is to come out; `flow test` runs them, and `start` before the flow',
  max: CASES_MAX,
  default: [],
})

export type ChannelCase = Infer<typeof oneCase>
export type InputDocument = Infer<typeof inputDocument>
export type ExpectedDocument = Infer<typeof expectedDocument>
