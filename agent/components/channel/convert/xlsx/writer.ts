// Records → an Excel workbook of one sheet, whose first row names the columns.
//
// Numbers of more than 15 digits are written as texts: as numbers a spreadsheet would change them. Texts are written as texts and
// never become formulas.

import type { Row, Value } from '../../../contract.ts'
import { cellText } from '../../../formats/mod.ts'
import { escapeText, escapeValue } from '../../../xml/mod.ts'
import { packZip } from '../../compress/mod.ts'
import { type Columns, columnsOf, fieldsOf } from '../columns.ts'
import { convertFault } from '../faults.ts'
import {
  XLSX_CELL_CHARS_MAX,
  XLSX_COLUMNS_MAX,
  XLSX_DIGITS_MAX,
  XLSX_ROWS_MAX,
  XLSX_UNPACKED_BYTES_MAX,
  XLSX_UNPACKED_FACTOR,
} from '../limits.ts'
import type { DocumentWriter } from '../records.ts'
import type { XlsxTo } from '../settings.ts'
import { TextSink } from '../text-sink.ts'
import { columnName } from './reader.ts'
import { serialOf } from './serial.ts'

const DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
const MAIN = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const RELATIONS = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006'
const TYPES = 'application/vnd.openxmlformats-officedocument.spreadsheetml'

/** Styles by their place in `cellXfs`. */
const STYLE_DATE = 1
const STYLE_TIME = 2

const STYLES = `${DECLARATION}<styleSheet xmlns="${MAIN}"><numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/><numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/><xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`

const CONTENT_TYPES = `${DECLARATION}<Types xmlns="${PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="${TYPES}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="${TYPES}.worksheet+xml"/><Override PartName="/xl/styles.xml" ContentType="${TYPES}.styles+xml"/></Types>`

const relations = (...list: readonly (readonly [type: string, target: string])[]): string =>
  `${DECLARATION}<Relationships xmlns="${PACKAGE}/relationships">${list
    .map(([type, target], i) => `<Relationship Id="rId${i + 1}" Type="${RELATIONS}/${type}" Target="${target}"/>`)
    .join('')}</Relationships>`

export function xlsxWriter(settings: XlsxTo, bytesMax: number): DocumentWriter {
  const sink = new TextSink({
    encoding: 'utf-8',
    bom: false,
    bytesMax: Math.min(bytesMax * XLSX_UNPACKED_FACTOR, XLSX_UNPACKED_BYTES_MAX),
  })
  const dates = new Set(settings.dates)
  let columns: Columns | null = null
  let rows = 0
  const begin = (names: readonly string[]): Columns => {
    if (names.length > XLSX_COLUMNS_MAX)
      throw convertFault('CONVERT_VALUE', { why: `a sheet has ${XLSX_COLUMNS_MAX} columns at most` })
    const made = columnsOf(names, settings)
    sink.write(
      `${DECLARATION}<worksheet xmlns="${MAIN}"><sheetData>${rowXml(
        1,
        names.map((name, i) => textCell(`${columnName(i + 1)}1`, name)),
      )}`,
    )
    rows = 1
    return made
  }
  if (settings.columns !== undefined) columns = begin(settings.columns)
  return {
    add: (row) => {
      if (rows >= XLSX_ROWS_MAX)
        throw convertFault('CONVERT_VALUE', { why: `a sheet has ${XLSX_ROWS_MAX} rows at most` })
      columns ??= begin(fieldsOf(row))
      const { names } = columns
      const cells = columns.valuesOf(row).map((value, i) => {
        const name = names[i] as string
        return cellXml(`${columnName(i + 1)}${rows + 1}`, { value: value ?? null, name, isDate: dates.has(name) })
      })
      sink.write(rowXml(rows + 1, cells), row)
      rows += 1
    },
    end: async () => {
      columns ??= begin([])
      sink.write('</sheetData></worksheet>')
      const sheet = sink.end()
      const book = `${DECLARATION}<workbook xmlns="${MAIN}" xmlns:r="${RELATIONS}"><sheets><sheet name="${escapeValue(settings.sheet)}" sheetId="1" r:id="rId1"/></sheets></workbook>`
      const parts = {
        '[Content_Types].xml': CONTENT_TYPES,
        '_rels/.rels': relations(['officeDocument', 'xl/workbook.xml']),
        'xl/workbook.xml': book,
        'xl/_rels/workbook.xml.rels': relations(['worksheet', 'worksheets/sheet1.xml'], ['styles', 'styles.xml']),
        'xl/styles.xml': STYLES,
        'xl/worksheets/sheet1.xml': sheet,
      }
      return packZip(
        Object.entries(parts).map(([name, text]) => ({
          name,
          bytes: typeof text === 'string' ? Buffer.from(text) : text,
        })),
        {},
      )
    },
  }
}

const rowXml = (number: number, cells: readonly string[]): string => `<row r="${number}">${cells.join('')}</row>`

type CellOf = { readonly value: Value; readonly name: string; readonly isDate: boolean }

function cellXml(place: string, { value, name, isDate }: CellOf): string {
  const where = `field ${JSON.stringify(name)}`
  if (value === null) return ''
  if (isDate) return dateCell(place, value, where)
  switch (typeof value) {
    case 'boolean':
      return `<c r="${place}" t="b"><v>${value ? 1 : 0}</v></c>`
    case 'number':
    case 'bigint':
      return isSafeNumber(value) ? `<c r="${place}"><v>${value}</v></c>` : textCell(place, String(value))
    default: {
      const text = cellText(value as Row) ?? ''
      if (text.length > XLSX_CELL_CHARS_MAX) {
        throw convertFault('CONVERT_VALUE', {
          where,
          why: `${text.length} characters; a cell has ${XLSX_CELL_CHARS_MAX} at most`,
        })
      }
      if (!text.isWellFormed()) throw convertFault('CONVERT_VALUE', { where, why: 'it has half a surrogate pair' })
      return textCell(place, text)
    }
  }
}

function dateCell(place: string, value: Value, where: string): string {
  if (value === '') return ''
  const found = typeof value === 'string' ? serialOf(value) : null
  if (found === null) {
    const shown = String(value).slice(0, 40)
    throw convertFault('CONVERT_DATE', { where, why: `${shown} is no date like 2026-03-01 from March 1900 on` })
  }
  return `<c r="${place}" s="${found.time ? STYLE_TIME : STYLE_DATE}"><v>${found.serial}</v></c>`
}

/** Whole numbers with more digits would be rounded; fractions are as exact as here. */
function isSafeNumber(value: number | bigint): boolean {
  if (typeof value === 'bigint') return String(value).replace('-', '').length <= XLSX_DIGITS_MAX
  return Number.isFinite(value) && (!Number.isInteger(value) || Math.abs(value) < 10 ** XLSX_DIGITS_MAX)
}

const textCell = (place: string, text: string): string =>
  `<c r="${place}" t="inlineStr"><is><t xml:space="preserve">${escapeText(escapedControls(text))}</t></is></c>`

/** Characters XML cannot hold, carriage returns, and what would be taken for such an escape. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const TO_ESCAPE = /[\0-\x08\x0b-\x0d\x0e-\x1f\ufffe\uffff]|_(?=x[\dA-Fa-f]{4}_)/g

const escapedControls = (text: string): string =>
  text.replace(TO_ESCAPE, (char) => `_x${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}_`)
