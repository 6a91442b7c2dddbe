// Settings of the `split` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { ATTACHED_MAX } from '../attached.ts'
import { MEMBERS_DEFAULT, OUTPUT_BYTES_DEFAULT, OUTPUT_BYTES_MAX, RATIO_DEFAULT, RATIO_MAX } from '../compress/mod.ts'
import { PATH_STEPS_MAX, SPLIT_PARTS_DEFAULT, SPLIT_PARTS_MAX } from './limits.ts'

const name = f.text({ doc: 'a field', maxLength: 128 })
const perPart = f.integer({ doc: 'Lines in each part, those repeated not counted', min: 1, max: 1_000_000, default: 1 })

const xml = f.object(
  {
    path: f.text({
      doc: 'The elements that become documents, from the root: names without prefix are of any namespace, `*` is any name',
      pattern: /^(\/[^/\s]+)+$/,
      example: '/list/item',
    }),
    namespaces: f.record(f.text({ doc: 'a namespace' }), {
      doc: 'Prefix in `path`: namespace',
      max: 100,
      keys: /^[^:\s/]{1,100}$/,
      optional: true,
    }),
    ancestors: f.boolean({
      doc: 'Keep the elements around it, with their attributes; else their namespace declarations alone',
      default: false,
    }),
  },
  {
    check: ({ path, namespaces = {} }) => {
      const steps = path.split('/').slice(1)
      if (steps.length > PATH_STEPS_MAX) return `more than ${PATH_STEPS_MAX} steps`
      const unknown = steps
        .map((step) => step.split(':'))
        .find(([prefix = '', local]) => local !== undefined && !Object.hasOwn(namespaces, prefix))
      return unknown === undefined ? null : `\`namespaces\` does not say what ${unknown[0]} is`
    },
  },
)

const by = f.variant(
  {
    xml,
    json: f.object({
      pointer: f.text({
        doc: 'Where the array is (RFC 6901); left out or empty: the document is it',
        pattern: /^(\/([^~/]|~[01])*)*$/,
        default: '',
      }),
    }),
    lines: f.object({
      lines: perPart,
      header: f.integer({ doc: 'First lines, which are repeated in each part', min: 0, max: 1_000, default: 0 }),
    }),
    csv: f.object({
      lines: perPart,
      header: f.integer({ doc: 'First records, which are repeated in each part', min: 0, max: 1_000, default: 1 }),
      quote: f.text({
        doc: 'The character around values, in which lines may end',
        maxLength: 1,
        pattern: /^[!-~]$/,
        default: '"',
      }),
    }),
    zip: f.object({
      outputBytesMax: f.bytes({
        doc: 'Most that all members may have together',
        min: 1,
        max: OUTPUT_BYTES_MAX,
        default: OUTPUT_BYTES_DEFAULT,
      }),
      ratioMax: f.integer({
        doc: 'How many times its size may come out of an archive of which more than 1 MiB comes',
        min: 1,
        max: RATIO_MAX,
        default: RATIO_DEFAULT,
      }),
      membersMax: f.integer({ doc: 'Most members', min: 1, max: ATTACHED_MAX, default: MEMBERS_DEFAULT }),
      nameEncoding: f.choice(['gb18030', 'big5', 'shift_jis', 'euc-kr', 'windows-1252', 'utf-8'], {
        doc: 'Encoding of names that do not say theirs and are not plainly UTF-8',
        default: 'gb18030',
      }),
    }),
    array: f.object({
      name: f.text({ doc: 'Field of the row that is a list', maxLength: 128 }),
      as: f.text({ doc: 'Field for the element; left out: the same field', maxLength: 128, optional: true }),
      spread: f.boolean({
        doc: 'Elements are objects: put their fields into the row, over fields of the same name, instead of one field',
        default: false,
      }),
    }),
  },
  { doc: 'What an item is, and where it is cut' },
)

export const splitSettings = f.object(
  {
    by,
    ...documentSettings,
    keep: f.list(name, {
      doc: 'Fields of the row to keep in the parts; all when left out',
      max: 2_000,
      optional: true,
    }),
    partsMax: f.integer({ doc: 'Most parts of one item', min: 1, max: SPLIT_PARTS_MAX, default: SPLIT_PARTS_DEFAULT }),
    empty: f.choice(['reject', 'drop'], {
      doc: 'What becomes of an item without parts: rejected with SPLIT_EMPTY, or dropped silently',
      default: 'reject',
    }),
  },
  {
    check: ({ by, field }) =>
      by.type === 'array' && field !== undefined ? '`field` is for documents; `array` has `name`' : null,
  },
)

export type SplitSettings = Infer<typeof splitSettings>

/** Parsing what others sent takes time; cutting rows and lines hardly any. */
export const isSplitIsolated = ({ by }: SplitSettings): boolean => ['xml', 'json', 'zip'].includes(by.type)
