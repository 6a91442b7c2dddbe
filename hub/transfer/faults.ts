import { declareFaults } from '#protocol/base/mod.ts'

export const hubTransferFault = declareFaults('hub-transfer', {
  CONTENT_ABSENT: {
    meaning: 'the hub has no content of that name for this agent',
    remedy:
      'It was never sent here, or was removed because it expired or no message referred to it any more: then ask its sender to send it again. Or no message that refers to it was sent where this agent may consume it: then ask its sender for one',
  },
  CONTENT_EXPIRED: {
    meaning: 'the time for which its sender wanted the content to be kept is over',
    remedy: 'Ask its sender to send it again, with more time (send file --expires)',
  },
  CONTENT_FOREIGN: {
    meaning: 'a content of that name was begun by another agent, or as another content',
    remedy: 'Send it under a new name',
  },
  CONTENT_BUSY: {
    meaning: 'the content is being sent in another session, or is just being removed',
    remedy: 'Nothing to do: it is tried again',
  },
  CONTENT_CANCELLED: {
    meaning: 'its sender has given the content up',
    remedy: 'Nothing to do. Ask its sender for another one if it is still wanted',
  },
  CONTENT_REMOVED: {
    meaning: 'an operator of the hub has removed the content',
    remedy: 'Ask the operator of the hub why; send it again as a new content',
  },
  CONTENT_HELD: {
    meaning: 'messages that are not settled everywhere refer to the content',
    remedy:
      'See them with causeway-hub contents show ID. With --force it is removed all the same: whoever receives them cannot have it',
  },
  CONTENT_IN_USE: {
    meaning: 'the content is being sent or fetched',
    remedy: 'Wait until that is over, or end it with --force',
  },
  CONTENT_DAMAGED: {
    meaning: 'a part of the content was damaged on the disk of the hub',
    remedy:
      'It goes on when its sender sends it again (only what is damaged travels), or anybody another content that has this part. Check the disk of the hub',
  },
  CONTENT_NO_ROOM: {
    meaning: 'the hub has no room for the content',
    remedy: 'Free or enlarge what the hub holds (contents.bytesMax, the disk); the transfer goes on by itself',
  },
  CONTENT_TOO_LARGE: {
    meaning: 'the content is larger than the hub ever takes',
    remedy: 'Raise contents.bytesMax in hub.yaml, or split the content',
  },
  TRANSFERS_TOO_MANY: {
    meaning: 'as many transfers are under way as may be',
    remedy: 'Nothing to do: it is tried again',
  },
  TRANSFER_UNKNOWN: {
    meaning: 'a frame names a transfer this session does not have',
    remedy: 'Open it first; the agent is faulty',
  },
})
