// A row as a source tree, and a result as a row.
//
// A row is the document <row> with an element for each field, in their order: text, numbers in decimal, true and false, bytes in
// base64; null is no element; a list is its field's element once for each entry, a map an element with its fields inside. A list in a
// list has elements named `item`. Fields whose names are no XML names cannot be reached and are left out.
//
// Back: what is below the root becomes fields. An element with text is a text; one with elements or attributes a map; elements of
// one name a list.

import type { Row, Value } from '../../contract.ts'
import { checkXmlText, DOCUMENT, isLocalName, type Names, TEXT_ESCAPED, type XmlTree } from '../../xml/mod.ts'
import { mappingFault } from './faults.ts'
import { ROW_DEPTH_MAX } from './limits.ts'

/** Fills `tree` with the row. Faults: XML_TEXT_INVALID, MAPPING_ROW_TOO_DEEP. */
export function readRow(tree: XmlTree, row: Row): void {
  tree.names.startDocument()
  tree.start('')
  tree.push(DOCUMENT, -1, 0, 0)
  const root = tree.push(tree.names.expand('', 'row'), 0, 0, 0)
  pushFields(tree, root, row, 1)
  tree.end[root] = tree.count
  tree.end[0] = tree.count
}

function pushFields(tree: XmlTree, parent: number, fields: { readonly [field: string]: Value }, depth: number): void {
  if (depth > ROW_DEPTH_MAX) throw mappingFault('MAPPING_ROW_TOO_DEEP', { why: `more than ${ROW_DEPTH_MAX} levels` })
  for (const [name, value] of Object.entries(fields)) {
    if (!isLocalName(name)) continue
    for (const one of Array.isArray(value) ? (value as readonly Value[]) : [value])
      pushField(tree, parent, name, one, depth)
  }
}

function pushField(tree: XmlTree, parent: number, name: string, value: Value, depth: number): void {
  if (value === null || value === undefined) return
  const node = tree.push(tree.names.expand('', name), parent, 0, 0)
  if (Array.isArray(value)) pushFields(tree, node, { item: value as readonly Value[] }, depth + 1)
  else if (typeof value === 'object' && !(value instanceof Uint8Array)) {
    pushFields(tree, node, value as { readonly [field: string]: Value }, depth + 1)
  } else {
    const text = textOf(value as string | number | bigint | boolean | Uint8Array)
    checkXmlText(text, `field ${name}`)
    if (text !== '') tree.push(TEXT_ESCAPED, node, tree.keep(text), 0)
  }
  tree.end[node] = tree.count
}

function textOf(value: string | number | bigint | boolean | Uint8Array): string {
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  return typeof value === 'number' ? decimal(value) : String(value)
}

/** Without exponent, which is no number in a mapping. */
function decimal(value: number): string {
  const text = String(value)
  const parts = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (parts === null) return text
  const [, sign = '', whole = '', fraction = '', exponent] = parts
  const digits = whole + fraction
  const point = whole.length + Number(exponent)
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return point >= digits.length
    ? sign + digits.padEnd(point, '0')
    : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

type Fields = Record<string, Value>

/** What is below the root of a result. `lists` names fields that are lists also with one entry. Fault: MAPPING_RESULT_NOT_A_ROW. */
export function writeRow(tree: XmlTree, lists: ReadonlySet<string>): Row {
  const value = fieldOf(tree, 1, lists)
  return typeof value === 'object' && value !== null
    ? (value as Row)
    : notARow(tree.names, tree, 1, 'it has no elements')
}

function fieldOf(tree: XmlTree, node: number, lists: ReadonlySet<string>): Value {
  const fields: Fields = Object.create(null) as Fields
  let count = 0
  const put = (name: string, value: Value): void => {
    if (name === '__proto__') notARow(tree.names, tree, node, 'it has an element named __proto__')
    const known = fields[name]
    if (known === undefined) fields[name] = lists.has(name) ? [value] : value
    else if (Array.isArray(known)) (known as Value[]).push(value)
    else fields[name] = [known, value]
    count += 1
  }
  const { names } = tree
  for (let i = tree.attributes[node] as number; i < (tree.attributes[node + 1] as number); i += 1) {
    put(names.localPart[tree.attributeName[i] as number] as string, tree.attributeText(i))
  }
  let text = ''
  for (let child = node + 1; child < (tree.end[node] as number); child = tree.end[child] as number) {
    const name = tree.name[child] as number
    if (name < 0) text += tree.textOf(child)
    else put(names.localPart[name] as string, fieldOf(tree, child, lists))
  }
  if (count === 0 && (node !== 1 || text !== '')) return text
  if (/[^ \t\n\r]/.test(text)) notARow(names, tree, node, 'it has text beside elements or attributes')
  return { ...fields }
}

function notARow(names: Names, tree: XmlTree, node: number, why: string): never {
  throw mappingFault('MAPPING_RESULT_NOT_A_ROW', { where: `<${names.localPart[tree.name[node] as number]}>`, why })
}
