// Settings of the `sqlite` destination.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { FIELDS_MAX, KEY_COLUMNS_MAX } from '../../limits.ts'

export const COLUMN_TYPES = ['TEXT', 'INTEGER', 'REAL', 'NUMERIC', 'BLOB'] as const

export const sqliteDestinationSettings = f.object(
  {
    file: f.text({ doc: 'Database file; made when `create` is true' }),
    table: f.text({ doc: 'Table to put rows in', maxLength: 128 }),
    key: f.list(f.text({ doc: 'a column', maxLength: 128 }), {
      doc: 'Column, or columns, that tell any two rows apart: a row with a known key replaces the old one',
      min: 1,
      max: KEY_COLUMNS_MAX,
      lone: true,
    }),
    create: f.boolean({ doc: 'Make file and table when they are missing', default: false }),
    columns: f.record(f.choice(COLUMN_TYPES, { doc: 'a type' }), {
      doc: 'Column: type, for `create`',
      max: FIELDS_MAX,
      optional: true,
    }),
    ignoreExtra: f.boolean({ doc: 'Leave out fields the table has no column for', default: false }),
  },
  {
    check: (settings) => {
      const { columns } = settings
      if (!settings.create) return columns === undefined ? null : '`columns` goes with `create: true`'
      if (columns === undefined) return '`create` needs `columns`'
      const missing = settings.key.find((name) => !Object.hasOwn(columns, name))
      return missing === undefined ? null : `the key column ${missing} is not among \`columns\``
    },
  },
)

export type SqliteDestinationSettings = Infer<typeof sqliteDestinationSettings>
