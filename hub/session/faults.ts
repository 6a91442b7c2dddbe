import { declareFaults } from '#protocol/base/mod.ts'

export const hubSessionFault = declareFaults('hub-session', {
  RIGHT_MISSING: {
    meaning: 'the agent is not allowed to do this',
    remedy: 'Ask the operator of the hub to grant it: causeway-hub grant AGENT --publish PATTERN --consume PATTERN',
  },
  STREAM_UNKNOWN: {
    meaning: 'a batch names a stream that was not opened in this session',
    remedy: 'Send OPEN_STREAM first',
  },
  STREAM_UNNAMED: { meaning: 'a stream has no name', remedy: 'Give the stream a name of 1 to 200 bytes' },
  FRAMES_TOO_SMALL: {
    meaning: 'a consumer cannot take frames of the size batches may have',
    remedy: 'Raise frameBytesMax in its HELLO to the limit of protocol/spec',
  },
  BATCH_FOREIGN: {
    meaning: 'a batch says it comes from another agent, stream or epoch than it was sent on',
    remedy: 'Send only batches sealed by this agent, on the stream they were sealed for',
  },
  CONTENT_MISSING: {
    meaning: 'a message refers to a large content that the hub does not have, or that its sender may not fetch itself',
    remedy:
      'Nothing is lost: the sender keeps the batch and offers it again until the content is there. If it never comes, look whether its transfer goes on; send a content before the messages that refer to it',
  },
  CONSUMER_UNKNOWN: {
    meaning: 'a frame names a consumer this session does not have',
    remedy: 'Subscribe first',
  },
  SESSION_LIMIT: {
    meaning: 'the session has as many streams or consumers as it may',
    remedy: 'Close some first, or spread them over several agents',
  },
  SUBSCRIPTION_INVALID: {
    meaning: 'a subscription is not well formed',
    remedy: 'Give either the name of a queue, or a name and at least one topic pattern',
  },
  SETTLEMENT_INVALID: {
    meaning: 'a settlement names messages that were not delivered to this consumer, or no outcome',
    remedy: 'Settle each delivered message once: processed, rejected or retry',
  },
  IDENTITY_TAKEN_OVER: {
    meaning: 'the same agent has connected again',
    remedy: 'If two machines use one identity (a cloned disk), enrol one of them under a name of its own',
  },
  STORE_ROLLED_BACK: {
    meaning: "the hub's store is an older copy of what it was: it lacks what it had acknowledged",
    remedy:
      'The hub has given its store a new id and goes on; agents connect again and name what was lost. If you restored a backup, run causeway-hub store restored before the next start; if not, check the disk and who put the folder back',
  },
  ROLLBACK_CLAIMED_AGAIN: {
    meaning:
      'an agent says that the hub lacks what it had acknowledged, and the hub has believed that once since its start',
    remedy:
      'If the folder was restored once more, stop the hub, run causeway-hub store restored and start it. If not, this agent may be lying: look at it, and causeway-hub revoke it',
  },
  QUEUE_CHANGED: {
    meaning: 'an operator replays or removes a queue this session consumes',
    remedy: 'Nothing to do: the agent connects again and goes on with what the queue has then',
  },
})
