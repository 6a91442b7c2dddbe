// Settings of queues as the store's policies: the same shape as its `QueuePolicy`, whose names have their units last.

import type { HubSettings, QueueSettings } from './spec.ts'

/** What a queue of the file shall do; the store fills in what is left out. */
export function queuePolicy(queue: QueueSettings) {
  const { order, partitions, limits, onFull, maxDeliver, deadLetter, onExpire, retain } = queue
  return {
    order,
    ...(partitions === undefined ? {} : { partitions }),
    ...limitsOf(limits),
    onFull,
    maxDeliver,
    deadLetter,
    onExpire,
    retainMs: retain.ms,
    retainBytes: retain.bytes,
  }
}

/**
 * What agents' inboxes shall do. They never block: one agent that does not come for its messages would stop what is
 * meant for all. It gets the newest ones.
 */
export function inboxPolicy({ inbox }: Pick<HubSettings, 'inbox'>) {
  return { ...limitsOf(inbox), onFull: 'drop-oldest', onExpire: 'drop' } as const
}

/** Of $dead and $unrouted: senders never wait for them, and nothing comes after them. */
export function deadLettersPolicy({ deadLetters }: Pick<HubSettings, 'deadLetters'>) {
  const { keepMs, bytesMax } = deadLetters
  return { ageMsMax: keepMs, bytesMax, onFull: 'drop-oldest', onExpire: 'drop' } as const
}

const limitsOf = ({ messages, bytes, ageMs }: QueueSettings['limits']) => {
  return { messagesMax: messages, bytesMax: bytes, ageMsMax: ageMs }
}
