// Cursor over bytes that come from outside: every read is checked against what remains; varints are minimal; nothing trails.

import { declareFaults } from '#protocol/base/mod.ts'
import { Texts } from './texts.ts'

const fault = declareFaults('bytes', {
  BYTES_SHORT: {
    meaning: 'a structure ends before its declared content',
    remedy: 'The sender is faulty or the data were cut; it must send them again',
  },
  BYTES_TRAILING: {
    meaning: 'a structure is followed by bytes that belong to nothing',
    remedy: 'The sender is faulty; it must follow the layout of protocol/spec',
  },
  VARINT_INVALID: {
    meaning: 'a variable-length integer is too long or not minimal',
    remedy: 'The sender is faulty; it must encode integers minimally, below 2^53',
  },
  INTEGER_TOO_LARGE: {
    meaning: 'an integer is 2^53 or larger',
    remedy: 'The sender is faulty; 64-bit fields of this protocol stay below 2^53',
  },
  TEXT_INVALID: {
    meaning: 'a text is not well-formed UTF-8',
    remedy: 'The sender must encode names and topics as UTF-8',
  },
})

const U32 = 0x1_0000_0000
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const texts = new Texts()

/** Reads forward through `bytes`. Views returned alias `bytes`. */
export class ByteReader {
  readonly bytes: Buffer
  readonly where: string
  offset: number
  readonly end: number

  constructor(bytes: Buffer, where: string, offset = 0, end = bytes.length) {
    this.bytes = bytes
    this.where = where
    this.offset = offset
    this.end = end
  }

  get remaining(): number {
    return this.end - this.offset
  }

  /** Goes past `length` bytes; where they begin. */
  skip(length: number): number {
    const at = this.offset
    if (length > this.end - at) throw fault('BYTES_SHORT', { where: `${this.where}+${at}` })
    this.offset = at + length
    return at
  }

  u8(): number {
    return this.bytes[this.skip(1)] as number
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.skip(2))
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.skip(4))
  }

  /** An unsigned 64-bit integer below 2^53. */
  u53(): number {
    const at = this.skip(8)
    return readU53(this.bytes, at, this.where)
  }

  /** LEB128, minimal, below 2^53. */
  varint(): number {
    let value = 0
    let scale = 1
    for (let length = 1; ; length++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if ((byte === 0 && length > 1) || value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      if (length === 8) break
      scale *= 128
    }
    throw fault('VARINT_INVALID', { where: `${this.where}+${this.offset}` })
  }

  view(length: number): Buffer {
    const at = this.skip(length)
    return this.bytes.subarray(at, at + length)
  }

  text(length: number): string {
    const at = this.skip(length)
    return textAt(this.bytes, at, { to: at + length, where: this.where })
  }

  /** Faults with `BYTES_TRAILING` unless everything was read. */
  finish(): void {
    if (this.offset !== this.end) throw fault('BYTES_TRAILING', { where: `${this.where}+${this.offset}` })
  }
}

/** The text in `bytes` from `from` to `to`, as `decodeText`; the same string again for one that was read lately. */
export function textAt(bytes: Buffer, from: number, { to, where }: { to: number; where: string }): string {
  return texts.find(bytes, from, to) ?? decodeText(bytes.subarray(from, to), where)
}

/** Well-formed UTF-8 to a string. Faults: `TEXT_INVALID`. */
export function decodeText(bytes: Uint8Array, where: string): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw fault('TEXT_INVALID', { where, cause })
  }
}

/** Unsigned 64-bit little-endian at `at`. Faults: `INTEGER_TOO_LARGE` from 2^53. */
export function readU53(bytes: Buffer, at: number, where: string): number {
  const high = bytes.readUInt32LE(at + 4)
  if (high >= 0x20_0000) throw fault('INTEGER_TOO_LARGE', { where: `${where}+${at}` })
  return high * U32 + bytes.readUInt32LE(at)
}

/** Writes an integer in 0 … 2^53-1 as unsigned 64-bit little-endian; gives the offset after it. */
export function writeU53(bytes: Buffer, at: number, value: number): number {
  bytes.writeUInt32LE(value % U32, at)
  return bytes.writeUInt32LE(Math.floor(value / U32), at + 4)
}

/** Bytes that `writeVarint` takes for `value`: 1 … 8. */
export function varintBytes(value: number): number {
  let length = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++
  return length
}

/** Writes `value` (0 … 2^53-1) as minimal LEB128; gives the offset after it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value
  let offset = at
  while (rest >= 128) {
    bytes[offset++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  bytes[offset++] = rest
  return offset
}
