// Settings of the `enrich` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { FIELDS_MAX, KEY_COLUMNS_MAX } from '../../limits.ts'
import { csvProblem, csvSettings, encodingField } from '../../support/mod.ts'
import {
  CACHE_MS_DEFAULT,
  CACHE_ROWS_DEFAULT,
  CACHE_ROWS_MAX,
  QUERY_CHARS_MAX,
  QUERY_MS_DEFAULT,
  QUERY_MS_MAX,
} from './limits.ts'

const names = /^(?!__proto__$)[^\0]{1,128}$/

const keyColumns = f.list(f.text({ doc: 'a column', maxLength: 128 }), {
  doc: 'The columns that `key` is compared with, in its order; left out: those of the same names',
  min: 1,
  max: KEY_COLUMNS_MAX,
  lone: true,
  optional: true,
})

const from = f.variant(
  {
    file: f.object(
      {
        path: f.text({
          doc: 'The table: with a header (csv), an object in each line (jsonl), or as `inline.table` (json). Read again when it has changed',
        }),
        format: f.choice(['csv', 'json', 'jsonl'], { doc: 'Its form', default: 'csv' }),
        encoding: encodingField,
        ...csvSettings,
        columns: keyColumns,
      },
      { check: csvProblem },
    ),
    inline: f.object({
      table: f.any({
        doc: 'A list of maps, or one map from the key (a single one) to a map, or to a value, which is then column `value`',
      }),
      columns: keyColumns,
    }),
    sqlite: f.object({
      file: f.text({ doc: 'Database file; opened read-only' }),
      query: f.text({
        doc: 'A SELECT with one `?` for each field of `key`; its first row counts',
        maxLength: QUERY_CHARS_MAX,
      }),
      queryMs: f.duration({
        doc: 'Longest time the query may take for one row, which is rejected then',
        min: 10,
        max: QUERY_MS_MAX,
        default: QUERY_MS_DEFAULT,
      }),
      cacheRows: f.integer({
        doc: 'Results kept, those without a row too; 0: none',
        min: 0,
        max: CACHE_ROWS_MAX,
        default: CACHE_ROWS_DEFAULT,
      }),
      cacheMs: f.duration({
        doc: 'How long a result is used: so late a change in the database is seen',
        min: 0,
        max: 86_400_000,
        default: CACHE_MS_DEFAULT,
      }),
    }),
  },
  { doc: 'Where it is looked up' },
)

export const enrichSettings = f.object(
  {
    key: f.list(f.text({ doc: 'a field', maxLength: 128 }), {
      doc: 'Field, or fields, of the row to look it up by. In tables 7 and "7" are the same',
      min: 1,
      max: KEY_COLUMNS_MAX,
      lone: true,
    }),
    from,
    fields: f.record(f.text({ doc: 'a column', maxLength: 128 }), {
      doc: 'Field of the row: column it gets its value from; left out: all columns but those of the key',
      max: FIELDS_MAX,
      keys: names,
      optional: true,
    }),
    into: f.text({
      doc: 'Put them together into this field, instead of each into its own',
      maxLength: 128,
      optional: true,
    }),
    missing: f.choice(['reject', 'null', 'default'], {
      doc: 'What becomes of a row of which nothing is known: rejected with ENRICH_NOT_FOUND, or it gets null, or `defaults`',
      default: 'reject',
    }),
    defaults: f.record(f.any({ doc: 'a value' }), {
      doc: 'Field: value, for `missing: default`',
      max: FIELDS_MAX,
      keys: names,
      optional: true,
    }),
  },
  {
    check: ({ missing, defaults, from, key, fields }) => {
      if ((missing === 'default') !== (defaults !== undefined)) return '`defaults` and `missing: default` go together'
      const columns = from.type === 'sqlite' ? undefined : from.settings.columns
      if (columns !== undefined && columns.length !== key.length)
        return '`columns` has another number of names than `key`'
      const unknown = Object.keys(defaults ?? {}).find((field) => fields !== undefined && !Object.hasOwn(fields, field))
      return unknown === undefined ? null : `\`defaults\` names ${unknown}, which is not in \`fields\``
    },
  },
)

export type EnrichSettings = Infer<typeof enrichSettings>
