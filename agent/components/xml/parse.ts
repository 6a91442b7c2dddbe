// A parser for XML 1.0 (fifth edition) with Namespaces, for documents without DTD: strict, into flat arrays.
//
// Recursion, objects per node and strings per name are avoided; texts stay where they are in the source. Every unit is looked at
// once. A DOCTYPE is refused, so there are no entities but the five of XML: nothing is fetched, nothing expands.

import { CLASS, INVALID, NAME, NAME_START, SPACE, TEXT_STOP, VALUE_STOP } from './characters.ts'
import { xmlFault } from './faults.ts'
import { XML_ATTRIBUTES_MAX, XML_DEPTH_MAX, XML_NAME_CHARS_MAX, XML_NAMES_MAX } from './limits.ts'
import { DECLARES, hashStep, MISSHAPEN, Names } from './names.ts'
import { placeIn } from './place.ts'
import { Scopes, XMLNS_URI } from './scopes.ts'
import { DOCUMENT, TEXT, TEXT_ESCAPED, XmlTree } from './tree.ts'

const TAB = 0x09
const LF = 0x0a
const BANG = 0x21
const QUOTE = 0x22
const AMPERSAND = 0x26
const APOSTROPHE = 0x27
const SLASH = 0x2f
const LT = 0x3c
const EQUALS = 0x3d
const GT = 0x3e
const QUESTION = 0x3f
const BRACKET = 0x5d

export class XmlParser {
  readonly names: Names
  readonly #tree: XmlTree
  readonly #scopes = new Scopes()
  #source = ''
  /** Where the last name, value or piece ended. */
  #end = 0
  #depth = 0
  readonly #open = new Int32Array(XML_DEPTH_MAX + 1)
  /** Raw name of each open element. */
  readonly #openRaw = new Int32Array(XML_DEPTH_MAX + 1)
  /** Raw names of the attributes of the tag at hand; their expanded names take their place in the tree. */
  #declared = 0

  constructor(names: Names = new Names()) {
    this.names = names
    this.#tree = new XmlTree(names)
  }

  /**
   * The tree of a document; it is valid until the next call. `text` must be well-formed UTF-16 (what `decodeXml` gives is).
   * Faults, with `line` and `column`: XML_NOT_WELL_FORMED, XML_DTD_REFUSED, XML_TOO_COMPLEX.
   */
  parse(text: string): XmlTree {
    const marked = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
    const source = marked.includes('\r') ? marked.replace(/\r\n?/g, '\n') : marked
    this.#source = source
    this.#depth = 0
    this.names.startDocument()
    this.#scopes.start()
    const tree = this.#tree
    tree.start(source)
    tree.push(DOCUMENT, -1, 0, 0)
    let at = this.#misc(this.#declaration(), true)
    if (source.charCodeAt(at) !== LT)
      this.#fail(at, at < source.length ? 'text outside the root element' : 'no root element')
    this.#open[0] = 0
    at = this.#startTag(at)
    if (this.#depth > 0) at = this.#content(at)
    at = this.#misc(at, false)
    if (at < source.length) this.#fail(at, 'content after the root element')
    tree.end[0] = tree.count
    return tree
  }

  /** Lets go of the last document; its tree is not valid any more. */
  release(): void {
    this.#source = ''
    this.#tree.start('')
  }

  /** From behind the root's start tag to behind its end tag. */
  #content(from: number): number {
    const source = this.#source
    const { length } = source
    let at = from
    while (at < length) {
      if (source.charCodeAt(at) !== LT) {
        at = this.#text(at)
        continue
      }
      const next = source.charCodeAt(at + 1)
      if (next === SLASH) {
        at = this.#endTag(at)
        if (this.#depth === 0) return at
      } else if (next === BANG) at = source.charCodeAt(at + 2) === 0x5b ? this.#cdata(at) : this.#comment(at)
      else if (next === QUESTION) at = this.#instruction(at)
      else at = this.#startTag(at)
    }
    const open = this.#open[this.#depth] as number
    const name = this.names.text[this.#openRaw[this.#depth] as number]
    const { line } = placeIn(source, this.#tree.from[open] as number)
    return this.#fail(length, `the document ends inside <${name}> of line ${line}`)
  }

  #startTag(from: number): number {
    const source = this.#source
    const tree = this.#tree
    const depth = this.#depth + 1
    if (depth > XML_DEPTH_MAX) this.#tooComplex(from, `more than ${XML_DEPTH_MAX} elements inside each other`)
    const raw = this.#name(from + 1, 'an element name')
    let at = this.#end
    const node = tree.push(raw, this.#open[depth - 1] as number, from, at)
    const firstAttribute = tree.attributeCount
    this.#declared = 0
    let unit = source.charCodeAt(at)
    while (unit !== GT && unit !== SLASH) {
      at = this.#spaces(at, true)
      unit = source.charCodeAt(at)
      if (unit === GT || unit === SLASH) break
      at = this.#attribute(at, node)
      unit = source.charCodeAt(at)
      if (tree.attributeCount - firstAttribute + this.#declared > XML_ATTRIBUTES_MAX) {
        this.#tooComplex(at, `more than ${XML_ATTRIBUTES_MAX} attributes in one element`)
      }
    }
    const empty = unit === SLASH
    if (empty && source.charCodeAt(++at) !== GT) this.#fail(at, 'a `>` must follow the `/` of an empty element')
    const outer = this.#scopes.current
    if (this.#declared > 0) this.#scopes.enter(depth)
    tree.name[node] = this.#elementName(raw, from + 1)
    if (tree.attributeCount > firstAttribute) this.#attributeNames(node, firstAttribute)
    if (empty) {
      if (this.#scopes.current !== outer) this.#scopes.leave(depth)
    } else {
      this.#depth = depth
      this.#open[depth] = node
      this.#openRaw[depth] = raw
    }
    return at + 1
  }

  #endTag(from: number): number {
    const source = this.#source
    const depth = this.#depth
    const name = this.names.text[this.#openRaw[depth] as number] as string
    const { length } = name
    let at = from + 2
    let i = 0
    while (i < length && source.charCodeAt(at + i) === name.charCodeAt(i)) i += 1
    at += length
    let unit = source.charCodeAt(at)
    if (i < length || ((CLASS[unit] as number) & NAME) !== 0) {
      const { line } = placeIn(source, this.#tree.from[this.#open[depth] as number] as number)
      this.#fail(from, `</${name}> must come here, because of the <${name}> of line ${line}`)
    }
    if (unit !== GT) {
      at = this.#spaces(at, false)
      unit = source.charCodeAt(at)
      if (unit !== GT) this.#fail(at, `the end tag of ${name} must end with \`>\``)
    }
    const tree = this.#tree
    tree.end[this.#open[depth] as number] = tree.count
    this.#scopes.leave(depth)
    this.#depth = depth - 1
    return at + 1
  }

  /** One attribute or namespace declaration; gives the place behind it. Names in the tree are raw ones still. */
  #attribute(from: number, node: number): number {
    const source = this.#source
    const { names } = this
    const raw = this.#name(from, 'an attribute name')
    let at = this.#end
    if (names.lastSeen[raw] === node) this.#fail(from, `attribute ${names.text[raw]} is there twice`)
    names.lastSeen[raw] = node
    if (source.charCodeAt(at) !== EQUALS) {
      at = this.#spaces(at, false)
      if (source.charCodeAt(at) !== EQUALS) this.#fail(at, `a \`=\` must follow attribute ${names.text[raw]}`)
    }
    at += 1
    let quote = source.charCodeAt(at)
    if (quote !== QUOTE && quote !== APOSTROPHE) {
      at = this.#spaces(at, false)
      quote = source.charCodeAt(at)
      if (quote !== QUOTE && quote !== APOSTROPHE) this.#fail(at, `the value of ${names.text[raw]} must be in quotes`)
    }
    at += 1
    const start = this.#value(at, quote)
    const end = this.#end
    if (names.kind[raw] === DECLARES)
      this.#declare(raw, start < 0 ? (this.#tree.decoded.pop() as string) : source.slice(start, end), from)
    else this.#tree.pushAttribute(raw, start, end)
    return end + 1
  }

  /** An attribute value up to its quote: its place (`start`…`#end`), or negative as `XmlTree.keep` gives it. */
  #value(start: number, quote: number): number {
    const source = this.#source
    const { length } = source
    for (let at = start; at < length; at += 1) {
      const unit = source.charCodeAt(at)
      if (((CLASS[unit] as number) & VALUE_STOP) === 0) continue
      if (unit === quote) {
        this.#end = at
        return start
      }
      if (unit !== QUOTE && unit !== APOSTROPHE) return this.#tree.keep(this.#decode(start, at, quote))
    }
    return this.#fail(length, 'the document ends inside an attribute value')
  }

  /** Text up to the next `<`, or the end of the document: one node. */
  #text(start: number): number {
    const source = this.#source
    const { length } = source
    const parent = this.#open[this.#depth] as number
    let kind = TEXT
    let at = start
    for (; at < length; at += 1) {
      const unit = source.charCodeAt(at)
      if (((CLASS[unit] as number) & TEXT_STOP) === 0) continue
      if (unit === LT) break
      if (unit !== GT) {
        const text = this.#decode(start, at, LT)
        this.#tree.push(TEXT_ESCAPED, parent, this.#tree.keep(text), 0)
        return this.#end
      }
      this.#notCdataEnd(at, start)
      kind = TEXT_ESCAPED
    }
    this.#tree.push(kind, parent, start, at)
    return at
  }

  /**
   * The slow way for values (`stop` is a quote) and text (`stop` is `<`) with references or white space to normalise; `clean` is
   * where the first of them is. `#end` is then at the stop, or for text perhaps at the end of the document.
   */
  #decode(start: number, clean: number, stop: number): string {
    const source = this.#source
    const inValue = stop !== LT
    let text = source.slice(start, clean)
    let pending = clean
    let at = clean
    for (; at < source.length; at += 1) {
      const unit = source.charCodeAt(at)
      if (unit === stop) {
        this.#end = at
        return text + source.slice(pending, at)
      }
      const bits = CLASS[unit] as number
      if ((bits & INVALID) !== 0) this.#invalid(at)
      if (unit === AMPERSAND) {
        text += source.slice(pending, at) + this.#reference(at)
        pending = this.#end
        at = pending - 1
      } else if (inValue) {
        if (unit === LT) this.#fail(at, 'a `<` inside an attribute value: write &lt;')
        if (unit === LF || unit === TAB) {
          text += `${source.slice(pending, at)} `
          pending = at + 1
        }
      } else if (unit === GT) this.#notCdataEnd(at, start)
    }
    if (inValue) this.#fail(at, 'the document ends inside an attribute value')
    this.#end = at
    return text + source.slice(pending, at)
  }

  /** What `&…;` stands for; `#end` is behind it. */
  #reference(from: number): string {
    const source = this.#source
    // Leading zeros are allowed without number; nobody writes so many.
    const end = source.indexOf(';', from)
    if (end < 0 || end - from > 16) this.#fail(from, 'an `&` that begins no reference: write &amp;')
    this.#end = end + 1
    const name = source.slice(from + 1, end)
    switch (name) {
      case 'lt':
        return '<'
      case 'gt':
        return '>'
      case 'amp':
        return '&'
      case 'quot':
        return '"'
      case 'apos':
        return "'"
    }
    const digits = /^#(?:x([\da-fA-F]+)|(\d+))$/.exec(name)
    if (digits === null) return this.#fail(from, `there is no entity \`&${name};\``)
    const code = digits[1] === undefined ? Number(digits[2]) : Number.parseInt(digits[1], 16)
    const surrogate = code >= 0xd800 && code <= 0xdfff
    if (code > 0x10ffff || surrogate || (code < 0x10000 && ((CLASS[code] as number) & INVALID) !== 0)) {
      return this.#fail(from, `\`&${name};\` is no character of XML`)
    }
    return String.fromCodePoint(code)
  }

  #cdata(from: number): number {
    const source = this.#source
    if (!source.startsWith('<![CDATA[', from)) this.#fail(from, 'a `<` that begins no tag: write &lt;')
    const start = from + 9
    const end = source.indexOf(']]>', start)
    if (end < 0) return this.#fail(from, 'a CDATA section does not end')
    this.#characters(start, end)
    if (end > start) this.#tree.push(TEXT_ESCAPED, this.#open[this.#depth] as number, start, end)
    return end + 3
  }

  #comment(from: number): number {
    const source = this.#source
    if (source.startsWith('<!DOCTYPE', from)) throw xmlFault('XML_DTD_REFUSED', this.#placed(from))
    if (!source.startsWith('<!--', from)) this.#fail(from, 'a `<` that begins no tag: write &lt;')
    const end = source.indexOf('--', from + 4)
    if (end < 0) return this.#fail(from, 'a comment does not end')
    if (source.charCodeAt(end + 2) !== GT) this.#fail(end, '`--` inside a comment')
    this.#characters(from + 4, end)
    return end + 3
  }

  #instruction(from: number): number {
    const source = this.#source
    const raw = this.#name(from + 2, 'the name of a processing instruction')
    const name = this.names.text[raw] as string
    if (/^xml$/i.test(name)) this.#fail(from, 'an XML declaration must stand at the very beginning')
    if (name.includes(':')) this.#fail(from, 'the name of a processing instruction has a colon')
    const end = source.indexOf('?>', this.#end)
    if (end < 0) return this.#fail(from, 'a processing instruction does not end')
    if (end > this.#end && ((CLASS[source.charCodeAt(this.#end)] as number) & SPACE) === 0) {
      this.#fail(this.#end, 'a space must follow the name of a processing instruction')
    }
    this.#characters(this.#end, end)
    return end + 2
  }

  /** The XML declaration, when there is one; the encoding in it was looked at before. */
  #declaration(): number {
    const source = this.#source
    if (!source.startsWith('<?xml') || ((CLASS[source.charCodeAt(5)] as number) & SPACE) === 0) return 0
    const end = source.indexOf('?>')
    const space = '[ \\t\\n]'
    const quoted = (name: string, value: string): string =>
      `${space}+${name}${space}*=${space}*(?:"${value}"|'${value}')`
    const form = new RegExp(
      `^<\\?xml${quoted('version', '1\\.\\d+')}(?:${quoted('encoding', '[A-Za-z][\\w.-]*')})?(?:${quoted('standalone', '(?:yes|no)')})?${space}*\\?>$`,
    )
    if (end < 0 || end > 1_000 || !form.test(source.slice(0, end + 2)))
      this.#fail(0, 'the XML declaration is not as it must be')
    return end + 2
  }

  /** Comments, processing instructions and white space outside the root element. */
  #misc(from: number, before: boolean): number {
    const source = this.#source
    let at = from
    for (;;) {
      at = this.#spaces(at, false)
      if (source.charCodeAt(at) !== LT) return at
      const next = source.charCodeAt(at + 1)
      if (next === BANG) at = this.#comment(at)
      else if (next === QUESTION) at = this.#instruction(at)
      else if (before) return at
      else this.#fail(at, 'content after the root element')
    }
  }

  #name(from: number, what: string): number {
    const source = this.#source
    let unit = source.charCodeAt(from)
    if (((CLASS[unit] as number) & NAME_START) === 0) {
      this.#fail(
        from,
        from < source.length
          ? `${what} must stand here; a plain \`<\` is written &lt;`
          : 'the document ends inside a tag',
      )
    }
    let hash = 0
    let at = from
    do {
      hash = hashStep(hash, unit) | 0
      at += 1
      unit = source.charCodeAt(at)
    } while (((CLASS[unit] as number) & NAME) !== 0)
    this.#end = at
    if (at - from > XML_NAME_CHARS_MAX) this.#tooComplex(from, `a name of more than ${XML_NAME_CHARS_MAX} characters`)
    const raw = this.names.raw(source, from, at, hash)
    if (raw > XML_NAMES_MAX) this.#tooComplex(from, `more than ${XML_NAMES_MAX} different names`)
    if (this.names.kind[raw] === MISSHAPEN)
      this.#fail(from, `${this.names.text[raw]} is no name: colons only after a prefix`)
    return raw
  }

  #spaces(from: number, needed: boolean): number {
    const source = this.#source
    let at = from
    while (((CLASS[source.charCodeAt(at)] as number) & SPACE) !== 0) at += 1
    if (needed && at === from) {
      this.#fail(
        at,
        at < source.length ? 'a space or the end of the tag must stand here' : 'the document ends inside a tag',
      )
    }
    return at
  }

  #characters(from: number, to: number): void {
    const source = this.#source
    for (let at = from; at < to; at += 1) {
      if (((CLASS[source.charCodeAt(at)] as number) & INVALID) !== 0) this.#invalid(at)
    }
  }

  #notCdataEnd(at: number, start: number): void {
    const source = this.#source
    if (at - 2 >= start && source.charCodeAt(at - 1) === BRACKET && source.charCodeAt(at - 2) === BRACKET) {
      this.#fail(at - 2, '`]]>` in text: write ]]&gt;')
    }
  }

  // Namespaces.

  #declare(raw: number, uri: string, at: number): void {
    const { names } = this
    const prefix = names.prefix[raw] === '' ? '' : (names.local[raw] as string)
    const problem = this.#scopes.declare(prefix, uri)
    if (problem !== null) this.#fail(at, problem)
    this.#declared += 1
  }

  #elementName(raw: number, at: number): number {
    const { names } = this
    const scope = this.#scopes.current
    if (names.inScope[raw] === scope) return names.element[raw] as number
    const id = names.expand(this.#uriOf(names.prefix[raw] as string, at), names.local[raw] as string)
    names.inScope[raw] = scope
    names.element[raw] = id
    return id
  }

  #attributeNames(node: number, first: number): void {
    const { names } = this
    const tree = this.#tree
    const scope = this.#scopes.current
    for (let i = first; i < tree.attributeCount; i += 1) {
      const raw = tree.attributeName[i] as number
      if (names.attributeScope[raw] !== scope) {
        const prefix = names.prefix[raw] as string
        names.attribute[raw] = names.expand(
          prefix === '' ? '' : this.#uriOf(prefix, tree.from[node] as number),
          names.local[raw] as string,
        )
        names.attributeScope[raw] = scope
      }
      const id = names.attribute[raw] as number
      if (names.expandedSeen[id] === node) {
        this.#fail(tree.from[node] as number, `attribute ${names.text[raw]} is there twice, under two prefixes`)
      }
      names.expandedSeen[id] = node
      tree.attributeName[i] = id
    }
  }

  #uriOf(prefix: string, at: number): string {
    const uri = this.#scopes.uriOf(prefix)
    if (uri === null || uri === XMLNS_URI) return this.#fail(at, `prefix ${prefix} is bound to no namespace`)
    return uri
  }

  // Faults.

  #invalid(at: number): never {
    const code = this.#source.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0')
    return this.#fail(at, `U+${code} is no character of XML`)
  }

  #fail(at: number, why: string): never {
    throw xmlFault('XML_NOT_WELL_FORMED', { why, ...this.#placed(at) })
  }

  #tooComplex(at: number, why: string): never {
    throw xmlFault('XML_TOO_COMPLEX', { why, ...this.#placed(at) })
  }

  #placed(at: number): { where: string; line: number; column: number } {
    const { line, column } = placeIn(this.#source, at)
    return { where: `line ${line}, column ${column}`, line, column }
  }
}
