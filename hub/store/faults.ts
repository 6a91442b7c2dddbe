import { declareFaults } from '#protocol/base/mod.ts'

export const storeFault = declareFaults('store', {
  STORE_FULL: {
    meaning: "the hub's store cannot take more",
    remedy:
      'Free disk space or raise store.mapBytesMax in hub.yaml; senders keep their messages and go on by themselves',
  },
  STORE_IN_USE: {
    meaning: 'another process has this data folder open',
    remedy: 'Stop the other hub first, or start this one with another --data folder',
  },
  STORE_MISSING: {
    meaning: 'there is no store in this folder',
    remedy: 'Give the data folder of a hub: the one that holds the folder "store"',
  },
  STORE_VERSION: {
    meaning: 'the data folder was written by another version of the store',
    remedy: 'Start the version that wrote it, or migrate the folder',
  },
  STORE_DAMAGED: {
    meaning: 'something read back from the store is not what was written',
    remedy:
      'Check the disk; stop the hub and run store check, then store repair: it names the messages that are lost; or restore a backup',
  },
  STORE_IO: {
    meaning: "the disk failed while the hub's store was writing or reading",
    remedy: 'Check the disk and the system log; agents keep what was not acknowledged and send it again',
  },
  STORE_CLOSED: {
    meaning: "the hub's store is closed",
    remedy: 'The hub is stopping; agents keep what was not acknowledged and go on when it is back',
  },
  CONTENT_UNKNOWN: {
    meaning: 'there is no content of that name here',
    remedy: 'It was removed, or never begun: send it again under a new name',
  },
  CONTENT_CONFLICT: {
    meaning: 'a content of that name is here already and is another one',
    remedy: 'Begin again under a new name: what a content consists of cannot be changed',
  },
  CONTENT_INCOMPLETE: {
    meaning: 'a content cannot be sealed while parts of it are missing',
    remedy: 'Send the parts that are missing, then seal it again',
  },
  CONTENT_INVALID: {
    meaning: 'a content cannot be described like this',
    remedy: 'Keep to the lengths that the message names',
  },
  CHUNK_UNKNOWN: {
    meaning: 'a chunk with this digest is not here',
    remedy: 'Send its bytes',
  },
  STREAM_GAP: {
    meaning: 'a batch skips sequence numbers of its stream',
    remedy: 'The agent continues after the last number the hub has; it does so by itself after OPEN_STREAM',
  },
  STREAM_OVERLAP: {
    meaning: 'a batch repeats a part of what the hub has, with other borders',
    remedy: 'The agent must send sealed batches again as they were, not cut anew',
  },
  STREAM_LIMIT: {
    meaning: 'an agent opened more streams than allowed',
    remedy: 'Use fewer streams at once',
  },
  STREAM_NAME_INVALID: {
    meaning: 'a stream cannot have this name',
    remedy: 'Use a name of 1 to 200 bytes',
  },
  QUEUE_UNKNOWN: {
    meaning: 'there is no queue of that name',
    remedy: 'Declare it under queues: in hub.yaml, or subscribe to topics instead',
  },
  QUEUE_LIMIT: {
    meaning: 'an agent has as many durable subscriptions as it may',
    remedy: 'Forget those that are no longer used: unsubscribe with forget',
  },
  QUEUE_NAME_INVALID: {
    meaning: 'a queue or subscription cannot have this name',
    remedy: 'Use a shorter name',
  },
  QUEUE_CONFLICT: {
    meaning: 'a queue of that name exists with other rules',
    remedy: 'Choose another name, or change the rules in one place',
  },
  QUEUE_FULL: {
    meaning: 'a queue is as full as it may be',
    remedy: 'Nothing is lost: the sender keeps the batch and tries again; consume the queue, or raise its limits',
  },
  RECEIPTS_FULL: {
    meaning: 'an agent has as many receipts to collect as it may',
    remedy:
      'Nothing is lost: its messages that ask for receipts wait. Let its application take and settle its receipts (client.receipts()), publish without asking for them, raise receipts.bytesMax in hub.yaml, or drop them with causeway-hub purge receipts/AGENT --all --yes',
  },
  QUEUE_BUSY: {
    meaning: 'a queue cannot be replayed while consumers have messages of it out',
    remedy: 'Stop its consumers, or wait until they have settled, then try again',
  },
  QUEUE_NOT_RETAINED: {
    meaning: 'a queue keeps nothing that could be replayed',
    remedy: 'Give it retain: { ms: … } or retain: { bytes: … } first; what was settled before is gone',
  },
  QUEUE_NOT_OWNED: {
    meaning: 'only subscriptions and other queues of an agent can be forgotten',
    remedy: 'Take it out of queues: in hub.yaml and purge it, or purge it alone',
  },
})
