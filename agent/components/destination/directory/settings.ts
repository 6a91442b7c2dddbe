// Settings of the `directory` destination.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { FIELDS_MAX } from '../../limits.ts'
import { csvProblem, textSettings } from '../../support/mod.ts'

export const directoryDestinationSettings = f.object(
  {
    path: f.text({ doc: 'Folder to write files in' }),
    prefix: f.text({
      doc: 'Files of rows are named <prefix>-<number>.csv or .jsonl; the name of the flow when left out',
      maxLength: 100,
      pattern: /^[^./\\\0][^/\\\0]*$/,
      optional: true,
    }),
    ...textSettings,
    header: f.boolean({ doc: 'CSV: write the names of the columns first', default: true }),
    columns: f.list(f.text({ doc: 'a column', maxLength: 128 }), {
      doc: 'Fields to write, in this order; when left out all that the rows of a file have',
      min: 1,
      max: FIELDS_MAX,
      optional: true,
    }),
    ignoreExtra: f.boolean({ doc: 'Leave out fields that `columns` does not list', default: false }),
    lineEnd: f.choice(['crlf', 'lf'], { doc: 'CSV: line ends; RFC 4180 has crlf', default: 'crlf' }),
    bom: f.boolean({ doc: 'Write a byte order mark first: some spreadsheets need it to see UTF-8', default: false }),
    formulaSafe: f.boolean({
      doc: 'CSV: put an apostrophe before values a spreadsheet would run as a formula. This changes them',
      default: false,
    }),
  },
  {
    check: (settings) => {
      const { bom, encoding } = settings
      if (bom && encoding !== 'utf-8' && encoding !== 'gb18030') return `\`bom\`: ${encoding} has none`
      return settings.format === 'csv' ? csvProblem(settings) : null
    },
  },
)

export type DirectoryDestinationSettings = Infer<typeof directoryDestinationSettings>
