// A queue's policy as it travels, turned into the store's.

import { DEFAULT_POLICY, policyOf, type QueuePolicy } from '#hub/store/mod.ts'
import { OnExpire, OnFull, QueueOrder, type QueuePolicy as WirePolicy } from '#protocol/schema/mod.ts'
import { PARTITIONS_MAX } from '#protocol/session/mod.ts'
import { hubSessionFault } from './faults.ts'

const ORDERS = { [QueueOrder.NONE]: 'none', [QueueOrder.STREAM]: 'stream', [QueueOrder.KEY]: 'key' } as const
const ON_FULL = {
  [OnFull.BLOCK]: 'block',
  [OnFull.DROP_OLDEST]: 'drop-oldest',
  [OnFull.DEAD_LETTER]: 'dead-letter',
} as const
const ON_EXPIRE = { [OnExpire.DEAD_LETTER]: 'dead-letter', [OnExpire.DROP]: 'drop' } as const

/** Faults: `SUBSCRIPTION_INVALID` for a value this version does not know. */
export function policyFrom(wire: WirePolicy): QueuePolicy {
  const order = ORDERS[wire.order]
  const onFull = ON_FULL[wire.onFull]
  const onExpire = ON_EXPIRE[wire.onExpire]
  if (order === undefined || onFull === undefined || onExpire === undefined || wire.partitions > PARTITIONS_MAX) {
    throw hubSessionFault('SUBSCRIPTION_INVALID', { where: 'policy' })
  }
  const { partitions, messagesMax, bytesMax, ageMsMax, maxDeliver, retainMs, retainBytes } = wire
  const limits = { partitions, messagesMax, bytesMax, ageMsMax, maxDeliver, retainMs, retainBytes }
  return policyOf({ ...DEFAULT_POLICY, order, onFull, onExpire, ...limits })
}
