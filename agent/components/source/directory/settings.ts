// Settings of the `directory` source.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { BATCH_ROWS_DEFAULT, BATCH_ROWS_MAX, FIELDS_MAX } from '../../limits.ts'
import { csvProblem, textSettings } from '../../support/mod.ts'
import { globProblem } from './glob.ts'

export const directorySourceSettings = f.object(
  {
    path: f.text({ doc: 'Folder where files are dropped; done/, bad/ and .claimed/ are made in it' }),
    pattern: f.text({
      doc: 'Names to take: *, ?, [a-z], {csv,txt}; never names that start with a dot',
      maxLength: 255,
      default: '*',
      check: globProblem,
    }),
    ...textSettings,
    subfolders: f.boolean({
      doc: 'file: take files of sub-folders too, each under its path from here',
      default: false,
    }),
    header: f.boolean({ doc: 'CSV: the first record names the columns', default: true }),
    columns: f.list(f.text({ doc: 'a column', maxLength: 128 }), {
      doc: 'CSV: the names of the columns of files without a header; with one, the columns it must have',
      min: 1,
      max: FIELDS_MAX,
      optional: true,
    }),
    stableMs: f.duration({
      doc: 'A file is taken when its size and time have not changed for this long',
      min: 0,
      max: 3_600_000,
      default: 2_000,
    }),
    batchRows: f.integer({
      doc: 'Rows, or files, in one portion',
      min: 1,
      max: BATCH_ROWS_MAX,
      default: BATCH_ROWS_DEFAULT,
    }),
    pollMs: f.duration({
      doc: 'How often to look when the system reports no changes (network shares)',
      min: 50,
      max: 86_400_000,
      default: 5_000,
    }),
    once: f.boolean({ doc: 'Stop when no files are left instead of waiting for more', default: false }),
  },
  {
    check: (settings) => {
      if (settings.subfolders && settings.format !== 'file') return '`subfolders` goes with `format: file`'
      if (settings.format !== 'csv') return settings.columns === undefined ? null : '`columns` goes with `format: csv`'
      if (!settings.header && settings.columns === undefined) return 'files without a header need `columns`'
      const { columns = [] } = settings
      const twice = columns.find((name, i) => columns.indexOf(name) !== i)
      if (twice !== undefined) return `\`columns\` names ${twice} twice`
      if (columns.includes('__proto__')) return '`columns` cannot name __proto__'
      return csvProblem(settings)
    },
  },
)

export type DirectorySourceSettings = Infer<typeof directorySourceSettings>
