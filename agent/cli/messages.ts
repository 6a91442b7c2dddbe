// causeway-agent send and receive: trying a connection by hand, and scripts.

import { isUtf8 } from 'node:buffer'
import type { Client, Delivery, Publisher, ReceiptFacts, SubscribeOptions } from '#agent/client/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import {
  ATTRIBUTE_MS_MAX,
  HEADER_CONTENT,
  HEADER_DELAY_MS,
  HEADER_PRIORITY,
  HEADER_TTL_MS,
  patternProblem,
  topicProblem,
} from '#protocol/codec/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, EXIT_USAGE, f, faultsText, formatDuration } from '#protocol/fields/mod.ts'
import { BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import { agentFault } from '../telemetry/mod.ts'
import { connect, data, json } from './common.ts'

const DAY_MS = 86_400_000
/** A hub that does not take messages is spoken of after so long. */
const SILENT_MS = 1000

const topic = f.text({ doc: 'topic', maxLength: 255, example: 'division/village', check: topicProblem })
const key = f.text({ doc: 'key of the message', maxLength: 1024, optional: true })
const body = f.text({
  doc: 'the message; without it, every line of standard input is one',
  minLength: 0,
  maxLength: 2 ** 20,
  optional: true,
})

const header = f.record(f.text({ doc: 'value', minLength: 0 }), {
  doc: 'headers, as name=value',
  max: 64,
  default: {},
  check: reservedProblem,
})
const priority = f.choice(['normal', 'urgent', 'bulk'] as const, {
  doc: 'urgent ones overtake, bulk ones let others pass',
  default: 'normal',
})
/** Headers that say what options say: one of the two would be lost without a word. */
function reservedProblem(headers: Readonly<Record<string, string>>): string | null {
  const reserved: Readonly<Record<string, string>> = {
    [HEADER_PRIORITY]: '--priority says it',
    [HEADER_TTL_MS]: '--ttl or --expires says it',
    [HEADER_DELAY_MS]: '--delay says it',
    [HEADER_CONTENT]: 'send file says it',
  }
  const name = Object.keys(headers).find((one) => Object.hasOwn(reserved, one))
  return name === undefined ? null : `${name} is no header to give here: ${reserved[name]}`
}

/** What any message may be sent with. */
export const wishes = { topic, key, header, priority }

export const send = command({
  summary: 'send one message, or one for each line of standard input',
  spec: f.object({
    data,
    topic,
    body,
    key,
    header,
    priority,
    ttl: f.duration({ doc: 'worth nothing after this; 0 is for ever', max: ATTRIBUTE_MS_MAX, default: 0 }),
    delay: f.duration({ doc: 'deliver after this', max: ATTRIBUTE_MS_MAX, default: 0 }),
    receipts: f.duration({
      doc: 'wait so long for what becomes of the messages, and print it; 0 does not ask',
      max: DAY_MS,
      default: 0,
    }),
    json,
  }),
  run: async (settings) => {
    const client = await connect(settings.data)
    try {
      const publisher = client.publisher({
        stream: `send-${process.pid}-${Date.now()}`,
        proof: 'message',
        compression: 'zstd',
        receipts: settings.receipts > 0 ? 'final' : 'none',
      })
      const sent = await publishAll(publisher, settings)
      const unrouted = publisher.unroutedMessages
      const fates =
        settings.receipts === 0 ? null : await fatesOf(client, publisher, sent - unrouted, settings.receipts)
      if (settings.json) console.log(JSON.stringify({ sent, unrouted, ...fates }))
      else {
        console.log(`${sent} sent and stored by the hub${unrouted > 0 ? `; no queue wanted ${unrouted} of them` : ''}.`)
        for (const line of fateLines(fates, settings.receipts)) console.log(line)
      }
      const good = fates === null || (fates.unknown === 0 && fates.receipts.every(({ state }) => state === 'processed'))
      return good ? EXIT_OK : EXIT_FAILED
    } finally {
      await client.close()
    }
  },
})

type Outgoing = Parameters<Publisher['publish']>[0]
type SendSettings = {
  readonly topic: string
  readonly body?: string | undefined
  readonly key?: string | undefined
  readonly header: Readonly<Record<string, string>>
  readonly priority: 'normal' | 'urgent' | 'bulk'
  readonly ttl: number
  readonly delay: number
}

/** Publishes what is given and waits until it is stored; gives how many messages. A full queue makes it wait, and say so. */
async function publishAll(publisher: Publisher, settings: SendSettings): Promise<number> {
  const { topic, key, header: headers, priority, ttl: ttlMs, delay: delayMs } = settings
  const common = { topic, headers, priority, ttlMs, delayMs, ...(key === undefined ? {} : { key: Buffer.from(key) }) }
  let sent = 0
  await watched(publisher, async () => {
    for await (const line of bodies(settings.body)) {
      await publisher.room()
      const message: Outgoing = { ...common, body: line }
      // Told of a failure by `flush`.
      void publisher.publish(message)
      sent++
    }
    if (sent === 0) throw agentFault('INPUT_EMPTY')
    await publisher.flush()
  })
  return sent
}

/** Publishes, and says when the hub lets it wait. */
export async function watched(publisher: Publisher, act: () => Promise<void>): Promise<void> {
  let said = false
  const watch = setInterval(() => {
    if (publisher.refused === null || said) return
    said = true
    console.error(`Waiting: ${faultsText([publisher.refused], { json: false })}`)
  }, SILENT_MS)
  try {
    await act()
  } finally {
    clearInterval(watch)
  }
}

type Fates = {
  /** Messages `from` to `to` in the order they were given, from 1. */
  readonly receipts: readonly Pick<ReceiptFacts, 'from' | 'to' | 'state' | 'queue' | 'by' | 'reason' | 'atMs'>[]
  /** Messages nothing was heard of. */
  readonly unknown: number
}

/** What became of `count` messages of the publisher, as far as it is known in time. Receipts of others stay where they are. */
async function fatesOf(client: Client, publisher: Publisher, count: number, waitMs: number): Promise<Fates> {
  const { name: stream, epoch } = publisher
  const feed = await client.receipts()
  const timer = setTimeout(() => feed.close(), waitMs)
  const receipts: Fates['receipts'][number][] = []
  let unknown = count
  while (unknown > 0) {
    const receipt = await feed.next()
    if (receipt === null) break
    if (receipt.stream !== stream || receipt.epoch !== epoch || !receipt.final) continue
    const { from, to, state, queue, by, reason, atMs } = receipt
    receipts.push({ from, to, state, queue, by, reason, atMs })
    unknown -= to - from + 1
    receipt.settle()
  }
  clearTimeout(timer)
  feed.close()
  return { receipts, unknown }
}

function* fateLines(fates: Fates | null, waitMs: number): Generator<string> {
  for (const { from, to, state, queue, by, reason } of fates?.receipts ?? []) {
    const which = from === to ? `message ${from}` : `messages ${from} to ${to}`
    yield `${which}: ${state}${by === '' ? '' : ` by ${by}`} in ${queue}${reason === '' ? '' : `: ${reason}`}`
  }
  if (fates !== null && fates.unknown > 0) yield `${fates.unknown} without news after ${formatDuration(waitMs)}.`
}

/** Where messages come from. */
export const sources = {
  queue: f.text({ doc: 'a queue of the hub', maxLength: 200, optional: true }),
  inbox: f.boolean({ doc: 'what is addressed to this agent, to a group of its or to all', default: false }),
  name: f.text({
    doc: 'with --topic: a durable subscription of this name, which goes on collecting; without it ends with this command',
    maxLength: 100,
    optional: true,
  }),
  topic: f.list(f.text({ doc: 'topic pattern', check: patternProblem }), {
    doc: 'topics; may be repeated',
    min: 0,
    max: 64,
    default: [],
  }),
}

export const receive = command({
  summary: 'receive messages and print them, one JSON object a line',
  spec: f.object({
    data,
    ...sources,
    where: f.record(f.text({ doc: 'value' }), { doc: 'only with this header, as name=value', max: 16, default: {} }),
    retain: f.duration({
      doc: 'with --name: the hub keeps what was received for so long, for --replay',
      max: ATTRIBUTE_MS_MAX,
      default: 0,
    }),
    replay: f.duration({
      doc: 'with --name: first receive again what was sent within this time and is retained',
      max: ATTRIBUTE_MS_MAX,
      default: 0,
    }),
    count: f.integer({ doc: 'stop after this many; 0 goes on until Ctrl-C', min: 0, max: 2 ** 31, default: 0 }),
    timeout: f.duration({
      doc: 'stop when nothing came for so long; 0 waits for ever',
      min: 0,
      max: DAY_MS,
      default: 0,
    }),
    json,
  }),
  run: async (settings) => {
    const wrong = receiveProblem(settings)
    if (wrong !== null) {
      console.error(faultsText([wrong], settings))
      return EXIT_USAGE
    }
    const client = await connect(settings.data)
    try {
      const limits = settings.count > 0 ? { creditMessages: settings.count } : {}
      const subscription = await client.subscribe({ ...sourceOf(client, settings), ...limits })
      if (settings.replay > 0) await subscription.replay({ fromMs: Date.now() - settings.replay })
      const stop = () => subscription.close()
      process.once('SIGINT', stop).once('SIGTERM', stop)
      let timer = armed(settings.timeout, stop)
      let received = 0
      for await (const delivery of subscription) {
        if (timer !== null) clearTimeout(timer)
        // More than was asked for goes back to the queue when the subscription closes.
        const taken = settings.count > 0 ? Math.min(delivery.count, settings.count - received) : delivery.count
        let printed = 0
        while (printed < taken && (await print(delivery, printed))) printed++
        received += printed
        // Nobody reads any more: what was not printed stays in the queue.
        if (printed < taken) break
        if (settings.count > 0 && received >= settings.count) break
        timer = armed(settings.timeout, stop)
      }
      subscription.close()
      return settings.count > 0 && received < settings.count ? EXIT_FAILED : EXIT_OK
    } finally {
      await client.close()
    }
  },
})

type ReceiveSettings = {
  readonly queue?: string | undefined
  readonly inbox: boolean
  readonly name?: string | undefined
  readonly topic: readonly string[]
  readonly where: Readonly<Record<string, string>>
  readonly retain: number
  readonly replay: number
}

export function receiveProblem({ queue, inbox, name, topic, retain, replay }: ReceiveSettings): Fault | null {
  const sources = [queue !== undefined, inbox, topic.length > 0].filter((given) => given).length
  if (sources !== 1) return agentFault('RECEIVE_SOURCE_UNCLEAR')
  const durable = topic.length > 0 && name !== undefined
  return (retain > 0 || replay > 0) && !durable ? agentFault('RECEIVE_NAME_MISSING') : null
}

export function sourceOf(
  client: Client,
  { queue, inbox, name, topic, where, retain }: ReceiveSettings,
): SubscribeOptions {
  if (inbox) return { queue: `inbox/${client.name}` }
  if (queue !== undefined) return { queue }
  const own = { name: name ?? `receive-${process.pid}`, ephemeral: name === undefined, topics: topic, where }
  return retain > 0 ? { ...own, policy: { retainMs: retain } } : own
}

/**
 * Prints message `i`, and settles it when it is written; one that cannot be read is rejected. False: it cannot be written,
 * which `mindOutput` tells, and is not settled.
 */
async function print(delivery: Delivery, i: number): Promise<boolean> {
  let text: string
  try {
    const { envelope, key, body } = delivery.message(i)
    const line = {
      topic: envelope.topic,
      from: delivery.origin,
      stream: delivery.stream,
      epoch: delivery.epoch,
      seq: delivery.seqOf(i),
      position: delivery.position + i,
      ...(delivery.lane === 0 ? {} : { lane: delivery.lane }),
      headers: envelope.headers,
      ...(key.length > 0 ? textOf('key', key) : {}),
      ...textOf('body', body),
    }
    text = JSON.stringify(line)
  } catch (error) {
    const fault = asFault(error)
    delivery.reject(`${fault.code}: ${fault.message}`, i, 1)
    console.error(faultsText([fault], { json: false }))
    return true
  }
  const failed = await new Promise((resolve) => process.stdout.write(`${text}\n`, resolve))
  if (failed) return false
  delivery.settle(i, 1)
  return true
}

/** As text, or in base64 what is none: nothing may come out as something else. */
function textOf(name: 'key' | 'body', bytes: Buffer): Readonly<Record<string, string>> {
  return isUtf8(bytes) ? { [name]: bytes.toString() } : { [`${name}Base64`]: bytes.toString('base64') }
}

function bodies(body: string | undefined): Iterable<Buffer> | AsyncIterable<Buffer> {
  return body === undefined ? linesOf(process.stdin) : [Buffer.from(body)]
}

/** Lines as they are, whatever their encoding; of one that is too long so much comes that publishing it says so. */
export async function* linesOf(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = []
  let bytes = 0
  const line = (): Buffer => {
    const whole = Buffer.concat(pieces, bytes)
    pieces = []
    bytes = 0
    return whole.at(-1) === 0x0d ? whole.subarray(0, -1) : whole
  }
  for await (const chunk of input) {
    let from = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      pieces.push(chunk.subarray(from, end))
      bytes += end - from
      from = end + 1
      yield line()
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from))
    bytes += chunk.length - from
    if (bytes > BODY_BYTES_MAX + 1) yield line()
  }
  if (bytes > 0) yield line()
}

export function armed(ms: number, stop: () => void): NodeJS.Timeout | null {
  return ms === 0 ? null : setTimeout(stop, ms)
}
