// Tokens of XPath 1.0 (section 3.7), with its rule that tells `*`, `and`, `div` the operator from the name.

export type Token = {
  /** A symbol or operator is its own kind: `(`, `::`, `and`. */
  readonly kind: 'name' | 'function' | 'node-type' | 'axis' | 'string' | 'number' | 'variable' | 'end' | (string & {})
  readonly text: string
  readonly at: number
  readonly end: number
}

/** What is wrong with an expression, and where: an offset in its text. */
export class XPathMistake extends Error {
  readonly at: number
  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}

const NAME_START =
  'A-Z_a-z\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d\\u2070-\\u218f\\u2c00-\\u2fef\\u3001-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\ufffd\\u{10000}-\\u{effff}'
const NC_NAME = `[${NAME_START}][${NAME_START}\\-.0-9\\u00b7\\u0300-\\u036f\\u203f\\u2040]*`
const TOKEN = new RegExp(
  [
    '(?<space>[ \\t\\r\\n]+)',
    `(?<name>${NC_NAME}(?::(?:${NC_NAME}|\\*))?)`,
    '(?<number>[0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)',
    '(?<string>"[^"]*"|\'[^\']*\')',
    `(?<variable>\\$${NC_NAME}(?::${NC_NAME})?)`,
    '(?<symbol>::|//|\\.\\.|!=|<=|>=|[()[\\].@,/|+\\-=<>*])',
  ].join('|'),
  'uy',
)
const OPERATOR_NAMES = new Set(['and', 'or', 'mod', 'div'])
const NODE_TYPES = new Set(['node', 'text', 'comment', 'processing-instruction'])
/** After these a name is a name and `*` is any name. */
const BEFORE_OPERAND = new Set([
  '@',
  '::',
  '(',
  '[',
  ',',
  'and',
  'or',
  'mod',
  'div',
  'multiply',
  '/',
  '//',
  '|',
  '+',
  '-',
  '=',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
])

export function tokens(text: string): readonly Token[] {
  const found: Token[] = []
  let at = 0
  while (at < text.length) {
    TOKEN.lastIndex = at
    const groups = TOKEN.exec(text)?.groups
    if (groups === undefined)
      throw new XPathMistake(`unexpected ${JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0))}`, at)
    const end = TOKEN.lastIndex
    if (groups.space === undefined) found.push({ ...classify(groups, found.at(-1), text, end), at, end })
    at = end
  }
  found.push({ kind: 'end', text: '', at, end: at })
  return found
}

function classify(
  groups: Record<string, string | undefined>,
  previous: Token | undefined,
  text: string,
  end: number,
): { readonly kind: Token['kind']; readonly text: string } {
  const { name, number, string, variable, symbol = '' } = groups
  const operand = previous === undefined || BEFORE_OPERAND.has(previous.kind)
  if (name !== undefined) {
    if (!operand && OPERATOR_NAMES.has(name)) return { kind: name, text: name }
    const rest = text.slice(end).trimStart()
    if (rest.startsWith('(')) return { kind: NODE_TYPES.has(name) ? 'node-type' : 'function', text: name }
    return { kind: rest.startsWith('::') ? 'axis' : 'name', text: name }
  }
  if (number !== undefined) return { kind: 'number', text: number }
  if (string !== undefined) return { kind: 'string', text: string.slice(1, -1) }
  if (variable !== undefined) return { kind: 'variable', text: variable }
  if (symbol === '*') return operand ? { kind: 'name', text: '*' } : { kind: 'multiply', text: '*' }
  return { kind: symbol, text: symbol }
}
