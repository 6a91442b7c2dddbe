// Where XSLT 3.0 writes a number otherwise than a stylesheet of version 1.0 expects: computed numbers are doubles, and from 1,000,000 on
// (and below 0.000001) XPath 2.0 and later write them as 1.11E6, XPath 1.0 as 1110000. Processors of 3.0 do so in 1.0 sheets too.

import { type Expr, parseXPath, XPathMistake } from '../../predicates/xpath/mod.ts'
import { attributeOf, isXsl, type StyleElement, XSL } from '../mapping/xslt/tree.ts'

const LINES_SHOWN_MAX = 10
const DOUBLES: ReadonlySet<string> = new Set(['number', 'sum', 'floor', 'ceiling', 'round'])
const FUNCTIONS = {
  current: [0, 0],
  document: [1, 2],
  'format-number': [2, 3],
  'generate-id': [0, 1],
  key: [2, 2],
} as const

/** One warning, or none: the lines of a stylesheet of version 1.0 that write such a number. */
export function numberWarnings(root: StyleElement): readonly string[] {
  if (Number(attributeOf(root, 'version')) !== 1) return []
  const lines = new Set<number>()
  const open = [root]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { namespaces, line } = next
    if (writtenBy(next).some((text) => writesDouble(text, namespaces))) lines.add(line)
    for (const child of next.children) if (typeof child !== 'string') open.push(child)
  }
  if (lines.size === 0) return []
  const sorted = [...lines].sort((a, b) => a - b)
  const shown = sorted.slice(0, LINES_SHOWN_MAX).join(', ')
  const more = sorted.length > LINES_SHOWN_MAX ? ` and ${sorted.length - LINES_SHOWN_MAX} more` : ''
  return [
    `lines ${shown}${more} write computed numbers; XSLT 3.0 writes 1000000 and more as 1.0E6, also for version="1.0": write format-number(…, '0.######')`,
  ]
}

/** The expressions whose value becomes text in the result. */
function writtenBy(element: StyleElement): readonly string[] {
  if (isXsl(element, 'value-of')) return [attributeOf(element, 'select') ?? '']
  if (element.uri === XSL) return []
  return element.attributes.flatMap(({ uri, value }) =>
    uri === XSL ? [] : [...value.replaceAll(/\{\{|\}\}/g, '').matchAll(/\{([^{}]*)\}/g)].map(([, text = '']) => text),
  )
}

function writesDouble(text: string, namespaces: StyleElement['namespaces']): boolean {
  try {
    return isDouble(parseXPath(text, new Set(Object.keys(namespaces)), { variables: true, functions: FUNCTIONS }))
  } catch (error) {
    if (error instanceof XPathMistake) return false
    throw error
  }
}

function isDouble(expr: Expr): boolean {
  switch (expr.kind) {
    case 'arithmetic':
    case 'negate':
      return true
    case 'call':
      if (expr.name === 'concat' || expr.name === 'string') return expr.args.some(isDouble)
      return DOUBLES.has(expr.name) && !expr.args.some((arg) => arg.kind === 'call' && arg.name === 'count')
    default:
      return false
  }
}
