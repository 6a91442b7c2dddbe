// Filters of messages as they are asked for: the same settings on a command line and in a request.

import { patternProblem } from '#protocol/codec/mod.ts'
import { f, type Infer } from '#protocol/fields/mod.ts'
import { IDS_MAX } from './limits.ts'
import { idProblem } from './message-id.ts'

export const NAME_LENGTH_MAX = 512

export const queueName = f.text({ doc: 'name of the queue', maxLength: NAME_LENGTH_MAX })

export const contentId = f.text({
  doc: 'its id: 32 hexadecimal digits, as in header :content of its message',
  pattern: /^[0-9a-f]{32}$/,
  example: '0f9d1b62c4a84b3f8d7e6a5b4c3d2e1f',
})

export const contentState = f.choice(['whole', 'arriving', 'incomplete', 'damaged'], {
  doc: 'whole, arriving, incomplete (its sender stopped) or damaged',
  optional: true,
})

export const filterFields = {
  id: f.list(f.text({ doc: 'ORIGIN/STREAM/EPOCH/SEQ', check: idProblem }), {
    doc: 'these messages, as peek shows them; without EPOCH the newest',
    max: IDS_MAX,
    default: [],
  }),
  origin: f.text({ doc: 'of this agent', maxLength: NAME_LENGTH_MAX, optional: true }),
  topic: f.text({ doc: 'with a topic that fits this pattern', check: patternProblem, optional: true }),
  reason: f.text({ doc: 'with a reason that begins with this code', maxLength: NAME_LENGTH_MAX, optional: true }),
  from: f.text({ doc: 'dead-lettered from this queue', maxLength: NAME_LENGTH_MAX, optional: true }),
  olderThan: f.duration({ doc: 'accepted at least this long ago', optional: true }),
}

export const filterSpec = f.object(filterFields)
export type Filter = Infer<typeof filterSpec>

/** The filter alone, of settings that hold one among others. */
export function filterOf({ id, origin, topic, reason, from, olderThan }: Filter): Filter {
  return {
    id,
    ...(origin === undefined ? {} : { origin }),
    ...(topic === undefined ? {} : { topic }),
    ...(reason === undefined ? {} : { reason }),
    ...(from === undefined ? {} : { from }),
    ...(olderThan === undefined ? {} : { olderThan }),
  }
}

/** Whether it fits every message. */
export function isEmptyFilter(filter: Filter): boolean {
  const { id, ...rest } = filterOf(filter)
  return id.length === 0 && Object.keys(rest).length === 0
}
