// What a stylesheet may not do: read or write anything but its document, its parameters and its result, or call into the
// program that runs it. Three walls, each for what the others cannot see:
//
// - the compiled form is a closed tree of operations: `refuseReaching` looks at each. Operations that could make others while they run
//   (dynamic XPath, functions by name) are refused with them, so that nothing comes in later;
// - expressions evaluated while compiling (`use-when`, static variables): `refuseStatic` lets only plain ones pass;
// - the engine reads no files but through `saxon.ts`, which opens modules of the stylesheet's folder while it compiles.

import type { Fault } from '#protocol/base/mod.ts'
import { type StyleElement, XSL } from '../mapping/xslt/tree.ts'
import { xsltFault } from './faults.ts'

/** SaxonJS's compiled form (SEF): `N` the operation, `C` what it works on, all else its properties as text. */
export type Operation = { readonly N: string; readonly C?: readonly Operation[]; readonly [property: string]: unknown }

const FN = 'http://www.w3.org/2005/xpath-functions'

const FUNCTIONS_REFUSED: ReadonlySet<string> = new Set([
  'doc',
  'doc-available',
  'document',
  'unparsed-text',
  'unparsed-text-lines',
  'unparsed-text-available',
  'json-doc',
  'collection',
  'uri-collection',
  'stream-available',
  'environment-variable',
  'available-environment-variables',
  'transform',
  'load-xquery-module',
  'function-lookup',
])

const OPERATIONS_REFUSED: Readonly<Record<string, string>> = {
  evaluate: 'xsl:evaluate',
  resultDoc: 'xsl:result-document',
  sourceDoc: 'xsl:source-document',
  streamDoc: 'xsl:source-document',
}

/** Functions that come with the engine: those of standards, and the one that calls a function value. */
const EXTENSIONS_TAKEN =
  /^Q\{(?:http:\/\/www\.w3\.org\/2005\/xpath-functions\/(?:map|array|math)|http:\/\/exslt\.org\/[\w-]+)\}|^Q\{http:\/\/saxon\.sf\.net\/\}apply$/
/** References to functions: of its own it may have any. */
const VENDOR = /saxonica\.com|saxon\.sf\.net|^Q\{(?:java|clitype):/i

/** Throws `XSLT_REFUSED` for the first operation that reaches outside. */
export function refuseReaching(root: Operation): void {
  const open: { readonly operation: Operation; readonly line: string | undefined }[] = [
    { operation: root, line: undefined },
  ]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { operation } = next
    const line = typeof operation.line === 'string' ? operation.line : next.line
    const refused = refusedName(operation)
    if (refused !== null) throw refusal(refused, line === undefined ? undefined : Number(line))
    for (const each of operation.C ?? []) if (each !== null) open.push({ operation: each, line })
  }
}

function refusedName({ N, name, role }: Operation): string | null {
  if (role === 'forEachStream') return 'xsl:merge-source for-each-source'
  const instruction = Object.hasOwn(OPERATIONS_REFUSED, N) ? OPERATIONS_REFUSED[N] : undefined
  if (instruction !== undefined) return instruction
  if (typeof name !== 'string') return null
  switch (N) {
    case 'fn':
      return reaches(name) ? `${name}()` : null
    case 'ifCall':
      return EXTENSIONS_TAKEN.test(name) ? null : `${name}()`
    case 'fnRef':
      return VENDOR.test(name) ||
        (!name.startsWith('Q{') && reaches(name)) ||
        (name.startsWith(`Q{${FN}}`) && reaches(name))
        ? `${name}()`
        : null
    default:
      return null
  }
}

const reaches = (name: string): boolean => FUNCTIONS_REFUSED.has(name.slice(name.search(/[^}:]*$/)))

/** Functions that may be called while compiling. */
const STATIC_FUNCTIONS: ReadonlySet<string> = new Set([
  'system-property',
  'element-available',
  'function-available',
  'type-available',
  'true',
  'false',
  'not',
  'number',
  'string',
  'concat',
  'contains',
  'starts-with',
])

/** Throws `XSLT_REFUSED` for an expression that is evaluated while compiling and does more than compare and combine. */
export function refuseStatic(element: StyleElement): void {
  const open = [element]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const inXsl = next.uri === XSL
    const isStatic = next.attributes.some(
      ({ uri, local, value }) => inXsl && uri === '' && local === 'static' && !/^\s*(?:no|false|0)\s*$/.test(value),
    )
    for (const { uri, local, value } of next.attributes) {
      const evaluated =
        (local === 'use-when' && uri === (inXsl ? '' : XSL)) || (isStatic && uri === '' && local === 'select')
      // A shadow attribute (`_select`) is written by an expression: nobody can say here what it will be.
      if (evaluated ? !isPlain(value) : inXsl && uri === '' && local.startsWith('_'))
        throw refusal(`${local}="${value.slice(0, 200)}", evaluated while compiling,`, next.line)
    }
    for (const child of next.children) if (typeof child !== 'string') open.push(child)
  }
}

function isPlain(expression: string): boolean {
  // Literals say nothing; what is called does.
  const bare = expression.replaceAll(/"[^"]*"|'[^']*'/g, "''")
  if (/#|Q\{|=>|\(:/.test(bare)) return false
  return [...bare.matchAll(/([^\s()[\]{},=<>!+*|/'"]*)\s*\(/g)].every(
    ([, name = '']) =>
      name === '' || /^(?:and|or|if|then|else|div|mod|in|return)$/.test(name) || STATIC_FUNCTIONS.has(name),
  )
}

function refusal(what: string, line: number | undefined): Fault {
  return xsltFault('XSLT_REFUSED', { why: `${what} is not available`, ...(line === undefined ? {} : { line }) })
}
