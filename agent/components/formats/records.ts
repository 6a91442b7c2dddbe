// Reads records out of a text file of any size in constant memory, from any byte position where a record starts.
//
// The file is cut at line feeds in its bytes: in these encodings no byte of a character but the line feed itself is 0x0A.
// A block of whole lines is decoded at once; only when that fails line by line, to find the broken ones. A record that
// cannot be read costs its first line, reading goes on at the next.
//
// Invariants: `#starts[i]` is the file position of line i of the block and `#starts.at(-1)` the end of its last line;
// what lies between there and `#position` is an incomplete line. The buffer is LINE_BYTES_MAX + READ_BYTES, or the size of
// a smaller file, for ever.

import { TextDecoder } from 'node:util'
import type { Row } from '../contract.ts'
import { componentFault } from '../faults.ts'
import { LINE_BYTES_MAX, PORTION_BYTES_MAX, READ_BYTES } from '../limits.ts'
import { listNames, nearest } from '../names.ts'
import type { CsvOptions } from './csv.ts'
import { parseCsvRecord } from './csv.ts'
import type { LineEncoding } from './encoding.ts'
import { inspectOpening, textDecoder } from './encoding.ts'
import { parseJsonRecord } from './jsonl.ts'
import { isReallyUtf8 } from './really-utf8.ts'

/** Enough to see in which encoding a file is. */
const LOOK_BYTES = 65_536

/** What is read of a file; a document in memory can give the same. */
export type ReadableFile = {
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>
}

export type RecordFormat = {
  readonly kind: 'csv' | 'jsonl'
  readonly encoding: LineEncoding
  readonly csv: CsvOptions
  /** CSV: the first record names the fields. */
  readonly header: boolean
  /** CSV: the fields' names without a header; with one, those it must have. */
  readonly columns: readonly string[] | null
}

export type RecordCode =
  | 'CSV_QUOTES'
  | 'CSV_COLUMNS'
  | 'CSV_LINE_END'
  | 'TEXT_UNDECODABLE'
  | 'TEXT_NUL'
  | 'LINE_TOO_LONG'
  | 'JSON_INVALID'
  | 'JSON_NOT_OBJECT'

/** A record set aside: its first line (from 1), its bytes in the file and what is wrong. */
export type BrokenRecord = {
  readonly line: number
  readonly start: number
  readonly end: number
  readonly code: RecordCode
  readonly why: string
}

/** Parallel arrays: row i started in line `lines[i]`, at file position `starts[i]`, and ended before `ends[i]`. */
export type Records = {
  readonly rows: Row[]
  readonly lines: number[]
  readonly starts: number[]
  readonly ends: number[]
  readonly broken: BrokenRecord[]
}

/** A record's bytes in the file. */
export type Span = { readonly start: number; readonly end: number }

/** Where reading goes on: a file position at the start of a line, and that line's number. */
export type Place = { readonly byte: number; readonly line: number }

export class RecordReader {
  readonly #file: ReadableFile
  readonly #sizeBytes: number
  readonly #format: RecordFormat
  readonly #decoder: ReturnType<typeof textDecoder>
  readonly #buffer: Buffer
  /** File position of `#buffer[0]`, and of the first byte not yet read. */
  #bufferStart = 0
  #position = 0
  #lines: (string | null)[] = []
  #starts: number[] = [0]
  #nulLines = new Set<number>()
  #at = 0
  #line = 1
  #names: readonly string[] | null = null
  readonly where: string

  private constructor(file: ReadableFile, sizeBytes: number, format: RecordFormat, where: string) {
    this.#file = file
    this.#buffer = Buffer.allocUnsafe(Math.min(LINE_BYTES_MAX + READ_BYTES, sizeBytes))
    this.#sizeBytes = sizeBytes
    this.#format = format
    this.#decoder = textDecoder(format.encoding)
    this.where = where
  }

  /**
   * Reads the opening and the header, then goes to `resume`. `sizeBytes` is where the file ends, whatever is appended later.
   * Throws FILE_NOT_TEXT or FILE_HEADER when nothing of the file can be used.
   */
  static async open(
    file: ReadableFile,
    options: { sizeBytes: number; format: RecordFormat; where: string; resume: Place | null },
  ): Promise<RecordReader> {
    const reader = new RecordReader(file, options.sizeBytes, options.format, options.where)
    await reader.#begin()
    if (options.resume !== null) reader.#seek(options.resume)
    return reader
  }

  /** Where the next record starts. */
  get place(): Place {
    return { byte: this.#starts[this.#at] ?? this.#position, line: this.#line }
  }

  /** Goes back to a place it was at. */
  goTo(place: Place): void {
    this.#seek(place)
  }

  get ended(): boolean {
    return this.place.byte >= this.#sizeBytes
  }

  /** Up to `rowsMax` records, fewer where they are large. Empty only at the end, or when lines were blank or broken. */
  async read(rowsMax: number): Promise<Records> {
    const records: Records = { rows: [], lines: [], starts: [], ends: [], broken: [] }
    const bytesEnd = this.place.byte + PORTION_BYTES_MAX
    while (records.rows.length + records.broken.length < rowsMax && !this.ended && this.place.byte < bytesEnd) {
      if (this.#at >= this.#lines.length) await this.#load(records.broken)
      else if (!this.#take(records)) await this.#load(records.broken)
    }
    return records
  }

  /** The text of each span, spans in file order, for a person: undecodable bytes show as U+FFFD. Neighbours share one read. */
  async texts(spans: readonly Span[]): Promise<string[]> {
    const decoder = new TextDecoder(this.#format.encoding)
    const texts: string[] = []
    let window = Buffer.alloc(0)
    let windowStart = 0
    for (let i = 0; i < spans.length; i += 1) {
      const { start, end: recordEnd } = spans[i] as Span
      const end = Math.min(recordEnd, start + LINE_BYTES_MAX)
      if (start < windowStart || end > windowStart + window.length) {
        const last = spans.at(-1)?.end ?? end
        windowStart = start
        window = Buffer.alloc(Math.min(LINE_BYTES_MAX, Math.max(last, end) - start))
        const { bytesRead } = await this.#file.read(window, 0, window.length, start)
        window = window.subarray(0, bytesRead)
      }
      const text = decoder.decode(window.subarray(start - windowStart, end - windowStart))
      texts.push(text.replace(/\r?\n$/, ''))
    }
    return texts
  }

  /** Looks at whole lines at the beginning. */
  async #refuseUtf8(): Promise<void> {
    const { encoding } = this.#format
    if (encoding === 'utf-8') return
    const bytes = Buffer.alloc(Math.min(LOOK_BYTES, this.#sizeBytes))
    const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, 0)
    const seen = bytes.subarray(0, bytesRead)
    const whole = bytesRead < this.#sizeBytes ? seen.subarray(0, seen.lastIndexOf(0x0a) + 1) : seen
    if (isReallyUtf8(whole, encoding))
      throw componentFault('FILE_NOT_TEXT', { where: this.where, why: 'its bytes are UTF-8' })
  }

  async #begin(): Promise<void> {
    const bytes = Buffer.alloc(8)
    const { bytesRead } = await this.#file.read(bytes, 0, 8, 0)
    const opening = inspectOpening(bytes.subarray(0, bytesRead), this.#format.encoding)
    if (opening.problem !== null) throw componentFault('FILE_NOT_TEXT', { where: this.where, why: opening.problem })
    await this.#refuseUtf8()
    this.#seek({ byte: opening.skipBytes, line: 1 })
    if (this.#format.kind === 'jsonl') return
    this.#names = this.#format.columns
    if (this.#format.header) await this.#readHeader()
  }

  async #readHeader(): Promise<void> {
    let line = this.#line
    const unusable = (why: string): Error =>
      componentFault('FILE_HEADER', { where: `${this.where}:${line}`, why, line })
    this.#names = null
    const head: Records = { rows: [], lines: [], starts: [], ends: [], broken: [] }
    while (head.rows.length === 0 && head.broken.length === 0 && !this.ended) {
      if (this.#at >= this.#lines.length || !this.#take(head)) await this.#load(head.broken)
    }
    const broken = head.broken[0]
    line = broken?.line ?? head.lines[0] ?? line
    if (broken !== undefined) throw unusable(broken.why)
    // An empty file has no header and no rows: nothing is wrong with it.
    if (head.rows.length === 0) return
    const names = Object.values(head.rows[0] ?? {}).map((name) => String(name).trim())
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined) throw unusable(`the column ${JSON.stringify(twice)} appears twice`)
    const useless = names.find((name) => name === '' || name === '__proto__')
    if (useless !== undefined) throw unusable(`column ${names.indexOf(useless) + 1} has no usable name`)
    const missing = (this.#format.columns ?? []).find((column) => !names.includes(column))
    if (missing !== undefined) {
      const meant = nearest(missing, names)
      const hint = meant === null ? '' : `; did it mean ${JSON.stringify(meant)}?`
      throw unusable(`there is no column ${JSON.stringify(missing)} among ${listNames(names, 'and')}${hint}`)
    }
    this.#names = names
  }

  #seek(place: Place): void {
    this.#bufferStart = place.byte
    this.#position = place.byte
    this.#lines = []
    this.#starts = [place.byte]
    this.#nulLines.clear()
    this.#at = 0
    this.#line = place.line
  }

  /** Moves what is left to the front of the buffer, reads on, and cuts the whole lines. */
  async #load(broken: BrokenRecord[]): Promise<void> {
    const leftStart = this.place.byte
    const left = this.#position - leftStart
    this.#buffer.copyWithin(0, leftStart - this.#bufferStart, this.#position - this.#bufferStart)
    this.#bufferStart = leftStart
    const wanted = Math.min(READ_BYTES, this.#buffer.length - left, this.#sizeBytes - this.#position)
    await this.#fill(left, wanted)
    this.#position += wanted
    const filled = this.#buffer.subarray(0, left + wanted)
    const final = this.#position >= this.#sizeBytes
    const whole = final ? filled.length : filled.lastIndexOf(0x0a) + 1
    if (whole > 0) this.#cut(filled.subarray(0, whole))
    else if (filled.length > LINE_BYTES_MAX) await this.#skipLine(broken)
    else this.#cut(filled.subarray(0, 0))
  }

  async #fill(offset: number, length: number): Promise<void> {
    let done = 0
    while (done < length) {
      const { bytesRead } = await this.#file.read(this.#buffer, offset + done, length - done, this.#position + done)
      if (bytesRead === 0) throw componentFault('FILE_CHANGED', { where: this.where, why: 'it became shorter' })
      done += bytesRead
    }
  }

  #cut(block: Buffer): void {
    const starts = [this.#bufferStart]
    for (let i = 0; i < block.length; i += 1) if (block[i] === 0x0a) starts.push(this.#bufferStart + i + 1)
    if (starts.at(-1) !== this.#bufferStart + block.length) starts.push(this.#bufferStart + block.length)
    this.#starts = starts
    this.#at = 0
    this.#nulLines.clear()
    this.#lines = this.#decode(block, starts)
    if (block.includes(0)) this.#markNulLines()
  }

  #decode(block: Buffer, starts: readonly number[]): (string | null)[] {
    const count = starts.length - 1
    try {
      const lines: (string | null)[] = this.#decoder.decode(block).split('\n')
      lines.length = count
      return lines
    } catch {
      // Some line is broken; find out which.
    }
    const lines: (string | null)[] = []
    for (let i = 0; i < count; i += 1) {
      const line = block.subarray((starts[i] ?? 0) - this.#bufferStart, (starts[i + 1] ?? 0) - this.#bufferStart)
      try {
        const text = this.#decoder.decode(line)
        lines.push(text.endsWith('\n') ? text.slice(0, -1) : text)
      } catch {
        lines.push(null)
      }
    }
    return lines
  }

  #markNulLines(): void {
    for (let i = 0; i < this.#lines.length; i += 1) {
      if (!(this.#lines[i] ?? '').includes('\0')) continue
      this.#lines[i] = null
      this.#nulLines.add(i)
    }
  }

  /** A line longer than the buffer: reads up to its end, keeping nothing. */
  async #skipLine(broken: BrokenRecord[]): Promise<void> {
    const start = this.#bufferStart
    let next = this.#sizeBytes
    while (this.#position < this.#sizeBytes) {
      const length = Math.min(READ_BYTES, this.#sizeBytes - this.#position)
      await this.#fill(0, length)
      const feed = this.#buffer.subarray(0, length).indexOf(0x0a)
      if (feed >= 0) {
        next = this.#position + feed + 1
        break
      }
      this.#position += length
    }
    broken.push({ line: this.#line, start, end: next, code: 'LINE_TOO_LONG', why: `it has ${next - start} bytes` })
    this.#seek({ byte: next, line: this.#line + 1 })
  }

  /** Takes the record at the current line; false when it goes on beyond the block and more must be read first. */
  #take(records: Records): boolean {
    const text = this.#lines[this.#at]
    if (text === '' || text === '\r') {
      this.#advance(1)
      return true
    }
    return this.#format.kind === 'csv' ? this.#takeCsv(records) : this.#takeJson(records)
  }

  #takeCsv(records: Records): boolean {
    const record = parseCsvRecord(this.#lines, this.#at, this.#format.csv)
    const start = this.place.byte
    if (record.kind === 'open') {
      const final = this.#position >= this.#sizeBytes
      if (!final && this.#position - start <= LINE_BYTES_MAX) return false
      this.#setAside(records, { lines: 1, code: 'CSV_QUOTES', why: 'a quote is opened and never closed' })
      return true
    }
    if (record.kind === 'broken') {
      this.#setAside(records, { lines: 1, code: record.code, why: record.why })
      return true
    }
    const { fields, lines } = record
    const names = this.#names
    if (names !== null && fields.length !== names.length) {
      this.#setAside(records, { lines, code: 'CSV_COLUMNS', why: `${fields.length} instead of ${names.length}` })
      return true
    }
    const row: Record<string, string> = {}
    for (let i = 0; i < fields.length; i += 1) row[names === null ? i : (names[i] as string)] = fields[i] as string
    this.#keep(records, row, lines)
    return true
  }

  #takeJson(records: Records): boolean {
    const text = this.#lines[this.#at]
    if (text === null || text === undefined) {
      this.#setAside(records, { lines: 1, code: 'TEXT_UNDECODABLE', why: 'bytes outside the encoding' })
      return true
    }
    const record = parseJsonRecord(text)
    if (record.ok) this.#keep(records, record.row, 1)
    else {
      const place = record.at === undefined ? '' : ` (character ${record.at + 1})`
      this.#setAside(records, { lines: 1, code: record.code, why: record.why + place })
    }
    return true
  }

  #keep(records: Records, row: Row, lines: number): void {
    const start = this.#starts[this.#at] as number
    const end = this.#starts[this.#at + lines] as number
    if (end - start > LINE_BYTES_MAX) {
      this.#setAside(records, { lines, code: 'LINE_TOO_LONG', why: `it has ${end - start} bytes` })
      return
    }
    records.rows.push(row)
    records.lines.push(this.#line)
    records.starts.push(start)
    records.ends.push(end)
    this.#advance(lines)
  }

  #setAside(records: Records, what: { lines: number; code: RecordCode; why: string }): void {
    const start = this.#starts[this.#at] as number
    const end = this.#starts[this.#at + what.lines] as number
    const nul = what.code === 'TEXT_UNDECODABLE' && this.#nulLines.has(this.#at)
    const code = nul ? 'TEXT_NUL' : what.code
    const why = nul ? 'a byte of value 0' : what.why
    records.broken.push({ line: this.#line, start, end, code, why })
    this.#advance(what.lines)
  }

  #advance(lines: number): void {
    this.#at += lines
    this.#line += lines
  }
}
