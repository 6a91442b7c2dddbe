// Settings of the `deduplicate` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { KEY_COLUMNS_MAX } from '../../limits.ts'
import { DEDUPLICATE_KEYS_DEFAULT, DEDUPLICATE_KEYS_MAX } from './limits.ts'

export const deduplicateSettings = f.object({
  key: f.list(f.text({ doc: 'a field', maxLength: 128 }), {
    doc: 'Field, or fields, that items which are the same have in common; left out: the document itself, or the whole row when there is none',
    min: 1,
    max: KEY_COLUMNS_MAX,
    lone: true,
    optional: true,
  }),
  ...documentSettings,
  windowMs: f.duration({
    doc: 'How long after it was first here an item counts as the same; left out: as long as its key is among `keysMax`',
    min: 1,
    max: 366 * 86_400_000,
    optional: true,
  }),
  keysMax: f.integer({
    doc: 'Keys kept, about 120 bytes of memory each; when there are more the oldest is forgotten',
    min: 1,
    max: DEDUPLICATE_KEYS_MAX,
    default: DEDUPLICATE_KEYS_DEFAULT,
  }),
  duplicates: f.choice(['drop', 'reject'], {
    doc: 'What becomes of an item that was here before: dropped silently, or rejected with DEDUPLICATE_SEEN',
    default: 'drop',
  }),
})

export type DeduplicateSettings = Infer<typeof deduplicateSettings>
