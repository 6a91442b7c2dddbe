// Settings of text files that source and destination share, and what they cannot be together.

import { type Field, f } from '#protocol/fields/mod.ts'
import {
  type CsvOptions,
  ENCODINGS,
  ENCODINGS_SHOWN,
  type Encoding,
  LINE_ENCODINGS,
  type LineEncoding,
} from '../formats/mod.ts'

/** Too many for a choice in a table; `check` says which. */
function encodingOf(known: readonly string[], doc: string): Field<string, 'default'> {
  return f.text({
    doc,
    maxLength: 20,
    default: 'utf-8',
    check: (name) =>
      known.includes(name) ? null : `known are ${ENCODINGS_SHOWN}${known === ENCODINGS ? WIDE_SHOWN : ''}`,
  })
}
const WIDE_SHOWN = ', utf-16 (with a byte order mark), utf-16le, utf-16be'

/** A setting for the encoding of whole documents. */
export const encodingField = encodingOf(
  ENCODINGS,
  `Encoding: as of the \`directory\` source, or utf-16 (with a byte order mark), utf-16le, utf-16be`,
) as Field<Encoding, 'default'>

export const csvSettings = {
  delimiter: f.text({ doc: 'CSV: the character between values; `tab` for the tabulator', maxLength: 3, default: ',' }),
  quote: f.text({
    doc: 'CSV: the character around values; empty for files without quotes',
    minLength: 0,
    maxLength: 1,
    default: '"',
  }),
}

export const textSettings = {
  format: f.choice(['csv', 'jsonl', 'file'], {
    doc: 'Rows in csv (RFC 4180) or jsonl (one JSON object per line), or each file as it is, whatever it holds',
    default: 'csv',
  }),
  encoding: encodingOf(LINE_ENCODINGS, `Encoding of the files: ${ENCODINGS_SHOWN}`) as Field<LineEncoding, 'default'>,
  ...csvSettings,
}

export function csvOptions(settings: { readonly delimiter: string; readonly quote: string }): CsvOptions {
  return { delimiter: settings.delimiter === 'tab' ? '\t' : settings.delimiter, quote: settings.quote }
}

/** Why these CSV options cannot be used, or `null`. */
export function csvProblem(settings: { readonly delimiter: string; readonly quote: string }): string | null {
  const { delimiter, quote } = csvOptions(settings)
  if (delimiter.length !== 1) return '`delimiter` is one character, or `tab`'
  if (/[\r\n]/.test(delimiter + quote)) return '`delimiter` and `quote` cannot be line ends'
  return delimiter === quote ? '`delimiter` and `quote` are the same' : null
}
