// Settings of the `compress` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { ZLIB_LEVEL_MAX, ZSTD_LEVEL_MAX } from './limits.ts'

export const compressSettings = f.object(
  {
    format: f.choice(['gzip', 'zstd', 'zip', 'deflate', 'deflate-raw'], {
      doc: 'gzip (RFC 1952), zstd (RFC 8878), zip, deflate in zlib format (RFC 1950) or bare (RFC 1951)',
    }),
    ...documentSettings,
    level: f.integer({
      doc: 'from 1, fast, to 9 (zstd: 19), small; left out: the usual of the format',
      min: 1,
      max: ZSTD_LEVEL_MAX,
      optional: true,
    }),
    rename: f.boolean({
      doc: 'add .gz, .zst or .zip to the name of content, and say so in its mediaType',
      default: true,
    }),
    entries: f.text({
      doc: 'zip: field with a list of files to pack instead of the document, each `{ name, bytes or text or base64 }`; it goes',
      maxLength: 200,
      optional: true,
    }),
    archiveName: f.text({
      doc: 'zip of `entries`: name of the archive, if the row has none',
      maxLength: 200,
      default: 'archive.zip',
    }),
  },
  {
    check: ({ format, level = 1, entries }) => {
      if (format !== 'zstd' && level > ZLIB_LEVEL_MAX) return `\`level\` of ${format} ends at ${ZLIB_LEVEL_MAX}`
      return entries !== undefined && format !== 'zip' ? '`entries` is for zip' : null
    },
  },
)

export type CompressSettings = Infer<typeof compressSettings>
