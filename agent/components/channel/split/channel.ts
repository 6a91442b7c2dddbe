// Channel `split`: makes many items of one, all or none.
//
// Of a document: parts that are documents, in the same place, with the same row but for name, size and mediaType (`a.xml` →
// `a.1.xml` …, with as many digits as the last one needs; members of an archive have their own names). Of a row: rows, one for each element of a list. Each part
// has `part`, from 1, and `parts`, how many there are: `merge` finds together by them what belongs together. Stateless.

import { posix } from 'node:path'
import { asFault } from '#protocol/base/mod.ts'
import type { Carries, Channel, ComponentContext, Item, Reject, Row, Value } from '../../contract.ts'
import { documentOf, documentTurns, withDocument } from '../../document.ts'
import { mediaTypeOf } from '../../source/directory/media-types.ts'
import { decodeXml, XmlParser } from '../../xml/mod.ts'
import { unzip } from '../decompress/mod.ts'
import { splitFault } from './faults.ts'
import { elementsOf } from './json.ts'
import { SPLIT_GROWTH_MAX } from './limits.ts'
import { cutLines } from './lines.ts'
import type { SplitSettings } from './settings.ts'
import { Extraction, elementsAt, type Step, stepsOf } from './xml.ts'

/** A part of a document. Without a name it has that of the document, and its number. */
type Part = { readonly bytes: Buffer; readonly name?: string }
type Parts = { readonly count: number; readonly mediaType?: string; each(): Iterable<Part> }

export function splitTurns(settings: SplitSettings, given: Carries): Carries {
  return settings.by.type === 'array' ? given : documentTurns(settings, given)
}

export class SplitChannel implements Channel {
  readonly #settings: SplitSettings
  readonly #parser = new XmlParser()
  readonly #steps: readonly Step[]
  readonly #keep: ReadonlySet<string> | null

  constructor(settings: SplitSettings, _context: ComponentContext) {
    this.#settings = settings
    const { by, keep } = settings
    this.#steps = by.type === 'xml' ? stepsOf(by.settings.path, by.settings.namespaces ?? {}) : []
    this.#keep = keep === undefined ? null : new Set(keep)
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const { by } = this.#settings
    const done: Item[] = []
    for (const item of items) {
      try {
        const parts = by.type === 'array' ? this.#rows(item, by.settings) : await this.#documents(item)
        if (parts.length === 0 && this.#settings.empty === 'reject') throw splitFault('SPLIT_EMPTY', { where: 'split' })
        for (const part of parts) done.push(part)
      } catch (error) {
        reject({ item, fault: asFault(error, 'split') })
      }
    }
    return done
  }

  #rows(item: Item, { name, as, spread }: Extract<SplitSettings['by'], { type: 'array' }>['settings']): Item[] {
    const list = Object.hasOwn(item.row, name) ? item.row[name] : undefined
    if (!Array.isArray(list)) throw splitFault('SPLIT_NO_LIST', { where: `field ${name}` })
    this.#bounded(list.length)
    const { [name]: _list, ...rest } = item.row
    const kept = this.#kept(rest)
    return list.map((element: Value, i) => {
      const numbers = { part: i + 1, parts: list.length }
      if (!spread) return { ...item, row: { ...kept, [as ?? name]: element, ...numbers } }
      if (!isObject(element))
        throw splitFault('SPLIT_NO_LIST', { where: `field ${name}[${i}]`, why: 'it is no object' })
      return { ...item, row: { ...kept, ...element, ...numbers } }
    })
  }

  async #documents(item: Item): Promise<Item[]> {
    const { field } = this.#settings
    const parts = await this.#partsOf(await documentOf(item, this.#settings))
    this.#bounded(parts.count)
    const base: Item = { ...item, row: this.#kept(item.row) }
    const isText = field !== undefined && typeof item.row[field] === 'string'
    const done: Item[] = []
    let size = 0
    for (const { bytes, name } of parts.each()) {
      size += bytes.length
      this.#sized(size)
      const part = done.length + 1
      const changed = withDocument(base, isText ? bytes.toString() : bytes, this.#settings)
      const label =
        field === undefined
          ? labelOf(item.row.name, { part, name, count: parts.count, mediaType: parts.mediaType })
          : {}
      done.push({ ...changed, row: { ...changed.row, ...label, part, parts: parts.count } })
    }
    return done
  }

  async #partsOf(bytes: Buffer): Promise<Parts> {
    const { by } = this.#settings
    switch (by.type) {
      case 'xml': {
        const tree = this.#parser.parse(decodeXml(bytes))
        const elements = elementsAt(tree, this.#steps)
        const extract = new Extraction(tree, by.settings)
        const each = function* (): Iterable<Part> {
          for (const node of elements) yield { bytes: Buffer.from(extract.documentOf(node)) }
        }
        return { count: elements.length, mediaType: 'application/xml', each }
      }
      case 'json': {
        const text = jsonText(bytes)
        const spans = elementsOf(text, by.settings.pointer)
        const each = function* (): Iterable<Part> {
          for (const { from, to } of spans) yield { bytes: Buffer.from(text.slice(from, to)) }
        }
        return { count: spans.length, mediaType: 'application/json', each }
      }
      case 'lines':
      case 'csv': {
        const { header, parts } = cutLines(bytes, by.settings)
        const each = function* (): Iterable<Part> {
          for (const part of parts) yield { bytes: header.length === 0 ? part : Buffer.concat([header, part]) }
        }
        return { count: parts.length, each }
      }
      case 'zip': {
        const members = await unzip(bytes, by.settings)
        return { count: members.length, each: () => members }
      }
      default:
        throw new Error('a list of a row is no document')
    }
  }

  #kept(row: Row): Row {
    const keep = this.#keep
    return keep === null ? row : Object.fromEntries(Object.entries(row).filter(([field]) => keep.has(field)))
  }

  #bounded(count: number): void {
    const { partsMax } = this.#settings
    if (count > partsMax) throw splitFault('SPLIT_TOO_MANY', { where: 'split', why: `${count} parts`, limit: partsMax })
  }

  #sized(bytes: number): void {
    // The members of an archive have a bound of their own.
    if (this.#settings.by.type === 'zip') return
    const limitBytes = this.#settings.bytesMax * SPLIT_GROWTH_MAX
    if (bytes > limitBytes) throw splitFault('SPLIT_TOO_LARGE', { where: 'split', limitBytes })
  }
}

const isObject = (value: Value): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)

function jsonText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw splitFault('SPLIT_JSON_INVALID', { why: 'it is not UTF-8' })
  }
}

/** What the row of a part says of it: a member of an archive has a name, others that of the document with their number. */
function labelOf(
  whole: Value | undefined,
  part: {
    readonly part: number
    readonly count: number
    readonly name: string | undefined
    readonly mediaType: string | undefined
  },
): Row {
  const { name, mediaType } = part
  if (name !== undefined) return { name, mediaType: mediaTypeOf(name) }
  const type = mediaType === undefined ? {} : { mediaType }
  if (typeof whole !== 'string' || whole === '') return type
  // `list.xml`, 3 of 12 → `list.03.xml`.
  const { dir, name: stem, ext } = posix.parse(whole)
  const number = String(part.part).padStart(String(part.count).length, '0')
  return { name: posix.join(dir, `${stem}.${number}${ext}`), ...type }
}
