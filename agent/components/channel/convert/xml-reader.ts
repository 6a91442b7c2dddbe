// XML → records: elements at a path, their values by paths or as a tree.
//
//   <item no="7"><name>a</name><tag>x</tag><tag>y</tag><note lang="en">n</note><empty/></item>
//   { "@no": "7", "name": "a", "tag": ["x", "y"], "note": { "@lang": "en", "#text": "n" }, "empty": "" }
//
// Names keep their prefixes, declarations are attributes (`@xmlns:p`). A name that occurs once is a value, more often a list, always a
// list when it is in `arrays`. White space between elements is dropped; other text beside elements is refused, and so are
// elements of one name with others between them: an object cannot keep their order.

import { asFault } from '#protocol/base/mod.ts'
import type { Row, Value } from '../../contract.ts'
import { decodeXml, placeIn, XmlParser, type XmlTree } from '../../xml/mod.ts'
import { convertFault } from './faults.ts'
import { RECORD_TEXT_CHARS_MAX } from './limits.ts'
import { type DocumentReader, inBatches, type ReadRecord } from './records.ts'
import type { XmlFrom } from './settings.ts'
import { elementsIn, fits, type NameTest, recordPath, type ValuePath, valuePath } from './xml-path.ts'

type Field = { readonly name: string; readonly path: ValuePath; readonly isList: boolean }

export function xmlReader(settings: XmlFrom): DocumentReader {
  const parser = new XmlParser()
  const { path, fields, namespaces } = settings
  const arrays = new Set(settings.arrays)
  const steps = path === undefined ? null : recordPath(path, namespaces)
  const wanted =
    fields === undefined
      ? null
      : Object.entries(fields).map(([name, each]) => ({
          name,
          path: valuePath(each, namespaces),
          isList: arrays.has(name),
        }))
  return (bytes, name) => {
    const tree = parser.parse(decodeXml(bytes))
    const reading = new Reading(tree, { ...settings, listed: arrays, name })
    return inBatches(steps === null ? reading.whole() : reading.records(steps, wanted))
  }
}

type Options = XmlFrom & { readonly listed: ReadonlySet<string>; readonly name: string }

/** One document. */
class Reading {
  readonly #tree: XmlTree
  readonly #options: Options

  constructor(tree: XmlTree, options: Options) {
    this.#tree = tree
    this.#options = options
  }

  *whole(): Generator<ReadRecord> {
    const [root = 0] = elementsIn(this.#tree, 0)
    const { name, attributes } = this.#tag(root)
    yield this.#try(root, () => ({ [safeName(name)]: this.#valueOf(root, attributes) }))
  }

  *records(steps: readonly NameTest[], fields: readonly Field[] | null): Generator<ReadRecord> {
    const parents = this.#at(0, steps.slice(0, -1))
    const last = steps.at(-1) as NameTest
    if (parents.length === 0) throw this.#nothing(steps)
    let count = 0
    for (const parent of parents) {
      for (const node of elementsIn(this.#tree, parent)) {
        if (!fits(this.#tree, this.#tree.name[node] as number, last)) continue
        count += 1
        yield this.#try(node, () => (fields === null ? this.#row(node) : this.#fields(node, fields)))
      }
    }
    // An empty list is one; a document with another root is not.
    if (count === 0 && steps.length === 1) throw this.#nothing(steps)
  }

  #nothing(steps: readonly NameTest[]): Error {
    return convertFault('CONVERT_PATH', { where: this.#options.name, why: `/${steps.map(({ raw }) => raw).join('/')}` })
  }

  /** The elements at a path from `node`, in document order, behind those that are in `found`. */
  #at(node: number, steps: readonly NameTest[], found: number[] = [], from = 0): number[] {
    const tree = this.#tree
    const step = steps[from]
    if (step === undefined) {
      found.push(node)
      return found
    }
    const end = tree.end[node] as number
    for (let child = node + 1; child < end; child = tree.end[child] as number) {
      if (fits(tree, tree.name[child] as number, step)) this.#at(child, steps, found, from + 1)
    }
    return found
  }

  #try(node: number, make: () => Row): ReadRecord {
    try {
      return { row: make() }
    } catch (error) {
      return { fault: asFault(error), text: this.#textOf(node) }
    }
  }

  /** What the record looks like, up to the next element that is not in it. */
  #textOf(node: number): string {
    const tree = this.#tree
    const from = tree.from[node] as number
    let next = tree.end[node] as number
    while (next < tree.count && (tree.name[next] as number) < 0) next += 1
    const end = next < tree.count ? (tree.from[next] as number) : tree.source.length
    return tree.source.slice(from, Math.min(end, from + RECORD_TEXT_CHARS_MAX)).trimEnd()
  }

  #fields(record: number, fields: readonly Field[]): Row {
    const row: Record<string, Value> = {}
    for (const { name, path, isList } of fields) {
      const values: Value[] = []
      for (const node of this.#at(record, path.steps)) {
        if (path.attribute === null) values.push(this.#simple(node))
        else values.push(...this.#attributes(node, path.attribute))
      }
      if (values.length > 1 && !isList) {
        throw convertFault('CONVERT_FIELD_TWICE', {
          ...this.#place(record),
          why: `${values.length} values for ${name}`,
        })
      }
      row[name] = isList ? values : (values[0] ?? null)
    }
    return row
  }

  #attributes(node: number, test: NameTest): string[] {
    const tree = this.#tree
    const found: string[] = []
    for (let i = tree.attributes[node] as number; i < (tree.attributes[node + 1] as number); i += 1) {
      if (fits(tree, tree.attributeName[i] as number, test)) found.push(this.#trimmed(tree.attributeText(i)))
    }
    return found
  }

  /** A text; of an element with others in it a tree. */
  #simple(node: number): Value {
    const hasElements = !elementsIn(this.#tree, node).next().done
    return hasElements ? this.#valueOf(node, this.#tag(node).attributes) : this.#trimmed(this.#tree.stringValue(node))
  }

  #row(node: number): Row {
    const value = this.#valueOf(node, this.#tag(node).attributes)
    if (typeof value === 'object') return value as Row
    return value === '' ? {} : { '#text': value }
  }

  #valueOf(node: number, attributes: readonly (readonly [string, string])[]): Value {
    const tree = this.#tree
    const value: Record<string, Value> = {}
    for (const [name, text] of attributes) value[`@${name}`] = text
    const end = tree.end[node] as number
    let text = ''
    let before = ''
    for (let child = node + 1; child < end; child = tree.end[child] as number) {
      if ((tree.name[child] as number) < 0) {
        text += tree.textOf(child)
        continue
      }
      const tag = this.#tag(child)
      const name = safeName(tag.name)
      this.#add(value, name, { value: this.#valueOf(child, tag.attributes), isNext: name === before, node: child })
      before = name
    }
    if (before !== '') {
      if (/[^ \t\n\r]/.test(text)) throw convertFault('CONVERT_MIXED', this.#place(node))
      return value
    }
    const own = this.#trimmed(text)
    if (attributes.length === 0) return own
    if (own !== '') value['#text'] = own
    return value
  }

  #add(into: Record<string, Value>, name: string, child: { value: Value; isNext: boolean; node: number }): void {
    const known = Object.hasOwn(into, name) ? into[name] : undefined
    if (known === undefined) {
      into[name] = this.#options.listed.has(name) ? [child.value] : child.value
      return
    }
    if (!child.isNext && !this.#options.interleaved) {
      throw convertFault('CONVERT_ORDER', { ...this.#place(child.node), why: name })
    }
    // A list is always one made here: values are texts and objects.
    if (Array.isArray(known)) known.push(child.value)
    else into[name] = [known, child.value]
  }

  #trimmed(text: string): string {
    return this.#options.trim ? text.replace(/^[ \t\n\r]+|[ \t\n\r]+$/g, '') : text
  }

  #place(node: number): { where: string; line: number; column: number } {
    const { line, column } = placeIn(this.#tree.source, this.#tree.from[node] as number)
    return { where: `${this.#options.name}:${line}:${column}`, line, column }
  }

  /** Names as they are written, which the tree does not keep, and declarations. The tag is known to be well-formed. */
  #tag(node: number): { readonly name: string; readonly attributes: readonly (readonly [string, string])[] } {
    const { source } = this.#tree
    TAG_NAME.lastIndex = this.#tree.from[node] as number
    const [, name = ''] = TAG_NAME.exec(source) ?? []
    if (source.charCodeAt(TAG_NAME.lastIndex) === 0x3e) return { name, attributes: [] }
    ATTRIBUTE.lastIndex = TAG_NAME.lastIndex
    const attributes: [string, string][] = []
    let next = this.#tree.attributes[node] as number
    for (let found = ATTRIBUTE.exec(source); found !== null; found = ATTRIBUTE.exec(source)) {
      const [, attribute = '', value = ''] = found
      if (/^xmlns(:|$)/.test(attribute)) attributes.push([attribute, withoutReferences(value.slice(1, -1))])
      else {
        attributes.push([attribute, this.#trimmed(this.#tree.attributeText(next))])
        next += 1
      }
    }
    return { name, attributes }
  }
}

const TAG_NAME = /<([^\s/>]+)/y
const ATTRIBUTE = /\s+([^\s=/>]+)\s*=\s*("[^"]*"|'[^']*')/y

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/** Of namespace names, which hardly ever have any. */
function withoutReferences(text: string): string {
  return text.replace(/&(?:#x([\da-fA-F]+)|#(\d+)|(\w+));/g, (_, hex, decimal, entity) =>
    entity === undefined
      ? String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
      : (ENTITIES[entity] ?? ''),
  )
}

/** A field of this name would be lost wherever rows are copied field by field. */
function safeName(name: string): string {
  if (name === '__proto__') throw convertFault('CONVERT_VALUE', { why: 'an element is named __proto__' })
  return name
}
