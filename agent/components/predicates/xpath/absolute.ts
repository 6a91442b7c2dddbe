// Writes an expression so that it means the same wherever it is evaluated: paths that would start at the context node start at
// the document node. libxml2-wasm evaluates at the root element only.

import type { Expr } from './ast.ts'

const OF_CONTEXT = new Set([
  'string',
  'string-length',
  'normalize-space',
  'number',
  'name',
  'local-name',
  'namespace-uri',
])

type Change = { readonly at: number; readonly end: number; readonly text: string }

export function absolute(text: string, expr: Expr): string {
  const changes: Change[] = []
  collect(expr, changes)
  let done = ''
  let at = 0
  for (const change of changes.sort((a, b) => a.at - b.at)) {
    done += text.slice(at, change.at) + change.text
    at = change.end
  }
  return done + text.slice(at)
}

/** Predicates and later steps have contexts of their own. */
function collect(expr: Expr, changes: Change[]): void {
  switch (expr.kind) {
    case 'path':
      if (!expr.absolute) changes.push({ at: expr.at, end: expr.at, text: '/' })
      break
    case 'filter':
      collect(expr.primary, changes)
      break
    case 'negate':
      collect(expr.operand, changes)
      break
    case 'call': {
      const { name, args, at, end } = expr
      if (args.length === 0 && OF_CONTEXT.has(name)) changes.push({ at, end, text: `${name}(/)` })
      // The document node is alone, and in no language.
      else if (name === 'position' || name === 'last') changes.push({ at, end, text: '1' })
      else if (name === 'lang') changes.push({ at, end, text: 'false()' })
      else for (const each of args) collect(each, changes)
      break
    }
    case 'string':
    case 'number':
      break
    default:
      collect(expr.left, changes)
      collect(expr.right, changes)
  }
}
