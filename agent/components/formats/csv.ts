// CSV by RFC 4180, read line by line so that one broken row costs one row.
//
// Why not csv-parse here: with a quote that is never closed it reads on to the end of the file, and it gives no byte position to
// resume at. This reader parses one record from decoded lines; csv-parse is the oracle of its property test.

import type { Row, Value } from '../contract.ts'
import { FIELDS_MAX } from '../limits.ts'
import { formatJsonRecord } from './jsonl.ts'

export type CsvOptions = {
  /** One character. */
  readonly delimiter: string
  /** One character, or '' for files that use no quotes. */
  readonly quote: string
}

export type CsvProblem = 'CSV_QUOTES' | 'TEXT_UNDECODABLE' | 'CSV_COLUMNS' | 'CSV_LINE_END'

/** One record: its fields and how many lines it took; or that it goes on past the last line; or what is wrong with it. */
export type CsvRecord =
  | { readonly kind: 'fields'; readonly fields: string[]; readonly lines: number }
  | { readonly kind: 'open' }
  | { readonly kind: 'broken'; readonly code: CsvProblem; readonly why: string }

/** Parses the record that starts at `lines[at]`; lines carry no line feed, a trailing carriage return is dropped. */
export function parseCsvRecord(lines: readonly (string | null)[], at: number, options: CsvOptions): CsvRecord {
  const line = lines[at]
  if (line === null || line === undefined)
    return { kind: 'broken', code: 'TEXT_UNDECODABLE', why: 'bytes outside the encoding' }
  if (options.quote === '' || !line.includes(options.quote)) {
    const cr = line.indexOf('\r')
    if (cr >= 0 && cr < line.length - 1) return loneReturn()
    const fields = (cr < 0 ? line : line.slice(0, -1)).split(options.delimiter)
    return fields.length > FIELDS_MAX ? tooMany() : { kind: 'fields', fields, lines: 1 }
  }
  return parseQuoted(lines, at, options)
}

function parseQuoted(lines: readonly (string | null)[], first: number, { delimiter, quote }: CsvOptions): CsvRecord {
  const fields: string[] = []
  let at = first
  let line = lines[at] as string
  let from = 0
  while (fields.length <= FIELDS_MAX) {
    if (line[from] !== quote) {
      const comma = line.indexOf(delimiter, from)
      const end = comma < 0 ? withoutReturn(line) : comma
      const field = line.slice(from, Math.max(from, end))
      if (field.includes(quote)) return broken(fields.length, 'a quote stands inside an unquoted value')
      if (field.includes('\r')) return loneReturn()
      fields.push(field)
      if (comma < 0) return { kind: 'fields', fields, lines: at - first + 1 }
      from = comma + 1
      continue
    }
    let value = ''
    from += 1
    for (;;) {
      const end = line.indexOf(quote, from)
      if (end < 0) {
        // The value goes on in the next line; each line is scanned once.
        value += `${line.slice(from)}\n`
        at += 1
        if (at >= lines.length) return { kind: 'open' }
        const next = lines[at]
        if (next === null || next === undefined)
          return broken(fields.length, 'the quoted value runs into an undecodable line')
        line = next
        from = 0
        continue
      }
      value += line.slice(from, end)
      from = end + 1
      if (line[from] !== quote) break
      value += quote
      from += 1
    }
    fields.push(value)
    if (from >= withoutReturn(line)) return { kind: 'fields', fields, lines: at - first + 1 }
    if (line[from] !== delimiter) return broken(fields.length - 1, 'text follows the closing quote')
    from += 1
  }
  return tooMany()
}

function withoutReturn(line: string): number {
  return line.endsWith('\r') ? line.length - 1 : line.length
}

function broken(field: number, why: string): CsvRecord {
  return { kind: 'broken', code: 'CSV_QUOTES', why: `column ${field + 1}: ${why}` }
}

/** Some programs end lines with it: a whole file would be one line then. */
function loneReturn(): CsvRecord {
  return { kind: 'broken', code: 'CSV_LINE_END', why: 'a carriage return stands alone, outside of quotes' }
}

function tooMany(): CsvRecord {
  return { kind: 'broken', code: 'CSV_COLUMNS', why: `more than ${FIELDS_MAX} columns` }
}

/** One record as text, without its line end. `null` is an empty cell, '' a quoted empty one. */
export function formatCsvRecord(
  fields: readonly (string | null)[],
  options: CsvOptions & { readonly formulaSafe: boolean },
): string {
  let line = ''
  for (let i = 0; i < fields.length; i += 1) {
    if (i > 0) line += options.delimiter
    const field = fields[i]
    if (field === null || field === undefined) continue
    line += quoted(options.formulaSafe ? defused(field) : field, options)
  }
  return line
}

function quoted(field: string, { delimiter, quote }: CsvOptions): string {
  if (quote === '') return field
  const needs = field === '' || field.includes(delimiter) || field.includes(quote) || /[\r\n\ufeff]|^\s|\s$/.test(field)
  return needs ? quote + field.replaceAll(quote, quote + quote) + quote : field
}

/** Spreadsheets run cells that start like a formula; an apostrophe before them shows as text (OWASP, CSV injection). */
function defused(field: string): string {
  return /^[=+\-@\t\r]/.test(field) && !/^[+-]?[0-9.]+$/.test(field) ? `'${field}` : field
}

/** A value as the text of a cell; `null` when there is none. Lists and objects are JSON, bytes base64. */
export function cellText(value: Value | undefined): string | null {
  switch (typeof value) {
    case 'undefined':
      return null
    case 'string':
      return value
    case 'object':
      if (value === null) return null
      if (value instanceof Uint8Array)
        return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
      return formatJsonRecord(value as Row)
    default:
      return String(value)
  }
}

/** The field with this character, for faults; `null` when none has it. */
export function fieldWith(row: Row, codePoint: number): string | null {
  const char = String.fromCodePoint(codePoint)
  const field = Object.keys(row).find((name) => name.includes(char) || (cellText(row[name]) ?? '').includes(char))
  return field === undefined ? null : `field ${JSON.stringify(field)}`
}
