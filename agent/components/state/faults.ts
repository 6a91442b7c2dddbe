// Faults of durable channel state. They stop the flow, but for ROW_TOO_DEEP, which concerns one item.

import { declareFaults } from '#protocol/base/mod.ts'

export const stateFault = declareFaults('components', {
  ROW_TOO_DEEP: {
    meaning: 'a value of the row is nested deeper than can be kept',
    remedy: 'Have it sent flatter, or drop the field in a `map` channel',
  },
  STATE_INVALID: {
    meaning: 'the state kept with the position is not one this channel wrote',
    remedy: 'Restore the flow file it ran with, or give the flow a new name to start from the beginning',
  },
  STATE_MISSING: {
    meaning: 'what a channel had kept is not there any more',
    remedy:
      "Restore the flow's data folder together with its destination; or give the flow a new name: it then starts from the beginning",
  },
  STATE_DAMAGED: {
    meaning: 'what a channel had kept is damaged',
    remedy:
      "Check the disk and restore the flow's data folder from a backup of the same time as its destination; or give the flow a new name to start from the beginning",
  },
})
