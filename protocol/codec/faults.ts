import { declareFaults } from '#protocol/base/mod.ts'

const damaged = 'Discard it and have the sender send it again; if it came from a disk, check the disk'

export const codecFault = declareFaults('codec', {
  BATCH_MALFORMED: {
    meaning: 'a batch does not follow the batch layout',
    remedy: 'The sender is faulty; it must follow protocol/spec',
  },
  BATCH_DAMAGED: { meaning: 'a batch does not match its own digest', remedy: damaged },
  BATCH_SIGNATURE_INVALID: {
    meaning: 'a batch is not signed by the key of the agent it names as its origin',
    remedy: 'Do not use its messages; find out who sent it (the hub logs the connection)',
  },
  BATCH_UNSIGNED: {
    meaning: 'a batch carries no signature where one is required',
    remedy: 'Have the sender sign with a suite of protocol/spec',
  },
  BATCH_TOO_LARGE: {
    meaning: 'a batch exceeds a limit',
    remedy: 'Put fewer or smaller messages into a batch',
  },
  BATCH_DICTIONARY_UNKNOWN: {
    meaning: 'a batch is compressed with a dictionary this side does not have',
    remedy: 'The sender must send it without a dictionary',
  },
  BODY_TOO_LARGE: {
    meaning: 'a message body is larger than allowed',
    remedy: 'Split it, or send it as a transfer (large content)',
  },
  HEADERS_INVALID: {
    meaning: "a message's headers are not a map of names to simple values",
    remedy: 'Use up to 64 names of text with text, number, true/false or null values, 16 KiB in all',
  },
  TOPIC_INVALID: {
    meaning: 'a topic name is not valid',
    remedy: 'Use levels of 1 or more characters joined by "/", without + # and control characters, 255 bytes in all',
  },
  EXTRACT_INVALID: {
    meaning: 'messages taken out of a batch do not prove that they belong to it',
    remedy: 'Do not use them; report the hub that sent them',
  },
  ATTRIBUTE_INVALID: {
    meaning: 'a header that the hub reads has no meaning',
    remedy:
      'Give :priority as urgent, normal or bulk; :ttl, :delay and :deliver-at as whole milliseconds from 0 on; :content as 1 to 16 ids of 32 lower-case hexadecimal digits, a space between them',
  },
})
