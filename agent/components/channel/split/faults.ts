// Faults of the channel `split`: all concern one item.

import { declareFaults } from '#protocol/base/mod.ts'

export const splitFault = declareFaults('components', {
  SPLIT_NO_LIST: {
    meaning: 'there is no list to split',
    remedy: 'Correct the pointer or the name of the field, or take such items out with a `filter`',
  },
  SPLIT_EMPTY: {
    meaning: 'there are no parts',
    remedy: 'Correct the path if there should be some; to let such items go without a trace set `empty: drop`',
  },
  SPLIT_TOO_MANY: {
    meaning: 'the item has more parts than this channel gives',
    remedy: 'Raise `partsMax` of the channel, take more lines into each part, or split the document at its source',
  },
  SPLIT_TOO_LARGE: {
    meaning: 'what is repeated in each part makes them too large together',
    remedy: 'Raise `bytesMax` of the channel, take more lines into each part, or leave out what is repeated',
  },
  SPLIT_JSON_INVALID: { meaning: 'the document is not JSON', remedy: 'Have its sender correct the place named' },
  SPLIT_TEXT_INVALID: {
    meaning: 'the text cannot be cut into lines',
    remedy: 'Close the quotes, correct `quote`, or bring the text into another encoding by `convert` first',
  },
})
