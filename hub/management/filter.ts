// Filters of messages as they are asked for: the same settings on a command line and in a request.

import { patternProblem } from '#protocol/codec/mod.ts'
import { f, type Infer } from '#protocol/fields/mod.ts'
import { IDS_MAX } from './limits.ts'
import { idProblem } from './message-id.ts'

const NAME_LENGTH_MAX = 512

export const queueName = f.text({ doc: 'name of the queue', maxLength: NAME_LENGTH_MAX })

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
