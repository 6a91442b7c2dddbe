// Reads a header map: one MessagePack map of names (str) to nil, bool, int, float or str, and nothing behind it, in one pass. A
// general decoder takes far more (extensions, nesting, repeated names, broken UTF-8), and two of them would not agree on it; and
// it takes three times as long for a map as small as these.

import { textAt } from '#protocol/bytes/mod.ts'
import { codecFault } from './faults.ts'
import { HEADERS_MAX } from './limits.ts'

export type HeaderValue = string | number | boolean | null
export type Headers = { readonly [name: string]: HeaderValue }

export const NO_HEADERS: Headers = Object.freeze({})

/** So many names are compared sooner than put into a set. */
const COMPARED_NAMES_MAX = 8

/** `__proto__` cannot be a name in every language, this one included. */
export function isHeaderName(name: string): boolean {
  return name !== '' && name !== '__proto__' && name !== '__proto_'
}

/** The headers in `bytes` from `from` to `to`; none in no bytes. Faults: `HEADERS_INVALID` for anything but a flat map of simple values. */
export function readHeaders(bytes: Buffer, from: number, to: number): Headers {
  return from === to ? NO_HEADERS : new HeaderReader(bytes, from, to).read()
}

class HeaderReader {
  private readonly bytes: Buffer
  private at: number
  private readonly to: number

  constructor(bytes: Buffer, from: number, to: number) {
    this.bytes = bytes
    this.at = from
    this.to = to
  }

  read(): Headers {
    const count = this.count()
    if (count > HEADERS_MAX) throw invalid(`more than ${HEADERS_MAX}`)
    const headers: Record<string, HeaderValue> = {}
    const names: string[] = []
    for (let i = 0; i < count; i++) {
      const name = this.text(this.byte())
      if (name === null) throw invalid('a name is not text')
      if (!isHeaderName(name)) throw invalid(`header "${name}"`)
      if (count <= COMPARED_NAMES_MAX ? names.includes(name) : Object.hasOwn(headers, name)) {
        throw invalid(`the name "${name.slice(0, 40)}" comes twice`)
      }
      names.push(name)
      headers[name] = this.value()
    }
    if (this.at !== this.to) throw invalid('bytes behind it')
    return headers
  }

  private count(): number {
    const type = this.byte()
    if (type >= 0x80 && type <= 0x8f) return type & 0x0f
    if (type === 0xde) return this.uint(2)
    if (type === 0xdf) return this.uint(4)
    throw invalid('not a map')
  }

  private value(): HeaderValue {
    const type = this.byte()
    if (type <= 0x7f) return type
    if (type >= 0xe0) return type - 0x100
    const text = this.text(type)
    if (text !== null) return text
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xca:
        return this.bytes.readFloatBE(this.take(4))
      case 0xcb:
        return this.bytes.readDoubleBE(this.take(8))
      case 0xcc:
        return this.uint(1)
      case 0xcd:
        return this.uint(2)
      case 0xce:
        return this.uint(4)
      case 0xcf:
        return exact(this.bytes.readBigUInt64BE(this.take(8)))
      case 0xd0:
        return this.bytes.readInt8(this.take(1))
      case 0xd1:
        return this.bytes.readInt16BE(this.take(2))
      case 0xd2:
        return this.bytes.readInt32BE(this.take(4))
      case 0xd3:
        return exact(this.bytes.readBigInt64BE(this.take(8)))
    }
    throw invalid('a value is not simple')
  }

  /** The str of which `type` is the first byte; `null` when it begins none. */
  private text(type: number): string | null {
    let length: number
    if (type >= 0xa0 && type <= 0xbf) length = type & 0x1f
    else if (type === 0xd9) length = this.uint(1)
    else if (type === 0xda) length = this.uint(2)
    else if (type === 0xdb) length = this.uint(4)
    else return null
    const at = this.take(length)
    try {
      return textAt(this.bytes, at, { to: at + length, where: 'headers' })
    } catch (cause) {
      throw codecFault('HEADERS_INVALID', { why: 'a text is not well-formed UTF-8', cause })
    }
  }

  private uint(bytes: 1 | 2 | 4): number {
    return this.bytes.readUIntBE(this.take(bytes), bytes)
  }

  private byte(): number {
    return this.bytes[this.take(1)] as number
  }

  private take(length: number): number {
    const { at } = this
    if (length > this.to - at) throw invalid('it ends too early')
    this.at = at + length
    return at
  }
}

/** Beyond 53 bits an integer would not be the same number for every receiver. */
function exact(value: bigint): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw invalid('an integer of more than 53 bits')
  return number
}

const invalid = (why: string) => codecFault('HEADERS_INVALID', { why })
