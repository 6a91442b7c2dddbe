// The contents' tables, as the one transaction being put together sees them: what its works have put, or else what is
// committed. So every work decides by what really is there when it is written, and counts are exact without plans: works are
// written one after the other, and nothing else changes the tables.
//
// Reads from outside look at what is committed (`stored`).

import type { Key, Table } from '../disk.ts'
import type { Engine } from '../engine.ts'
import {
  type ChunkRow,
  type ContentRow,
  decodeChunk,
  decodeContent,
  decodeNumber,
  decodePart,
  decodeReader,
  encodeChunk,
  encodeContent,
  encodeNumber,
  encodePart,
  encodeReader,
  type NamedKey,
  type PartKey,
  type PartRow,
} from './rows.ts'

type Form<K, V> = { encode(value: V, key: K): Buffer; decode(bytes: Buffer, key: K): V }
type Put<K, V> = { readonly key: K; readonly value: V | null }

export class Staged<K extends Key, V> {
  readonly table: Table
  private readonly form: Form<K, V>
  private readonly puts = new Map<string | number, Put<K, V>>()

  constructor(table: Table, form: Form<K, V>) {
    this.table = table
    this.form = form
  }

  /** What is on the disk. Faults: `STORE_DAMAGED`, `STORE_IO`. */
  stored(key: K): V | null {
    const bytes = this.table.get(key)
    return bytes === undefined ? null : this.form.decode(bytes, key)
  }

  /** Within a work: what is there now. Faults: as `stored`. */
  get(key: K): V | null {
    const put = this.puts.get(nameOf(key))
    return put === undefined ? this.stored(key) : put.value
  }

  put(key: K, value: V): void {
    this.puts.set(nameOf(key), { key, value })
  }

  remove(key: K): void {
    this.puts.set(nameOf(key), { key, value: null })
  }

  decode(bytes: Buffer, key: K): V {
    return this.form.decode(bytes, key)
  }

  /** All works have written. */
  flush(): void {
    for (const { key, value } of this.puts.values()) {
      if (value === null) this.table.remove(key)
      else this.table.put(key, this.form.encode(value, key))
    }
    this.puts.clear()
  }

  discard(): void {
    this.puts.clear()
  }
}

export class Tables {
  /** A content's number by its id: a content that is removed takes its number along, and its id is free at once. */
  readonly ids: Staged<string, number>
  readonly contents: Staged<number, ContentRow>
  readonly parts: Staged<PartKey, PartRow>
  readonly chunks: Staged<number, ChunkRow>
  /** A chunk's number by its digest, in base64: of those that are in use and not given up. */
  readonly digests: Staged<string, number>
  /** How many parts of contents of one origin consist of a chunk. */
  readonly owners: Staged<NamedKey, number>
  /** Agents that were sent a message which refers to a content: its id. */
  readonly readers: Staged<NamedKey, string>
  /** Contents whose parts are being removed: their origin; empty when an older program began with it. */
  readonly removing: Staged<number, string>
  private readonly all: readonly Pick<Staged<Key, unknown>, 'flush' | 'discard'>[]

  constructor(engine: Engine) {
    const number: Form<string, number> = { encode: encodeNumber, decode: decodeNumber }
    this.ids = new Staged(engine.table('ids'), number)
    this.contents = new Staged(engine.table('contents'), { encode: encodeContent, decode: decodeContent })
    this.parts = new Staged(engine.table('parts'), { encode: encodePart, decode: decodePart })
    this.chunks = new Staged(engine.table('chunks'), { encode: encodeChunk, decode: decodeChunk })
    this.digests = new Staged(engine.table('digests'), number)
    this.owners = new Staged(engine.table('owners'), {
      encode: (count, key) => encodeNumber(count, key.join('/')),
      decode: (bytes, key) => decodeNumber(bytes, key.join('/')),
    })
    this.readers = new Staged(engine.table('readers'), { encode: encodeReader, decode: decodeReader })
    this.removing = new Staged(engine.table('removing'), {
      encode: (origin) => Buffer.concat([Buffer.from([1]), Buffer.from(origin)]),
      decode: (bytes) => bytes.toString('utf8', 1),
    })
    const { ids, contents, parts, chunks, digests, owners, readers, removing } = this
    this.all = [ids, contents, parts, chunks, digests, owners, readers, removing]
  }

  flush(): void {
    for (const table of this.all) table.flush()
  }

  discard(): void {
    for (const table of this.all) table.discard()
  }
}

/** Rows of a table by number, ascending, so many at a time. */
export function* numbered(table: Table, limit: number): Generator<{ number: number; value: Buffer }> {
  let last = 0
  for (;;) {
    const rows = table.range({ from: last + 1, to: Number.MAX_SAFE_INTEGER, limit })
    for (const { key, value } of rows) {
      last = key as number
      yield { number: last, value }
    }
    if (rows.length < limit) return
  }
}

/** Keys of a number's rows in a table by number and name, so many at most. */
export function namedKeys(table: Table, number: number, limit: number): NamedKey[] {
  return table.range({ from: [number, ''], to: [number + 1, ''], limit }).map(({ key }) => key as NamedKey)
}

const nameOf = (key: Key): string | number => (typeof key === 'object' ? key.join('/') : key)
