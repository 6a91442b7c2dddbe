// Typed settings. One spec (`f.object({…})`) gives parsing with defaults, faults that say where, what is wrong and what would
// be right, command line options and documentation. Pure: callers read the files.

export type { ParsedArgs } from './args.ts'
export { parseArgs } from './args.ts'
export { command, EXIT_FAILED, EXIT_OK, EXIT_USAGE, faultsText, mindOutput, runProgram } from './commands.ts'
export type { FieldRow } from './describe.ts'
export { describeFields, fieldRows } from './describe.ts'
export type { Field, FieldSpec, Infer, Json, Presence, Shape } from './field.ts'
export { f } from './field.ts'
export type { JsonBounds } from './json.ts'
export { TEXT_BYTES_MAX } from './limits.ts'
export { describeArgs } from './options.ts'
export type { Inspect, Where } from './parse.ts'
export { parseFields, parseValue } from './parse.ts'
export { distance, nearest } from './spelling.ts'
export { formatBytes, formatDuration } from './units.ts'
export { columns } from './width.ts'
export { decodeText } from './yaml.ts'
