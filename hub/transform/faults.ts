// Faults of pipelines themselves; those of their channels are the channels' own.

import { declareFaults } from '#protocol/base/mod.ts'

export const transformFault = declareFaults('transform', {
  PIPELINE_REPLACED: {
    meaning: 'a deployment has put another pipeline in the place of this one',
    remedy: 'Nothing to do: the messages go through the other one',
  },
})
