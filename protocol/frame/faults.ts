import { declareFaults } from '#protocol/base/mod.ts'

export const frameFault = declareFaults('frame', {
  PREFACE_WRONG: {
    meaning: 'the peer does not speak the Causeway protocol',
    remedy: 'Check the address and port, and that TLS is switched on or off on both sides alike',
  },
  FRAME_TOO_LARGE: {
    meaning: 'a frame is longer than the agreed limit',
    remedy: 'Send smaller batches, or send large content as a transfer',
  },
  FRAME_KIND_UNKNOWN: {
    meaning: 'a frame of a kind this version does not know, and which may not be ignored',
    remedy: 'Update this side, or have the peer offer an older protocol version',
  },
  FRAME_FLAGS_RESERVED: {
    meaning: 'a frame sets reserved flags',
    remedy: 'The peer is faulty or newer than it said; update this side or correct the peer',
  },
  FRAME_CHANNEL_WRONG: {
    meaning: 'a frame came on a channel its kind may not use',
    remedy: 'The peer is faulty; it must follow the table of kinds in protocol/spec',
  },
  FRAME_CUT: {
    meaning: 'the connection ended inside a frame',
    remedy: 'Nothing to do: the peer sends what was not acknowledged again after it reconnects',
  },
})
