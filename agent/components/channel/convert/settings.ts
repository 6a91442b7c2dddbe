// Settings of the `convert` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { DOCUMENT_BYTES_DEFAULT, DOCUMENT_BYTES_MAX, FIELDS_MAX } from '../../limits.ts'
import { csvProblem, csvSettings, encodingField } from '../../support/mod.ts'
import { missingUnit, patternProblem } from './dates.ts'
import {
  FIXED_COLUMNS_MAX,
  FIXED_WIDTH_MAX,
  PATH_STEPS_MAX,
  RECORDS_DEFAULT,
  RECORDS_MAX,
  XLSX_COLUMNS_MAX,
  XLSX_SHEET_NAME_CHARS_MAX,
} from './limits.ts'
import { templateProblem } from './naming.ts'
import { columnsProblem } from './places.ts'
import { pathsProblem, recordPathProblem, valuePathProblem } from './xml-path.ts'
import { shapeProblem } from './xml-writer.ts'

const column = f.text({ doc: 'a column', maxLength: 128 })
const fieldName = f.text({ doc: 'a field', maxLength: 128 })
/** Names of fields; one named so would be lost where rows are copied. */
const fieldKeys = /^(?!__proto__$)[^\0]{1,128}$/

function columnNamesProblem(columns: readonly string[] = []): string | null {
  const twice = columns.find((name, i) => columns.indexOf(name) !== i)
  if (twice !== undefined) return `\`columns\` names ${twice} twice`
  return columns.includes('__proto__') ? '`columns` cannot name __proto__' : null
}

const pointer = (doc: string) =>
  f.text({
    doc,
    minLength: 0,
    maxLength: 1_000,
    default: '',
    check: (path) => {
      if (path !== '' && !/^(\/([^~/]|~[01])*)+$/.test(path)) return 'a JSON Pointer starts with / and writes ~ as ~0'
      return path.split('/').length - 1 > PATH_STEPS_MAX ? `it has more than ${PATH_STEPS_MAX} steps` : null
    },
  })

const bom = f.boolean({ doc: 'Write a byte order mark first', default: false })
const lineEnd = f.choice(['crlf', 'lf'], { doc: 'Line ends; RFC 4180 has crlf', default: 'crlf' })
const ignoreExtra = f.boolean({ doc: 'Leave out fields that have no column', default: false })

const bomProblem = ({ bom, encoding }: { readonly bom: boolean; readonly encoding: string }): string | null =>
  !bom || /^utf-|^gb18030$/.test(encoding) ? null : `\`bom\`: ${encoding} has none`

const textFrom = f.object({ encoding: encodingField })
const textTo = f.object({ encoding: encodingField, bom }, { check: bomProblem })

const csvFrom = f.object(
  {
    encoding: encodingField,
    ...csvSettings,
    header: f.boolean({ doc: 'The first record names the columns', default: true }),
    columns: f.list(column, {
      doc: 'Names of the columns without a header; with one, the columns it must have',
      min: 1,
      max: FIELDS_MAX,
      optional: true,
    }),
  },
  {
    check: (settings) => {
      if (!settings.header && settings.columns === undefined) return 'documents without a header need `columns`'
      return csvProblem(settings) ?? columnNamesProblem(settings.columns)
    },
  },
)

const csvTo = f.object(
  {
    encoding: encodingField,
    bom,
    ...csvSettings,
    header: f.boolean({ doc: 'Write the names of the columns first', default: true }),
    columns: f.list(column, {
      doc: 'Fields to write, in this order; left out: those of the first record',
      min: 1,
      max: FIELDS_MAX,
      optional: true,
    }),
    ignoreExtra,
    lineEnd,
    formulaSafe: f.boolean({
      doc: 'Put an apostrophe before values a spreadsheet would run as a formula. This changes them',
      default: false,
    }),
  },
  { check: (settings) => csvProblem(settings) ?? bomProblem(settings) ?? columnNamesProblem(settings.columns) },
)

const jsonFrom = f.object({
  encoding: encodingField,
  path: pointer('JSON Pointer (RFC 6901) to the list of records, or to the one record, such as /data/items'),
})
const jsonTo = f.object(
  {
    encoding: encodingField,
    bom,
    path: pointer('JSON Pointer under which the records are to stand in the document'),
    single: f.boolean({ doc: 'The document is the one record, not a list', default: false }),
    indent: f.integer({ doc: 'Blanks for each level; 0: all in one line', min: 0, max: 8, default: 0 }),
  },
  { check: bomProblem },
)

const fixedColumn = f.object({
  name: column,
  width: f.integer({ doc: 'Width', min: 1, max: FIXED_WIDTH_MAX }),
  start: f.integer({
    doc: 'Where it starts, from 1; left out: where the one before ends',
    min: 1,
    max: FIXED_WIDTH_MAX,
    optional: true,
  }),
  align: f.choice(['left', 'right'], {
    doc: 'Side on which the value stands; padding is on the other',
    default: 'left',
  }),
  pad: f.text({
    doc: 'Padding character; zeros on the left stand behind the sign of a number',
    maxLength: 1,
    pattern: /^[ -~]$/,
    default: ' ',
  }),
  trim: f.boolean({ doc: 'Take the padding off when reading', default: true }),
})
export type FixedColumn = Infer<typeof fixedColumn>

const fixedColumns = f.list(fixedColumn, {
  doc: 'The columns in order',
  min: 1,
  max: FIXED_COLUMNS_MAX,
  check: columnsProblem,
})
const unit = f.choice(['bytes', 'characters'], { doc: 'What widths count', default: 'bytes' })
const fixedLineEnd = f.choice(['crlf', 'lf', 'none'], {
  doc: 'Line ends; none: records follow each other at once',
  default: 'crlf',
})

type FixedCommon = { readonly encoding: string; readonly unit: string; readonly lineEnd: string }
function fixedProblem({ encoding, unit, lineEnd }: FixedCommon): string | null {
  if (unit === 'bytes' && encoding.startsWith('utf-16')) return '`unit: bytes` does not go with utf-16'
  return unit === 'characters' && lineEnd === 'none' ? '`lineEnd: none` goes with `unit: bytes`' : null
}

const fixedFrom = f.object(
  {
    encoding: encodingField,
    columns: fixedColumns,
    unit,
    lineEnd: fixedLineEnd,
    short: f.boolean({ doc: 'Lines may end early; what is missing is blank', default: false }),
  },
  { check: fixedProblem },
)
const fixedTo = f.object(
  { encoding: encodingField, bom, columns: fixedColumns, unit, lineEnd: fixedLineEnd, ignoreExtra },
  { check: (settings) => fixedProblem(settings) ?? bomProblem(settings) },
)

const namespaces = f.record(f.text({ doc: 'a namespace', maxLength: 1_000 }), {
  doc: 'Prefix: namespace, for paths here. Names without a prefix fit whatever the namespace is',
  max: 64,
  keys: /^(?!xml)[A-Za-z_][\w.-]{0,63}$/,
  default: {},
})

const xmlFrom = f.object(
  {
    path: f.text({
      doc: 'Path of the elements that are records, such as /list/item; left out: the root is one record in a field of its name',
      maxLength: 1_000,
      optional: true,
      check: recordPathProblem,
    }),
    fields: f.record(
      f.text({
        doc: 'a path from the record: name, a/b, @id, a/@id or . (its text)',
        maxLength: 1_000,
        check: valuePathProblem,
      }),
      {
        doc: 'Field: path from the record. Left out: the record is a tree (see Channels)',
        max: FIELDS_MAX,
        keys: fieldKeys,
        optional: true,
      },
    ),
    arrays: f.list(fieldName, {
      doc: 'Fields, in trees names of elements, that are lists even with one value',
      max: FIELDS_MAX,
      default: [],
    }),
    interleaved: f.boolean({
      doc: 'Trees: take elements of one name that stand apart as one list; their order among the others is lost',
      default: false,
    }),
    trim: f.boolean({ doc: 'Take white space off both ends of values', default: false }),
    namespaces,
  },
  { check: pathsProblem },
)

const xmlTo = f.object(
  {
    encoding: encodingField,
    bom,
    path: f.text({
      doc: 'Path of the elements that the records become, such as /list/item; left out: the one record has one field, the root',
      maxLength: 1_000,
      optional: true,
      check: recordPathProblem,
    }),
    fields: f.record(
      f.text({ doc: 'a path in the record: name, a/b, @id, a/@id or .', maxLength: 1_000, check: valuePathProblem }),
      {
        doc: 'Field: path in the record, written in this order. Left out: the record is a tree (see Channels)',
        max: FIELDS_MAX,
        keys: fieldKeys,
        optional: true,
      },
    ),
    nulls: f.choice(['omit', 'empty'], { doc: 'Fields without a value: no element, or an empty one', default: 'omit' }),
    ignoreExtra: f.boolean({ doc: 'Leave out fields that `fields` does not list', default: false }),
    namespaces: f.record(f.text({ doc: 'a namespace', maxLength: 1_000 }), {
      doc: 'Prefix: namespace, declared at the root; the prefix `default` is for names without one',
      max: 64,
      keys: /^(?!xml)[A-Za-z_][\w.-]{0,63}$/,
      default: {},
    }),
    declaration: f.boolean({ doc: 'Write the XML declaration', default: true }),
    indent: f.integer({ doc: 'Blanks for each level; 0: no line breaks', min: 0, max: 8, default: 0 }),
  },
  {
    check: (settings) => bomProblem(settings) ?? pathsProblem(settings) ?? shapeProblem(settings.fields ?? {}),
  },
)

const xlsxFrom = f.object({
  sheet: f.text({ doc: 'Name of the sheet, or its number from 1', maxLength: 31, default: '1' }),
  headerRow: f.integer({
    doc: 'Row that names the columns; 0: none, fields are A, B, …',
    min: 0,
    max: 1_000,
    default: 1,
  }),
  columns: f.list(column, {
    doc: 'Columns the header must have; without one, the names of the columns from A on',
    min: 1,
    max: XLSX_COLUMNS_MAX,
    optional: true,
  }),
  numbers: f.choice(['number', 'text'], {
    doc: 'Numbers as numbers, or as the decimal text that the workbook has',
    default: 'number',
  }),
})
const xlsxTo = f.object(
  {
    sheet: f.text({
      doc: 'Name of the sheet',
      maxLength: XLSX_SHEET_NAME_CHARS_MAX,
      pattern: /^(?!')[^[\]:*?/\\]+(?<!')$/,
      default: 'Sheet1',
    }),
    columns: f.list(column, {
      doc: 'Fields to write, in this order; left out: those of the first record',
      min: 1,
      max: XLSX_COLUMNS_MAX,
      optional: true,
    }),
    ignoreExtra,
    dates: f.list(fieldName, {
      doc: 'Fields whose texts (2026-03-01, 2026-03-01T08:30:00) become dates of the spreadsheet',
      max: FIELDS_MAX,
      default: [],
    }),
  },
  { check: ({ columns }) => columnNamesProblem(columns) },
)

const rows = f.object({})

const datePattern = (doc: string) => f.text({ doc, maxLength: 64, default: 'yyyy-MM-dd', check: patternProblem })

export const convertSettings = f.object(
  {
    from: f.variant(
      {
        rows,
        csv: csvFrom,
        jsonl: textFrom,
        json: jsonFrom,
        fixed: fixedFrom,
        xml: xmlFrom,
        xlsx: xlsxFrom,
        text: textFrom,
      },
      { doc: 'What comes: rows, or documents in a format' },
    ),
    to: f.variant(
      { rows, csv: csvTo, jsonl: textTo, json: jsonTo, fixed: fixedTo, xml: xmlTo, xlsx: xlsxTo, text: textTo },
      { doc: 'What it becomes: rows, or documents in a format' },
    ),
    dates: f.record(
      f.object(
        { from: datePattern('Pattern it comes in'), to: datePattern('Pattern it goes out in') },
        {
          check: ({ from, to }) => {
            const missing = missingUnit(from, to)
            return missing === null ? null : `\`from\` does not have the ${missing} that \`to\` wants`
          },
        },
      ),
      {
        doc: 'Field: its dates in another pattern, of yyyy, MM, M, dd, d, HH, H, mm, ss, SSS; letters in quotes stand for themselves',
        max: FIELDS_MAX,
        keys: fieldKeys,
        default: {},
      },
    ),
    numbers: f.record(
      f.object(
        {
          decimal: f.choice(['point', 'comma'], { doc: 'Decimal sign', default: 'point' }),
          group: f.choice(['none', 'comma', 'point', 'space', 'apostrophe'], {
            doc: 'Sign between groups of three digits',
            default: 'none',
          }),
        },
        { check: ({ decimal, group }) => (decimal === group ? '`decimal` and `group` are the same sign' : null) },
      ),
      { doc: 'Field: its texts become numbers', max: FIELDS_MAX, keys: fieldKeys, default: {} },
    ),
    onBroken: f.choice(['reject-document', 'reject-row'], {
      doc: 'A document with a broken record is rejected whole, because a document is one message; or the record alone, with its text',
      default: 'reject-document',
    }),
    recordsMax: f.integer({
      doc: 'Most records of one document that become rows',
      min: 1,
      max: RECORDS_MAX,
      default: RECORDS_DEFAULT,
    }),
    keep: f.list(fieldName, {
      doc: "To rows: fields of the document's row, such as name, that each gets",
      max: FIELDS_MAX,
      default: [],
    }),
    group: f.list(fieldName, {
      doc: 'From rows: those that are equal in these fields make one document; left out: all that come at once',
      max: 16,
      lone: true,
      default: [],
    }),
    name: f.text({
      doc: 'Name of the document, with {field} of its row, {:stem} (name without its ending), {:digest} (of the content, 16 digits), {:rows} (their number)',
      maxLength: 500,
      optional: true,
      check: templateProblem,
    }),
    field: f.text({
      doc: 'field of the row that holds the document; left out: the content of the item is the document',
      maxLength: 200,
      optional: true,
    }),
    bytesMax: f.bytes({
      doc: 'largest document taken or made; it is held in memory whole',
      min: 1,
      max: DOCUMENT_BYTES_MAX,
      default: DOCUMENT_BYTES_DEFAULT,
    }),
  },
  {
    check: ({ from, to, group, keep, name, field, dates, numbers }) => {
      const both = Object.keys(dates).find((each) => Object.hasOwn(numbers, each))
      if (both !== undefined) return `${both} is in \`dates\` and in \`numbers\``
      if ((from.type === 'text') !== (to.type === 'text'))
        return '`text` becomes `text`: name the format for anything else'
      if (group.length > 0 && (from.type !== 'rows' || to.type === 'rows'))
        return '`group` is for documents made of rows'
      if (keep.length > 0 && to.type !== 'rows') return '`keep` is for rows made of documents'
      if (name !== undefined && to.type === 'rows') return '`name` is for documents'
      return field !== undefined && name !== undefined ? '`name` is for contents: a field has none' : null
    },
  },
)

export type ConvertSettings = Infer<typeof convertSettings>
export type TextFrom = Infer<typeof textFrom>
export type TextTo = Infer<typeof textTo>
export type CsvFrom = Infer<typeof csvFrom>
export type CsvTo = Infer<typeof csvTo>
export type JsonFrom = Infer<typeof jsonFrom>
export type JsonTo = Infer<typeof jsonTo>
export type FixedFrom = Infer<typeof fixedFrom>
export type FixedTo = Infer<typeof fixedTo>
export type XmlFrom = Infer<typeof xmlFrom>
export type XmlTo = Infer<typeof xmlTo>
export type XlsxFrom = Infer<typeof xlsxFrom>
export type XlsxTo = Infer<typeof xlsxTo>
