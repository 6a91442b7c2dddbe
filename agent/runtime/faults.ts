// What can go wrong in running flows, apart from the components' own faults.

import { declareFaults } from '#protocol/base/mod.ts'

export const flowFault = declareFaults('runtime', {
  FLOW_CURSOR_TOO_LARGE: {
    meaning: 'a source made a cursor above the limit',
    remedy: 'Report it; the source component keeps too much in its position',
  },
  FLOW_CURSOR_STUCK: {
    meaning: 'a source gave rows without moving its cursor, so a repeat could not be told from new rows',
    remedy: 'Report it; for a table source check that the watermark column really grows',
  },
  FLOW_ALREADY_RUNNING: {
    meaning: 'a flow of this name is running already',
    remedy: 'Stop it first, or give the flows different names',
  },
  FLOW_UNKNOWN: {
    meaning: 'there is no flow of this name',
    remedy: 'See `causeway-agent status` for the names',
  },
  FLOWS_MAX: {
    meaning: 'the agent runs as many flows as it can',
    remedy: 'Stop flows that are no longer needed, or use a second agent',
  },
})
