// Mappings and documents made at random, for tests that compare what is made of them. Small, and hostile.

import { escapeText, escapeValue } from '../../../xml/mod.ts'
import type {
  AttributeRule,
  Condition,
  ElementNode,
  Expression,
  Mapping,
  Name,
  Node,
  NumberExpression,
  Path,
  Sort,
  Step,
} from '../ast.ts'

/** Without `&`: libxml2 before 2.14 writes it into declarations as it is, and xsltproc's result is then no XML. */
export const URIS = { p: 'urn:p', q: 'urn:q?a=1;b=', t: 'urn:t', d: 'urn:default' } as const
const XML = 'http://www.w3.org/XML/1998/namespace'

const plain = (local: string): Name => ({ prefix: '', local, uri: '' })
const inUri = (prefix: keyof typeof URIS, local: string): Name => ({ prefix, local, uri: URIS[prefix] })

const ELEMENTS: readonly Name[] = [plain('a'), plain('b'), plain('c'), plain('项'), inUri('p', 'a'), inUri('q', 'b')]
const ATTRIBUTES: readonly Name[] = [
  plain('x'),
  plain('y'),
  inUri('p', 'x'),
  { prefix: 'xml', local: 'lang', uri: XML },
]

/** Texts that are easily treated wrongly. None is `.` or `-.`, which SaxonJS takes for the number 0. */
const TEXTS: readonly string[] = [
  ...['', ' ', '\t\n', ' a  b ', 'a', 'b', 'A', 'ab', 'ä', '税', '纳税人识别号', '𠀀', 'x𠀀y𝄞', 'é'],
  ...['<&>"\'', ']]>', '\r\n', 'a\rb', '{x}', '{{', '$1', '\\d', '\u0085', '\u00a0', '\u2028', "it's", '"'],
  ...[
    '0',
    '1',
    '2',
    '10',
    '-1.5',
    '.5',
    '1.',
    '1e3',
    '1E+3',
    '+1',
    'INF',
    'NaN',
    'Infinity',
    '- 5',
    ' 7 ',
    '1,000',
    '--1',
  ],
  ...['0.005', '1.005', '2.5', '-0.5', '-0', '999999999999999', '1000000000000000', '9007199254740993', '0x10', '1_0'],
  ...['20260228', '2026-02-28', '441900'],
]

export class Maker {
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  chance(part: number): boolean {
    return this.#random() < part
  }

  whole(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1))
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T
  }

  list<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.whole(0, most) }, make)
  }

  // Documents.

  document(): string {
    const body = this.#sourceElement(4)
    const declared = Object.entries(URIS).map(([prefix, uri]) => ` xmlns:${prefix}="${escapeValue(uri)}"`)
    const inner = body.replace(/^<([^\s/>]+)/, (_tag, name) => `<${name}${declared.join('')}`)
    return `${this.chance(0.5) ? '<?xml version="1.0" encoding="UTF-8"?>\n' : ''}${this.chance(0.2) ? '<!--a-->' : ''}${inner}\n`
  }

  #sourceElement(depth: number): string {
    const name = this.pick(ELEMENTS)
    const written = name.prefix === '' ? name.local : `${name.prefix}:${name.local}`
    const attributes = ATTRIBUTES.filter(() => this.chance(0.3)).map((attribute) => {
      const qualified = attribute.prefix === '' ? attribute.local : `${attribute.prefix}:${attribute.local}`
      return ` ${qualified}="${escapeValue(this.pick(TEXTS))}"`
    })
    const children =
      depth === 0 ? [] : this.list(5, () => this.#sourceElement(depth - this.whole(1, 2) < 0 ? 0 : depth - 1))
    const pieces: string[] = []
    for (const child of children) pieces.push(this.chance(0.3) ? this.#sourceText() : '', child)
    if (children.length === 0 || this.chance(0.3)) pieces.push(this.#sourceText())
    const content = pieces.join('')
    return content === '' && this.chance(0.5)
      ? `<${written}${attributes.join('')}/>`
      : `<${written}${attributes.join('')}>${content}</${written}>`
  }

  #sourceText(): string {
    const text = this.pick(TEXTS)
    if (this.chance(0.1)) return `${escapeText(text)}<!-- c --><?p i?>${escapeText(this.pick(TEXTS))}`
    return this.chance(0.15) && !text.includes(']]>') && !text.includes('\r') ? `<![CDATA[${text}]]>` : escapeText(text)
  }

  // Mappings.

  mapping(): Mapping {
    const tables = {
      codes: {
        entries: [
          ['a', 'eins'],
          ['441900', '东莞'],
          ['', 'nothing'],
          ["it's", '"both"\''],
          ['1', ' '],
        ],
      },
      '2 empty': { entries: [] },
    } as const
    const named = this.chance(0.5)
    this.#target = this.chance(0.3) ? URIS.d : this.chance(0.2) ? URIS.p : ''
    const root = this.#element(named ? 2 : 3, 0)
    // Paths at random seldom find several nodes: these do.
    return { tables, root: { ...root, children: [...root.children, this.#sorted()] } }
  }

  #target = ''

  #targetName(): Name {
    const local = this.pick(['r', 's', 'u', '值', 'a'])
    return this.chance(0.25) ? inUri(this.pick(['t', 'q'] as const), local) : { prefix: '', local, uri: this.#target }
  }

  #element(depth: number, loops: number): ElementNode {
    const attributes: AttributeRule[] = []
    for (const name of [plain('k'), plain('l'), inUri('t', 'm'), inUri('q', 'n')]) {
      if (!this.chance(0.2)) continue
      attributes.push({
        name,
        value: this.expression(2, true),
        when: this.chance(0.3) ? this.condition(2, true) : null,
      })
    }
    return {
      kind: 'element',
      name: this.#targetName(),
      attributes,
      children: this.list(4, () => this.#node(depth, loops)),
    }
  }

  #nodes(depth: number, loops: number): Node[] {
    return this.list(3, () => this.#node(depth, loops))
  }

  #node(depth: number, loops: number): Node {
    const kind =
      depth <= 0 ? 'text' : this.pick(['text', 'text', 'element', 'element', 'choose', 'forEach', 'forEach', 'stop'])
    switch (kind) {
      case 'element':
        return this.#element(depth - 1, loops)
      case 'choose': {
        const branches = Array.from({ length: this.whole(1, 3) }, () => ({
          when: this.condition(2, true),
          children: this.#nodes(depth - 1, loops),
        }))
        return { kind, branches, otherwise: this.chance(0.5) ? this.#nodes(depth - 1, loops) : [] }
      }
      case 'forEach': {
        if (loops >= 2) return this.#element(depth - 1, loops)
        const sort = this.chance(0.5) ? this.list(2, () => this.#sort()) : []
        return {
          kind,
          path: this.path(false),
          sort,
          children: [this.#element(depth - 1, loops + 1), ...this.#nodes(depth - 1, loops + 1)],
        }
      }
      case 'stop':
        // Rare, else few documents come to their end.
        if (this.chance(0.9)) return { kind: 'text', value: this.expression(3, true) }
        return {
          kind: 'choose',
          branches: [{ when: this.condition(1, true), children: [{ kind, message: this.expression(1, true) }] }],
          otherwise: [],
        }
      default:
        return { kind: 'text', value: this.expression(3, true) }
    }
  }

  #sorted(): Node {
    const any = { name: null, where: null, position: null }
    const value = (attribute: Name | null): Expression => {
      return { kind: 'value', path: { absolute: false, up: 0, steps: [], attribute } }
    }
    const sort = [null, this.pick(ATTRIBUTES)].map((attribute): Sort => {
      const as = this.pick(['text', 'number'] as const)
      return { by: value(attribute), as, descending: this.chance(0.4) }
    })
    const path = { absolute: true, up: 0, steps: [any, any], attribute: null }
    const shown: Expression = {
      kind: 'concat',
      parts: [{ kind: 'position' }, value(null), { kind: 'literal', value: '|' }],
    }
    return {
      kind: 'forEach',
      path,
      sort: this.chance(0.5) ? sort : sort.reverse(),
      children: [{ kind: 'text', value: shown }],
    }
  }

  #sort(): Sort {
    const as = this.pick(['text', 'number'] as const)
    const by = as === 'text' ? this.expression(1, false) : this.#numeric(false)
    return { by, as, descending: this.chance(0.4) }
  }

  /** A text to make a number of; no part of a text, which might be `.`. */
  #numeric(positioned: boolean): Expression {
    const of = this.expression(0, positioned)
    return this.chance(0.3) ? { kind: this.pick(['normalize', 'trim'] as const), of } : of
  }

  path(attribute: boolean): Path {
    const absolute = this.chance(0.2)
    const up = !absolute && this.chance(0.2) ? this.whole(1, 2) : 0
    return {
      absolute,
      up,
      steps: this.list(3, () => this.#step()),
      attribute: attribute && this.chance(0.3) ? this.pick(ATTRIBUTES) : null,
    }
  }

  #step(): Step {
    return {
      name: this.chance(0.6) ? null : this.pick(ELEMENTS),
      where: this.chance(0.15) ? this.condition(1, false) : null,
      position: this.chance(0.15) ? this.whole(1, 3) : null,
    }
  }

  expression(depth: number, positioned: boolean): Expression {
    const of = (): Expression => this.expression(depth - 1, positioned)
    if (depth <= 0 || this.chance(0.3)) {
      if (positioned && this.chance(0.1)) return { kind: 'position' }
      return this.chance(0.3) ? { kind: 'literal', value: this.pick(TEXTS) } : { kind: 'value', path: this.path(true) }
    }
    switch (this.whole(0, 9)) {
      case 0:
        return { kind: 'concat', parts: this.list(3, of) }
      case 1:
        return {
          kind: 'substring',
          of: of(),
          start: this.whole(1, 4),
          length: this.chance(0.5) ? this.whole(0, 3) : null,
        }
      case 2:
        return {
          kind: this.pick(['before', 'after'] as const),
          of: of(),
          mark: this.pick(['a', ' ', '-', '.', '𠀀', "'"]),
        }
      case 3: {
        const [from, to] = this.pick([
          ['abc', 'ABC'],
          ['a𠀀aé', 'x税q'],
          ['0123456789', '·'],
          ['"\'', '\'"'],
          ['\t\n ', '···'],
        ] as const)
        return { kind: 'translate', of: of(), from, to }
      }
      case 4:
        return { kind: 'normalize', of: of() }
      case 5:
        return { kind: 'trim', of: of() }
      case 6:
        return { kind: 'lookup', table: this.pick(['codes', 'codes', '2 empty']), key: of(), otherwise: of() }
      case 7:
        return { kind: 'if', when: this.condition(depth - 1, positioned), value: of(), otherwise: of() }
      default:
        return {
          kind: 'format',
          number: this.number(depth, positioned),
          decimals: this.whole(0, 3),
          grouping: this.chance(0.3),
        }
    }
  }

  number(depth: number, positioned: boolean): NumberExpression {
    const operand = (): NumberExpression => this.number(depth - 1, positioned)
    const kind =
      depth <= 0
        ? this.pick(['constant', 'number', 'count'] as const)
        : this.pick(['constant', 'number', 'number', 'count', 'sum', 'add', 'subtract', 'multiply', 'divide'] as const)
    switch (kind) {
      case 'constant':
        return { kind, value: this.pick([0, 1, -1, 2, 0.1, -2.5, 1000, 1e-7, 1e21, 123456.789]) }
      case 'number':
        return { kind, of: this.#numeric(positioned) }
      case 'count':
      case 'sum':
        return { kind, path: this.path(true) }
      default:
        return { kind, left: operand(), right: operand() }
    }
  }

  condition(depth: number, positioned: boolean): Condition {
    const text = (): Expression => this.expression(depth - 1, positioned)
    switch (depth <= 0 ? this.whole(0, 2) : this.whole(0, 8)) {
      case 0:
      case 1:
        return { kind: 'exists', path: this.path(true) }
      case 2:
      case 3:
        return { kind: 'equals', left: text(), right: text() }
      case 4:
        return { kind: this.pick(['contains', 'startsWith'] as const), of: text(), text: text() }
      case 5:
      case 6:
        return {
          kind: 'compare',
          operator: this.pick(['=', '<', '<=', '>', '>='] as const),
          left: this.number(depth - 1, positioned),
          right: this.number(depth - 1, positioned),
        }
      case 7:
        return { kind: 'not', of: this.condition(depth - 1, positioned) }
      default:
        return {
          kind: this.pick(['and', 'or'] as const),
          of: this.list(3, () => this.condition(depth - 1, positioned)),
        }
    }
  }
}
