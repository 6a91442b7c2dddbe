// Items as bytes: to go to a thread and back, and to be digested for the trace. The same items always give the same bytes.
//
// Integers `n` are LEB128, minimal; other numbers little-endian. A text is n bytes of UTF-8 behind n. Fields stand in their order.
//
//   item     row (object) · content
//   content  0 none · 1 local file: path text, size n, changed and inode float64 · 2 bytes: n, bytes · 3 at the hub: id text, size n
//            4 at the hub, on its way to a thread that asks for its bytes: id text, size n, bytes
//   object   n, then n times: name value-of-text · value
//   value    0 null · 1 false · 2 true · 3 float64 · 4 text · 5 text that is not well-formed: n units, UTF-16
//            6 bigint: its decimal text · 7 n bytes · 8 list: n, values · 9 object
//
// `ref` is not part of it: the same record digests the same wherever it came from. NaN has one form, -0 and 0 differ.

import { hash } from 'node:crypto'
import { Fault } from '#protocol/base/mod.ts'
import { varintBytes, writeVarint } from '#protocol/bytes/mod.ts'
import type { Content, HubContent, Item, Row, Value } from '../contract.ts'
import { chainFault } from './faults.ts'
import { VALUE_DEPTH_MAX } from './limits.ts'

export const DIGEST_BYTES = 32

const NULL = 0
const FALSE = 1
const TRUE = 2
const NUMBER = 3
const TEXT = 4
const BROKEN_TEXT = 5
const BIGINT = 6
const BYTES = 7
const LIST = 8
const OBJECT = 9

const NO_CONTENT = 0
const LOCAL_CONTENT = 1
const BYTES_CONTENT = 2
const HUB_CONTENT = 3
const LENT_CONTENT = 4

/** Bytes an ASCII text of this length is copied in by hand faster than by a call. */
const SHORT_TEXT = 32
const FIRST_BYTES = 64 * 1024
/** A larger buffer is not kept for the next items. */
const KEPT_BYTES_MAX = 4 * 2 ** 20

/** Bytes written one after the other, into memory that is used again. */
export class ItemWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #at = 0

  /** Begins anew: what `written` gave is gone. */
  reset(): void {
    this.#at = 0
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  }

  get length(): number {
    return this.#at
  }

  /** A view, until `reset` or the next write. */
  written(from = 0): Buffer {
    return this.#bytes.subarray(from, this.#at)
  }

  u8(value: number): void {
    this.#room(1)
    this.#bytes[this.#at++] = value
  }

  varint(value: number): void {
    this.#room(varintBytes(value))
    this.#at = writeVarint(this.#bytes, this.#at, value)
  }

  f64(value: number): void {
    this.#room(8)
    // Whatever NaN a channel has made, its bytes are these.
    this.#at = this.#bytes.writeDoubleLE(Number.isNaN(value) ? Number.NaN : value, this.#at)
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.byteLength)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.byteLength
  }

  /** Bytes behind their number. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.byteLength)
    this.raw(bytes)
  }

  /** Well-formed, or its lone surrogates are lost. */
  text(text: string): void {
    const { length } = text
    if (length <= SHORT_TEXT && this.#shortText(text)) return
    const size = Buffer.byteLength(text)
    this.varint(size)
    this.#room(size)
    this.#at += this.#bytes.write(text, this.#at, size, 'utf8')
  }

  /** False when it is not ASCII. */
  #shortText(text: string): boolean {
    const { length } = text
    this.#room(length + 1)
    const bytes = this.#bytes
    let at = this.#at
    bytes[at++] = length
    for (let i = 0; i < length; i += 1) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) return false
      bytes[at++] = unit
    }
    this.#at = at
    return true
  }

  value(value: Value, depth = 0): void {
    switch (typeof value) {
      case 'string':
        this.#string(value)
        return
      case 'number':
        this.u8(NUMBER)
        this.f64(value)
        return
      case 'boolean':
        this.u8(value ? TRUE : FALSE)
        return
      case 'bigint':
        this.u8(BIGINT)
        this.text(String(value))
        return
      case 'object':
        break
      default:
        throw chainFault('CHAIN_VALUE_UNFIT', { why: `it is a ${typeof value}` })
    }
    if (value === null) this.u8(NULL)
    else if (value instanceof Uint8Array) {
      this.u8(BYTES)
      this.bytes(value)
    } else if (Array.isArray(value)) this.#list(value as readonly Value[], depth + 1)
    else {
      this.u8(OBJECT)
      this.object(value as Row, depth + 1)
    }
  }

  object(object: Row, depth = 0): void {
    checkDepth(depth)
    const names = Object.keys(object)
    this.varint(names.length)
    for (const name of names) {
      this.#string(name)
      this.value(object[name] as Value, depth)
    }
  }

  #list(list: readonly Value[], depth: number): void {
    checkDepth(depth)
    this.u8(LIST)
    this.varint(list.length)
    for (let i = 0; i < list.length; i += 1) this.value(list[i] as Value, depth)
  }

  #string(text: string): void {
    const { length } = text
    this.u8(TEXT)
    if (length <= SHORT_TEXT && this.#shortText(text)) return
    if (text.isWellFormed()) {
      this.text(text)
      return
    }
    this.#at -= 1
    this.u8(BROKEN_TEXT)
    this.varint(length)
    this.#room(2 * length)
    this.#at += this.#bytes.write(text, this.#at, 2 * length, 'utf16le')
  }

  item({ row, content }: Item): void {
    this.object(row)
    this.#content(content)
  }

  /** An item whose content is at the hub, with its bytes. */
  lent({ row }: Item, { id, size }: HubContent, bytes: Uint8Array): void {
    this.object(row)
    this.u8(LENT_CONTENT)
    this.text(id)
    this.varint(size)
    this.bytes(bytes)
  }

  #content(content: Content | undefined): void {
    switch (content?.kind) {
      case undefined:
        this.u8(NO_CONTENT)
        return
      case 'local':
        this.u8(LOCAL_CONTENT)
        this.text(content.path)
        this.varint(content.size)
        this.f64(content.changedMs)
        this.f64(content.inode)
        return
      case 'bytes':
        this.u8(BYTES_CONTENT)
        this.bytes(content.bytes)
        return
      default:
        this.u8(HUB_CONTENT)
        this.text((content as HubContent).id)
        this.varint((content as HubContent).size)
    }
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }
}

function checkDepth(depth: number): void {
  if (depth > VALUE_DEPTH_MAX)
    throw chainFault('CHAIN_VALUE_UNFIT', { why: `it is nested deeper than ${VALUE_DEPTH_MAX}` })
}

/** Reads what an `ItemWriter` of this process wrote. Bytes of items are views of `bytes`. */
export class ItemReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  u8(): number {
    return this.#bytes[this.#at++] as number
  }

  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  f64(): number {
    const value = this.#bytes.readDoubleLE(this.#at)
    this.#at += 8
    return value
  }

  raw(length: number): Buffer {
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(): string {
    const length = this.varint()
    this.#at += length
    return this.#bytes.toString('utf8', this.#at - length, this.#at)
  }

  value(): Value {
    const kind = this.u8()
    switch (kind) {
      case NULL:
        return null
      case FALSE:
        return false
      case TRUE:
        return true
      case NUMBER:
        return this.f64()
      case TEXT:
        return this.text()
      case BROKEN_TEXT: {
        const length = 2 * this.varint()
        this.#at += length
        return this.#bytes.toString('utf16le', this.#at - length, this.#at)
      }
      case BIGINT:
        return BigInt(this.text())
      case BYTES:
        return this.raw(this.varint())
      case LIST: {
        const list = new Array<Value>(this.varint())
        for (let i = 0; i < list.length; i += 1) list[i] = this.value()
        return list
      }
      case OBJECT:
        return this.object()
      default:
        throw new Error(`no value begins with ${kind}`)
    }
  }

  object(): Row {
    const object: Record<string, Value> = {}
    for (let left = this.varint(); left > 0; left -= 1) {
      const name = this.value() as string
      const value = this.value()
      if (name !== '__proto__') object[name] = value
      else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
    }
    return object
  }

  /** Large content at the hub comes out of `hubContent`, by its id; `lent` are its bytes when they came along. */
  item(ref: Item['ref'], hubContent: (id: string, size: number, lent: Buffer | null) => Content): Item {
    const row = this.object()
    const content = this.#content(hubContent)
    return content === null ? { row, ref } : { row, ref, content }
  }

  #content(hubContent: (id: string, size: number, lent: Buffer | null) => Content): Content | null {
    const kind = this.u8()
    switch (kind) {
      case NO_CONTENT:
        return null
      case LOCAL_CONTENT: {
        const path = this.text()
        const size = this.varint()
        const changedMs = this.f64()
        return { kind: 'local', path, size, changedMs, inode: this.f64() }
      }
      case BYTES_CONTENT:
        return { kind: 'bytes', bytes: this.raw(this.varint()) }
      case HUB_CONTENT: {
        const id = this.text()
        return hubContent(id, this.varint(), null)
      }
      case LENT_CONTENT: {
        const id = this.text()
        const size = this.varint()
        return hubContent(id, size, this.raw(this.varint()))
      }
      default:
        throw new Error(`no content begins with ${kind}`)
    }
  }
}

/** The encodings of the items, one after the other. A view until the next call. Faults: `CHAIN_VALUE_UNFIT`. */
export function encodeItems(items: readonly Item[]): Buffer {
  shared.reset()
  for (const item of items) shared.item(item)
  return shared.written()
}
const shared = new ItemWriter()

/** SHA-256 of an item's encoding, 32 bytes; zeros of one that cannot be encoded. */
export function digestOf(item: Item): Buffer {
  try {
    return hash('sha256', encodeItems([item]), 'buffer')
  } catch (error) {
    if (error instanceof Fault) return Buffer.alloc(DIGEST_BYTES)
    throw error
  }
}
