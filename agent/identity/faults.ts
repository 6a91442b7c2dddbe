// What can go wrong with the agent's own identity.

import { declareFaults } from '#protocol/base/mod.ts'

export const identityFault = declareFaults('identity', {
  IDENTITY_EXISTS: {
    meaning: 'this agent is already enrolled',
    remedy: 'Use it as it is; to enrol anew, move its identity folder away first',
  },
  IDENTITY_MISSING: {
    meaning: 'this agent is not enrolled yet',
    remedy: 'Run causeway-agent enroll with a token from the hub, or correct the data folder',
  },
  IDENTITY_INVALID: {
    meaning: "the agent's identity cannot be read or does not fit together",
    remedy: 'Restore the identity folder from a backup, or enrol again with a new token',
  },
  IDENTITY_KEY_EXPOSED: {
    meaning: "the agent's private key can be read by other users of this machine",
    remedy: 'Run chmod 600 on the file, and consider enrolling again with a new key',
  },
})
