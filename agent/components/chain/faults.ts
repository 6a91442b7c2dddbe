// What can go wrong in running channels, apart from the channels' own faults.

import { declareFaults } from '#protocol/base/mod.ts'

export const chainFault = declareFaults('chain', {
  CHAIN_CHANNEL_UNKNOWN: {
    meaning: 'there is no channel of this type',
    remedy: 'Correct the name of the channel; `causeway-agent flow lint` lists the known ones',
  },
  CHAIN_STATE_FOREIGN: {
    meaning: 'what was kept belongs to other channels',
    remedy: 'Restore the channels it ran with, or give the flow a new name to start from the beginning',
  },
  CHAIN_STATE_TOO_LARGE: {
    meaning: 'a channel gave a state above the limit',
    remedy: 'Report it; the channel names too much in its state',
  },
  CHAIN_VALUE_UNFIT: {
    meaning: 'a field holds what is no value of a record',
    remedy: 'Give the field a text, number, list or object in the channel before, nested less deeply',
  },
})
