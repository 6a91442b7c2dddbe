import { declareFaults } from '#protocol/base/mod.ts'

export const transferFault = declareFaults('transfer', {
  TRANSFER_MALFORMED: {
    meaning: 'what a peer says of a transfer does not fit together',
    remedy: 'The peer is faulty; it must follow section "Transfers" of protocol/spec',
  },
  TRANSFER_TOO_LARGE: {
    meaning: 'the content is larger than a transfer may be',
    remedy: 'Split it; the limits stand in protocol/transfer/limits.ts',
  },
  CHUNK_DAMAGED: {
    meaning: 'a chunk is not what its digest says, however often it is sent',
    remedy: 'Check the disk and memory of the machine it came from, then send the content again',
  },
  MANIFEST_INVALID: {
    meaning: 'the manifest of a content is not one, or does not fit the content',
    remedy: 'Send the content again; if that does not help its sender is faulty',
  },
  MANIFEST_SIGNATURE_INVALID: {
    meaning: 'the manifest of a content was not signed by the agent it names',
    remedy: 'Do not use the content; ask its sender, and tell those who run the hub',
  },
  CONTENT_NAME_INVALID: {
    meaning: 'the name of a content cannot be the name of a file here',
    remedy: 'Give it another name: one without folders, control characters or names the system keeps for itself',
  },
})
