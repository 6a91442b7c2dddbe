// Every way a handshake, a certificate or a token can be refused.

import { declareFaults } from '#protocol/base/mod.ts'

export const handshakeFault = declareFaults('handshake', {
  VERSION_UNSUPPORTED: {
    meaning: 'the two sides have no protocol version in common',
    remedy: 'Update the older side',
  },
  HANDSHAKE_ORDER: {
    meaning: 'a handshake frame came out of order',
    remedy: 'The peer is faulty: correct it, or check what stands between the two sides',
  },
  HANDSHAKE_HELLO_INVALID: {
    meaning: 'the greeting lacks something or contradicts itself',
    remedy: 'The peer is faulty or was changed on the way: check its version and what stands between the two sides',
  },
  HANDSHAKE_LIMIT_MISSING: {
    meaning: 'the peer does not say a limit that this version requires, or says zero',
    remedy: 'Set every limit on both sides to at least its documented minimum, or update the peer',
  },
  HANDSHAKE_BINDING_MISMATCH: {
    meaning: 'the two sides do not sit on the two ends of one TLS connection',
    remedy:
      'If a proxy ends TLS between them, allow unbound connections on both sides; otherwise someone may be in the middle',
  },
  HANDSHAKE_BINDING_REQUIRED: {
    meaning: 'this side accepts only connections bound to TLS 1.3',
    remedy: 'Connect with TLS 1.3, or allow unbound connections in the settings if a trusted proxy ends TLS',
  },
  HANDSHAKE_PROOF_INVALID: {
    meaning: 'the peer did not prove that it holds the key of its certificate',
    remedy: 'Check that key and certificate belong together; if they do, someone may be in the middle',
  },
  HANDSHAKE_DOWNGRADED: {
    meaning: 'what the hub confirmed is not what the two greetings agree on',
    remedy: 'Check what stands between the two sides; if it repeats, report the versions of both',
  },
  HANDSHAKE_HUB_WRONG: {
    meaning: 'another hub answered than the one this agent belongs to',
    remedy: 'Check the address, or enrol again with a token of that hub',
  },
  HANDSHAKE_REFUSED: {
    meaning: 'the peer refused the connection',
    remedy: 'Look up the code it gave',
  },
  CERTIFICATE_INVALID: {
    meaning: 'a certificate cannot be read or is not of the required kind',
    remedy: 'Enrol again, or restore the certificate from a backup',
  },
  CERTIFICATE_UNTRUSTED: {
    meaning: 'a certificate was not issued by the authority this side trusts',
    remedy: 'Check that both sides belong to the same hub; enrol the agent with a token of this hub',
  },
  CERTIFICATE_EXPIRED: {
    meaning: 'a certificate is past its last day',
    remedy: 'Check the clock first; if it is right, issue a new certificate',
  },
  CERTIFICATE_NOT_YET_VALID: {
    meaning: 'a certificate is not valid yet',
    remedy: 'Set the clock of this machine',
  },
  CERTIFICATE_WRONG_ROLE: {
    meaning: 'a certificate is used in a role it was not issued for',
    remedy: 'Use the hub certificate for the hub and an enrolled certificate for an agent',
  },
  CERTIFICATE_WRONG_NAME: {
    meaning: 'a certificate carries another name than its bearer gives',
    remedy: 'Use the name the certificate was issued for, or enrol under the new name',
  },
  TOKEN_MALFORMED: {
    meaning: 'this is not a complete enrolment token',
    remedy: 'Copy the whole token again; it starts with cwt1. and has no spaces',
  },
  TOKEN_VERSION: {
    meaning: 'the enrolment token is of a version this agent does not know',
    remedy: 'Update the agent, or have the hub make a token with an older version',
  },
})
