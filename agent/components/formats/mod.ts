// The text formats and encodings that components share.

export type { CsvOptions, CsvRecord } from './csv.ts'
export { cellText, fieldWith, formatCsvRecord, parseCsvRecord } from './csv.ts'
export type { Decoded, Encoded, Encoding, LineEncoding, Opening } from './encoding.ts'
export {
  decodeDocument,
  ENCODINGS,
  ENCODINGS_SHOWN,
  encodeText,
  inspectOpening,
  isWide,
  LINE_ENCODINGS,
  textDecoder,
} from './encoding.ts'
export { jsonEndsAt, repeatedName, whyNotJson } from './json-text.ts'
export type { JsonRecord } from './jsonl.ts'
export { formatJsonRecord, isExact, parseJson, parseJsonBody, parseJsonRecord } from './jsonl.ts'
export { isReallyUtf8 } from './really-utf8.ts'
export type { BrokenRecord, ReadableFile, RecordFormat, Records } from './records.ts'
export { RecordReader } from './records.ts'
