import { declareFaults } from '#protocol/base/mod.ts'

export const managementFault = declareFaults('management', {
  MANAGEMENT_LISTEN_FAILED: {
    meaning: 'the hub cannot listen on its management port',
    remedy: 'Choose another management.port in hub.yaml, or stop the program that uses it',
  },
  HUB_NOT_RUNNING: {
    meaning: 'no hub answers for this data folder',
    remedy: 'Start it with causeway-hub start --data FOLDER',
  },
  DATA_FOLDER_MISSING: {
    meaning: 'this is not the data folder of a hub',
    remedy: 'Make one with causeway-hub init --data FOLDER --name NAME',
  },
  RIGHTS_MISSING: {
    meaning: 'an agent without any right could do nothing',
    remedy: "Name at least one pattern: --publish 'topic/#' or --consume 'topic/#'",
  },
  DISK_NEARLY_FULL: {
    meaning: 'less than 1 GiB is free where the hub stores messages',
    remedy: 'Free space or move the data folder to a larger disk',
  },
  DATA_FOLDER_EXISTS: {
    meaning: 'the folder already holds a hub',
    remedy: 'Choose another --data folder, or go on with this one: causeway-hub start --data FOLDER',
  },
})
