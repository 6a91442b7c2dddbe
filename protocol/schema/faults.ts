// What can go wrong between a control message and its bytes.

import { declareFaults } from '#protocol/base/mod.ts'

export const schemaFault = declareFaults('schema', {
  SCHEMA_INVALID: {
    meaning: 'a control message does not follow its schema',
    remedy: 'The peer speaks another protocol or is broken: check the address, then the versions on both sides',
  },
  SCHEMA_UNENCODABLE: {
    meaning: 'a value does not fit its field of a control message',
    remedy: 'Shorten or correct the value named here',
  },
})
