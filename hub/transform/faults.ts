// Faults of pipelines themselves; those of their channels are the channels' own.

import { declareFaults } from '#protocol/base/mod.ts'

export const transformFault = declareFaults('transform', {
  PIPELINE_REPLACED: {
    meaning: 'a deployment has put another pipeline in the place of this one',
    remedy: 'Nothing to do: the messages go through the other one',
  },
  DOCUMENT_NOT_WHOLE: {
    meaning: 'the large content that the message refers to is not whole yet, or has lost a part',
    remedy: 'Nothing to do: it goes on when its sender has sent the rest',
  },
  DOCUMENT_LATE: {
    meaning: 'nothing has come for long of the large content that the message refers to',
    remedy:
      'Have its sender send it (again); then causeway-hub redrive. routing.stallMs in hub.yaml says how long it is waited for',
  },
})
