// Faults of the channel `mapping`.

import { declareFaults } from '#protocol/base/mod.ts'

export const mappingFault = declareFaults('mapping', {
  MAPPING_INVALID: {
    meaning: 'the mapping is not as it must be',
    remedy: 'Correct it at the place named; `where` is the way from its root',
  },
  MAPPING_STOPPED: {
    meaning: 'the mapping refuses this document',
    remedy: 'The message is that of the mapping: have the document corrected, or the mapping',
  },
  MAPPING_TOO_LONG: {
    meaning: 'mapping this document takes too many steps or gives too much',
    remedy:
      'Look for a `forEach` or a condition with an absolute path inside another `forEach`; have the document sent in parts',
  },
  MAPPING_FILE_UNREADABLE: {
    meaning: 'the file with the mapping cannot be read',
    remedy: 'Check `file`; a relative path starts at the folder of the flow file',
  },
  MAPPING_ROW_TOO_DEEP: {
    meaning: 'maps and lists of the row lie too deep inside each other',
    remedy: 'Flatten the row before this step',
  },
  MAPPING_RESULT_NOT_A_ROW: {
    meaning: 'what the mapping gives is no row',
    remedy: 'Give each element below the root text, or elements, but not both, when `target: row`',
  },
})
