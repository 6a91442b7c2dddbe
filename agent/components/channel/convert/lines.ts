// CSV and JSON Lines: read by the reader that the directory source uses, so that a file means the same here and there.

import type { Row } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import {
  cellText,
  decodeDocument,
  type Encoding,
  formatCsvRecord,
  formatJsonRecord,
  isWide,
  type LineEncoding,
  type ReadableFile,
  type RecordFormat,
  RecordReader,
} from '../../formats/mod.ts'
import { csvOptions } from '../../support/mod.ts'
import { type Columns, columnsOf, fieldsOf, refuseNul } from './columns.ts'
import { convertFault } from './faults.ts'
import { BATCH_RECORDS } from './limits.ts'
import type { DocumentReader, DocumentWriter, ReadRecord } from './records.ts'
import type { CsvFrom, CsvTo, TextFrom, TextTo } from './settings.ts'
import { type SinkOptions, TextSink } from './text-sink.ts'

export function csvReader(settings: CsvFrom): DocumentReader {
  const { header, columns = null, encoding } = settings
  const csv = csvOptions(settings)
  return (bytes, name) => readLines(bytes, { kind: 'csv', csv, header, columns }, { encoding, name })
}

export function jsonlReader({ encoding }: TextFrom): DocumentReader {
  const csv = { delimiter: ',', quote: '"' }
  return (bytes, name) => readLines(bytes, { kind: 'jsonl', csv, header: false, columns: null }, { encoding, name })
}

async function* readLines(
  bytes: Buffer,
  form: Omit<RecordFormat, 'encoding'>,
  { encoding, name }: { encoding: Encoding; name: string },
): AsyncGenerator<readonly ReadRecord[]> {
  const { lineBytes, lineEncoding } = inLines(bytes, encoding, name)
  const format = { ...form, encoding: lineEncoding }
  const options = { sizeBytes: lineBytes.length, format, where: name, resume: null }
  const reader = await RecordReader.open(inMemory(lineBytes), options)
  while (!reader.ended) {
    const { rows, lines, broken } = await reader.read(BATCH_RECORDS)
    const texts = await reader.texts(broken)
    const batch: ReadRecord[] = []
    let next = 0
    for (const [i, row] of rows.entries()) {
      for (; next < broken.length && (broken[next]?.line ?? 0) < (lines[i] as number); next += 1) batch.push(bad(next))
      batch.push({ row })
    }
    for (; next < broken.length; next += 1) batch.push(bad(next))
    yield batch
    function bad(at: number): ReadRecord {
      const { code, why, line } = broken[at] as (typeof broken)[number]
      return { fault: componentFault(code, { where: `${name}:${line}`, why, line }), text: texts[at] ?? '' }
    }
  }
}

/** In UTF-16 a line feed is no byte: such documents are read as UTF-8. */
function inLines(
  bytes: Buffer,
  encoding: Encoding,
  name: string,
): { readonly lineBytes: Buffer; readonly lineEncoding: LineEncoding } {
  if (!isWide(encoding)) return { lineBytes: bytes, lineEncoding: encoding as LineEncoding }
  return { lineBytes: Buffer.from(textOf(bytes, encoding, name)), lineEncoding: 'utf-8' }
}

/** The document's text. Throws CONVERT_ENCODING. */
export function textOf(bytes: Buffer, encoding: Encoding, name: string): string {
  const decoded = decodeDocument(bytes, encoding)
  if (decoded.ok) return decoded.text
  const { why, line, position } = decoded
  throw convertFault('CONVERT_ENCODING', { where: `${name}:${line}`, why, line, position })
}

function inMemory(bytes: Buffer): ReadableFile {
  return {
    read: async (buffer, offset, length, position) => ({
      bytesRead: bytes.copy(buffer, offset, position, position + length),
    }),
  }
}

export function csvWriter(settings: CsvTo, sinkOptions: SinkOptions): DocumentWriter {
  const sink = new TextSink(sinkOptions)
  const end = settings.lineEnd === 'crlf' ? '\r\n' : '\n'
  const options = { ...csvOptions(settings), formulaSafe: settings.formulaSafe }
  const begin = (names: readonly string[]): Columns => {
    if (settings.header) sink.write(formatCsvRecord(names, options) + end)
    return columnsOf(names, settings)
  }
  let columns = settings.columns === undefined ? null : begin(settings.columns)
  return {
    add: (row) => {
      columns ??= begin(fieldsOf(row))
      const cells = columns.valuesOf(row).map(cellText)
      const text = formatCsvRecord(cells, options)
      if (options.quote === '' && cells.some((cell) => cell !== null && unquotable(cell, options.delimiter))) {
        throw convertFault('CONVERT_VALUE', { why: 'a value has a line end or the delimiter, and `quote` is empty' })
      }
      refuseNul(text)
      // A single empty cell would be a blank line, which readers skip.
      sink.write((text === '' ? options.quote + options.quote : text) + end, row)
    },
    end: () => sink.end(),
  }
}

const unquotable = (cell: string, delimiter: string): boolean => /[\r\n]/.test(cell) || cell.includes(delimiter)

export function jsonlWriter(_settings: TextTo, sinkOptions: SinkOptions): DocumentWriter {
  const sink = new TextSink(sinkOptions)
  return {
    add: (row: Row) => sink.write(`${formatJsonRecord(row)}\n`, row),
    end: () => sink.end(),
  }
}
