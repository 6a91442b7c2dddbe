// Faults of the channel `merge`: all concern single items.

import { declareFaults } from '#protocol/base/mod.ts'

export const mergeFault = declareFaults('components', {
  MERGE_KEY_MISSING: {
    meaning: 'the row has no key to find its group by',
    remedy: 'Correct `key`, fill the field in a `map` channel, or take such rows out with a `filter`',
  },
  MERGE_COUNT_INVALID: {
    meaning: 'the row does not say how many items its group has',
    remedy: 'Correct `countField` or the field: a whole number from 1 to `itemsMax`',
  },
  MERGE_COUNT_DIFFERS: {
    meaning: 'the row says another number of items than the first of its group',
    remedy: 'Give `key` the fields that tell the groups apart, or correct the row',
  },
  MERGE_MEMBER_INVALID: {
    meaning: 'the item cannot be part of such a document',
    remedy: 'Correct it at its source, `convert` it first, or choose another form in `as`',
  },
  MERGE_INCOMPLETE: {
    meaning: 'the group did not become complete',
    remedy:
      'Look for the missing items at their source and send the group again; or raise `afterMs`, or the bounds of the channel',
  },
  MERGE_FULL: {
    meaning: 'so much waits to be merged that no more is taken',
    remedy:
      'Look why groups do not become complete; raise `groupsMax` or `keptBytesMax`, or set `afterMs`, or `full: oldest`',
  },
  MERGE_TOO_LARGE: {
    meaning: 'the item is larger than this channel keeps',
    remedy: 'Raise `keptBytesMax` of the channel if the memory is there, or split the document at its source',
  },
})
