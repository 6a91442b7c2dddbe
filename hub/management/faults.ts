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
    remedy: 'Name the folder with --data, or make one with causeway-hub init --data FOLDER --name NAME',
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
  HUB_ANSWER_BROKEN: {
    meaning: 'the hub did not answer to the end',
    remedy: 'What was done until then stays done. See causeway-hub status, then give the command again',
  },
  ADMIN_REQUEST_INVALID: {
    meaning: 'this is no request the hub knows',
    remedy: 'Use the causeway-hub of the same version as the hub that runs',
  },
  ADMIN_REQUEST_TOO_LARGE: {
    meaning: 'the request is too large',
    remedy: 'Name fewer messages at a time, or use a filter',
  },
  ADMIN_BUSY: {
    meaning: 'the hub is doing as many operations for operators as it may at once',
    remedy: 'Wait for one of them to end',
  },
  QUEUE_MISSING: {
    meaning: 'this hub has no queue of that name',
    remedy: 'See causeway-hub queues --all',
  },
  MESSAGE_MISSING: {
    meaning: 'the hub knows nothing of that message (any more)',
    remedy: 'Check the id; write the epoch too when the message is older than trace.keepMs in hub.yaml',
  },
  CONTENT_GONE: {
    meaning: 'this hub has no large content of that id (any more)',
    remedy: 'See causeway-hub contents list',
  },
  MESSAGES_UNNAMED: {
    meaning: 'it must be said which messages are meant',
    remedy: 'Give --all, or filters such as --topic, --reason, --older-than or --id, but not both',
  },
  REPLAY_START_UNNAMED: {
    meaning: 'it must be said from where on',
    remedy: 'Give one of --from-time, --ago and --from-position',
  },
  NOT_CONFIRMED: {
    meaning: 'this takes messages out for good',
    remedy: 'Look at them first with causeway-hub peek, then add --yes',
  },
  ROUTE_MESSAGE_UNNAMED: {
    meaning: 'it must be said which message is meant',
    remedy: 'Give either --message FILE, or --topic with --header NAME=VALUE and --body FILE as needed',
  },
  ROUTE_RULE_MISSING: {
    meaning: 'the file has no rule of that name',
    remedy: 'Correct --rule, or leave it out',
  },
  LINK_HTTP_OFF: {
    meaning: 'the hub does not listen for browsers, so a link would lead nowhere',
    remedy: 'Set listen.http.enabled: true in hub.yaml and restart the hub',
  },
  LINK_ADDRESS_UNKNOWN: {
    meaning: 'it is not known at which address people reach the hub',
    remedy: 'Set listen.http.url in hub.yaml, such as https://files.example.org',
  },
  LINK_USES_UNCLEAR: {
    meaning: 'a link is good for one file, or for another number of them',
    remedy: 'Give --once or --uses, not both',
  },
})
