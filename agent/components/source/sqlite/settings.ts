// Settings of the `sqlite` source.

import { f, type Infer } from '#protocol/fields/mod.ts'
import {
  BATCH_ROWS_DEFAULT,
  BATCH_ROWS_MAX,
  FIELDS_MAX,
  KEY_COLUMNS_MAX,
  OVERLAP_ROWS_DEFAULT,
  OVERLAP_ROWS_MAX,
} from '../../limits.ts'

const column = f.text({ doc: 'a column', maxLength: 128 })

export const sqliteSourceSettings = f.object(
  {
    file: f.text({ doc: 'Database file; opened read-only' }),
    table: f.text({ doc: 'Table or view to take rows from', maxLength: 128, optional: true }),
    columns: f.list(column, { doc: 'Columns to take; all when left out', min: 1, max: FIELDS_MAX, optional: true }),
    query: f.text({ doc: 'A SELECT to take rows from, instead of `table`', maxLength: 16_384, optional: true }),
    key: f.list(column, {
      doc: 'Column, or columns, that tell any two rows apart and order them',
      min: 1,
      max: KEY_COLUMNS_MAX,
      lone: true,
    }),
    watermark: f.text({
      doc: 'Column that grows with every change: changed rows are taken again. Without it only rows with a greater key are new',
      maxLength: 128,
      optional: true,
    }),
    overlapRows: f.integer({
      doc: 'With a watermark: how many of the last rows to look at again, so that a row that appears late between them is found',
      min: 0,
      max: OVERLAP_ROWS_MAX,
      default: OVERLAP_ROWS_DEFAULT,
    }),
    batchRows: f.integer({ doc: 'Rows in one portion', min: 1, max: BATCH_ROWS_MAX, default: BATCH_ROWS_DEFAULT }),
    pollMs: f.duration({ doc: 'How often to look for changes', min: 50, max: 86_400_000, default: 1_000 }),
    once: f.boolean({ doc: 'Stop at the end instead of waiting for more rows', default: false }),
  },
  {
    check: (settings) => {
      if ((settings.table === undefined) === (settings.query === undefined)) return 'give either `table` or `query`'
      if (settings.columns !== undefined && settings.query !== undefined)
        return '`columns` goes with `table`; a query names its own'
      return null
    },
  },
)

export type SqliteSourceSettings = Infer<typeof sqliteSourceSettings>
