// Settings of the `decompress` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { ATTACHED_MAX } from '../attached.ts'
import { MEMBERS_DEFAULT, OUTPUT_BYTES_DEFAULT, OUTPUT_BYTES_MAX, RATIO_DEFAULT, RATIO_MAX } from '../compress/mod.ts'

export const decompressSettings = f.object(
  {
    format: f.choice(['auto', 'gzip', 'zstd', 'zip', 'deflate', 'deflate-raw'], {
      doc: 'auto: gzip, zstd or zip, by its first bytes; deflate in zlib format (RFC 1950) or bare (RFC 1951)',
      default: 'auto',
    }),
    ...documentSettings,
    outputBytesMax: f.bytes({
      doc: 'most that may come out of one item; it is held in memory whole',
      min: 1,
      max: OUTPUT_BYTES_MAX,
      default: OUTPUT_BYTES_DEFAULT,
    }),
    ratioMax: f.integer({
      doc: 'how many times its size may come out of an item of which more than 1 MiB comes',
      min: 1,
      max: RATIO_MAX,
      default: RATIO_DEFAULT,
    }),
    rename: f.boolean({
      doc: 'take .gz, .gzip, .zst or .zstd from the name, and mediaType from what is left',
      default: true,
    }),
    membersMax: f.integer({
      doc: 'zip: most members of an archive',
      min: 1,
      max: ATTACHED_MAX,
      default: MEMBERS_DEFAULT,
    }),
    nameEncoding: f.choice(['gb18030', 'big5', 'shift_jis', 'euc-kr', 'windows-1252', 'utf-8'], {
      doc: 'zip: encoding of names that do not say theirs and are not plainly UTF-8',
      default: 'gb18030',
    }),
    entries: f.text({
      doc: 'zip: field to put the files into as a list of `{ name, mediaType, contentId, bytes }`; left out: each file is an item',
      maxLength: 200,
      optional: true,
    }),
  },
  {
    check: ({ format, entries, field }) => {
      if (entries !== undefined && format !== 'zip') return '`entries` is for `format: zip`'
      return format === 'zip' && field !== undefined && entries === undefined
        ? 'a zip in a `field` needs `entries`: the field that takes its files'
        : null
    },
  },
)

export type DecompressSettings = Infer<typeof decompressSettings>
