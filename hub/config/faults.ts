// What can be wrong with hub.yaml beyond its single settings.

import { declareFaults } from '#protocol/base/mod.ts'

export const configFault = declareFaults('config', {
  CONFIG_FILE_MISSING: {
    meaning: 'there is no configuration file',
    remedy: 'Run causeway-hub init, or give the right folder',
  },
  CONFIG_FILE_UNREADABLE: {
    meaning: 'the configuration file cannot be read',
    remedy: 'Give the user that runs the hub the right to read it',
  },
  CONFIG_PLAIN_NOT_LOOPBACK: {
    meaning: 'unencrypted connections are for this machine only',
    remedy: 'Set tls: true, or host: 127.0.0.1',
  },
  CONFIG_CERTIFICATE_HALF: {
    meaning: 'a certificate is of no use without its key, nor a key without its certificate',
    remedy: 'Set both certificate and key, or neither',
  },
  CONFIG_PORT_CLASH: {
    meaning: 'two listeners want the same port',
    remedy: 'Give each its own port',
  },
  CONFIG_QUEUE_DUPLICATE: {
    meaning: 'two queues have the same name',
    remedy: 'Rename one of them, or put the topics of both under one name',
  },
  CONFIG_PARTITIONS_UNORDERED: {
    meaning: 'only a queue with an order is divided into partitions',
    remedy: 'Add order: stream or order: key, or remove partitions',
  },
  CONFIG_DEAD_LETTER_UNKNOWN: {
    meaning: 'dead letters go to a queue that does not exist',
    remedy: 'Name a queue of this file, or $dead',
  },
  CONFIG_DEAD_LETTER_LOOP: {
    meaning: 'dead letters would come back to the queue they are from, and go round for ever',
    remedy: 'Let one of these queues send its dead letters to $dead',
  },
})
