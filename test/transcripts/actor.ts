// One agent of a story: does what its lines say and tells what happens to it.

import { asFault } from '#protocol/base/mod.ts'
import { HEADER_CORRELATION } from '#protocol/codec/mod.ts'
import type { Delivery, OutgoingMessage, Publisher, SubscribeOptions, Subscription } from '#agent/client/mod.ts'
import type { SimAgent, Stage } from '../simulation/stage.ts'
import { idOf, StoryDownload, StoryUpload } from './content.ts'
import { type Command, durationMs } from './story.ts'

/** A message in hand: delivered, and held until the story says what becomes of it. */
type Held = { readonly delivery: Delivery; readonly place: number; readonly body: string }

export class Actor {
  readonly name: string
  private readonly stage: Stage
  private readonly tell: (text: string) => void
  private agent: SimAgent | null = null
  private readonly publishers = new Map<string, Publisher>()
  private readonly subscriptions = new Map<string, Subscription>()
  private held: Held[] = []
  /** Why streams wait, as last told. */
  private readonly refusals = new Map<string, string>()

  constructor(stage: Stage, name: string, tell: (text: string) => void) {
    this.name = name
    this.stage = stage
    this.tell = (text) => tell(`${name}: ${text}`)
  }

  /** What a story may ask of an agent. */
  readonly verbs: Readonly<Record<string, (command: Command) => void>> = {
    starts: () => this.start(),
    publish: (command) => this.publish(command),
    together: (command) => this.together(command),
    consume: ({ words, settings }) => this.consume({ queue: words[0] as string }, settings),
    subscribe: ({ words, settings }) => {
      const [name, ...topics] = words
      const policy = {
        ...(settings.has('retain') ? { retainMs: durationMs(settings.get('retain') as string) } : {}),
        ...(settings.has('order') ? { order: settings.get('order') as 'key' } : {}),
      }
      this.consume({ name: name as string, topics, policy }, settings)
    },
    settle: ({ words }) => this.each(words, ({ delivery, place }) => delivery.settle(place, 1)),
    reject: ({ words, settings }) =>
      this.each(words, ({ delivery, place }) => delivery.reject(settings.get('because') ?? 'no', place, 1)),
    retry: ({ words, settings }) => {
      const delayMs = settings.has('after') ? durationMs(settings.get('after') as string) : 0
      this.each(words, ({ delivery, place }) => delivery.retry({ delayMs, from: place, count: 1 }))
    },
    closes: ({ words }) => {
      this.subscriptions.get(words[0] as string)?.close()
      this.held = []
    },
    replay: ({ words, settings }) => this.replay(words[0] as string, settings),
    request: (command) => this.request(command),
    answers: ({ words }) => this.answers(words[0] as string),
    receipts: () => this.receipts(),
    sends: ({ words, settings }) => {
      const [name, word] = words as [string, string]
      const paceMs = durationMs(settings.get('pace') ?? '1ms')
      this.within(() => {
        const { client } = this.living
        client.addTransfer(new StoryUpload(client, { name, word, paceMs }, this.tell))
      })
    },
    fetches: ({ words }) => {
      this.within(() => {
        const { client } = this.living
        client.addTransfer(new StoryDownload(client, words[0] as string, this.tell))
      })
    },
    dies: () => {
      this.living.kill()
      this.publishers.clear()
      this.subscriptions.clear()
      this.held = []
    },
  }

  /** What it waits for at the end of a block. */
  report(): void {
    for (const [stream, publisher] of this.publishers) {
      const why = String(publisher.refused?.details.hubCode ?? '')
      if (why === (this.refusals.get(stream) ?? '')) continue
      this.refusals.set(stream, why)
      this.tell(why === '' ? 'waits no more' : `waits: ${why}`)
    }
  }

  private get living(): SimAgent {
    if (this.agent === null) throw new Error(`${this.name} has not started`)
    return this.agent
  }

  private start(): void {
    this.agent = this.stage.agent(this.name, {
      onConnected: () => this.tell('connected'),
      onDisconnected: (fault) => this.tell(`disconnected: ${String(fault.details.peerCode ?? fault.code)}`),
      random: () => 0.5,
    })
  }

  private within<T>(work: () => T): T {
    return this.living.within(work)
  }

  private publish({ words, settings }: Command): void {
    const [topic, ...bodies] = words
    this.within(() => {
      const publisher = this.publisher(settings)
      const batches = new Set(bodies.map((body) => publisher.publish(messageOf(topic as string, body, settings))))
      for (const batch of batches) this.await(batch)
    })
  }

  private together({ words, settings }: Command): void {
    const messages = words.map((word) => {
      const [topic, body] = word.split(':')
      return messageOf(topic as string, body as string, settings)
    })
    this.within(() => this.await(this.publisher(settings).publishAll(messages)))
  }

  private await(batch: ReturnType<Publisher['publish']>): void {
    batch.then(
      ({ firstSeq, lastSeq }) => this.tell(`accepted ${range(firstSeq, lastSeq)}`),
      (error: unknown) => this.tell(`refused: ${asFault(error).message}`),
    )
  }

  private publisher(settings: Command['settings']): Publisher {
    const stream = settings.get('stream') ?? 'main'
    const known = this.publishers.get(stream)
    if (known !== undefined) return known
    const receipts = (settings.get('receipts') ?? 'none') as 'none' | 'final' | 'all'
    const made = this.living.client.publisher({ stream, receipts, proof: 'message' })
    this.publishers.set(stream, made)
    return made
  }

  /** Settles what comes at once, unless `hold=yes`. */
  private consume(options: SubscribeOptions, settings: Command['settings']): void {
    const credit = settings.has('credit') ? { creditMessages: Number(settings.get('credit')) } : {}
    const name = options.queue ?? options.name ?? ''
    const run = async () => {
      const subscription = await this.living.client.subscribe({ ...options, ...credit })
      this.subscriptions.set(name, subscription)
      this.tell(`consumes ${subscription.queueName}`)
      for await (const delivery of subscription) this.take(name, delivery, settings.get('hold') === 'yes')
    }
    this.within(() => {
      run().catch((error: unknown) => this.tell(`${name}: ${asFault(error).message}`))
    })
  }

  private take(name: string, delivery: Delivery, hold: boolean): void {
    const bodies = Array.from({ length: delivery.count }, (_, i) => String(delivery.message(i).body))
    const again = delivery.attempt === 1 ? '' : ` (attempt ${delivery.attempt})`
    this.tell(`${name} gives ${bodies.join(' ')}${again}`)
    if (hold) this.held.push(...bodies.map((body, place) => ({ delivery, place, body })))
    else delivery.settle()
  }

  private each(bodies: readonly string[], work: (held: Held) => void): void {
    this.within(() => {
      for (const body of bodies) {
        const held = this.held.findLast((one) => one.body === body && one.delivery.isOpen(one.place))
        if (held === undefined) throw new Error(`${this.name} does not hold ${body}`)
        work(held)
        this.held = this.held.filter((one) => one !== held)
      }
    })
  }

  private replay(name: string, settings: Command['settings']): void {
    this.within(() => {
      const subscription = this.subscriptions.get(name)
      if (subscription === undefined) throw new Error(`${this.name} has no subscription ${name}`)
      const from = settings.has('ago')
        ? { fromMs: Date.now() - durationMs(settings.get('ago') as string) }
        : { fromPosition: Number(settings.get('from') ?? 0) }
      subscription.replay(from).then(
        (messages) => this.tell(`${name} is replayed: ${messages} messages`),
        (error: unknown) => this.tell(`${name}: ${asFault(error).message}`),
      )
    })
  }

  private request({ words, settings }: Command): void {
    const [topic, body] = words
    const deadlineMs = durationMs(settings.get('within') ?? '1s')
    this.within(() => {
      this.living.client.request({ topic: topic as string, body: Buffer.from(body ?? ''), deadlineMs }).then(
        (answer) => this.tell(`is answered: ${String(answer.body)}`),
        (error: unknown) => this.tell(`no answer: ${asFault(error).code}`),
      )
    })
  }

  private answers(queue: string): void {
    this.within(() => {
      const answer = (message: { body: Buffer; envelope: { headers: Readonly<Record<string, unknown>> } }) => {
        this.tell(`is asked ${String(message.body)} (number ${message.envelope.headers[HEADER_CORRELATION]})`)
        return Buffer.from(`re:${String(message.body)}`)
      }
      this.living.client.respond({ queue }, answer).catch((error: unknown) => this.tell(asFault(error).message))
    })
  }

  private receipts(): void {
    const run = async () => {
      for await (const receipt of await this.living.client.receipts()) {
        const { from, to, state, queue, by, reason } = receipt
        const who = by === '' ? 'the hub' : by
        this.tell(`receipt: ${range(from, to)} ${state} by ${who} in ${queue}${reason === '' ? '' : `, ${reason}`}`)
        receipt.settle()
      }
    }
    this.within(() => {
      run().catch((error: unknown) => this.tell(asFault(error).message))
    })
  }
}

const range = (from: number, to: number): string => (from === to ? String(from) : `${from}..${to}`)

function messageOf(topic: string, body: string, settings: Command['settings']): OutgoingMessage {
  const key = settings.get('key')
  const priority = settings.get('priority') as 'urgent' | 'bulk' | undefined
  const ms = (name: string) => (settings.has(name) ? durationMs(settings.get(name) as string) : undefined)
  const [ttlMs, delayMs] = [ms('ttl'), ms('delay')]
  const content = settings.get('content')
  return {
    topic,
    body: Buffer.from(body),
    ...(key === undefined ? {} : { key: Buffer.from(key) }),
    ...(priority === undefined ? {} : { priority }),
    ...(content === undefined ? {} : { contents: [idOf(content).toString('hex')] }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(delayMs === undefined ? {} : { delayMs }),
  }
}
