import { declareFaults } from '#protocol/base/mod.ts'

export const jsonataFault = declareFaults('components', {
  JSONATA_NO_ROW: {
    meaning: 'the expression gave no row',
    remedy: 'Give an object, a list of objects, or nothing to leave the row out',
  },
})
