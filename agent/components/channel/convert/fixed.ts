// Records of fixed width: every value at its place in the line, counted in bytes of the encoding or in characters (code points).
//
// Lines are cut at line feeds in the bytes, or, with `lineEnd: none`, every so many units. A line is decoded by itself, so that one
// broken line is one broken record.

import type { Fault } from '#protocol/base/mod.ts'
import type { Row } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { cellText, encodeText, inspectOpening, isWide, textDecoder } from '../../formats/mod.ts'
import { columnsOf, refuseNul } from './columns.ts'
import { convertFault } from './faults.ts'
import { RECORD_TEXT_CHARS_MAX } from './limits.ts'
import { textOf } from './lines.ts'
import { type Place, placesOf, widthOf } from './places.ts'
import { type DocumentReader, type DocumentWriter, inBatches, type ReadRecord } from './records.ts'
import type { FixedColumn, FixedFrom, FixedTo } from './settings.ts'
import { type SinkOptions, TextSink } from './text-sink.ts'

export function fixedReader(settings: FixedFrom): DocumentReader {
  const places = placesOf(settings.columns)
  return (bytes, name) => inBatches(readFixed(bytes, { settings, places, name }))
}

type Reading = { readonly settings: FixedFrom; readonly places: readonly Place[]; readonly name: string }

function* readFixed(document: Buffer, reading: Reading): Generator<ReadRecord> {
  const { settings, places, name } = reading
  const { encoding, lineEnd } = settings
  const opening = inspectOpening(document, encoding)
  if (opening.problem !== null) throw componentFault('FILE_NOT_TEXT', { where: name, why: opening.problem })
  // In UTF-16 a line feed is no byte; the settings allow it only where characters count.
  const wide = isWide(encoding)
  const bytes = wide ? Buffer.from(textOf(document, encoding, name)) : document.subarray(opening.skipBytes)
  const decoder = textDecoder(wide ? 'utf-8' : encoding)
  const cut = lineEnd === 'none' ? blocksOf(bytes, widthOf(places)) : linesOf(bytes)
  let line = 0
  for (const piece of cut) {
    line += 1
    if (piece.length === 0) continue
    const found = settings.unit === 'bytes' ? byBytes(piece, reading, decoder) : byCharacters(piece, reading, decoder)
    if ('row' in found) yield found
    else {
      const text = piece.toString('latin1', 0, RECORD_TEXT_CHARS_MAX)
      const { code, why } = found
      const details = { where: `${name}:${line}`, why, line }
      const fault: Fault = code === 'CONVERT_LENGTH' ? convertFault(code, details) : componentFault(code, details)
      yield { fault, text: readable(piece, decoder) ?? text }
    }
  }
}

type Found =
  | { readonly row: Row }
  | { readonly code: 'CONVERT_LENGTH' | 'TEXT_UNDECODABLE' | 'TEXT_NUL'; readonly why: string }
type Decoder = ReturnType<typeof textDecoder>

function* linesOf(bytes: Buffer): Generator<Buffer> {
  for (let from = 0; from < bytes.length; ) {
    const feed = bytes.indexOf(0x0a, from)
    const end = feed < 0 ? bytes.length : feed
    yield bytes.subarray(from, end > from && bytes[end - 1] === 0x0d ? end - 1 : end)
    from = end + 1
  }
}

function* blocksOf(bytes: Buffer, width: number): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += width) yield bytes.subarray(from, from + width)
}

function byBytes(line: Buffer, { settings, places }: Reading, decoder: Decoder): Found {
  const problem = lengthProblem(line.length, places, settings)
  if (problem !== null) return problem
  const row: Record<string, string> = {}
  for (const place of places) {
    const text = readable(line.subarray(place.from, place.to), decoder)
    if (text === null)
      return { code: 'TEXT_UNDECODABLE', why: `column ${place.name}, bytes ${place.from + 1} to ${place.to}` }
    if (text.includes('\0')) return { code: 'TEXT_NUL', why: `column ${place.name}` }
    row[place.name] = trimmed(text, place)
  }
  return { row }
}

function byCharacters(line: Buffer, { settings, places }: Reading, decoder: Decoder): Found {
  const text = readable(line, decoder)
  if (text === null) return { code: 'TEXT_UNDECODABLE', why: `bytes outside ${settings.encoding}` }
  if (text.includes('\0')) return { code: 'TEXT_NUL', why: 'a byte of value 0' }
  const chars = /[\ud800-\udbff]/.test(text) ? [...text] : text
  const problem = lengthProblem(chars.length, places, settings)
  if (problem !== null) return problem
  const row: Record<string, string> = {}
  for (const place of places) {
    const piece = chars.slice(place.from, place.to)
    row[place.name] = trimmed(typeof piece === 'string' ? piece : piece.join(''), place)
  }
  return { row }
}

/** Editors and mainframes cut blanks off the end of lines: with `short: true` what is missing is blank. */
function lengthProblem(
  length: number,
  places: readonly Place[],
  { short, unit }: FixedFrom,
): Exclude<Found, { readonly row: Row }> | null {
  const width = widthOf(places)
  if (length === width || (short && length < width)) return null
  return { code: 'CONVERT_LENGTH', why: `${length} ${unit} instead of ${width}` }
}

function readable(bytes: Buffer, decoder: Decoder): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}

/**
 * Without the padding, which stands where the value is not; zeros in front of a number stand behind its sign. A number of nothing
 * but padding zeros is 0.
 */
function trimmed(text: string, { align, pad, trim }: FixedColumn): string {
  if (!trim) return text
  let [from, to] = [0, text.length]
  const sign = align === 'right' && pad === '0' && SIGNED.test(text) ? (text[0] as string) : ''
  if (align === 'right') {
    from = sign.length
    while (from < to && text[from] === pad) from += 1
  } else while (to > from && text[to - 1] === pad) to -= 1
  return from === to && pad === '0' && text !== '' ? '0' : sign + text.slice(from, to)
}

function padded(value: string, { align, pad }: FixedColumn, missing: number): string {
  const padding = pad.repeat(missing)
  if (align === 'left') return value + padding
  return pad === '0' && SIGNED.test(value) ? value[0] + padding + value.slice(1) : padding + value
}

const SIGNED = /^[+-]\d/

export function fixedWriter(settings: FixedTo, sinkOptions: SinkOptions): DocumentWriter {
  const sink = new TextSink(sinkOptions)
  const places = placesOf(settings.columns)
  const columns = columnsOf(
    places.map(({ name }) => name),
    settings,
  )
  const end = { crlf: '\r\n', lf: '\n', none: '' }[settings.lineEnd]
  const lengthOf = (text: string): number => {
    if (settings.unit === 'characters') return [...text].length
    const encoded = encodeText(text, settings.encoding)
    // What cannot be encoded is refused by the sink, which says where it is.
    return encoded.ok ? encoded.bytes.length : 0
  }
  return {
    add: (row) => {
      const values = columns.valuesOf(row)
      let line = ''
      let at = 0
      for (const [i, place] of places.entries()) {
        const value = cellText(values[i]) ?? ''
        const length = lengthOf(value)
        if (length > place.width) {
          const why = `${length} ${settings.unit} instead of at most ${place.width}`
          throw convertFault('CONVERT_WIDTH', { where: `field ${JSON.stringify(place.name)}`, why })
        }
        if (/[\r\n]/.test(value)) {
          throw convertFault('CONVERT_VALUE', {
            where: `field ${JSON.stringify(place.name)}`,
            why: 'it has a line end',
          })
        }
        line += ' '.repeat(place.from - at) + padded(value, place, place.width - length)
        at = place.to
      }
      refuseNul(line)
      sink.write(line + end, row)
    },
    end: () => sink.end(),
  }
}
