// Settings of text files that source and destination share, and what they cannot be together.

import { f } from '#protocol/fields/mod.ts'
import { type CsvOptions, ENCODINGS } from '../formats/mod.ts'

export const textSettings = {
  format: f.choice(['csv', 'jsonl', 'file'], {
    doc: 'Rows in csv (RFC 4180) or jsonl (one JSON object per line), or each file as it is, whatever it holds',
    default: 'csv',
  }),
  encoding: f.choice(ENCODINGS, { doc: 'Encoding of the files', default: 'utf-8' }),
  delimiter: f.text({ doc: 'CSV: the character between values; `tab` for the tabulator', maxLength: 3, default: ',' }),
  quote: f.text({
    doc: 'CSV: the character around values; empty for files without quotes',
    minLength: 0,
    maxLength: 1,
    default: '"',
  }),
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
