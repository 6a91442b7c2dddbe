// Rows → the bytes of one file, and the rows that cannot be written.

import type { Item, Reject, Row } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { valueIn } from '../../field.ts'
import { cellText, encodeText, fieldWith, formatCsvRecord, formatJsonRecord } from '../../formats/mod.ts'
import { listNames, suggestion } from '../../names.ts'
import { csvOptions } from '../../support/mod.ts'
import type { DirectoryDestinationSettings } from './settings.ts'

export type Rendered = { readonly bytes: Buffer; readonly rows: number; readonly rejects: readonly Reject[] }

export function renderRows(items: readonly Item[], settings: DirectoryDestinationSettings, where: string): Rendered {
  const columns = settings.columns ?? fieldsOf(items)
  if (settings.columns !== undefined && !settings.ignoreExtra) refuseExtra(items, settings.columns, where)
  const format = settings.format === 'csv' ? csvFormat(settings, columns) : jsonFormat(settings)
  const pieces: Buffer[] = []
  const rejects: Reject[] = []
  const head = (settings.bom ? '\ufeff' : '') + format.head
  if (head !== '') pieces.push(encodeHead(head, settings, where))
  for (const item of items) {
    const encoded = encodeText(format.line(item.row), settings.encoding)
    if (encoded.ok) {
      pieces.push(encoded.bytes)
      continue
    }
    const char = `U+${encoded.codePoint.toString(16).toUpperCase().padStart(4, '0')}`
    const why = `${char} in ${fieldWith(item.row, encoded.codePoint) ?? 'a field'} is not in ${settings.encoding}`
    rejects.push({ item, fault: componentFault('TEXT_UNENCODABLE', { where: `${where} ${item.ref}`, why }) })
  }
  return { bytes: Buffer.concat(pieces), rows: items.length - rejects.length, rejects }
}

type LineFormat = { readonly head: string; line(row: Row): string }

function csvFormat(settings: DirectoryDestinationSettings, columns: readonly string[]): LineFormat {
  const end = settings.lineEnd === 'crlf' ? '\r\n' : '\n'
  const options = { ...csvOptions(settings), formulaSafe: settings.formulaSafe }
  return {
    head: settings.header ? formatCsvRecord(columns, options) + end : '',
    line: (row) => {
      const cells = columns.map((column) => cellText(valueIn(row, column)))
      // A single empty cell would be a blank line, which readers skip.
      const record = formatCsvRecord(cells, options)
      return (record === '' ? options.quote + options.quote : record) + end
    },
  }
}

function jsonFormat(settings: DirectoryDestinationSettings): LineFormat {
  const { columns } = settings
  if (columns === undefined) return { head: '', line: (row) => `${formatJsonRecord(row)}\n` }
  const listed = (row: Row): Row => Object.fromEntries(columns.map((column) => [column, valueIn(row, column)]))
  return { head: '', line: (row) => `${formatJsonRecord(listed(row))}\n` }
}

/** All fields of the rows, in the order they are first seen. */
function fieldsOf(items: readonly Item[]): string[] {
  const fields = new Set<string>()
  for (const { row } of items) for (const field in row) fields.add(field)
  return [...fields]
}

function refuseExtra(items: readonly Item[], columns: readonly string[], where: string): void {
  const extra = fieldsOf(items).filter((field) => !columns.includes(field))
  if (extra.length === 0) return
  const why = `${listNames(extra, 'and')}. ${suggestion(extra[0] ?? '', columns)}`
  throw componentFault('DIRECTORY_EXTRA_FIELDS', { where, why, fields: extra })
}

function encodeHead(head: string, settings: DirectoryDestinationSettings, where: string): Buffer {
  const encoded = encodeText(head, settings.encoding)
  if (encoded.ok) return encoded.bytes
  throw componentFault('TEXT_UNENCODABLE', { where, why: `a column name cannot be written in ${settings.encoding}` })
}
