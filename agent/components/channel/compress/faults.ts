import { declareFaults } from '#protocol/base/mod.ts'

export const compressFault = declareFaults('components', {
  COMPRESSED_INVALID: {
    meaning: 'the document is not compressed in this format, or it is damaged',
    remedy: 'Have it sent again, or correct `format`',
  },
  COMPRESSED_UNKNOWN: {
    meaning: 'the document begins like no format known here',
    remedy: 'Name the `format`, or take such documents out of the flow with a `filter`',
  },
  DECOMPRESSED_TOO_LARGE: {
    meaning: 'the document decompresses to more than this channel gives',
    remedy: 'Raise `outputBytesMax` of the channel if the memory is there, or split it at its source',
  },
  DECOMPRESSED_RATIO: {
    meaning: 'the document decompresses to far more than its size: as a decompression bomb does',
    remedy: 'If it comes from where it should and is what it should be, raise `ratioMax` of the channel',
  },
  ZIP_ENCRYPTED: { meaning: 'a member of the archive is encrypted', remedy: 'Have it sent without a password' },
  ZIP_MEMBER_INVALID: {
    meaning: 'a member of the archive cannot be taken',
    remedy: 'Have the archive made again with ordinary files and names, by another program if need be',
  },
  ZIP_MEMBERS: {
    meaning: 'the archive has more members than this channel takes',
    remedy: 'Raise `membersMax` of the channel, or split the archive at its source',
  },
})
