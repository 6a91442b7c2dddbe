// How mappings are written.

export { mappingFields, mappingShape, type WrittenMapping } from './fields.ts'
export { readMapping } from './read.ts'
export { writeMapping } from './write.ts'
