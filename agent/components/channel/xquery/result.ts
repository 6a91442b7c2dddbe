// Results of queries as texts: XML, text or JSON.

import { isNode, serializeNode, textOf } from '../../xdm/mod.ts'
import { XML_DECLARATION } from '../../xml/mod.ts'
import { xqueryFault } from './faults.ts'

export type Method = 'xml' | 'text' | 'json'

/** Throws XQUERY_RESULT. */
export function written(items: readonly unknown[], method: Method): string {
  switch (method) {
    case 'xml':
      return xmlOf(items)
    case 'text':
      return items.map(plainOf).join(' ')
    default:
      return jsonOf(items)
  }
}

/** One root element, with comments and processing instructions around it. */
function xmlOf(items: readonly unknown[]): string {
  let roots = 0
  const parts = items.map((item) => {
    if (!isNode(item)) throw xqueryFault('XQUERY_RESULT', { why: `it has ${described(item)} outside of an element` })
    const { nodeType } = item
    if (nodeType === ELEMENT || nodeType === DOCUMENT) roots += 1
    else if (nodeType !== COMMENT && nodeType !== INSTRUCTION) {
      throw xqueryFault('XQUERY_RESULT', { why: 'it has text or an attribute outside of an element' })
    }
    try {
      return serializeNode(item)
    } catch (error) {
      throw xqueryFault('XQUERY_RESULT', { why: (error as Error).message })
    }
  })
  if (roots !== 1)
    throw xqueryFault('XQUERY_RESULT', { why: roots === 0 ? 'it has no element' : `it has ${roots} elements` })
  return XML_DECLARATION + parts.join('')
}

function jsonOf(items: readonly unknown[]): string {
  const [only] = items
  const value = items.length === 1 ? only : items.length === 0 ? null : items
  const text = JSON.stringify(value, function (this: Record<string, unknown>, key: string, each: unknown) {
    // A date has become a text before this sees it.
    if (isNode(this[key])) return textOf(this[key])
    if (typeof each === 'function') throw xqueryFault('XQUERY_RESULT', { why: 'it has a function' })
    return each
  })
  return text
}

function plainOf(item: unknown): string {
  if (isNode(item)) return textOf(item)
  if (item instanceof Date) return item.toISOString()
  if (typeof item === 'object' || typeof item === 'function')
    throw xqueryFault('XQUERY_RESULT', { why: `it has ${described(item)}` })
  return String(item)
}

function described(item: unknown): string {
  if (Array.isArray(item)) return 'an array'
  return typeof item === 'object' ? 'a map' : typeof item === 'function' ? 'a function' : 'a value'
}

const ELEMENT = 1
const INSTRUCTION = 7
const COMMENT = 8
const DOCUMENT = 9
