import { declareFaults } from '#protocol/base/mod.ts'

export const scriptFault = declareFaults('components', {
  SCRIPT_SYNTAX: {
    meaning: 'the script is not valid JavaScript',
    remedy: 'Correct the line; scripts have no import, and `process` is a plain function',
  },
  SCRIPT_FAILED: {
    meaning: 'the script failed on this item',
    remedy: 'Make the script cope with such items, or correct the item',
  },
  SCRIPT_TIMEOUT: {
    meaning: 'the script did not finish on this item',
    remedy: 'Look for a loop that does not end; raise `timeoutMs` or `stepsMax` if it needs so long',
  },
  SCRIPT_MEMORY: {
    meaning: 'the script needs more memory than it may have',
    remedy: 'Look for what grows without end; raise `memoryBytes` if it needs so much',
  },
  SCRIPT_RESULT: {
    meaning: 'what the script gives is no item',
    remedy: 'Return `{ row, text or bytes, name, mediaType }`, a list of such, or null for nothing',
  },
})
