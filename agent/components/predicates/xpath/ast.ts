// XPath 1.0 as a tree. `at` and `end` are offsets in the expression's text.

export type Axis =
  | 'ancestor'
  | 'ancestor-or-self'
  | 'attribute'
  | 'child'
  | 'descendant'
  | 'descendant-or-self'
  | 'following'
  | 'following-sibling'
  | 'namespace'
  | 'parent'
  | 'preceding'
  | 'preceding-sibling'
  | 'self'

export type NodeTest =
  /** `local` may be `*`. */
  | { readonly kind: 'name'; readonly prefix: string | null; readonly local: string }
  | { readonly kind: 'node' | 'text' | 'comment' }
  | { readonly kind: 'processing-instruction'; readonly target: string | null }

export type Step = { readonly axis: Axis; readonly test: NodeTest; readonly predicates: readonly Expr[] }

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>='

/** `//` stands as the step `descendant-or-self::node()`. */
export type Path = {
  readonly kind: 'path'
  readonly absolute: boolean
  readonly steps: readonly Step[]
  readonly at: number
}

export type Call = {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Expr[]
  readonly at: number
  readonly end: number
}

export type Expr =
  | { readonly kind: 'or' | 'and' | 'union'; readonly left: Expr; readonly right: Expr }
  | { readonly kind: 'compare'; readonly op: Comparison; readonly left: Expr; readonly right: Expr }
  | {
      readonly kind: 'arithmetic'
      readonly op: '+' | '-' | '*' | 'div' | 'mod'
      readonly left: Expr
      readonly right: Expr
    }
  | { readonly kind: 'negate'; readonly operand: Expr }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  | Call
  | Path
  /** An expression that gives nodes, then predicates, then steps from there. */
  | {
      readonly kind: 'filter'
      readonly primary: Expr
      readonly predicates: readonly Expr[]
      readonly steps: readonly Step[]
    }
