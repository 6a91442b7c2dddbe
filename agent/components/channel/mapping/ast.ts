// A mapping: from a source tree to a target tree. Plain data, closed and small; three things work from it and must agree on every
// input: the compiled function (compile.ts), the XSLT written from it (XSLT 1.0 where 1.0 has the means, and the same under 3.0),
// and the import of such XSLT. The text here is what they agree on; where XSLT 1.0 and 3.0 differ it says which one holds.
//
// SOURCE. The XPath data model of a document without DTD, nothing stripped: document node, elements, attributes, text. Comments and
// processing instructions are not there. The string value of an element (or the document node) is all text below it, in document
// order, white space kept; that of an attribute its normalised value. Namespace declarations are no attributes.
//
// CONTEXT. One node, at first the document node; `forEach` sets it for what is inside it, a `where` of a step for its condition.
// It is never an attribute.
//
// OUTPUT. One document with `root` as its root element. Each namespace that the name of a target element or attribute is in is
// declared on the root element, none else, and none anywhere else. Children come in the order of `children`, text is written
// as it is; empty text writes nothing. No pretty printing.
//
// TEXT is a sequence of Unicode code points: lengths and positions count those, not UTF-16 units.
// WHITE SPACE is the four characters of XML: space, tab, line feed, carriage return.
// NUMBERS are IEEE doubles, operations round as IEEE says. A text is a number when, white space at both ends aside, it matches
// `-?(\d+(\.\d*)?|\.\d+)` (XPath 1.0: no exponent, no `+`, no INF), else NaN. XPath 3.0 takes more: keep it from that, for example by
// number(translate($text, 'eE+I', 'xxxx')).

export type Mapping = {
  /** Every table a `lookup` names. */
  readonly tables: Readonly<Record<string, CodeTable>>
  readonly root: ElementNode
}

/** Key → value; each key once. Keys are compared as they are. */
export type CodeTable = { readonly entries: readonly (readonly [key: string, value: string])[] }

/**
 * A name. `uri` is '' in no namespace. `prefix` is how it is written: '' for elements in no namespace or in the target's default
 * namespace. In one mapping a prefix has one uri: a prefixed name always the same one, and names of target elements without prefix all one uri (the default
 * namespace or ''). Names of attributes, and names of steps in paths, that have no prefix are in no namespace.
 */
export type Name = { readonly prefix: string; readonly local: string; readonly uri: string }

// Target tree.

export type Node = ElementNode | TextNode | ChooseNode | ForEachNode | StopNode

export type ElementNode = {
  readonly kind: 'element'
  readonly name: Name
  /** Each name once; written in this order, before the children. */
  readonly attributes: readonly AttributeRule[]
  readonly children: readonly Node[]
}

/** Without `when` always there, be it empty. */
export type AttributeRule = { readonly name: Name; readonly value: Expression; readonly when: Condition | null }

export type TextNode = { readonly kind: 'text'; readonly value: Expression }

/** The children of the first branch whose condition holds, else `otherwise`. */
export type ChooseNode = {
  readonly kind: 'choose'
  /** At least one. */
  readonly branches: readonly { readonly when: Condition; readonly children: readonly Node[] }[]
  readonly otherwise: readonly Node[]
}

/** The children for each node of `path` (it ends in no attribute), that node being the context. */
export type ForEachNode = {
  readonly kind: 'forEach'
  readonly path: Path
  /** The first decides, the next among equals; document order among what is equal in all, also when descending. */
  readonly sort: readonly Sort[]
  readonly children: readonly Node[]
}

/**
 * `text`: by code point (not UTF-16 unit, no collation). `number`: texts as NUMBERS says, NaN before all numbers. `descending`
 * turns both round. `by` is evaluated with each node as the context.
 */
export type Sort = { readonly by: Expression; readonly as: 'text' | 'number'; readonly descending: boolean }

/** The document cannot be mapped: it fails with this message (xsl:message terminate="yes"), whatever was written so far. */
export type StopNode = { readonly kind: 'stop'; readonly message: Expression }

// Paths.

/**
 * Nodes in document order, each once: from the context (or the document node when `absolute`) `up` times to the parent (above the document node
 * is nothing), then one child step after the other, then the attribute. No step, no attribute: the node itself (`.`).
 */
export type Path = {
  readonly absolute: boolean
  /** 0 when `absolute`. */
  readonly up: number
  readonly steps: readonly Step[]
  readonly attribute: Name | null
}

/**
 * The child elements of that name (`null`: all, `*`) for which `where` holds with the child as the context, and of those only
 * the one at `position` (from 1) among the children of one parent: `name[where][position]`.
 */
export type Step = { readonly name: Name | null; readonly where: Condition | null; readonly position: number | null }

// Expressions: all give text.

export type Expression =
  | { readonly kind: 'literal'; readonly value: string }
  /** The string value of the first node, '' when there is none. */
  | { readonly kind: 'value'; readonly path: Path }
  | { readonly kind: 'concat'; readonly parts: readonly Expression[] }
  /** From code point `start` (≥ 1, whole), `length` of them (≥ 0, whole; null: to the end). */
  | { readonly kind: 'substring'; readonly of: Expression; readonly start: number; readonly length: number | null }
  /** What is before or after the first `mark` (not empty); '' when there is none: XPath's substring-before and -after. */
  | { readonly kind: 'before' | 'after'; readonly of: Expression; readonly mark: string }
  /** Code points of `from` become those at the same place in `to`, or go when `to` is shorter; the first of equal ones in `from` counts. */
  | { readonly kind: 'translate'; readonly of: Expression; readonly from: string; readonly to: string }
  /** Without white space at both ends, each run of it inside as one space: normalize-space(). */
  | { readonly kind: 'normalize'; readonly of: Expression }
  /** Without white space at both ends. XPath 1.0 has no such thing; 3.0: replace($text, '^[ \t\n\r]+|[ \t\n\r]+$', ''). */
  | { readonly kind: 'trim'; readonly of: Expression }
  /** The value of that key; when the table has no such key, `otherwise`. */
  | { readonly kind: 'lookup'; readonly table: string; readonly key: Expression; readonly otherwise: Expression }
  | { readonly kind: 'if'; readonly when: Condition; readonly value: Expression; readonly otherwise: Expression }
  /**
   * `n` with exactly `decimals` digits (0…6) behind the point, from m = floor(n × 10^decimals + 0.5) in doubles: the digits of m with the
   * point set in (a zero before it at least), `-` before when m < 0, `,` between groups of three when `grouping`. 'NaN' when m is not
   * a number or |m| ≥ 10^15.
   */
  | {
      readonly kind: 'format'
      readonly number: NumberExpression
      readonly decimals: number
      readonly grouping: boolean
    }
  /** Place of the context among the nodes of the nearest `forEach`, after sorting, from 1; '1' outside. Not inside a `where` or `sort`. */
  | { readonly kind: 'position' }

export type NumberExpression =
  /** Finite. Its value is the double: mind that XPath 3.0 reads `0.1` as a decimal (write number('0.1')). */
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'number'; readonly of: Expression }
  | { readonly kind: 'count'; readonly path: Path }
  /** From 0, in document order, those nodes whose string value is a number. */
  | { readonly kind: 'sum'; readonly path: Path }
  | {
      readonly kind: 'add' | 'subtract' | 'multiply' | 'divide'
      readonly left: NumberExpression
      readonly right: NumberExpression
    }

// Conditions.

export type Condition =
  /** `path` gives at least one node. */
  | { readonly kind: 'exists'; readonly path: Path }
  /** The same code points. Both are single texts: no comparison of node sets. */
  | { readonly kind: 'equals'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'contains' | 'startsWith'; readonly of: Expression; readonly text: Expression }
  /** False when either side is NaN. */
  | {
      readonly kind: 'compare'
      readonly operator: '=' | '<' | '<=' | '>' | '>='
      readonly left: NumberExpression
      readonly right: NumberExpression
    }
  | { readonly kind: 'not'; readonly of: Condition }
  /** `and` of none is true, `or` of none false. */
  | { readonly kind: 'and' | 'or'; readonly of: readonly Condition[] }
