// Batches to queues among 10,000 rules: topics that were seen before, and topics that were not.

import { Router } from '#hub/router/mod.ts'
import { DEFAULT_POLICY, Queue } from '#hub/store/mod.ts'
import { NO_HEADERS, openBatch } from '#protocol/codec/mod.ts'
import { MESSAGES, sealed } from './samples.ts'
import type { Suite } from './suite.ts'

const RULES = 10_000
const UNSEEN = 1000

export function router(): Suite {
  const queue = (id: number, topic: string) =>
    new Queue({
      id,
      name: `queue-${id}`,
      rule: { topics: [topic], where: {} },
      owner: null,
      ephemeral: false,
      policy: DEFAULT_POLICY,
    })
  const routing = new Router()
  routing.compile(Array.from({ length: RULES }, (_, i) => queue(i + 1, `permits/${i}/#`)))
  const unrouted = queue(RULES + 1, 'nowhere')
  const one = openBatch(sealed({ compression: 'none', tree: false }))
  const hundred = openBatch(sealed({ compression: 'none', tree: false, topics: 100 }))
  const unseen = Array.from({ length: UNSEEN }, (_, i) => ({ topic: `permits/${i}/seen/${i}`, headers: NO_HEADERS }))
  return {
    cases: [
      {
        name: 'route a batch of one topic',
        unit: 'messages',
        perRun: MESSAGES,
        run: () => routing.route(one, unrouted),
      },
      {
        name: 'route a batch of 100 topics in turn',
        unit: 'messages',
        perRun: MESSAGES,
        run: () => routing.route(hundred, unrouted),
      },
      {
        name: 'find the queues of a topic that was not seen before',
        unit: 'topics',
        perRun: UNSEEN,
        run: () => {
          for (const envelope of unseen) routing.queuesOf(envelope)
        },
      },
    ],
  }
}
