// What channels share with what is no channel: expressions, and JSON read to the last digit.

export { compileExpression, type Outcome, UNSURE } from './expression.ts'
export { readJson } from './json-text.ts'
