// Records → XML: the other way round of `xml-reader.ts`, by the same paths and the same form of trees.

import type { Row, Value } from '../../contract.ts'
import { valueIn } from '../../field.ts'
import { cellText, type Encoding, encodeText } from '../../formats/mod.ts'
import { listNames } from '../../names.ts'
import { checkXmlText, escapeText, escapeValue, isLocalName } from '../../xml/mod.ts'
import { convertFault } from './faults.ts'
import { onlyOne } from './json.ts'
import type { DocumentWriter } from './records.ts'
import type { XmlTo } from './settings.ts'
import { type SinkOptions, TextSink } from './text-sink.ts'
import { recordPath, valuePath } from './xml-path.ts'

export function xmlWriter(settings: XmlTo, sinkOptions: SinkOptions): DocumentWriter {
  const sink = new TextSink(sinkOptions)
  const { path, fields, namespaces, encoding, declaration, indent } = settings
  const elements = new Elements(settings)
  const steps = path === undefined ? [] : recordPath(path, namespaces).map(({ raw }) => raw)
  const outer = steps.slice(0, -1)
  const known = new Set(Object.keys(namespaces))
  const shape = fields === undefined ? null : shapeOf(fields)
  const line = indent > 0 ? '\n' : ''
  const pad = (depth: number): string => line && ' '.repeat(indent * depth)
  if (declaration)
    sink.write(`<?xml version="1.0" encoding="${encoding.replace(/^utf-16.*/, 'utf-16').toUpperCase()}"?>\n`)
  for (const [depth, name] of outer.entries()) {
    sink.write(`${pad(depth)}<${name}${depth === 0 ? elements.declarations : ''}>${line}`)
  }
  let count = 0
  return {
    add: (row) => {
      const root = outer.length === 0
      if (root && count > 0) throw onlyOne(count + 1)
      const at = { depth: outer.length, known, root }
      let text: string
      if (steps.length === 0) text = elements.onlyField(row, at)
      else if (shape === null) text = elements.element(steps.at(-1) as string, row, at)
      else text = elements.shaped(steps.at(-1) as string, { shape, row, fields: fields ?? {} }, at)
      sink.write(text, row)
      count += 1
    },
    end: () => {
      if (outer.length === 0 && count === 0) throw onlyOne(0)
      for (const [i, name] of outer.toReversed().entries()) sink.write(`${pad(outer.length - 1 - i)}</${name}>${line}`)
      return sink.end()
    },
  }
}

/** What a record's element consists of, by the paths of the fields, in the order of the settings. */
type Shape = {
  attributes: { name: string; field: string }[]
  text: string | null
  children: { name: string; shape: Shape }[]
}

function shapeOf(fields: Readonly<Record<string, string>>): Shape {
  const top: Shape = { attributes: [], text: null, children: [] }
  for (const [field, path] of Object.entries(fields)) {
    const { steps, attribute } = valuePath(path, {})
    const place = steps.reduce((shape, { raw }) => childOf(shape, raw), top)
    if (attribute === null) place.text = field
    else place.attributes.push({ name: attribute.raw, field })
  }
  return top
}

function childOf(shape: Shape, name: string): Shape {
  const known = shape.children.find((child) => child.name === name)
  if (known !== undefined) return known.shape
  const fresh: Shape = { attributes: [], text: null, children: [] }
  shape.children.push({ name, shape: fresh })
  return fresh
}

/** Why fields cannot be written to these places, or `null`. */
export function shapeProblem(fields: Readonly<Record<string, string>>): string | null {
  const paths = Object.values(fields)
  const twice = paths.find((path, i) => paths.indexOf(path) !== i)
  if (twice !== undefined) return `two fields go to ${twice}`
  const mixed = (shape: Shape, path: string): string | null => {
    if (shape.text !== null && shape.children.length > 0) return `${path || 'the record'} would have text and elements`
    for (const { name, shape: inner } of shape.children) {
      const found = mixed(inner, path === '' ? name : `${path}/${name}`)
      if (found !== null) return found
    }
    return null
  }
  return mixed(shapeOf(fields), '')
}

/** Where an element is: how deep, which prefixes stand for something, and whether it is the root. */
type At = { readonly depth: number; readonly known: ReadonlySet<string>; readonly root: boolean }
type Shaped = { readonly shape: Shape; readonly row: Row; readonly fields: Readonly<Record<string, string>> }

class Elements {
  /** For a root that is no record. */
  readonly declarations: string
  readonly #declarations: readonly { readonly name: string; readonly text: string }[]
  readonly #settings: XmlTo
  readonly #line: string

  constructor(settings: XmlTo) {
    this.#settings = settings
    this.#line = settings.indent > 0 ? '\n' : ''
    this.#declarations = Object.entries(settings.namespaces).map(([prefix, uri]) => {
      const name = prefix === 'default' ? 'xmlns' : `xmlns:${prefix}`
      return { name, text: ` ${name}="${escapeValue(uri)}"` }
    })
    this.declarations = this.#declarations.map(({ text }) => text).join('')
  }

  onlyField(row: Row, at: At): string {
    const [name, ...more] = Object.keys(row)
    if (name === undefined || more.length > 0) {
      throw convertFault('CONVERT_VALUE', { why: 'without `path` a record has one field: the root element' })
    }
    const value = row[name] as Value
    if (Array.isArray(value))
      throw convertFault('CONVERT_VALUE', { where: `field ${JSON.stringify(name)}`, why: 'there is one root' })
    return this.element(name, value, at) || this.#written(name, '', '', at)
  }

  /** A value in the form of trees. */
  element(name: string, value: Value, at: At): string {
    if (Array.isArray(value)) {
      return value
        .map((each) => {
          if (Array.isArray(each))
            throw convertFault('CONVERT_VALUE', { where: `field ${JSON.stringify(name)}`, why: 'a list in a list' })
          return this.element(name, each, at)
        })
        .join('')
    }
    if (value === null) return this.#settings.nulls === 'omit' ? '' : this.#written(name, '', '', at)
    if (typeof value !== 'object' || value instanceof Uint8Array) {
      return this.#written(name, '', this.#text(cellText(value) ?? '', name), at)
    }
    return this.#object(name, value as Row, at)
  }

  #object(name: string, value: Row, at: At): string {
    const entries = Object.entries(value)
    const declared = entries.flatMap(([key]) => /^@xmlns:(.+)$/.exec(key)?.[1] ?? [])
    const known = declared.length === 0 ? at.known : new Set([...at.known, ...declared])
    let attributes = ''
    let text = ''
    let children = ''
    for (const [key, inner] of entries) {
      if (key.startsWith('@')) attributes += this.#attribute(key.slice(1), inner, known)
      else if (key === '#text') text = this.#text(scalarText(inner, `${name} #text`), name)
      else children += this.element(key, inner, { depth: at.depth + 1, known, root: false })
    }
    if (text !== '' && children !== '') throw convertFault('CONVERT_MIXED', { where: `field ${JSON.stringify(name)}` })
    return this.#written(name, attributes, text, { ...at, known }, children)
  }

  /** An element by the paths of fields. Nothing, when no field in it has a value, unless `nulls: empty`. */
  shaped(name: string, { shape, row, fields }: Shaped, at: At): string {
    this.#refuseExtra(row, fields)
    if (shape.text !== null) scalarText(valueIn(row, shape.text), `field ${JSON.stringify(shape.text)}`)
    return this.#shape(name, shape, row, at) || this.#written(name, '', '', at)
  }

  #shape(name: string, shape: Shape, row: Row, at: At): string {
    const own = shape.text === null ? null : valueIn(row, shape.text)
    const filled = shape.attributes.filter(({ field }) => valueIn(row, field) !== null)
    const attributes = filled.map((each) => this.#attribute(each.name, row[each.field] as Value, at.known)).join('')
    if (typeof own === 'object' && own !== null && !(own instanceof Uint8Array)) {
      if (attributes !== '')
        throw convertFault('CONVERT_VALUE', {
          where: `field ${JSON.stringify(shape.text)}`,
          why: 'it is no single value',
        })
      return this.element(name, own as Value, at)
    }
    const inside = { depth: at.depth + 1, known: at.known, root: false }
    const children = shape.children.map((child) => this.#shape(child.name, child.shape, row, inside)).join('')
    const text = own === null ? '' : this.#text(cellText(own) ?? '', name)
    const isEmpty = own === null && attributes === '' && children === ''
    if (isEmpty && this.#settings.nulls === 'omit') return ''
    return this.#written(name, attributes, text, at, children)
  }

  #refuseExtra(row: Row, fields: Readonly<Record<string, string>>): void {
    if (this.#settings.ignoreExtra) return
    const extra = Object.keys(row).filter((field) => !Object.hasOwn(fields, field))
    if (extra.length > 0) throw convertFault('CONVERT_EXTRA_FIELDS', { why: listNames(extra, 'and') })
  }

  #attribute(name: string, value: Value, known: ReadonlySet<string>): string {
    const isDeclaration = /^xmlns(:|$)/.test(name)
    if (isDeclaration ? name.includes(':') && !isLocalName(name.slice(6)) : !isKnownName(name, known))
      throw badName(`@${name}`)
    if (value === null) return ''
    const text = scalarText(value, `@${name}`)
    if (isDeclaration && name !== 'xmlns' && text === '') throw badName(`@${name}`)
    checkXmlText(text, `@${name}`)
    return ` ${name}="${this.#encodable(escapeValue(text))}"`
  }

  #text(text: string, name: string): string {
    checkXmlText(text, `field ${JSON.stringify(name)}`)
    return this.#encodable(escapeText(text))
  }

  /** Characters that the encoding does not have, as references. */
  #encodable(text: string): string {
    const { encoding } = this.#settings
    if (encoding.startsWith('utf-') || encodeText(text, encoding as Encoding).ok) return text
    return [...text].map((char) => (encodeText(char, encoding as Encoding).ok ? char : reference(char))).join('')
  }

  #written(name: string, attributes: string, text: string, at: At, children = ''): string {
    if (!isKnownName(name, at.known)) throw badName(name)
    const pad = this.#line && ' '.repeat(this.#settings.indent * at.depth)
    // What the record declares itself is not declared twice.
    const declared = this.#declarations.filter((each) => at.root && !attributes.includes(` ${each.name}="`))
    const start = `${pad}<${name}${declared.map((each) => each.text).join('')}${attributes}`
    if (children !== '') return `${start}>${this.#line}${children}${pad}</${name}>${this.#line}`
    return text === '' ? `${start}/>${this.#line}` : `${start}>${text}</${name}>${this.#line}`
  }
}

const reference = (char: string): string => `&#x${char.codePointAt(0)?.toString(16).toUpperCase()};`

function isKnownName(name: string, known: ReadonlySet<string>): boolean {
  const [first = '', second, ...more] = name.split(':')
  if (second === undefined) return isLocalName(first)
  return more.length === 0 && isLocalName(second) && (first === 'xml' || known.has(first))
}

function badName(name: string): Error {
  const why = name.includes(':') ? `${name}: its prefix is bound to no namespace, or it is no name` : name
  return convertFault('CONVERT_XML_NAME', { why })
}

function scalarText(value: Value, where: string): string {
  if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    throw convertFault('CONVERT_VALUE', { where, why: 'it is no single value' })
  }
  return cellText(value) ?? ''
}
