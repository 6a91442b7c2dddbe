// Mappings and stylesheets: writing one as the other.

export { generateXslt } from './generate.ts'
export { type Imported, importXslt } from './import.ts'
export { attributeOf, isXsl, type ReadTree, type StyleElement, treeReader, XSL } from './tree.ts'
