// What can go wrong in the spool, and what to do about it.

import { declareFaults } from '#protocol/base/mod.ts'

export const spoolFault = declareFaults('spool', {
  SPOOL_FULL: {
    meaning: 'the spool has reached its bound',
    remedy:
      'The flow waits until the hub takes batches; raise spool.bytesMax, or carry the spool over with a ferry export',
  },
  SPOOL_DISK_FULL: {
    meaning: 'the disk or the file holding the spool is full',
    remedy: 'Free space on the disk of the data folder; the flow goes on by itself',
  },
  SPOOL_BATCH_TOO_LARGE: {
    meaning: 'a batch is larger than the spool can ever hold',
    remedy: 'Raise spool.bytesMax, or make batches smaller; send large content as a transfer',
  },
  SPOOL_IN_USE: {
    meaning: 'another process has this spool open',
    remedy: 'Stop the other agent, or give each agent a data folder of its own',
  },
  SPOOL_CLOSED: {
    meaning: 'the spool is closed',
    remedy: 'Nothing to do when the agent is stopping; otherwise report it',
  },
  SPOOL_CORRUPT: {
    meaning: 'the spool on disk contradicts itself',
    remedy: 'Move the spool folder aside (it holds what was not yet sent) and start again; keep it for a rescue',
  },
  SPOOL_IO: {
    meaning: 'the disk failed while the spool was writing or reading',
    remedy: 'Check the disk and the system log, then start the agent again; nothing that was acknowledged is given up',
  },
  SPOOL_STREAM_INVALID: {
    meaning: 'a stream cannot have this name or position',
    remedy:
      'Use a name of 1 to 200 bytes; when a position is named, the two sides disagree about what was sent: report it',
  },
  SPOOL_STREAMS_MAX: {
    meaning: 'the spool holds as many streams as it can',
    remedy: 'Remove flows that are no longer used, or use a second agent',
  },
  SPOOL_ENTRY_INVALID: {
    meaning: 'this entry cannot be stored',
    remedy: 'Report it: a component handed over a batch or cursor outside its limits',
  },
})
