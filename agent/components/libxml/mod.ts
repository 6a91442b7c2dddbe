// libxml2 (compiled to WebAssembly) behind what this project needs of it: parsing without entities, files or network.
// Its memory is not garbage collected: whoever gets a document disposes it.

export { isLibxml2Loaded, loadLibxml2 } from './load.ts'
export { type Problem, parseLibxml, problemsOf } from './parse.ts'
export { compileXsd, type SchemaReader, type XsdOutcome, type XsdSchema } from './schema.ts'
export { LibxmlXPath, type XPathValue } from './xpath.ts'
