// `convert` of rows: each changed by itself, or all that come at once made into documents.

import { hash } from 'node:crypto'
import { asFault } from '#protocol/base/mod.ts'
import { type Channel, type Item, ownRef, type Reject, type Row, type Value } from '../../contract.ts'
import { withDocument } from '../../document.ts'
import { formatJsonRecord } from '../../formats/mod.ts'
import { convertFault } from './faults.ts'
import { type Target, type To, targetOf } from './formats.ts'
import { GROUPS_MAX } from './limits.ts'
import { type Naming, namingOf } from './naming.ts'
import type { DocumentWriter } from './records.ts'
import type { ConvertSettings } from './settings.ts'
import { type Change, changeOf } from './values.ts'

export class RowsChannel implements Channel {
  readonly #change: Change | null

  constructor(settings: ConvertSettings) {
    this.#change = changeOf(settings)
  }

  process(items: readonly Item[], reject: (reject: Reject) => void): readonly Item[] {
    if (this.#change === null) return items
    const out: Item[] = []
    for (const item of items) {
      try {
        out.push({ ...item, row: this.#change(item.row) })
      } catch (error) {
        reject({ item, fault: asFault(error) })
      }
    }
    return out
  }
}

/** One document in the making, and the rows that are in it. */
type Group = { readonly values: Row; readonly writer: DocumentWriter; readonly items: Item[] }

/** Makes documents of all rows that come at once: it must see them together. */
export class GatheringChannel implements Channel {
  readonly alone = true
  readonly #settings: ConvertSettings
  readonly #target: Target
  readonly #naming: Naming
  readonly #change: Change | null

  constructor(settings: ConvertSettings, to: To) {
    this.#settings = settings
    this.#target = targetOf(to, settings.bytesMax)
    const prefix = settings.group.map((field) => `{${field}}-`).join('')
    this.#naming = namingOf(settings.name ?? `${prefix}{:digest}${this.#target.ending}`)
    this.#change = changeOf(settings)
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const groups = new Map<string, Group>()
    for (const item of items) {
      try {
        if (item.content !== undefined) throw convertFault('CONVERT_FILE_GIVEN')
        const row = this.#change === null ? item.row : this.#change(item.row)
        const group = this.#groupOf(item.row, groups)
        group.writer.add(row)
        group.items.push(item)
      } catch (error) {
        reject({ item, fault: asFault(error) })
      }
    }
    const out: Item[] = []
    for (const group of groups.values()) {
      if (group.items.length === 0) continue
      try {
        out.push(await this.#finished(group))
      } catch (error) {
        const fault = asFault(error)
        for (const item of group.items) reject({ item, fault })
      }
    }
    return out
  }

  #groupOf(row: Row, groups: Map<string, Group>): Group {
    const { group: fields } = this.#settings
    const values: Record<string, Value> = {}
    for (const field of fields) values[field] = (Object.hasOwn(row, field) ? row[field] : null) as Value
    const key = fields.length === 0 ? '' : formatJsonRecord(Object.values(values))
    const known = groups.get(key)
    if (known !== undefined) return known
    if (groups.size >= GROUPS_MAX)
      throw convertFault('CONVERT_GROUPS_MANY', { why: `more than ${GROUPS_MAX}`, limit: GROUPS_MAX })
    const group = { values, writer: this.#target.begin(), items: [] }
    groups.set(key, group)
    return group
  }

  async #finished({ values, writer, items }: Group): Promise<Item> {
    const made = await writer.end()
    const content = typeof made === 'string' ? Buffer.from(made) : made
    const [first] = items as [Item]
    // What comes of one row stays that row's; what comes of several is none of theirs.
    const ref = items.length === 1 ? first.ref : ownRef('convert', hash('sha256', content, 'hex').slice(0, 32))
    if (this.#settings.field !== undefined) return withDocument({ row: values, ref }, made, this.#settings)
    const name = this.#naming({ row: first.row, content, rows: items.length })
    const { mediaType } = this.#target
    return withDocument(
      { row: { name, size: content.length, modified: null, mediaType, ...values }, ref },
      content,
      {},
      { name, mediaType },
    )
  }
}
