// Settings of the `mapping` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { mappingShape } from './notation/mod.ts'

export const mappingSettings = f.object(
  {
    ...documentSettings,
    mapping: f.object(mappingShape, { doc: 'the mapping itself', optional: true }),
    file: f.text({ doc: 'file in YAML that has the mapping, instead of `mapping`', maxLength: 4_096, optional: true }),
    source: f.choice(['document', 'row'], {
      doc: 'What is mapped: the XML document, or the row as the document <row> with an element for each field',
      default: 'document',
    }),
    target: f.choice(['document', 'row'], {
      doc: 'What it becomes: an XML document, or a row with what is below the root element as its fields',
      default: 'document',
    }),
    lists: f.list(f.text({ doc: 'a field', maxLength: 128 }), {
      doc: 'with `target: row`: fields that are lists also when they have one entry',
      max: 1_000,
      default: [],
    }),
    name: f.text({
      doc: 'name of the result, with fields of the row in it: {name} as it was, {stem} without its ending; left out: as it was',
      maxLength: 1_000,
      optional: true,
    }),
  },
  {
    check: ({ mapping, file, source, target, field, name }) => {
      if ((mapping === undefined) === (file === undefined)) return 'give either `mapping` or `file`'
      if (source === 'row' && target === 'document' && field === undefined && name === undefined) {
        return 'a row that becomes a document needs `field` (where to put it) or `name` (of the file)'
      }
      if (name !== undefined && (target === 'row' || field !== undefined))
        return '`name` is for documents that are files'
      return null
    },
  },
)

export type MappingSettings = Infer<typeof mappingSettings>
