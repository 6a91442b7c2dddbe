// Channel `mapping`, and what else works with mappings: reading, compiling.

export type { Mapping } from './ast.ts'
export { MappingChannel, mappingTurns } from './channel.ts'
export { checkMapping } from './check.ts'
export { type CompiledMapping, compileMapping, targetNamespaces } from './compile.ts'
export { loadMapping, parseMapping } from './file.ts'
export { mappingFields, readMapping, type WrittenMapping, writeMapping } from './notation/mod.ts'
export { type MappingSettings, mappingSettings } from './settings.ts'
