// Faults of rules that are deployed, and of messages on their way by them.

import { declareFaults } from '#protocol/base/mod.ts'

export const routerFault = declareFaults('router', {
  RULES_UNREADABLE: {
    meaning: 'the deployed rules cannot be read',
    remedy:
      'Restore the folder `routes` of the data folder from a backup: without the rules in force the hub does not start. Messages that came in under an earlier version wait for it; causeway-hub route forget VERSION has the rules in force decide them',
  },
  RULES_NONE: {
    meaning: 'no rules are deployed',
    remedy: 'Deploy some: causeway-hub route deploy FILE',
  },
  RULES_VERSION_READABLE: {
    meaning: 'the version can be read: what came in under it is decided by it',
    remedy: 'Leave it: only a version that holds messages up, as route history shows, can be forgotten by hand',
  },
  RULES_FILES_INVALID: {
    meaning: 'the rule file, or what lies beside it, cannot be deployed',
    remedy: 'Keep the rule file and what its pipelines read in a folder of their own, without hidden files or links',
  },
  RULES_VERSION_UNKNOWN: {
    meaning: 'there is no such version of the rules',
    remedy: 'See causeway-hub route history; the oldest versions are forgotten',
  },
  ROUTE_QUEUE_GONE: {
    meaning: 'a rule names a queue that is not there any more',
    remedy: 'Deploy rules with another queue, then causeway-hub redrive',
  },
  ROUTE_GROUP_TOO_LARGE: {
    meaning: 'what the pipeline made of several messages is too large for one',
    remedy:
      'Have `merge` give documents (`as`), which may have any size, or end its groups sooner (`count`, `groupBytes`, `itemsMax`); these dead letters are what the group was made of',
  },
  ROUTE_RULE_GONE: {
    meaning: 'the rule that sent the message on is not there any more',
    remedy: 'Deploy a rule of that name, then causeway-hub redrive; or causeway-hub redrive --to a queue',
  },
  NO_ROUTE: {
    meaning: 'no rule matches the message, and there is no default',
    remedy: 'See causeway-hub route explain with the message; add a rule or a default, then causeway-hub redrive',
  },
  ROUTE_CONTENT: {
    meaning: 'the content of the message could not be looked at',
    remedy: 'Correct the message at its source, or do not ask its content: the rule says what it expects',
  },
  ROUTE_MESSAGE_DAMAGED: {
    meaning: 'the message cannot be read',
    remedy: 'Its origin sealed it wrongly, or the disk is damaged: run causeway-hub store check',
  },
})
