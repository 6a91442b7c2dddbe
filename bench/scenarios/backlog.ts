// Messages pile up while consumers are away: does publishing slow down, does the hub's memory grow, how long does a hub
// that was killed on top of it take to be back, and does everything come out, once and in order. MESSAGES=50000000
// measures the target's backlog; by default a tenth of it.

import type { ChildProcess } from 'node:child_process'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { stop } from '../children.ts'
import { drain, type Filled, Filler } from '../fill.ts'
import { freePort } from '../peers/server.ts'
import { productConditions } from '../product.ts'
import type { Say, ScenarioResult } from '../report.ts'
import { ownRssBytes, rssBytesMax, Stage } from '../stage.ts'

const BODY_BYTES = 256
const TARGET_MESSAGES = 50_000_000
const DEFAULT_MESSAGES = 5_000_000
const MESSAGES = Number(process.env.MESSAGES ?? DEFAULT_MESSAGES)
/** The rate is measured over so many at either end. */
const RATE_MESSAGES = Math.min(1_000_000, Math.floor(MESSAGES / 5))
/** Of the first ones: the programs are compiled meanwhile. */
const WARM_UP_MESSAGES = Math.min(200_000, Math.floor(MESSAGES / 10))
const RESTART_MS_MAX = 60_000
const QUEUES = [{ name: 'work', topics: ['bench/#'] }]

type Restart = { readonly seconds: number; readonly depth: number }

export async function backlog(say: Say): Promise<ScenarioResult> {
  const notes: string[] = []
  const stage = new Stage()
  const children: ChildProcess[] = []
  try {
    await stage.startHub({ queues: QUEUES, tls: false, port: await freePort() })
    const producer = await stage.enroll('producer', false)
    const consumer = await stage.enroll('consumer', false)
    say(`filling with ${MESSAGES.toLocaleString('en')} messages …`)
    const { emptyRate, fullRate } = await fill(stage, producer, { say, children })
    const rssFilledBytes = rssBytesMax(stage.hubPid)
    const ownBytes = ownRssBytes(stage.hubPid)
    const storedBytes = (await stage.status()).store.bytes
    say('killing the hub and starting it again …')
    const restart = await killAndRestart(stage, consumer)
    if (restart.depth !== MESSAGES) notes.push(`after the restart ${restart.depth} messages wait, not ${MESSAGES}`)
    say('draining …')
    const drained = await drain({
      identity: consumer,
      subscriptions: [{ queue: 'work' }],
      messages: MESSAGES,
      started: (child) => children.push(child),
      say: (received) => say(`drained ${received.toLocaleString('en')}`),
    })
    const rssBytes = Math.max(rssFilledBytes, rssBytesMax(stage.hubPid))
    say('publishing to an empty hub once more …')
    const again = await fillFresh()
    const ofEmpty = fullRate / ((emptyRate + again) / 2)
    const rssMb = rssBytes / 2 ** 20
    const lostTwiceOrMoved = drained.lost + drained.twice + drained.outOfOrder
    return {
      scenario: 'backlog',
      unit: 'of the product alone',
      params: conditions(),
      ours: {
        'msg/s, empty hub, before': emptyRate,
        'msg/s, empty hub, after': again,
        'msg/s on top of the backlog': fullRate,
        'msg/s drained': drained.perSecond,
        'bytes stored per message': storedBytes / MESSAGES,
        'peak memory of hub in MiB, filling': rssFilledBytes / 2 ** 20,
        'of it its own (not the mapped file), filled': ownBytes / 2 ** 20,
        'peak memory of hub in MiB, draining': rssBytesMax(stage.hubPid) / 2 ** 20,
      },
      peers: {},
      targets: [
        { name: 'of-empty', want: '>= 0.9', got: ofEmpty, ok: ofEmpty >= 0.9 },
        { name: 'rss-mb', want: '<= 512', got: rssMb, ok: rssMb <= 512 },
        { name: 'restart-s', want: '<= 2', got: restart.seconds, ok: restart.seconds <= 2 },
        { name: 'lost-twice-or-moved', want: '<= 0', got: lostTwiceOrMoved, ok: lostTwiceOrMoved === 0 },
      ],
      notes,
      shortened: MESSAGES < DEFAULT_MESSAGES,
    }
  } finally {
    for (const child of children) await stop(child, 'SIGKILL')
    await stage.end()
  }
}

function conditions(): Record<string, string> {
  const share = MESSAGES / TARGET_MESSAGES
  return {
    ...productConditions,
    body: `${BODY_BYTES} bytes`,
    messages:
      share === 1 ? String(MESSAGES) : `${MESSAGES}, scaled to ${share} of ${TARGET_MESSAGES} (MESSAGES= sets it)`,
    'of-empty': `the last ${RATE_MESSAGES} messages, over as many at an empty hub (mean of before and after), nobody consuming`,
    'rss-mb': "the hub's VmHWM, pages of its mapped file included, while filled and while drained",
    'restart-s': 'from starting the killed hub until an agent has a session, its file in the page cache',
  }
}

async function fill(
  stage: Stage,
  identity: string,
  { say, children }: { say: Say; children: ChildProcess[] },
): Promise<{ emptyRate: number; fullRate: number }> {
  const filler = await Filler.start({ identity, topic: 'bench/x', bodyBytes: BODY_BYTES })
  children.push(filler.process)
  const first = await filler.fill(0, RATE_MESSAGES)
  const filled = await filler.fill(RATE_MESSAGES, MESSAGES - RATE_MESSAGES, (acknowledged) =>
    say(`filled ${(RATE_MESSAGES + acknowledged).toLocaleString('en')}`),
  )
  await stop(filler.process, 'SIGKILL')
  const depth = await depthOf(stage)
  if (depth !== MESSAGES) throw new Error(`${depth} messages wait after filling, not ${MESSAGES}`)
  return { emptyRate: rateAtEmpty(first), fullRate: filled.perSecond(1 - RATE_MESSAGES / (MESSAGES - RATE_MESSAGES)) }
}

const rateAtEmpty = (filled: Filled): number => filled.perSecond(WARM_UP_MESSAGES / RATE_MESSAGES)

/** The same work on a new hub, after all the rest: a machine that slowed down or sped up meanwhile favours nobody. */
async function fillFresh(): Promise<number> {
  const stage = new Stage()
  const children: ChildProcess[] = []
  try {
    await stage.startHub({ queues: QUEUES, tls: false })
    const identity = await stage.enroll('producer', false)
    const filler = await Filler.start({ identity, topic: 'bench/x', bodyBytes: BODY_BYTES })
    children.push(filler.process)
    return rateAtEmpty(await filler.fill(0, RATE_MESSAGES))
  } finally {
    for (const child of children) await stop(child, 'SIGKILL')
    await stage.end()
  }
}

async function killAndRestart(stage: Stage, identity: string): Promise<Restart> {
  await stage.killHub()
  const startMs = performance.now()
  const session = async () => {
    const client = await firstSession(identity, startMs)
    const seconds = (performance.now() - startMs) / 1000
    await client.close()
    return seconds
  }
  const [seconds] = await Promise.all([session(), stage.launchHub()])
  return { seconds, depth: await depthOf(stage) }
}

async function depthOf(stage: Stage): Promise<number> {
  const { queues } = await stage.status()
  return queues.find(({ name }) => name === 'work')?.depth ?? 0
}

async function firstSession(identity: string, startMs: number): Promise<Client> {
  const loaded = loadIdentity(identity)
  for (;;) {
    try {
      return await Client.connect({ identity: loaded, reconnectMsFirst: 1 })
    } catch (error) {
      if (performance.now() - startMs > RESTART_MS_MAX) throw error
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}
