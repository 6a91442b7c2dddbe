// Excel workbooks → records: the rows of a sheet below the one that names the columns.
//
// Texts stay texts, so that an identity number in a text cell keeps its 18 digits. A number cell has 15 digits at most, whatever was
// typed into it: the program that saved it has dropped the others, and nobody can bring them back.

import type { Fault } from '#protocol/base/mod.ts'
import type { Value } from '../../../contract.ts'
import { componentFault } from '../../../faults.ts'
import { isExact } from '../../../formats/mod.ts'
import { listNames, suggestion } from '../../../names.ts'
import type { XmlTree } from '../../../xml/mod.ts'
import { convertFault } from '../faults.ts'
import { BATCH_RECORDS, XLSX_COLUMNS_MAX, XLSX_ROWS_MAX } from '../limits.ts'
import type { DocumentReader, ReadRecord } from '../records.ts'
import type { XlsxFrom } from '../settings.ts'
import { elementsIn } from '../xml-path.ts'
import { isoOf } from './serial.ts'
import {
  attributeOf,
  childrenOf,
  descendants,
  localOf,
  openWorkbook,
  richText,
  unescaped,
  type Workbook,
} from './workbook.ts'

export function xlsxReader(settings: XlsxFrom, bytesMax: number): DocumentReader {
  return async function* (bytes, name) {
    const workbook = await openWorkbook(bytes, { sheet: settings.sheet, name, bytesMax })
    const sheet = new Sheet(workbook, settings, name)
    let batch: ReadRecord[] = []
    for (const record of sheet.records()) {
      batch.push(record)
      if (batch.length < BATCH_RECORDS) continue
      yield batch
      batch = []
    }
    yield batch
  }
}

/** A cell that has no value to take: why. */
class Unusable {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}
type Cell = Value | Unusable

/** Row and column from 1. */
type SheetRow = { readonly number: number; readonly cells: Cell[] }
type Merged = { readonly top: number; readonly bottom: number; readonly left: number; readonly right: number }

class Sheet {
  readonly #workbook: Workbook
  readonly #settings: XlsxFrom
  readonly #name: string

  constructor(workbook: Workbook, settings: XlsxFrom, name: string) {
    this.#workbook = workbook
    this.#settings = settings
    this.#name = name
  }

  *records(): Generator<ReadRecord> {
    const { headerRow, columns } = this.#settings
    let names: readonly string[] | null = headerRow === 0 ? (columns ?? []) : null
    for (const row of this.#filled()) {
      if (row.number < headerRow) continue
      if (row.number === headerRow) {
        names = this.#header(row)
        continue
      }
      if (names === null) throw this.#headerFault(headerRow, 'the row is empty')
      if (row.cells.every((cell) => cell === null || cell === undefined)) continue
      yield this.#record(row, names)
    }
  }

  #header({ number, cells }: SheetRow): string[] {
    const names = Array.from(cells, (cell) => {
      if (cell instanceof Unusable) throw this.#headerFault(number, cell.why)
      return String(cell ?? '').trim()
    })
    const twice = names.find((name, i) => name !== '' && names.indexOf(name) !== i)
    if (twice !== undefined) throw this.#headerFault(number, `the column ${JSON.stringify(twice)} appears twice`)
    if (names.includes('__proto__')) throw this.#headerFault(number, 'a column is named __proto__')
    const missing = (this.#settings.columns ?? []).find((column) => !names.includes(column))
    if (missing !== undefined) {
      const known = names.filter((name) => name !== '')
      const why = `there is no column ${JSON.stringify(missing)} among ${listNames(known, 'and')}. ${suggestion(missing, known)}`
      throw this.#headerFault(number, why)
    }
    return names
  }

  #headerFault(row: number, why: string): Fault {
    return componentFault('FILE_HEADER', { where: `${this.#name}:${row}`, why, line: row })
  }

  #record({ number, cells }: SheetRow, names: readonly string[]): ReadRecord {
    const row: Record<string, Value> = {}
    for (const name of names) if (name !== '') row[name] = null
    const open = this.#settings.headerRow === 0 && this.#settings.columns === undefined
    for (let i = 0; i < cells.length; i += 1) {
      const cell = cells[i] ?? null
      if (cell === null) continue
      const name = open ? columnName(i + 1) : (names[i] ?? '')
      const where = `${this.#name}:${columnName(i + 1)}${number}`
      if (cell instanceof Unusable)
        return broken(cells, convertFault('CONVERT_CELL', { where, why: cell.why, line: number }))
      if (name === '') {
        const why = 'its column has no name'
        return broken(cells, convertFault('CONVERT_CELL', { where, why, line: number, column: i + 1 }))
      }
      row[name] = cell
    }
    return { row }
  }

  /** Rows with the cells of merged areas filled, each with the value of the area's first cell. */
  *#filled(): Generator<SheetRow> {
    const waiting = this.#merged()
    let active: { readonly area: Merged; readonly value: Cell }[] = []
    for (const row of this.#rows()) {
      active = active.filter(({ area }) => area.bottom >= row.number)
      while (waiting.length > 0 && (waiting.at(-1) as Merged).top <= row.number) {
        const area = waiting.pop() as Merged
        // Its first row may be empty and then not be there at all.
        const value = area.top === row.number ? (row.cells[area.left - 1] ?? null) : null
        if (area.bottom >= row.number) active.push({ area, value })
        if (active.length > XLSX_COLUMNS_MAX)
          throw this.#broken('more merged areas lie side by side than there are columns')
      }
      for (const { area, value } of active) {
        if (value === null) continue
        for (let column = area.left; column <= area.right; column += 1) row.cells[column - 1] = value
      }
      yield row
    }
  }

  /** Last first. */
  #merged(): Merged[] {
    const tree = this.#workbook.sheet
    const areas = [...descendants(tree, 'mergeCell')].map((node) => {
      const [first = '', last = first] = (attributeOf(tree, node, 'ref') ?? '').split(':')
      const [from, to] = [placeOf(first), placeOf(last)]
      if (from === null || to === null) throw this.#broken('a merged area has no place')
      return { top: from.row, bottom: to.row, left: from.column, right: to.column }
    })
    return areas.sort((a, b) => b.top - a.top || b.left - a.left)
  }

  *#rows(): Generator<SheetRow> {
    const tree = this.#workbook.sheet
    const [data] = descendants(tree, 'sheetData')
    if (data === undefined) return
    let number = 0
    for (const node of childrenOf(tree, data, 'row')) {
      const said = attributeOf(tree, node, 'r')
      const next = said === null ? number + 1 : Number(said)
      if (!Number.isSafeInteger(next) || next <= number || next > XLSX_ROWS_MAX)
        throw this.#broken(`row ${said} follows row ${number}`)
      number = next
      yield { number, cells: this.#cells(node, number) }
    }
  }

  #cells(rowNode: number, number: number): Cell[] {
    const tree = this.#workbook.sheet
    const cells: Cell[] = []
    let column = 0
    for (const node of childrenOf(tree, rowNode, 'c')) {
      const said = attributeOf(tree, node, 'r')
      const place = said === null ? { row: number, column: column + 1 } : placeOf(said)
      if (place === null || place.row !== number || place.column <= column)
        throw this.#broken(`cell ${said} stands in row ${number}`)
      while (column < place.column - 1) {
        cells.push(null)
        column += 1
      }
      cells.push(this.#cell(tree, node))
      column += 1
    }
    return cells
  }

  #cell(tree: XmlTree, node: number): Cell {
    const type = attributeOf(tree, node, 't') ?? 'n'
    let text: string | null = null
    let hasFormula = false
    for (const child of elementsIn(tree, node)) {
      const name = localOf(tree, child)
      if (name === 'v') text = tree.stringValue(child)
      else if (name === 'f') hasFormula = true
      else if (name === 'is' && type === 'inlineStr') return richText(tree, child)
    }
    // Of a number: a text may well be empty.
    if (hasFormula && (text ?? '') === '' && type !== 'str') return new Unusable('its formula was never calculated')
    if (text === null) return null
    switch (type) {
      case 's': {
        const shared = /^\d+$/.test(text) ? this.#workbook.texts[Number(text)] : undefined
        return shared ?? new Unusable('it refers to a text that is not there')
      }
      case 'str':
        return unescaped(text)
      case 'b':
        return text === '1' || text === 'true'
      case 'd':
        return text
      case 'e':
        return new Unusable(`it has the error ${text}`)
      case 'n':
        return text === '' ? null : this.#number(text, Number(attributeOf(tree, node, 's') ?? 0))
      default:
        return new Unusable(`its type ${type} is unknown`)
    }
  }

  #number(text: string, style: number): Cell {
    const value = Number(text)
    if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text))
      return new Unusable(`${JSON.stringify(text.slice(0, 40))} is no number`)
    const kind = this.#workbook.styles[style] ?? null
    if (kind !== null)
      return isoOf(value, kind, this.#workbook.from1904) ?? new Unusable(`there is no day ${text} in its calendar`)
    if (this.#settings.numbers === 'text') return text
    if (/^[+-]?\d+$/.test(text)) return Number.isSafeInteger(value) ? value : BigInt(text)
    return isExact(value, text) ? value : text
  }

  #broken(why: string): Fault {
    return convertFault('CONVERT_XLSX', { where: this.#name, why })
  }
}

function broken(cells: readonly Cell[], fault: Fault): ReadRecord {
  const texts = cells.map((cell) => (cell instanceof Unusable ? `(${cell.why})` : String(cell ?? '')))
  return { fault, text: texts.join('\t') }
}

/** `B12` → column 2, row 12; `null` for what is no place in a sheet. */
function placeOf(reference: string): { readonly row: number; readonly column: number } | null {
  const [, letters, digits] = /^\$?([A-Z]{1,3})\$?([1-9]\d{0,6})$/.exec(reference) ?? []
  if (letters === undefined) return null
  let column = 0
  for (const letter of letters) column = column * 26 + letter.charCodeAt(0) - 0x40
  const row = Number(digits)
  return column > XLSX_COLUMNS_MAX || row > XLSX_ROWS_MAX ? null : { row, column }
}

/** 1 → A, 27 → AA. */
export function columnName(column: number): string {
  let name = ''
  for (let left = column; left > 0; left = Math.floor((left - 1) / 26)) {
    name = String.fromCharCode(0x41 + ((left - 1) % 26)) + name
  }
  return name
}
