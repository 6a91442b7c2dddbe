// `convert` of documents: each becomes rows, or another document, record by record.

import { setImmediate } from 'node:timers/promises'
import { asFault, Fault } from '#protocol/base/mod.ts'
import { type Channel, type Item, ownRef, type Reject, type Row } from '../../contract.ts'
import { documentOf, withDocument } from '../../document.ts'
import { convertFault } from './faults.ts'
import { type From, readerOf, type Target, type To, targetOf } from './formats.ts'
import { BUSY_MS_MAX } from './limits.ts'
import { type Naming, namingOf } from './naming.ts'
import type { Batches, DocumentReader, ReadRecord } from './records.ts'
import type { ConvertSettings } from './settings.ts'
import { type Change, changeOf } from './values.ts'

/** What one document is read for: its records, and what is refused of them. */
type Work = { readonly item: Item; readonly name: string; readonly rejects: Reject[]; record: number }

export class DocumentChannel implements Channel {
  readonly alone?: true
  readonly #settings: ConvertSettings
  readonly #reader: DocumentReader
  readonly #target: Target | null
  readonly #naming: Naming | null
  readonly #change: Change | null

  constructor(settings: ConvertSettings, { from, to }: { readonly from: From; readonly to: To | null }) {
    this.#settings = settings
    this.#reader = readerOf(from, settings.bytesMax)
    this.#target = to === null ? null : targetOf(to, settings.bytesMax)
    this.#naming = this.#target === null ? null : namingOf(settings.name ?? `{:stem}${this.#target.ending}`)
    this.#change = changeOf(settings)
    // A rejected record is an item of its own, which only a channel with a place of its own can give.
    if (settings.onBroken === 'reject-row') this.alone = true
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const out: Item[] = []
    for (const item of items) {
      const work: Work = { item, name: nameOf(item, this.#settings.field), rejects: [], record: 0 }
      try {
        const bytes = await documentOf(item, this.#settings)
        const made =
          this.#target === null ? await this.#rows(bytes, work) : [await this.#document(bytes, work, this.#target)]
        for (const each of work.rejects) reject(each)
        for (const each of made) out.push(each)
      } catch (error) {
        reject({ item, fault: asFault(error, work.name) })
      }
    }
    return out
  }

  async #rows(bytes: Buffer, work: Work): Promise<Item[]> {
    const { recordsMax, keep } = this.#settings
    const { row: given, ref } = work.item
    const kept = Object.fromEntries(
      keep.flatMap((field) => (Object.hasOwn(given, field) ? [[field, given[field]]] : [])),
    ) as Row
    const items: Item[] = []
    for await (const batch of withPauses(this.#reader(bytes, work.name))) {
      for (const record of batch) {
        const row = this.#rowOf(record, work)
        if (row !== null) items.push({ row: keep.length === 0 ? row : { ...kept, ...row }, ref })
      }
      if (items.length > recordsMax) {
        throw convertFault('CONVERT_RECORDS_MANY', {
          where: work.name,
          why: `more than ${recordsMax}`,
          limit: recordsMax,
        })
      }
    }
    return items
  }

  async #document(bytes: Buffer, work: Work, target: Target): Promise<Item> {
    const writer = target.begin()
    let rows = 0
    for await (const batch of withPauses(this.#reader(bytes, work.name))) {
      for (const record of batch) {
        const row = this.#rowOf(record, work)
        if (row === null) continue
        try {
          writer.add(row)
          rows += 1
        } catch (error) {
          this.#refuse(located(error, work), { row, work })
        }
      }
    }
    const made = await writer.end()
    const { item } = work
    if (this.#settings.field !== undefined) return withDocument(item, made, this.#settings)
    const content = typeof made === 'string' ? Buffer.from(made) : made
    const { mediaType } = target
    if (typeof item.row.name !== 'string' && this.#settings.name === undefined)
      return withDocument(item, content, {}, { mediaType })
    return withDocument(
      item,
      content,
      {},
      { name: (this.#naming as Naming)({ row: item.row, content, rows }), mediaType },
    )
  }

  /** `null`: refused alone. */
  #rowOf(record: ReadRecord, work: Work): Row | null {
    work.record += 1
    if ('fault' in record) return this.#refuse(record.fault, { row: { text: record.text }, work })
    if (this.#change === null) return record.row
    try {
      return this.#change(record.row)
    } catch (error) {
      return this.#refuse(located(error, work), { row: record.row, work })
    }
  }

  /** Throws when one broken record refuses the document. */
  #refuse(fault: Fault, { row, work }: { readonly row: Row; readonly work: Work }): null {
    const { onBroken, recordsMax } = this.#settings
    if (onBroken === 'reject-document') throw fault
    if (work.rejects.length >= recordsMax) {
      throw convertFault('CONVERT_RECORDS_MANY', {
        where: work.name,
        why: `more than ${recordsMax} are broken`,
        limit: recordsMax,
      })
    }
    // Its own `ref`: the other records of the document go on.
    const ref = ownRef('convert', `${work.item.ref}#${work.rejects.length + 1}`)
    work.rejects.push({ item: { row: { document: work.name, ...row }, ref }, fault })
    return null
  }
}

/** Where this runs in the main thread, others get their turn between batches. */
async function* withPauses(batches: Batches): AsyncGenerator<readonly ReadRecord[]> {
  let sinceMs = performance.now()
  for await (const batch of batches) {
    yield batch
    if (performance.now() - sinceMs < BUSY_MS_MAX) continue
    await setImmediate()
    sinceMs = performance.now()
  }
}

/** What is wrong with a record, and which one it is, from 1. */
function located(error: unknown, { name, record }: Work): Fault {
  const { code, message, remedy, where, details, cause } = asFault(error)
  const place = `${name}, record ${record}${where === null ? '' : `, ${where}`}`
  return new Fault(code, { meaning: message, remedy }, { ...details, where: place, record, cause })
}

/** For faults. */
export function nameOf({ row }: Item, field: string | undefined): string {
  if (field !== undefined) return `field ${field}`
  return typeof row.name === 'string' && row.name !== '' ? row.name : 'document'
}
