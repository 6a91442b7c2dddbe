// What can go wrong in isolated work.

import { declareFaults } from '#protocol/base/mod.ts'

export const isolationFault = declareFaults('isolation', {
  ISOLATED_TIMEOUT: {
    meaning: 'the work on this item did not end in time and was stopped',
    remedy:
      'Look for a loop in the expression, stylesheet or script; if the item only takes long, raise the time limit',
  },
  ISOLATED_MEMORY: {
    meaning: 'the work on this item took more memory than it may have',
    remedy: 'Split large documents before this step, simplify what it does, or raise the memory limit',
  },
  ISOLATED_CRASHED: {
    meaning: 'the work on this item ended its thread',
    remedy: 'Keep the item and report it; the others went on',
  },
  ISOLATED_PREPARATION: {
    meaning: 'a thread could not get ready for this work',
    remedy: 'Check the settings of these steps, and the memory limit of threads',
  },
  ISOLATED_CLOSED: {
    meaning: 'the threads were closed while they worked',
    remedy: 'Nothing to do: the same is done again after the start',
  },
})
