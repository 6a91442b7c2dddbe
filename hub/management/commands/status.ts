// What the running hub is doing, on one screen.

import type { HubStatus, QueueStatus } from '#hub/telemetry/mod.ts'
import { command, EXIT_OK, f } from '#protocol/fields/mod.ts'
import { fetchStatus } from '../contact.ts'
import { age, count, grid, printable, size, time } from '../show.ts'
import { data, json } from './settings.ts'

export const status = command({
  summary: 'what the running hub is doing',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const now = await fetchStatus(settings.data)
    console.log(settings.json ? JSON.stringify(now) : statusLines(now, Date.now()).join('\n'))
    return EXIT_OK
  },
})

/** A monitor's screen: `queues --all` shows the rest. */
const QUEUES_SHOWN_MAX = 100

/** What `status` prints. */
export function statusLines(now: HubStatus, nowMs: number): string[] {
  const { listen, messages, wire, store, contents, queues, sessions } = now
  const shown = queues.slice(0, QUEUES_SHOWN_MAX)
  const hidden = queues.length - shown.length + (now.queuesHidden ?? 0)
  return [
    `Hub ${now.name}, process ${now.processId}, since ${time(now.startedAtMs)}`,
    `TCP ${listen.tcp}, WebSocket ${listen.websocket ?? 'off'}, memory ${size(now.rssBytes)}`,
    `Messages: ${count(messages.accepted)} accepted, ${count(messages.settled)} settled, ${count(messages.duplicate)} repeated`,
    `Wire: ${size(wire.bytesIn)} in, ${size(wire.bytesOut)} out; store: ${size(store.bytes)} of ${size(store.bytesMax)}`,
    ...(contents.contents === 0 ? [] : [contentsLine(contents)]),
    ...deadLetterLines(queues, nowMs),
    '',
    ...queueGrid(shown, nowMs),
    ...(hidden === 0 ? [] : ['', moreQueues(hidden)]),
    '',
    ...grid(
      [{ title: 'AGENT' }, { title: 'TRANSPORT' }, { title: 'REMOTE' }, { title: 'CONSUMERS', right: true }],
      sessions.map(({ agent, transport, remote, consumers }) => [agent, transport, remote, count(consumers)]),
    ),
  ]
}

function contentsLine({ contents, bytes, bytesMax, uploads, downloads, lostChunks }: HubStatus['contents']): string {
  const moving = uploads + downloads === 0 ? '' : `; ${count(uploads)} arriving, ${count(downloads)} being fetched`
  const lost = lostChunks === 0 ? '' : `; DAMAGED CHUNKS: ${count(lostChunks)}`
  return `Large content: ${count(contents)}, ${size(bytes)} of ${size(bytesMax)}${moving}${lost}`
}

export const moreQueues = (number: number): string =>
  `${count(number)} more queues, inboxes and receipts without messages: causeway-hub queues --all`

/** What waits for a person: in the eye as soon as there is any. */
function deadLetterLines(queues: readonly QueueStatus[], nowMs: number): string[] {
  const lines: string[] = []
  for (const [name, what] of [
    ['$dead', 'DEAD LETTERS'],
    ['$unrouted', 'UNROUTED'],
  ] as const) {
    const queue = queues.find((one) => one.name === name)
    if (queue === undefined || queue.depth === 0) continue
    const { depth, bytes, oldestAtMs } = queue
    const since = oldestAtMs === null ? '' : `, the oldest ${age(nowMs - oldestAtMs)} ago`
    lines.push(`${what}: ${count(depth)}, ${size(bytes)}${since}; see causeway-hub peek '${name}'`)
  }
  return lines.length === 0 ? [] : ['', ...lines]
}

/** A line for each queue. */
export function queueGrid(
  queues: readonly Pick<
    QueueStatus,
    'name' | 'depth' | 'delayed' | 'inFlight' | 'consumers' | 'bytes' | 'oldestAtMs'
  >[],
  nowMs: number,
): string[] {
  const right = ['WAITING', 'IN FLIGHT', 'CONSUMERS', 'SIZE', 'OLDEST'].map((title) => ({ title, right: true }))
  const rows = queues.map(({ name, depth, delayed, inFlight, consumers, bytes, oldestAtMs }) => [
    printable(name),
    count(depth - inFlight - delayed),
    count(inFlight),
    count(consumers),
    size(bytes),
    oldestAtMs === null ? '' : age(nowMs - oldestAtMs),
  ])
  return grid([{ title: 'QUEUE' }, ...right], rows)
}
