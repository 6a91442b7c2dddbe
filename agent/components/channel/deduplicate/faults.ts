// Faults of the channel `deduplicate`: all concern one item.

import { declareFaults } from '#protocol/base/mod.ts'

export const deduplicateFault = declareFaults('components', {
  DEDUPLICATE_KEY_MISSING: {
    meaning: 'the row has no key to know it by',
    remedy: 'Correct `key`, fill the field in a `map` channel, or take such rows out with a `filter`',
  },
  DEDUPLICATE_SEEN: {
    meaning: 'the same was here before',
    remedy: 'Nothing to do when it was sent twice; else give `key` the fields that tell the two apart',
  },
})
