// Settings of the `validate` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { SCHEMA_BYTES_MAX } from './limits.ts'

const SCHEMAS = ['xsd', 'xsdFile', 'jsonSchema', 'jsonSchemaFile'] as const

export const validateSettings = f.object(
  {
    ...documentSettings,
    xsdFile: f.text({
      doc: 'XML schema (XSD 1.0); it may include and import others of its folder, those below, and the folder of the flow file',
      maxLength: 4096,
      optional: true,
    }),
    xsd: f.text({ doc: 'the XML schema itself', maxLength: SCHEMA_BYTES_MAX, optional: true }),
    jsonSchemaFile: f.text({
      doc: 'JSON Schema (2020-12 or draft-07, as its $schema says; else 2020-12); a $ref may lead to other files, as above',
      maxLength: 4096,
      optional: true,
    }),
    jsonSchema: f.any({
      doc: 'the JSON Schema itself; without `field` it is for the content, or the row of an item without content',
      optional: true,
    }),
  },
  {
    check: (settings) =>
      SCHEMAS.filter((each) => settings[each] !== undefined).length === 1 ? null : `give one of ${SCHEMAS.join(', ')}`,
  },
)

export type ValidateSettings = Infer<typeof validateSettings>
