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
  QUEUE_CHANGED: {
    meaning: 'an operator replays or removes a queue this session consumes',
    remedy: 'Nothing to do: the agent connects again and goes on with what the queue has then',
  },
})
