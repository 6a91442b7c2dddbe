// Channel `merge`: makes one item of many that belong together.
//
// Items with the same key gather in a group. It is complete when it has as many as `count` or `countField` say; where neither is set,
// when its time (`afterMs`) or its size (`groupBytes`, `itemsMax`) is reached. What of these comes before the count makes it go out
// incomplete, and so does, with `full: oldest`, want of room. Then what still comes with its key begins another group.
//
// What comes out has the fields of the key, `count` (the items in it), `complete`, and a `ref` of its own. Groups survive a restart;
// time as `StateLog.ageMs` counts it. A flow that ends keeps its groups for its next run.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import {
  type Carries,
  type Channel,
  type ComponentContext,
  type Item,
  ownRef,
  type Reject,
  type Row,
  type Value,
} from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { checkDepth, StateLog } from '../../state/mod.ts'
import { keyOf, missingIn } from '../key.ts'
import { mergeFault } from './faults.ts'
import { type Form, formOf } from './forms.ts'
import { type Group, Groups, type Member } from './groups.ts'
import { DUE_BYTES_MAX, ITEM_BYTES, KEY_SHOWN_CHARS, MEMBER_BYTES_MAX } from './limits.ts'
import type { MergeSettings } from './settings.ts'

type Putting = { readonly out: Item[]; readonly reject: (reject: Reject) => void }

export function mergeTurns({ as, field }: MergeSettings, given: Carries): Carries {
  const takesRows = as.type === 'row' || as.type === 'json' || as.type === 'jsonl' || field !== undefined
  if (!takesRows && given === 'rows') throw componentFault('DOCUMENT_MISSING', { why: 'rows come here' })
  if (as.type === 'row' && given === 'files')
    throw mergeFault('MERGE_MEMBER_INVALID', { why: '`as: row` is for rows, and files come here' })
  return as.type === 'row' ? 'rows' : 'files'
}

export class MergeChannel implements Channel {
  readonly alone = true
  readonly #settings: MergeSettings
  readonly #groups: Groups
  readonly #log: StateLog
  readonly #form: Form | null
  readonly #clock: ComponentContext['clock']
  /** What went out in the last call, by its `ref`. */
  readonly #given = new Map<Item['ref'], Group>()

  constructor(settings: MergeSettings, context: ComponentContext) {
    this.#settings = settings
    this.#groups = new Groups(settings.since)
    this.#log = new StateLog('merge', this.#groups, context)
    this.#form = formOf(settings)
    this.#clock = context.clock
  }

  open(state: string | null): Promise<void> {
    return this.#log.open(state)
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const putting = await this.#begin(reject)
    await this.#putOutDue(putting)
    for (const item of items) {
      let taken: { key: string; packed: Buffer; expected: number | null }
      try {
        taken = await this.#takenOf(item)
        const why = this.#fullFor(taken)
        if (why !== null && this.#settings.full === 'reject') throw mergeFault('MERGE_FULL', { where: 'merge', why })
      } catch (error) {
        reject({ item, fault: asFault(error, 'merge') })
        continue
      }
      await this.#add(taken, putting)
    }
    return putting.out
  }

  async due(reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const putting = await this.#begin(reject)
    await this.#putOutDue(putting)
    return putting.out
  }

  async flush(reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const putting = await this.#begin(reject)
    for (let bytes = 0; bytes < DUE_BYTES_MAX; ) {
      const group = this.#groups.oldest()
      if (group === null) break
      bytes += group.bytes
      await this.#putOut(group, !this.#counts, putting)
    }
    return putting.out
  }

  waits(): boolean {
    return this.#groups.size > 0
  }

  membersOf(ref: Item['ref']): readonly Item[] | null {
    const group = this.#given.get(ref)
    return group === undefined ? null : this.#itemsOf(group)
  }

  dueAtMs(): number | null {
    const { afterMs } = this.#settings
    const oldest = this.#groups.oldest()
    return oldest === null || afterMs === undefined ? null : this.#log.atMs(this.#groups.sinceMs(oldest) + afterMs)
  }

  save(): Promise<string> {
    return this.#log.save()
  }

  committed(state: string): Promise<void> {
    this.#given.clear()
    return this.#log.committed(state)
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  async #begin(reject: (reject: Reject) => void): Promise<Putting> {
    this.#given.clear()
    await this.#log.ready()
    return { out: [], reject }
  }

  // ---- in ----

  /** The item as it is kept. Nothing is changed yet. */
  async #takenOf(item: Item): Promise<{ key: string; packed: Buffer; expected: number | null }> {
    const { key: fields, keptBytesMax } = this.#settings
    checkDepth(item.row)
    const key = keyOf(item.row, fields)
    if (key === null) throw mergeFault('MERGE_KEY_MISSING', { where: 'merge: key', why: missingIn(item.row, fields) })
    const expected = this.#expectedOf(item.row)
    const group = this.#groups.of(key)
    if (group !== null && group.expected !== expected) {
      throw mergeFault('MERGE_COUNT_DIFFERS', { where: 'merge: countField', why: `${expected}, not ${group.expected}` })
    }
    if (this.#form === null && item.content !== undefined) {
      throw mergeFault('MERGE_MEMBER_INVALID', { where: 'merge: as.row', why: 'it is a file' })
    }
    const packed = Groups.pack(this.#form === null ? { row: item.row, bytes: null } : await this.#form.member(item))
    const limitBytes = Math.min(keptBytesMax, MEMBER_BYTES_MAX)
    const bytes = packed.length + key.length + ITEM_BYTES
    if (bytes > limitBytes) throw mergeFault('MERGE_TOO_LARGE', { where: 'merge', why: `${bytes} bytes`, limitBytes })
    return { key, packed, expected }
  }

  #expectedOf(row: Row): number | null {
    const { countField, itemsMax } = this.#settings
    if (countField === undefined) return null
    const value = Object.hasOwn(row, countField) ? row[countField] : null
    const count = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value
    if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= itemsMax) return count
    throw mergeFault('MERGE_COUNT_INVALID', { where: `field ${countField}`, why: String(value).slice(0, 100) })
  }

  /** Why there is no room for it, or `null`. */
  #fullFor({ key, packed }: { key: string; packed: Buffer }): string | null {
    const { groupsMax, keptBytesMax } = this.#settings
    const { size, bytes } = this.#groups
    if (size >= groupsMax && this.#groups.of(key) === null) return `${size} groups wait`
    // A little more than a record has beside the item.
    const wanted = packed.length + 3 * key.length + 2 * ITEM_BYTES
    return size > 0 && bytes + wanted > keptBytesMax ? `${bytes} bytes wait` : null
  }

  async #add(taken: { key: string; packed: Buffer; expected: number | null }, putting: Putting): Promise<void> {
    const { key, packed, expected } = taken
    while (this.#fullFor(taken) !== null) await this.#putOut(this.#groups.oldest() as Group, !this.#counts, putting)
    this.#log.append(this.#groups.add(key, packed, { ageMs: this.#log.ageMs(), expected }))
    const group = this.#groups.of(key) as Group
    const { count, groupBytes, itemsMax } = this.#settings
    const wanted = group.expected ?? count
    const has = group.records.length
    if (wanted !== undefined && has >= wanted) await this.#putOut(group, true, putting)
    else if (has >= itemsMax || (groupBytes !== undefined && group.bytes >= groupBytes)) {
      await this.#putOut(group, !this.#counts, putting)
    }
  }

  // ---- out ----

  /** Whether it is a number of items that makes a group complete. */
  get #counts(): boolean {
    return this.#settings.count !== undefined || this.#settings.countField !== undefined
  }

  async #putOutDue(putting: Putting): Promise<void> {
    const nowMs = this.#clock.nowMs()
    for (let bytes = 0; bytes < DUE_BYTES_MAX; ) {
      const dueAtMs = this.dueAtMs()
      if (dueAtMs === null || dueAtMs > nowMs) return
      const group = this.#groups.oldest() as Group
      bytes += group.bytes
      await this.#putOut(group, !this.#counts, putting)
    }
  }

  async #putOut(group: Group, complete: boolean, { out, reject }: Putting): Promise<void> {
    const { incomplete, count } = this.#settings
    const members = this.#ordered(this.#groups.members(group))
    // Of a group that began and ends in the same call nothing is written.
    const isSaved = !this.#log.withdraw(group.records[0] as Buffer)
    for (const record of group.records) this.#log.withdraw(record)
    const end = this.#groups.end(group)
    if (isSaved) this.#log.append(end)
    const refuse = (fault: Fault): void => {
      for (const item of itemsOf(group, members)) reject({ item, fault })
    }
    if (!complete && incomplete === 'reject') {
      const wanted = group.expected ?? count
      const why = `${members.length} items${wanted === undefined ? '' : ` of ${wanted}`}`
      return refuse(mergeFault('MERGE_INCOMPLETE', { where: `group ${shown(group.key)}`, why }))
    }
    try {
      const item = await this.#merged(group, members, complete)
      out.push(item)
      this.#given.set(item.ref, group)
    } catch (error) {
      refuse(asFault(error, `group ${shown(group.key)}`))
    }
  }

  async #merged(group: Group, members: readonly Member[], complete: boolean): Promise<Item> {
    const { key, as } = this.#settings
    const first = members[0]?.row ?? {}
    const keys = Object.fromEntries(key.map((field) => [field, first[field] ?? null]))
    const ref = ownRef('merge', `${group.number} ${shown(group.key)}`)
    const more = { count: members.length, complete }
    if (this.#form === null) {
      const { into } = as.settings as { into: string }
      return { row: { ...keys, [into]: members.map(({ row }) => row), ...more }, ref }
    }
    const bytes = await this.#form.joined(members)
    const { mediaType, ending } = this.#form
    const file = { name: nameOf(this.#settings, first, ending), size: bytes.length, modified: null, mediaType }
    return { row: { ...keys, ...file, ...more }, ref, content: { kind: 'bytes', bytes } }
  }

  #itemsOf(group: Group): readonly Item[] {
    return itemsOf(group, this.#ordered(this.#groups.members(group)))
  }

  #ordered(members: Member[]): Member[] {
    const { orderBy } = this.#settings
    return orderBy === undefined ? members : members.sort((a, b) => compare(a.row[orderBy], b.row[orderBy]))
  }
}

const itemsOf = ({ number }: Group, members: readonly Member[]): Item[] =>
  members.map(({ row, bytes }, i) => {
    const ref = ownRef('merge', `${number}.${i + 1}`)
    return bytes === null ? { row, ref } : { row, ref, content: { kind: 'bytes', bytes } }
  })

const shown = (key: string): string => key.slice(0, KEY_SHOWN_CHARS)

/** A path on any system: what a key has that none takes becomes `_`. */
function nameOf({ name, key }: MergeSettings, row: Row, ending: string): string {
  const textOf = (field: string): string =>
    String(row[field])
      .replaceAll(/[\p{C}/\\:*?"<>|]/gu, '_')
      .replace(/^\.+/, '_')
      .slice(0, 100)
  if (name !== undefined) return name.replaceAll(/\{([^{}]+)\}/g, (_, field: string) => textOf(field))
  return key.map(textOf).join('-') + ending
}

/** Whole numbers by value, before texts by code units; what is missing last. */
function compare(a: Value | undefined, b: Value | undefined): number {
  const [x, y] = [rankOf(a), rankOf(b)]
  if (x.rank !== y.rank) return x.rank - y.rank
  return x.value < y.value ? -1 : x.value > y.value ? 1 : 0
}

function rankOf(value: Value | undefined): { rank: number; value: number | bigint | string } {
  if (value === null || value === undefined) return { rank: 2, value: 0 }
  if (typeof value === 'number' || typeof value === 'bigint') return { rank: 0, value }
  const text = String(value)
  return /^-?\d{1,40}$/.test(text) ? { rank: 0, value: BigInt(text) } : { rank: 1, value: text }
}
