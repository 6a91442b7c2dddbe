import { declareFaults } from '#protocol/base/mod.ts'

export const sessionFault = declareFaults('session', {
  SESSION_BODY_INVALID: {
    meaning: 'a frame body does not follow its layout',
    remedy: 'The peer is faulty; it must follow protocol/spec',
  },
  SESSION_FRAME_UNEXPECTED: {
    meaning: 'a frame came at a time or from a side where it has no place',
    remedy: 'The peer is faulty; it must follow the order of frames in protocol/spec',
  },
  SESSION_SILENT: {
    meaning: 'the peer has been silent for longer than agreed',
    remedy: 'Check the line; the agent reconnects by itself and continues where it was',
  },
  SESSION_HANDSHAKE_SLOW: {
    meaning: 'the handshake did not end in time',
    remedy: 'Check that the peer is a Causeway agent or hub and that the line is not blocked',
  },
  SESSION_CLOSED_BY_PEER: {
    meaning: 'the peer ended the session',
    remedy: 'Read the reason it gave',
  },
  SESSION_CREDIT_EXCEEDED: {
    meaning: 'the peer sent more than it was allowed to',
    remedy: 'The peer is faulty; it must wait for CREDIT',
  },
})
