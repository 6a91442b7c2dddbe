// Computed numbers are doubles. From 1,000,000 on (and below 0.000001) XPath 2.0 and later write them as 1.11E6, XPath 1.0 as 1110000, and
// processors of 3.0 do as 3.0 does in sheets of version 1.0 too. Where all of a stylesheet is of version 1.0, numbers are written as
// XPath 1.0 says; where only some of it is, they are not, and the lines are named.

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

/** Says its version everywhere, as far as it says one, as 1.0. */
export function isVersion1(root: StyleElement): boolean {
  if (versionOf(root) === null) return false
  const open = [root]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const version = versionOf(next)
    if (version !== null && Number(version) !== 1) return false
    for (const child of next.children) if (typeof child !== 'string') open.push(child)
  }
  return true
}

/** That of an output is one of XML or HTML. */
function versionOf(element: StyleElement): string | null {
  if (isXsl(element, 'output')) return null
  if (element.uri === XSL) return attributeOf(element, 'version') ?? null
  return element.attributes.find(({ uri, local }) => uri === XSL && local === 'version')?.value ?? null
}

/** A double as XPath 1.0 writes it (section 4.2): decimal, with no more digits than tell it from its neighbours. */
export function decimalText(value: number): string {
  if (value === 0) return '0'
  const text = String(value)
  const [, sign = '', whole = '', fraction = '', exponent] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text) ?? []
  if (exponent === undefined) return text
  const digits = whole + fraction
  const point = 1 + Number(exponent)
  return point > 0 ? `${sign}${digits.padEnd(point, '0')}` : `${sign}0.${'0'.repeat(-point)}${digits}`
}

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
    `lines ${shown}${more} write computed numbers; not all of the stylesheet is of version 1.0, so 1000000 and more come as 1.0E6: write format-number(…, '0.######')`,
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
