import { declareFaults } from '#protocol/base/mod.ts'

export const downloadFault = declareFaults('download', {
  DOWNLOAD_INVALID: {
    meaning: 'a download cannot be done as asked for',
    remedy: 'Give an id of 32 hexadecimal digits and a folder that exists, or a path in one with `as: "file"`',
  },
  DOWNLOAD_RUNNING: {
    meaning: 'this content is being downloaded to this place already',
    remedy: 'Wait for the other download, or choose another folder',
  },
  CONTENT_ORIGIN_OTHER: {
    meaning: 'the content comes from another agent than the one expected',
    remedy: 'Do not use it; ask whoever referred to it',
  },
  TARGET_EXISTS: {
    meaning: 'there is a file of this name with other content',
    remedy: 'Move it away, or allow to replace it or to number the new one',
  },
  TARGET_FULL: {
    meaning: 'the disk is full',
    remedy: 'Make room; the download goes on by itself, and what has arrived is kept',
  },
  TARGET_FAILED: {
    meaning: 'the file cannot be written',
    remedy: 'Check the disk and the rights of the folder, then download again: what has arrived is kept',
  },
})
