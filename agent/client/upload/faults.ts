import { declareFaults } from '#protocol/base/mod.ts'

export const uploadFault = declareFaults('upload', {
  UPLOAD_INVALID: {
    meaning: 'an upload cannot be done as asked for',
    remedy:
      'Give an id of 32 hexadecimal digits, a media type of at most 127 characters, and a time to keep of 0 ms or more',
  },
  CONTENT_UNREADABLE: {
    meaning: 'the file to be sent cannot be read',
    remedy: 'Check that the path names a file and that the agent may read it, then send it again',
  },
})
