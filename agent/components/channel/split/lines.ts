// Lines of a text in its bytes: in all encodings but UTF-16 and UTF-32 a line feed is the byte 0x0A, and a quote its ASCII byte.

import { splitFault } from './faults.ts'

const LF = 0x0a

export type LineOptions = { readonly lines: number; readonly header: number; readonly quote?: string }

/** The header, and parts of so many lines (or records, if there is a quote), each with its line ends. Faults: `SPLIT_TEXT_INVALID`. */
export function cutLines(bytes: Buffer, { lines, header, quote }: LineOptions): { header: Buffer; parts: Buffer[] } {
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || bytes.subarray(0, 2).includes(0)) {
    throw splitFault('SPLIT_TEXT_INVALID', { why: 'it is UTF-16 or UTF-32' })
  }
  const ends = endsOf(bytes, quote)
  const headerEnd = header === 0 ? 0 : (ends[header - 1] ?? bytes.length)
  const parts: Buffer[] = []
  for (let i = header; i < ends.length; i += lines) {
    const from = i === 0 ? 0 : (ends[i - 1] as number)
    parts.push(bytes.subarray(from, ends[Math.min(i + lines, ends.length) - 1] as number))
  }
  return { header: bytes.subarray(0, headerEnd), parts }
}

/** Where each line ends: behind its line feed, or at the end of the text. */
function endsOf(bytes: Buffer, quote: string | undefined): number[] {
  const mark = quote === undefined ? -1 : quote.charCodeAt(0)
  const ends: number[] = []
  let at = 0
  while (at < bytes.length) {
    const from = at
    let open = false
    do {
      const feed = bytes.indexOf(LF, at)
      const end = feed < 0 ? bytes.length : feed + 1
      if (mark >= 0) {
        for (let q = bytes.indexOf(mark, at); q >= 0 && q < end; q = bytes.indexOf(mark, q + 1)) open = !open
      }
      at = end
    } while (open && at < bytes.length)
    if (open) {
      const line = ends.length === 0 ? 1 : linesIn(bytes, from) + 1
      throw splitFault('SPLIT_TEXT_INVALID', {
        where: `line ${line}`,
        why: 'a quote is never closed',
        line,
        position: from,
      })
    }
    ends.push(at)
  }
  return ends
}

function linesIn(bytes: Buffer, end: number): number {
  let count = 0
  for (let at = bytes.indexOf(LF); at >= 0 && at < end; at = bytes.indexOf(LF, at + 1)) count += 1
  return count
}
