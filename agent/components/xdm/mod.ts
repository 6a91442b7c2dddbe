// XPath 3.1 and XQuery 3.1 (fontoxpath) over a DOM (slimdom). Neither reaches files, the network or the environment: such
// functions (`doc`, `collection`, `unparsed-text`, `environment-variable`) do not exist here.

export { isNode, parseDom, serializeNode, textOf } from './dom.ts'
export { compileQuery, type Query, type QueryOptions } from './query.ts'
