// What can be wrong with cases themselves.

import { declareFaults } from '#protocol/base/mod.ts'

export const caseFault = declareFaults('cases', {
  CASE_FILE_UNREADABLE: {
    meaning: 'a file of a case cannot be read',
    remedy: 'Check the path, which starts at the folder of the file with the cases, and its rights',
  },
})
