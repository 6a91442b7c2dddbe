// Settings of the `merge` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { KEY_COLUMNS_MAX } from '../../limits.ts'
import { GROUPS_DEFAULT, GROUPS_MAX, ITEMS_DEFAULT, ITEMS_MAX, KEPT_BYTES_DEFAULT, KEPT_BYTES_MAX } from './limits.ts'

const XML_NAME = /^[A-Za-z_\u00c0-\ufffd][\w.\-\u00b7-\ufffd]{0,99}$/

const as = f.variant(
  {
    row: f.object({ into: f.text({ doc: 'Field for the list of rows', maxLength: 128, default: 'items' }) }),
    json: f.object({}, { doc: 'An array; of rows, or of documents in JSON' }),
    jsonl: f.object({}, { doc: 'A line for each row, or document in JSON' }),
    xml: f.object({
      element: f.text({ doc: 'The element around the documents', pattern: XML_NAME, default: 'items' }),
      namespace: f.text({ doc: 'Its namespace', optional: true }),
    }),
    text: f.object({
      separator: f.text({ doc: 'What stands between two documents', minLength: 0, maxLength: 1_000, default: '' }),
      header: f.integer({
        doc: 'First lines that all documents have; those of the first stay, and a group with others is rejected',
        min: 0,
        max: 1_000,
        default: 0,
      }),
      closeLines: f.boolean({
        doc: 'Add a line feed to a document whose last line has none, before the next one',
        default: true,
      }),
    }),
    zip: f.object({}, { doc: 'An archive with the documents as members, by their field `name`' }),
  },
  { doc: 'What a group becomes' },
)

export const mergeSettings = f.object(
  {
    key: f.list(f.text({ doc: 'a field', maxLength: 128 }), {
      doc: 'Field, or fields, that the items of a group have in common',
      min: 1,
      max: KEY_COLUMNS_MAX,
      lone: true,
    }),
    as,
    count: f.integer({ doc: 'A group is complete with so many items', min: 1, max: ITEMS_MAX, optional: true }),
    countField: f.text({
      doc: 'Field that says how many items the group has: `parts` after a `split`',
      maxLength: 128,
      optional: true,
    }),
    afterMs: f.duration({
      doc: 'A group goes out after this time: complete when there is no count, else incomplete',
      min: 1,
      max: 366 * 86_400_000,
      optional: true,
    }),
    since: f.choice(['first', 'last'], { doc: 'Which of its items `afterMs` is counted from', default: 'first' }),
    groupBytes: f.bytes({
      doc: 'A group goes out as soon as its items have so many bytes, as after `afterMs`',
      min: 1,
      max: KEPT_BYTES_MAX,
      optional: true,
    }),
    incomplete: f.choice(['pass', 'reject'], {
      doc: 'What becomes of a group that goes out incomplete: it passes with `complete: false`, or its items are rejected with MERGE_INCOMPLETE',
      default: 'pass',
    }),
    orderBy: f.text({
      doc: 'Field to order the items by: whole numbers by value, other values as text, those without it last; left out: as they came',
      maxLength: 128,
      optional: true,
    }),
    name: f.text({
      doc: 'Name of the document; `{field}` stands for a field of the key. Left out: the key, with the ending of its form',
      maxLength: 500,
      optional: true,
    }),
    ...documentSettings,
    groupsMax: f.integer({ doc: 'Groups that wait at once', min: 1, max: GROUPS_MAX, default: GROUPS_DEFAULT }),
    itemsMax: f.integer({
      doc: 'Items in one group; then it goes out, as after `afterMs`',
      min: 1,
      max: ITEMS_MAX,
      default: ITEMS_DEFAULT,
    }),
    keptBytesMax: f.bytes({
      doc: 'Bytes of all that waits, in memory and two to three times that on the disk',
      min: 1024,
      max: KEPT_BYTES_MAX,
      default: KEPT_BYTES_DEFAULT,
    }),
    full: f.choice(['oldest', 'reject'], {
      doc: 'At `groupsMax` or `keptBytesMax`: the oldest group goes out as after `afterMs`, or the new item is rejected with MERGE_FULL',
      default: 'oldest',
    }),
  },
  {
    check: ({ as, key, name, count, countField, afterMs, groupBytes, itemsMax, field }) => {
      if (count !== undefined && countField !== undefined) return 'give either `count` or `countField`'
      if (count === undefined && countField === undefined && afterMs === undefined && groupBytes === undefined) {
        return 'give `count`, `countField`, `afterMs` or `groupBytes`: else no group goes out'
      }
      if (count !== undefined && count > itemsMax) return '`count` is greater than `itemsMax`'
      if (as.type === 'row' && field !== undefined) return '`field` is for documents'
      const unknown = placesIn(name ?? '').find((each) => !key.includes(each))
      return unknown === undefined ? null : `\`name\` uses {${unknown}}, which is not in \`key\``
    },
  },
)

export type MergeSettings = Infer<typeof mergeSettings>

/** The fields that stand in a name. */
export const placesIn = (name: string): string[] => [...name.matchAll(/\{([^{}]+)\}/g)].map(([, field = '']) => field)
