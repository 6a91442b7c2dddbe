// One topic, 1, 10 and 100 durable subscriptions. Nobody consumes while it is published: what a subscription costs the hub
// then is what fan-out by reference is about, and delivery, which has to be paid per copy by anyone, is not mixed into it.
// Afterwards every subscription is drained, and every copy counted.

import type { ChildProcess } from 'node:child_process'
import { Client, type SubscribeOptions } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { stop } from '../children.ts'
import { drain, Filler } from '../fill.ts'
import { productConditions } from '../product.ts'
import { isShortened, type Say, type ScenarioResult, TIMES } from '../report.ts'
import { cpuSeconds, Stage } from '../stage.ts'

const BODY_BYTES = 256
const COPIES = [1, 10, 100] as const
/** Enough to measure at 10 ms of CPU time; a hundred copies of it are drained in half a minute. */
const MESSAGES_PER_MEASURED_S = 50_000
const WARM_UP_MESSAGES = 50_000
/** Entries of a hundred subscriptions are some per cent of the batches they refer to. */
const STORED_WANTED = 1.05
const EXTRA_WANTED = 0.05

type Fan = {
  readonly perSecond: number
  readonly cpuMicros: number
  readonly storedBytes: number
  readonly drainedPerSecond: number
}

export async function fanOut(say: Say): Promise<ScenarioResult> {
  const messages = Math.round((TIMES.measuredMs / 1000) * MESSAGES_PER_MEASURED_S)
  const ours: Record<string, number> = {}
  const notes: string[] = []
  const fans = new Map<number, Fan>()
  for (const copies of COPIES) {
    say(`${copies} subscriptions …`)
    const fan = await measureFan(copies, messages, notes)
    fans.set(copies, fan)
    ours[`msg/s published, ${copies} subscriptions`] = fan.perSecond
    ours[`µs of hub CPU per message published, ${copies}`] = fan.cpuMicros
    ours[`bytes stored per message, ${copies}`] = fan.storedBytes
    ours[`deliveries/s when drained, ${copies}`] = fan.drainedPerSecond
  }
  const [one, hundred] = [fans.get(1) as Fan, fans.get(100) as Fan]
  const extra = (of: (fan: Fan) => number) => (of(hundred) - of(one)) / (99 * of(one))
  const extraCost = Math.max(
    extra((fan) => fan.cpuMicros),
    extra((fan) => 1 / fan.perSecond),
  )
  const stored = hundred.storedBytes / one.storedBytes
  return {
    scenario: 'fan-out',
    unit: 'by subscriptions',
    params: {
      ...productConditions,
      body: `${BODY_BYTES} bytes`,
      subscriptions:
        'durable, of one agent, all with the same pattern; not consumed while published, drained afterwards',
      'extra-cost':
        "of the 99 further subscriptions: hub CPU, or time, per message published, whichever is more, over the first one's",
      'stored-of-one':
        "the store's bytes in use with 100 subscriptions over those with one, before anything is consumed",
      messages: String(messages),
    },
    ours,
    peers: {},
    targets: [
      { name: 'extra-cost', want: `<= ${EXTRA_WANTED}`, got: extraCost, ok: extraCost <= EXTRA_WANTED },
      { name: 'stored-of-one', want: `<= ${STORED_WANTED}`, got: stored, ok: stored <= STORED_WANTED },
    ],
    notes,
    shortened: isShortened,
  }
}

async function measureFan(copies: number, messages: number, notes: string[]): Promise<Fan> {
  const stage = new Stage()
  const children: ChildProcess[] = []
  try {
    await stage.startHub({ queues: [], tls: false })
    const identity = await stage.enroll('consumer', false)
    const filler = await Filler.start({
      identity: await stage.enroll('producer', false),
      topic: 'bench/x',
      bodyBytes: BODY_BYTES,
    })
    children.push(filler.process)
    const subscriptions = Array.from({ length: copies }, (_, i) => ({ name: `copy-${i}`, topics: ['bench/x'] }))
    // Warms up what a new program compiles; drained, so that it lies in nobody's way.
    await declare(identity, subscriptions.slice(0, 1))
    await filler.fill(0, WARM_UP_MESSAGES)
    await empty(identity, subscriptions.slice(0, 1), WARM_UP_MESSAGES)
    await declare(identity, subscriptions)
    const bytesBefore = (await stage.status()).store.bytes
    const cpuBefore = cpuSeconds(stage.hubPid)
    const filled = await filler.fill(0, messages)
    const cpu = cpuSeconds(stage.hubPid) - cpuBefore
    const storedBytes = ((await stage.status()).store.bytes - bytesBefore) / messages
    const drained = await empty(identity, subscriptions, messages * copies)
    const { lost, twice, outOfOrder } = drained
    if (lost + twice + outOfOrder > 0) {
      notes.push(`${copies} subscriptions: ${lost} lost, ${twice} twice, ${outOfOrder} batches out of order`)
    }
    return {
      perSecond: filled.perSecond(),
      cpuMicros: (cpu * 1e6) / messages,
      storedBytes,
      drainedPerSecond: drained.perSecond,
    }
  } finally {
    for (const child of children) await stop(child, 'SIGKILL')
    await stage.end()
  }
}

/** Subscriptions last; whoever made them goes. */
async function declare(identity: string, subscriptions: readonly SubscribeOptions[]): Promise<void> {
  const client = await Client.connect({ identity: loadIdentity(identity) })
  for (const options of subscriptions) await client.subscribe(options)
  await client.close()
}

async function empty(identity: string, subscriptions: readonly SubscribeOptions[], messages: number) {
  const children: ChildProcess[] = []
  try {
    return await drain({ identity, subscriptions, messages, started: (child) => children.push(child) })
  } finally {
    // Its last settlements go out in the turn they are made.
    for (const child of children) await stop(child, 'SIGKILL')
  }
}
