// A stylesheet inside the subset → the mapping that gives the same. Anything else: the reason, with its line.
//
// Templates are unfolded where they are called or applied, parameters and variables where they are used: a mapping has neither. What a
// literal result element copies of the namespaces in scope must be what a mapping's result declares: those of its names, on the root.

import { Fault } from '#protocol/base/mod.ts'
import { XML_URI } from '../../../xml/mod.ts'
import type { AttributeRule, Condition, ElementNode, Expression, Mapping, Name, Node, Path } from '../ast.ts'
import { checkMapping } from '../check.ts'
import { CopiedNamespaces } from './copied.ts'
import { CODEPOINTS, FORMAT_SHAPE } from './generate.ts'
import { at, Located } from './located.ts'
import { elementsOf, isYes, keyOf, literalNode, shapeOf, textIn, valueTemplate } from './nodes.ts'
import { NotInSubset } from './subset.ts'
import { TableMaker } from './tables.ts'
import { attributeOf, isXsl, type ReadTree, type StyleElement, XSL } from './tree.ts'
import { noNumber, pictureOf, shiftedValue, type Value } from './values.ts'
import { type Scope, XPathReader } from './xpath.ts'

export type Imported =
  | { readonly ok: true; readonly mapping: Mapping; readonly declaration: boolean; readonly mediaType: string | null }
  | { readonly ok: false; readonly why: string; readonly line: number | null }

/** `parameters`: those whose value is fixed. Throws XSLT_STYLESHEET_INVALID for what is no XML. */
export function importXslt(
  text: string,
  readTree: ReadTree,
  parameters: ReadonlyMap<string, string> = new Map(),
): Imported {
  const root = readTree(text)
  try {
    return new Importer(root, parameters).imported()
  } catch (error) {
    if (error instanceof NotInSubset) return { ok: false, why: error.message, line: error.line }
    if (error instanceof Fault && error.code === 'MAPPING_INVALID') return { ok: false, why: error.message, line: null }
    // A mapping is a tree: what is deeper than the stack is deeper than its bound.
    if (error instanceof RangeError) return { ok: false, why: 'it is nested too deeply', line: null }
    throw error
  }
}

/** Templates inside each other, and nodes in all: templates that call others twice grow by the power of two. */
const UNFOLDED_MAX = 60
const NODES_MAX = 50_000

/** One context of evaluation: the node a loop is at, seen from the context around it. */
type Context = { readonly outer: Context | null; readonly path: Path | null }
type Bound = { readonly value: Value; readonly context: Context }
type Frame = { readonly context: Context; readonly variables: ReadonlyMap<string, Bound>; readonly depth: number }

class Importer {
  readonly #root: StyleElement
  readonly #parameters: ReadonlyMap<string, string>
  readonly #backwards: boolean
  readonly #named = new Map<string, StyleElement>()
  readonly #matching = new Map<string, StyleElement[]>()
  readonly #document: Context = { outer: null, path: null }
  readonly #tables = new TableMaker()
  #globals: ReadonlyMap<string, Bound> = new Map()
  #nodes = 0
  readonly #namespaces: CopiedNamespaces

  constructor(root: StyleElement, parameters: ReadonlyMap<string, string>) {
    this.#root = root
    this.#namespaces = new CopiedNamespaces(root)
    this.#parameters = parameters
    this.#backwards = Number(attributeOf(root, 'version') ?? '3.0') < 2
  }

  imported(): Imported {
    const root = this.#root
    if (!isXsl(root, 'stylesheet') && !isXsl(root, 'transform')) return this.#no(root, 'it is no xsl:stylesheet')
    this.#only(root, ['version', 'exclude-result-prefixes', 'id'])
    let output: { readonly declaration: boolean; readonly mediaType: string | null } = {
      declaration: true,
      mediaType: null,
    }
    for (const child of elementsOf(root)) {
      if (child.uri !== XSL) {
        if (child.uri === '') this.#no(child, 'an element in no namespace at the top')
      } else if (child.local === 'template') this.#template(child)
      else if (child.local === 'output') output = this.#output(child)
      else if (!['param', 'variable', 'preserve-space'].includes(child.local))
        this.#no(child, `it uses xsl:${child.local}`)
    }
    this.#bindGlobals()
    const [main, ...others] = this.#matching.get('/') ?? []
    if (main === undefined || others.length > 0) return this.#no(root, 'it has no (or not one) template that matches /')
    const nodes = this.#body(main.children, { context: this.#document, variables: this.#globals, depth: 0 }, main)
    const [element] = nodes
    if (nodes.length !== 1 || element?.kind !== 'element')
      return this.#no(main, 'the template of / gives something other than one element, always the same')
    if (
      output.declaration &&
      element.name.uri === '' &&
      element.name.local.toLowerCase() === 'html' &&
      !this.#hasOutput
    )
      return this.#no(main, 'its result is HTML')
    this.#namespaces.check(element, main)
    const mapping: Mapping = { tables: this.#tables.made, root: element }
    checkMapping(mapping)
    return { ok: true, mapping, ...output }
  }

  #no(element: StyleElement, why: string): never {
    throw at(new NotInSubset(why), element)
  }

  /** Nothing is passed over that could mean something. */
  #only(element: StyleElement, known: readonly string[]): void {
    for (const { uri, local } of element.attributes) {
      if (uri === '' && !known.includes(local)) this.#no(element, `xsl:${element.local} has ${local}`)
      if (uri === XML_URI && local === 'space') this.#no(element, 'it uses xml:space')
    }
  }

  // Top level.

  #template(element: StyleElement): void {
    this.#only(element, ['match', 'name', 'mode', 'as'])
    const name = attributeOf(element, 'name')
    const match = attributeOf(element, 'match')?.trim()
    if (name !== null) {
      if (this.#named.has(name)) this.#no(element, `two templates are called ${name}`)
      this.#named.set(name, element)
    }
    if (match === undefined) return
    const mode = attributeOf(element, 'mode')?.trim() ?? ''
    for (const one of match.split('|')) {
      const key = match === '/' ? '/' : `${this.#pattern(one.trim(), element)} ${mode}`
      this.#matching.set(key, [...(this.#matching.get(key) ?? []), element])
    }
  }

  /** Only names: what a longer pattern matches depends on the document. */
  #pattern(pattern: string, element: StyleElement): string {
    const path = new XPathReader(pattern, this.#scope(element, null)).path()
    const [step, ...others] = path.steps
    const plain = !path.absolute && path.up === 0 && path.attribute === null && others.length === 0
    if (!plain || step === undefined || step.name === null || step.where !== null || step.position !== null)
      return this.#no(element, `it matches ${pattern}, which is no single name`)
    return keyOf(step.name)
  }

  #hasOutput = false

  #output(element: StyleElement): { readonly declaration: boolean; readonly mediaType: string | null } {
    this.#only(element, ['method', 'encoding', 'version', 'indent', 'omit-xml-declaration', 'media-type'])
    const method = attributeOf(element, 'method')
    if (method !== null && method !== 'xml') this.#no(element, `its result is ${method}`)
    if (method !== null) this.#hasOutput = true
    if (isYes(attributeOf(element, 'indent'))) this.#no(element, 'its result is indented')
    return {
      declaration: !isYes(attributeOf(element, 'omit-xml-declaration')),
      mediaType: attributeOf(element, 'media-type'),
    }
  }

  #bindGlobals(): void {
    const variables = new Map<string, Bound>()
    this.#globals = variables
    for (const child of elementsOf(this.#root)) {
      if (!isXsl(child, 'param') && !isXsl(child, 'variable')) continue
      const name = this.#variableName(child)
      const given = isXsl(child, 'param') ? this.#parameters.get(name) : undefined
      const frame: Frame = { context: this.#document, variables, depth: 0 }
      const value: Value =
        given === undefined ? this.#bound(child, frame) : { type: 'text', text: { kind: 'literal', value: given } }
      if (given !== undefined && attributeOf(child, 'as') !== null) this.#no(child, `the parameter ${name} has a type`)
      variables.set(name, { value, context: this.#document })
    }
  }

  // Variables.

  #variableName(element: StyleElement): string {
    const name = attributeOf(element, 'name') ?? ''
    if (!/^[^:{]+$/.test(name)) this.#no(element, 'a variable with a name in a namespace')
    return name.trim()
  }

  /** What xsl:variable, xsl:param and xsl:with-param hold. */
  #bound(element: StyleElement, frame: Frame): Value {
    this.#only(element, ['name', 'select'])
    const select = attributeOf(element, 'select')
    if (select !== null) return this.#xpath(element, select, frame).value()
    return { type: 'text', text: noNumber(this.#asText(this.#body(element.children, frame, element), element)) }
  }

  #scope(element: StyleElement, frame: Frame | null): Scope {
    return {
      namespaces: element.namespaces,
      backwards: this.#backwards,
      variable: (name) => {
        const bound = frame?.variables.get(name)
        if (bound === undefined) throw new NotInSubset(`it has a variable ${name} that is not known here`)
        return this.#seenFrom(bound, (frame as Frame).context)
      },
    }
  }

  #seenFrom({ value, context }: Bound, now: Context): Value {
    let steps: number | null = 0
    let from: Context | null = now
    for (; from !== null && from !== context; from = from.outer) {
      const { path } = from
      if (path === null || path.absolute || path.up > 0 || steps === null) steps = null
      else steps += path.steps.length
    }
    if (from === null) throw new NotInSubset('a variable of another template')
    if (now === context) return value
    return shiftedValue(value, { steps, fromDocument: context === this.#document })
  }

  #xpath(element: StyleElement, text: string, frame: Frame): Located {
    return new Located(new XPathReader(text, this.#scope(element, frame)), element)
  }

  #required(element: StyleElement, attribute: string): string {
    return attributeOf(element, attribute) ?? this.#no(element, `xsl:${element.local} without ${attribute}`)
  }

  // Instructions.

  #body(children: readonly (StyleElement | string)[], frame: Frame, parent: StyleElement): Node[] {
    if (frame.depth > UNFOLDED_MAX) this.#no(parent, 'templates that call each other without end, or too deeply')
    const nodes: Node[] = []
    const variables = new Map(frame.variables)
    const inner: Frame = { ...frame, variables }
    for (const child of children) {
      this.#nodes += 1
      if (this.#nodes > NODES_MAX) this.#no(parent, 'it would be too large a mapping')
      if (typeof child === 'string') {
        if (/[^ \t\r\n]/.test(child)) nodes.push(literalNode(child))
      } else if (isXsl(child, 'variable')) {
        variables.set(this.#variableName(child), { value: this.#bound(child, inner), context: frame.context })
      } else if (!isXsl(child, 'param') && !isXsl(child, 'sort')) nodes.push(...this.#instruction(child, inner))
    }
    return nodes
  }

  #instruction(element: StyleElement, frame: Frame): readonly Node[] {
    if (element.uri !== XSL) return [this.#literalElement(element, frame)]
    const within = (): Node[] => this.#body(element.children, frame, element)
    switch (element.local) {
      case 'text':
        this.#only(element, [])
        return [literalNode(element.children.filter((child) => typeof child === 'string').join(''))]
      case 'value-of':
        this.#only(element, ['select'])
        return [{ kind: 'text', value: this.#xpath(element, this.#required(element, 'select'), frame).text() }]
      case 'if':
        this.#only(element, ['test'])
        return [{ kind: 'choose', branches: [{ when: this.#test(element, frame), children: within() }], otherwise: [] }]
      case 'choose':
        this.#only(element, [])
        return [this.#choose(element, frame)]
      case 'for-each':
        this.#only(element, ['select'])
        return [
          this.#forEach(
            element,
            element.children,
            this.#xpath(element, this.#required(element, 'select'), frame).path(),
            frame,
          ),
        ]
      case 'call-template':
        this.#only(element, ['name'])
        return this.#call(element, frame)
      case 'apply-templates':
        this.#only(element, ['select', 'mode'])
        return [this.#apply(element, frame)]
      case 'element':
        this.#only(element, ['name'])
        return [this.#element(element, this.#elementName(element), [], frame)]
      case 'message': {
        this.#only(element, ['terminate'])
        const message = this.#asText(within(), element)
        return isYes(attributeOf(element, 'terminate')) ? [{ kind: 'stop', message }] : []
      }
      default:
        return this.#no(element, `it uses xsl:${element.local} here`)
    }
  }

  #test(element: StyleElement, frame: Frame): Condition {
    return this.#xpath(element, this.#required(element, 'test'), frame).condition()
  }

  #choose(element: StyleElement, frame: Frame): Node {
    const branches: { readonly when: Condition; readonly children: readonly Node[] }[] = []
    let otherwise: readonly Node[] = []
    for (const branch of elementsOf(element)) {
      if (isXsl(branch, 'when')) {
        this.#only(branch, ['test'])
        branches.push({ when: this.#test(branch, frame), children: this.#body(branch.children, frame, branch) })
      } else if (isXsl(branch, 'otherwise')) otherwise = this.#body(branch.children, frame, branch)
      else this.#no(branch, 'something other than xsl:when in xsl:choose')
    }
    if (branches.length === 0) this.#no(element, 'xsl:choose without xsl:when')
    return this.#tables.lookup(branches, otherwise) ?? { kind: 'choose', branches, otherwise }
  }

  #forEach(
    element: StyleElement,
    children: StyleElement['children'],
    path: Path,
    frame: Frame,
    sorts = children,
  ): Node {
    const context: Context = { outer: frame.context, path }
    const inner: Frame = { ...frame, context }
    const sort = sorts
      .filter((child): child is StyleElement => typeof child !== 'string' && isXsl(child, 'sort'))
      .map((child) => {
        this.#only(child, ['select', 'data-type', 'order', 'collation'])
        const by = this.#xpath(child, attributeOf(child, 'select') ?? '.', inner)
        const type = attributeOf(child, 'data-type') ?? 'text'
        const order = attributeOf(child, 'order') ?? 'ascending'
        if (!['text', 'number'].includes(type) || !['ascending', 'descending'].includes(order))
          return this.#no(child, `it sorts by ${type}, ${order}`)
        const numeric = type === 'number'
        if (!numeric && attributeOf(child, 'collation') !== CODEPOINTS)
          return this.#no(child, `it sorts text by language, a mapping by code point: collation="${CODEPOINTS}"`)
        if (numeric && !this.#backwards)
          return this.#no(child, 'it sorts by numbers, which XSLT 3.0 reads by other rules')
        return {
          by: numeric ? by.numericKey() : by.text(),
          as: type as 'text' | 'number',
          descending: order === 'descending',
        }
      })
    return { kind: 'forEach', path, sort, children: this.#body(children, inner, element) }
  }

  #call(element: StyleElement, frame: Frame): readonly Node[] {
    const name = this.#required(element, 'name')
    const template = this.#named.get(name) ?? this.#no(element, `there is no template ${name}`)
    const formatted = this.#formatted(element, template, frame)
    if (formatted !== null) return [{ kind: 'text', value: formatted }]
    return this.#unfold(element, template, frame, frame)
  }

  /** The template's body with its parameters: `caller` is where they are given, `frame` where it runs. */
  #unfold(element: StyleElement, template: StyleElement, caller: Frame, frame: Frame): Node[] {
    const variables = new Map(this.#globals)
    const inner: Frame = { context: frame.context, variables, depth: frame.depth + 1 }
    const given = new Map<string, StyleElement>()
    for (const each of elementsOf(element)) if (isXsl(each, 'with-param')) given.set(this.#variableName(each), each)
    for (const each of elementsOf(template)) {
      if (!isXsl(each, 'param')) continue
      const name = this.#variableName(each)
      const from = given.get(name)
      variables.set(
        name,
        from === undefined
          ? { value: this.#bound(each, inner), context: frame.context }
          : { value: this.#bound(from, caller), context: caller.context },
      )
    }
    return this.#body(template.children, inner, template)
  }

  /** The template by which generated stylesheets write numbers. */
  #formatted(element: StyleElement, template: StyleElement, frame: Frame): Expression | null {
    if (shapeOf(template) !== FORMAT_SHAPE) return null
    const given = (name: string): string => {
      const parameter = elementsOf(element).find(
        (each) => isXsl(each, 'with-param') && attributeOf(each, 'name') === name,
      )
      return (
        (parameter === undefined ? null : attributeOf(parameter, 'select')) ??
        this.#no(element, `format without ${name}`)
      )
    }
    const picture = pictureOf(given('picture').slice(1, -1))
    if (picture === null || given('scale') !== String(10 ** picture.decimals))
      return this.#no(element, 'it formats otherwise')
    return { kind: 'format', number: this.#xpath(element, given('scaled'), frame).scaled(picture.decimals), ...picture }
  }

  #apply(element: StyleElement, frame: Frame): Node {
    const select =
      attributeOf(element, 'select') ?? this.#no(element, 'it applies templates to all children, text with them')
    const path = this.#xpath(element, select, frame).path()
    const last = path.steps.at(-1)
    if (path.attribute !== null || last === undefined || last.name === null)
      return this.#no(element, `it applies templates to ${select}, which is no name`)
    const mode = attributeOf(element, 'mode')?.trim() ?? ''
    const found = this.#matching.get(`${keyOf(last.name)} ${mode}`) ?? []
    const [template] = found
    if (template === undefined || found.length > 1)
      return this.#no(element, `${found.length === 0 ? 'no template matches' : 'several templates match'} ${select}`)
    const context: Context = { outer: frame.context, path }
    const node = this.#forEach(element, [], path, frame, element.children)
    return { ...node, children: this.#unfold(element, template, frame, { ...frame, context }) } as Node
  }

  // Elements.

  #literalElement(element: StyleElement, frame: Frame): ElementNode {
    if (PROCESSORS.test(element.uri)) this.#no(element, `${element.local} is an instruction of a processor`)
    this.#namespaces.add(element)
    const attributes: AttributeRule[] = []
    for (const { uri, prefix, local, value } of element.attributes) {
      if (uri === XSL) {
        if (local !== 'exclude-result-prefixes') this.#no(element, `it uses xsl:${local}`)
      } else if (uri === XML_URI && local === 'space') this.#no(element, 'it uses xml:space')
      else
        attributes.push({ name: { prefix, local, uri }, value: this.#valueTemplate(element, value, frame), when: null })
    }
    const { prefix, local, uri } = element
    return this.#element(element, { prefix, local, uri }, attributes, frame)
  }

  #element(element: StyleElement, name: Name, attributes: AttributeRule[], frame: Frame): ElementNode {
    // Variables may stand before and among the attributes.
    const variables = new Map(frame.variables)
    const inner: Frame = { ...frame, variables }
    const { children } = element
    let i = 0
    for (; i < children.length; i += 1) {
      const child = children[i] as StyleElement | string
      if (typeof child === 'string') {
        if (/[^ \t\r\n]/.test(child)) break
      } else if (isXsl(child, 'variable')) {
        variables.set(this.#variableName(child), { value: this.#bound(child, inner), context: frame.context })
      } else if (!this.#attributesOf(child, null, inner, attributes)) break
    }
    const seen = new Set(attributes.map((rule) => keyOf(rule.name)))
    if (seen.size < attributes.length) this.#no(element, 'an attribute is written twice')
    return { kind: 'element', name, attributes, children: this.#body(children.slice(i), inner, element) }
  }

  /** Whether the instruction writes attributes, on a condition perhaps; adds them. */
  #attributesOf(child: StyleElement, when: Condition | null, frame: Frame, attributes: AttributeRule[]): boolean {
    if (isXsl(child, 'attribute')) {
      this.#only(child, ['name', 'select'])
      const name = this.#attributeName(child)
      const select = attributeOf(child, 'select')
      const value =
        select === null
          ? this.#asText(this.#body(child.children, frame, child), child)
          : this.#xpath(child, select, frame).text()
      attributes.push({ name, value, when })
      return true
    }
    if (!isXsl(child, 'if') || when !== null) return false
    const inside = child.children.filter((each) => typeof each !== 'string' || /[^ \t\r\n]/.test(each))
    if (
      inside.length === 0 ||
      !inside.every((each) => typeof each !== 'string' && (isXsl(each, 'attribute') || isXsl(each, 'variable')))
    )
      return false
    const variables = new Map(frame.variables)
    const inner: Frame = { ...frame, variables }
    const test = this.#test(child, frame)
    for (const each of inside as StyleElement[]) {
      if (isXsl(each, 'variable'))
        variables.set(this.#variableName(each), { value: this.#bound(each, inner), context: frame.context })
      else this.#attributesOf(each, test, inner, attributes)
    }
    return true
  }

  #elementName(element: StyleElement): Name {
    const [prefix, local] = this.#nameParts(element)
    return { prefix, local, uri: element.namespaces[prefix] ?? '' }
  }

  #attributeName(element: StyleElement): Name {
    const [prefix, local] = this.#nameParts(element)
    return { prefix, local, uri: prefix === '' ? '' : prefix === 'xml' ? XML_URI : (element.namespaces[prefix] ?? '') }
  }

  #nameParts(element: StyleElement): readonly [prefix: string, local: string] {
    const name = this.#required(element, 'name')
    if (name.includes('{')) this.#no(element, 'a name that is computed')
    const colon = name.indexOf(':')
    return colon < 0 ? ['', name] : [name.slice(0, colon), name.slice(colon + 1)]
  }

  #valueTemplate(element: StyleElement, template: string, frame: Frame): Expression {
    const pieces = valueTemplate(template) ?? this.#no(element, 'an attribute value that is no template')
    const parts = pieces.map((piece): Expression => {
      if ('text' in piece) return { kind: 'literal', value: piece.text }
      return this.#xpath(element, piece.expression, frame).text()
    })
    return parts.length === 1 ? (parts[0] as Expression) : { kind: 'concat', parts }
  }

  #asText(nodes: readonly Node[], element: StyleElement): Expression {
    return textIn(nodes) ?? this.#no(element, 'its content is not text alone')
  }
}

/** Whose elements are instructions, declared as such or not. */
const PROCESSORS = /saxonica\.com|saxon\.sf\.net|exslt\.org|xml\.apache\.org|xmlsoft\.org|microsoft-com:xslt/
