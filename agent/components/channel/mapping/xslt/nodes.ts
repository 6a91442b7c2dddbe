// Small things about the nodes of stylesheets and of mappings.

import type { Expression, Name, Node } from '../ast.ts'
import type { StyleElement } from './tree.ts'
import { fixedText } from './values.ts'

export const elementsOf = (element: StyleElement): StyleElement[] =>
  element.children.filter((child): child is StyleElement => typeof child !== 'string')
export const keyOf = ({ local, uri }: Name): string => `{${uri}}${local}`
export const isYes = (value: string | null): boolean => value !== null && /^\s*(yes|true|1)\s*$/.test(value)
export const literalNode = (value: string): Node => ({ kind: 'text', value: { kind: 'literal', value } })

export function literalOf(nodes: readonly Node[]): string | null {
  const text = textIn(nodes)
  return text === null ? null : fixedText(text)
}

/** Nodes that write text alone, as one text. */
export function textIn(nodes: readonly Node[]): Expression | null {
  const parts: Expression[] = []
  for (const node of nodes) {
    if (node.kind === 'text') parts.push(node.value)
    else if (node.kind === 'choose') {
      let rest = textIn(node.otherwise)
      for (const { when, children } of node.branches.toReversed()) {
        const value = textIn(children)
        if (value === null || rest === null) return null
        rest = { kind: 'if', when, value, otherwise: rest }
      }
      if (rest === null) return null
      parts.push(rest)
    } else return null
  }
  if (parts.length === 0) return { kind: 'literal', value: '' }
  return parts.length === 1 ? (parts[0] as Expression) : { kind: 'concat', parts }
}

/** Where the expression of an attribute value template ends: at a brace outside of its literals. */
function endOfExpression(template: string, from: number): number {
  let quote = ''
  for (let i = from; i < template.length; i += 1) {
    const char = template[i] as string
    if (quote !== '') {
      if (char === quote) quote = ''
    } else if (char === '"' || char === "'") quote = char
    else if (char === '}') return i
  }
  return -1
}

/** An element with its attributes and children, as text to compare. */
export function shapeOf(element: StyleElement): string {
  const attributes = element.attributes.map(({ local, value }) => `${local}=${value}`)
  const children = element.children.map((child) => (typeof child === 'string' ? child.trim() : shapeOf(child)))
  return `${element.local}(${attributes.sort().join()})[${children.join('')}]`
}

type Piece = { readonly text: string } | { readonly expression: string }

/** What an attribute value template is made of, one piece at least; `null`: a brace is alone. */
export function valueTemplate(template: string): readonly Piece[] | null {
  const pieces: Piece[] = []
  let text = ''
  for (let i = 0; i < template.length; ) {
    const char = template[i] as string
    const brace = char === '{' || char === '}'
    if (!brace || template[i + 1] === char) {
      text += char
      i += brace ? 2 : 1
    } else {
      const end = char === '{' ? endOfExpression(template, i + 1) : -1
      if (end < 0) return null
      if (text !== '') pieces.push({ text })
      text = ''
      pieces.push({ expression: template.slice(i + 1, end) })
      i = end + 1
    }
  }
  if (text !== '' || pieces.length === 0) pieces.push({ text })
  return pieces
}
