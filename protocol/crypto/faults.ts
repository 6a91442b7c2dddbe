import { declareFaults } from '#protocol/base/mod.ts'

export const cryptoFault = declareFaults('crypto', {
  SUITE_UNKNOWN: {
    meaning: 'the signature suite is not known to this version',
    remedy: 'Update this side, or have the sender use ed25519-sha256 (suite 1)',
  },
  PROOF_INVALID: {
    meaning: 'an inclusion proof does not fit the tree it claims to belong to',
    remedy: 'Discard the messages and ask the hub for them again; report it if it repeats',
  },
})
