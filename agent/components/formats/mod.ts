// The text formats and encodings that the directory components share.

export type { CsvOptions, CsvRecord } from './csv.ts'
export { formatCsvRecord, parseCsvRecord } from './csv.ts'
export type { Encoded, Encoding, Opening } from './encoding.ts'
export { ENCODINGS, encodeText, inspectOpening, textDecoder } from './encoding.ts'
export type { JsonRecord } from './jsonl.ts'
export { formatJsonRecord, parseJson, parseJsonRecord } from './jsonl.ts'
export type { BrokenRecord, RecordFormat, Records } from './records.ts'
export { RecordReader } from './records.ts'
