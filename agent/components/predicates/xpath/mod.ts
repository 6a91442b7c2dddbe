// XPath 1.0 as a tree, for whoever does something else with it than evaluate it.

export type { Axis, Call, Comparison, Expr, NodeTest, Path, Step } from './ast.ts'
export { XPathMistake } from './lex.ts'
export { type Host, parseXPath } from './parse.ts'
