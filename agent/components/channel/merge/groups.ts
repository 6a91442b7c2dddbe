// The groups that wait, as a state. Items are kept as the bytes of their records, which are what goes to the disk; they become
// objects again when their group goes out. Groups stand in the order in which their time comes.
//
//   item:    0 u8 1 · 1 f64 number of its group · 9 f64 age in ms · 17 u32 items of the group, 0 when not known · 21 u32 length
//            of the key · 25 key, with the first item of a group only · then the item in V8's serialization, which later versions read
//   end:     0 u8 2 · 1 f64 number of the group
//   number:  0 u8 3 · 1 f64 number of the next group
//
// No number is used twice in one run; one of which nothing was written may be, in the next.

import { deserialize, serialize } from 'node:v8'
import type { Row } from '../../contract.ts'
import { type StateOwner, stateFault } from '../../state/mod.ts'
import { ITEM_BYTES } from './limits.ts'

const ITEM = 1
const END = 2
const NUMBER = 3
const ITEM_HEAD_BYTES = 25

/** `bytes`: the document; `null` when the row is all. */
export type Member = { readonly row: Row; readonly bytes: Uint8Array | null }

export type Group = {
  readonly number: number
  readonly key: string
  readonly firstMs: number
  lastMs: number
  /** Items that it is to have, where they say so. */
  readonly expected: number | null
  readonly records: Buffer[]
  bytes: number
}

export class Groups implements StateOwner {
  readonly #since: 'first' | 'last'
  readonly #groups = new Map<string, Group>()
  readonly #keys = new Map<number, string>()
  #next = 1
  #bytes = 0

  constructor(since: 'first' | 'last') {
    this.#since = since
  }

  get size(): number {
    return this.#groups.size
  }

  get bytes(): number {
    return this.#bytes
  }

  of(key: string): Group | null {
    return this.#groups.get(key) ?? null
  }

  /** The one whose time comes first. */
  oldest(): Group | null {
    for (const group of this.#groups.values()) return group
    return null
  }

  /** What `afterMs` is counted from. */
  sinceMs(group: Group): number {
    return this.#since === 'first' ? group.firstMs : group.lastMs
  }

  /** Adds an item; gives the record of that. `item` as `pack` gave it. */
  add(key: string, item: Buffer, { ageMs, expected }: { ageMs: number; expected: number | null }): Buffer {
    const group = this.of(key)
    const keyBytes = group === null ? Buffer.from(key) : Buffer.alloc(0)
    const record = Buffer.allocUnsafe(ITEM_HEAD_BYTES + keyBytes.length + item.length)
    record[0] = ITEM
    record.writeDoubleLE(group?.number ?? this.#next, 1)
    record.writeDoubleLE(ageMs, 9)
    record.writeUInt32LE(expected ?? 0, 17)
    record.writeUInt32LE(keyBytes.length, 21)
    keyBytes.copy(record, ITEM_HEAD_BYTES)
    item.copy(record, ITEM_HEAD_BYTES + keyBytes.length)
    this.#take(record)
    return record
  }

  /** Takes a group away; gives the record of that. */
  end(group: Group): Buffer {
    this.#drop(group.number)
    return numbered(END, group.number)
  }

  members(group: Group): Member[] {
    return group.records.map((record) => {
      const [row, bytes] = deserialize(record.subarray(ITEM_HEAD_BYTES + record.readUInt32LE(21))) as [
        Row,
        Uint8Array | null,
      ]
      return { row, bytes }
    })
  }

  static pack({ row, bytes }: Member): Buffer {
    return serialize([row, bytes])
  }

  // ---- a state ----

  clear(): void {
    this.#groups.clear()
    this.#keys.clear()
    this.#next = 1
    this.#bytes = 0
  }

  replay(record: Buffer): void {
    if (record[0] === ITEM && record.length > ITEM_HEAD_BYTES) this.#take(record)
    else if (record[0] === END && record.length === 9) this.#drop(record.readDoubleLE(1))
    else if (record[0] === NUMBER && record.length === 9) this.#next = record.readDoubleLE(1)
    else throw stateFault('STATE_INVALID', { where: 'channel merge', why: 'it is the state of another channel' })
  }

  *snapshot(): Iterable<Buffer> {
    for (const { records } of this.#groups.values()) yield* records
    yield numbered(NUMBER, this.#next)
  }

  keptBytes(): number {
    return this.#bytes
  }

  #take(record: Buffer): void {
    const number = record.readDoubleLE(1)
    const ageMs = record.readDoubleLE(9)
    const keyBytes = record.readUInt32LE(21)
    const key = this.#keys.get(number) ?? record.toString('utf8', ITEM_HEAD_BYTES, ITEM_HEAD_BYTES + keyBytes)
    const group = this.#groups.get(key) ?? {
      number,
      key,
      firstMs: ageMs,
      lastMs: ageMs,
      expected: record.readUInt32LE(17) || null,
      records: [],
      bytes: 0,
    }
    group.lastMs = ageMs
    group.records.push(record)
    const bytes = record.length + ITEM_BYTES
    group.bytes += bytes
    this.#bytes += bytes
    // Behind all others: its time comes last.
    if (this.#since === 'last') this.#groups.delete(key)
    this.#groups.set(key, group)
    this.#keys.set(number, key)
    this.#next = Math.max(this.#next, number + 1)
  }

  #drop(number: number): void {
    const key = this.#keys.get(number)
    const group = key === undefined ? undefined : this.#groups.get(key)
    if (group === undefined) return
    this.#bytes -= group.bytes
    this.#groups.delete(group.key)
    this.#keys.delete(number)
  }
}

function numbered(type: number, number: number): Buffer {
  const record = Buffer.allocUnsafe(9)
  record[0] = type
  record.writeDoubleLE(number, 1)
  return record
}
