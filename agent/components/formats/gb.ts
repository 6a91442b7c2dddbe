// Text → GBK and GB18030: the exact inverse of the platform's decoder, made from it once.

import { TextDecoder } from 'node:util'
import { assert } from '#protocol/base/mod.ts'
import type { Encoded } from './encoding.ts'

// GB18030: two bytes (0x81–0xFE, then 0x40–0x7E or 0x80–0xFE) or four (0x81–0xFE, 0x30–0x39, 0x81–0xFE, 0x30–0x39).
// Linear index of four bytes: ((b1-0x81)*10 + b2-0x30)*126 + b3-0x81)*10 + b4-0x30. Planes 1–16 start at index 189,000.
const FOUR_BYTE_BMP = 39_420
const FOUR_BYTE_SUPPLEMENTARY = 189_000

/** BMP code unit → GB18030 bytes packed big-endian; 0 where there is none. 256 KiB. */
let gbTable: Uint32Array | null = null

function buildGbTable(): Uint32Array {
  const table = new Uint32Array(0x10000)
  // The replacement character marks a failed decoding below, so its own code is entered by hand.
  table[0xfffd] = 0x8431_a437
  enter(table, FOUR_BYTE_BMP, fourByteCode)
  // Two bytes last: where both forms exist, the short one is written.
  enter(table, 126 * 190, (i) => {
    const trail = i % 190
    return ((0x81 + Math.floor(i / 190)) << 8) | (trail < 63 ? 0x40 + trail : 0x41 + trail)
  })
  return table
}

function fourByteCode(index: number): number {
  const b4 = 0x30 + (index % 10)
  const b3 = 0x81 + (Math.floor(index / 10) % 126)
  const b2 = 0x30 + (Math.floor(index / 1_260) % 10)
  const b1 = 0x81 + Math.floor(index / 12_600)
  return ((b1 << 24) | (b2 << 16) | (b3 << 8) | b4) >>> 0
}

function enter(table: Uint32Array, count: number, codeAt: (index: number) => number): void {
  const bytes = Buffer.alloc(count * 5)
  let length = 0
  for (let i = 0; i < count; i += 1) {
    const code = codeAt(i)
    length = code > 0xffff ? bytes.writeUInt32BE(code, length) : bytes.writeUInt16BE(code, length)
    length = bytes.writeUInt8(0x0a, length)
  }
  const chars = new TextDecoder('gb18030').decode(bytes.subarray(0, length)).split('\n')
  assert(chars.length === count + 1, 'a line feed is never part of a GB18030 character')
  for (let i = 0; i < count; i += 1) {
    const char = chars[i] ?? ''
    if (char.length === 1 && char !== '\ufffd') table[char.charCodeAt(0)] = codeAt(i)
  }
}

export function encodeGb(text: string, fourBytes: boolean): Encoded {
  gbTable ??= buildGbTable()
  const table = gbTable
  const bytes = Buffer.allocUnsafe(text.length * 4)
  let length = 0
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) {
      bytes[length++] = unit
      continue
    }
    if (unit === 0x20ac && !fourBytes) {
      // WHATWG's GBK encoder, and Windows code page 936: the euro sign is the single byte 0x80.
      bytes[length++] = 0x80
      continue
    }
    let code = table[unit] ?? 0
    let codePoint = unit
    if (unit >= 0xd800 && unit <= 0xdfff) {
      codePoint = text.codePointAt(i) ?? unit
      code = codePoint > 0xffff ? fourByteCode(FOUR_BYTE_SUPPLEMENTARY + codePoint - 0x10000) : 0
      i += codePoint > 0xffff ? 1 : 0
    }
    if (code === 0 || (code > 0xffff && !fourBytes)) return { ok: false, codePoint }
    length = code > 0xffff ? bytes.writeUInt32BE(code, length) : bytes.writeUInt16BE(code, length)
  }
  return { ok: true, bytes: bytes.subarray(0, length) }
}
