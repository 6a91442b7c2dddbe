// A mapping as people write it, in YAML. The target tree is written as a tree: a key is an element, `@key` an attribute, `$key` says what
// is done. What stands behind it is read by read.ts; the README has the whole of it.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { TABLE_ENTRIES_MAX } from '../limits.ts'

const uri = f.text({ doc: 'a namespace', maxLength: 1_024 })
const prefix = /^[\p{L}_][\p{L}\p{N}._-]{0,63}$/u
const noPrototype = /^(?!__proto__$)[^\0]{0,256}$/

export const mappingShape = {
  namespaces: f.record(uri, {
    doc: 'prefix: namespace, for paths and for the target',
    max: 100,
    keys: prefix,
    optional: true,
  }),
  targetNamespace: f.text({ doc: 'namespace of target elements without prefix', maxLength: 1_024, optional: true }),
  tables: f.record(
    f.record(f.text({ doc: 'what it becomes', maxLength: 4_096, minLength: 0 }), {
      doc: 'code: what it becomes',
      max: TABLE_ENTRIES_MAX,
      keys: noPrototype,
    }),
    { doc: 'code tables, for `$lookup`', max: 100, keys: noPrototype, optional: true },
  ),
  root: f.any({ doc: 'the target document: its root element with all that is in it' }),
}

export const mappingFields = f.object(mappingShape)

export type WrittenMapping = Infer<typeof mappingFields>
