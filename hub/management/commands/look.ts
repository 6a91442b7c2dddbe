// Looking at queues and messages of the running hub.

import { command, f, formatBytes, formatDuration } from '#protocol/fields/mod.ts'
import type { PeekAnswer, QueuesAnswer } from '../admin.ts'
import { filterFields, filterOf, queueName } from '../filter.ts'
import { PEEK_MAX } from '../limits.ts'
import { formatId, idProblem } from '../message-id.ts'
import type { MessageView, QueueView, RouteDetail, TraceView } from '../operator.ts'
import { age, count, grid, labelled, limit, printable, size, time } from '../show.ts'
import { ask, data, json } from './settings.ts'
import { moreQueues, queueGrid } from './status.ts'

export const queues = command({
  summary: 'list the queues, or tell everything about one',
  positionals: ['queue'],
  spec: f.object({
    queue: f.text({ doc: 'name of a queue', optional: true }),
    all: f.boolean({ doc: 'also inboxes and receipts that hold nothing', default: false }),
    data,
    json,
  }),
  run: ({ queue, all, ...settings }) => {
    const request = { command: 'queues', all, ...(queue === undefined ? {} : { queue }) } as const
    return ask<QueuesAnswer>(settings, request, ({ queues, hidden }) => {
      const [first] = queues
      if (queue !== undefined && first !== undefined) return queueLines(first, Date.now())
      return [...queueGrid(queues, Date.now()), ...(hidden === 0 ? [] : ['', moreQueues(hidden)])]
    })
  },
})

export const peek = command({
  summary: 'show messages of a queue without taking them',
  positionals: ['queue'],
  spec: f.object({
    queue: queueName,
    limit: f.integer({ doc: 'messages shown at most', min: 1, max: PEEK_MAX, default: 10 }),
    ...filterFields,
    data,
    json,
  }),
  run: (settings) => {
    const { queue, limit } = settings
    return ask<PeekAnswer>(settings, { command: 'peek', queue, limit, filter: filterOf(settings) }, (answer) => {
      const { messages, depth } = answer
      const nowMs = Date.now()
      const shown = messages.flatMap((message, i) => [...(i === 0 ? [] : ['']), ...messageLines(message, nowMs)])
      const of = depth === messages.length ? '' : ` of ${count(depth)}`
      return [
        ...shown,
        ...(shown.length === 0 ? [] : ['']),
        `${count(messages.length)}${of} ${messages.length === 1 && of === '' ? 'message' : 'messages'} of ${queue}`,
      ]
    })
  },
})

export const trace = command({
  summary: 'tell what happened to a message, and where its copies are',
  positionals: ['id'],
  spec: f.object({
    id: f.text({ doc: 'ORIGIN/STREAM/EPOCH/SEQ, as peek shows it; without EPOCH the newest', check: idProblem }),
    data,
    json,
  }),
  run: ({ id, ...settings }) => ask<TraceView>(settings, { command: 'trace', id }, traceLines),
})

/** What `queues QUEUE` prints. */
export function queueLines(queue: QueueView, nowMs: number): string[] {
  const { depth, inFlight, delayed, retained, bytes, oldestAtMs, consumers, owner } = queue
  const oldest = oldestAtMs === null ? 'none' : `${time(oldestAtMs)}, ${age(nowMs - oldestAtMs)} ago`
  const held = `${count(depth - inFlight - delayed)} waiting, ${count(inFlight)} in flight, ${count(delayed)} delayed`
  const lanes = queue.lanes.map(({ lane, priority, partition, depth, inFlight, floor, tail }) =>
    [lane, priority, partition, count(depth), count(inFlight), count(floor), count(tail)].map(String),
  )
  const titles = ['PART', 'DEPTH', 'IN FLIGHT', 'FLOOR', 'TAIL'].map((title) => ({ title, right: true }))
  return [
    `Queue ${printable(queue.name)}`,
    ...labelled('topics', printable(queue.topics.join(', ')) || 'none: only the hub puts messages here'),
    ...labelled('owner', owner ?? 'none: whoever has the right may consume it'),
    ...labelled('messages', `${held}, ${count(retained)} retained; ${size(bytes)}`),
    ...labelled('oldest', oldest),
    ...labelled('consumers', count(consumers)),
    ...policyLines(queue),
    ...labelled('counted', `${countersText(queue)} (since the hub started)`),
    '',
    ...grid([{ title: 'LANE' }, { title: 'PRIORITY' }, ...titles], lanes),
  ]
}

function policyLines({ policy }: QueueView): string[] {
  const { order, partitions, messagesMax, bytesMax, ageMsMax, onFull, maxDeliver, deadLetter, onExpire } = policy
  const { retainMs, retainBytes } = policy
  const kept = [retainMs === 0 ? '' : formatDuration(retainMs), retainBytes === 0 ? '' : formatBytes(retainBytes)]
  const limits = [
    `messages ${limit(messagesMax, count)}`,
    `bytes ${limit(bytesMax, formatBytes)}`,
    `age ${limit(ageMsMax, formatDuration)}`,
  ]
  return [
    ...labelled('order', order === 'none' ? 'none' : `by ${order}, ${partitions} partitions`),
    ...labelled('limits', `${limits.join(', ')}; when full: ${onFull}; when too old: ${onExpire}`),
    ...labelled('deliveries', `${limit(maxDeliver, count)}; dead letters go to ${printable(deadLetter)}`),
    ...labelled('retained', kept.filter((part) => part !== '').join(', at most ') || 'nothing'),
  ]
}

function countersText({ counters }: QueueView): string {
  const names: readonly (readonly [string, number])[] = [
    ['in', counters.in],
    ['delivered', counters.delivered],
    ['processed', counters.processed],
    ['rejected', counters.rejected],
    ['retried', counters.retried],
    ['expired', counters.expired],
    ['dropped', counters.dropped],
    ['dead-lettered', counters.deadLettered],
    ['redriven', counters.redriven],
  ]
  return names.map(([name, number]) => `${count(number)} ${name}`).join(', ')
}

/** One message of `peek`. */
export function messageLines(message: MessageView, nowMs: number): string[] {
  const { topic, key, headers, bodyBytes, preview, acceptedAtMs, attempts, inFlight, reason, from } = message
  const named = Object.entries(headers).map(([name, value]) => `${name}=${String(value)}`)
  const accepted = `${time(acceptedAtMs)}, ${age(nowMs - acceptedAtMs)} ago`
  const expires = message.expiresAtMs === null ? '' : `; expires ${time(message.expiresAtMs)}`
  const place = `lane ${message.lane}, position ${count(message.position)}${inFlight ? ', in flight' : ''}`
  const origin = from === null ? '' : ` (from ${from})`
  return [
    printable(formatId(message.id)),
    ...labelled('topic', printable(`${topic}${key === null ? '' : `, key ${key}`}`)),
    ...labelled('accepted', `${accepted}${expires}`),
    ...labelled('place', `${place}, delivered ${attempts === 1 ? 'once' : `${count(attempts)} times`}`),
    ...(reason === '' && from === null ? [] : labelled('reason', printable(`${reason}${origin}`))),
    ...(named.length === 0 ? [] : labelled('headers', printable(named.join(' ')))),
    ...labelled('body', `${size(bodyBytes)}: ${printable(preview)}${preview.length < bodyBytes ? ' …' : ''}`),
  ]
}

/** What `trace` prints. */
export function traceLines({ id, batch, copies, events }: TraceView): string[] {
  const right = ['LANE', 'POSITION', 'ATTEMPTS'].map((title) => ({ title, right: true }))
  const rows = copies.map(({ queue, lane, position, state, attempts }) =>
    [printable(queue), state, lane, count(position), count(attempts)].map(String),
  )
  return [
    `Message ${printable(formatId(id))}`,
    ...labelled('accepted', `${time(batch.acceptedAtMs)}, in a batch of ${count(batch.count)}`),
    '',
    ...(rows.length === 0
      ? ['No copy of it is left in any queue.']
      : grid([{ title: 'COPY IN' }, { title: 'STATE' }, ...right], rows)),
    '',
    ...events.flatMap(({ atMs, what, queue, by, reason, detail }) => {
      const where = queue === '' ? '' : ` in ${queue}`
      const who = by === '' ? '' : ` by ${by}`
      const why = reason === '' ? '' : what === 'made' ? ` of ${reason}` : `: ${reason}`
      return [
        ...labelled(time(atMs), printable(`${what}${where}${who}${why}`), { indent: 0, label: 20 }),
        ...routeLines(detail),
      ]
    }),
  ]
}

/** What rules and pipelines did: which version by whom, and each step with what went in and came out. */
function routeLines(detail: unknown): string[] {
  if (typeof detail !== 'object' || detail === null) return []
  const { version, by, again, rules = [] } = detail as Partial<RouteDetail>
  const how = again === undefined ? [] : labelled('', printable(`sent back: ${again}`), { indent: 0, label: 20 })
  const told = rules.flatMap(({ rule, pipeline, steps = [], contents = { in: [], out: [] } }) => {
    const through = pipeline === undefined ? '' : `, pipeline ${pipeline}`
    const head = `rule ${rule}${through}; version ${version} deployed by ${by}`
    return [
      ...labelled('', printable(head), { indent: 0, label: 20 }),
      ...steps.flatMap((one) => {
        const numbers = `${count(one.itemsIn)} → ${count(one.itemsOut)}, ${one.ms.toFixed(1)} ms`
        const text = `step ${one.step} ${one.type}: ${numbers}, ${short(one.digestIn)} → ${short(one.digestOut)}`
        return labelled('', printable(text), { indent: 0, label: 20 })
      }),
      ...contents.in.flatMap((id) => labelled('', `content ${id} in`, { indent: 0, label: 20 })),
      ...contents.out.flatMap((id) => labelled('', `content ${id} out`, { indent: 0, label: 20 })),
    ]
  })
  return [...how, ...told]
}

const short = (digest: string): string => digest.slice(0, 12)
