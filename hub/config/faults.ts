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
  CONFIG_PORT_CLASH: {
    meaning: 'two listeners want the same port',
    remedy: 'Give each its own port',
  },
  CONFIG_QUEUE_DUPLICATE: {
    meaning: 'two queues have the same name',
    remedy: 'Rename one of them, or put the topics of both under one name',
  },
})
