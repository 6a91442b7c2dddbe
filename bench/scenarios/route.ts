// Routing: by content, beside a plain loop of fontoxpath over the same conditions; by header, whatever the number of rules; and rules
// deployed while messages flow.

import { once } from 'node:events'
import { startRole, stop } from '../children.ts'
import { isShortened, type Say, type ScenarioResult, TIMES, timesText } from '../report.ts'
import { type Deploying, measureDeploying } from '../route/deploying.ts'
import { CONTENT_RULES, documents } from '../route/sample.ts'
import { measureThrough } from '../route/through.ts'
import type { Way } from '../route/ways.ts'

const MANY = 10_000
const SIZES = [10, 1_000, MANY] as const
const DEPLOYED_TIMES = 3
const THROUGH_MESSAGES = isShortened ? 2_000 : 20_000
const CONTENT_WANTED = 5
const HEADER_WANTED = 1e6
const PAUSE_MS_WANTED = 100

type Said = { messages: number; cpuSeconds: number; seconds: number; fit: number }

export async function route(say: Say): Promise<ScenarioResult> {
  const withPeers = process.env.PEERS !== 'none'
  const ours: Record<string, number> = {}
  const peers: Record<string, Record<string, number>> = {}
  const bodies = documents()
  const content = await inRole('content')
  const name = `by content, ${CONTENT_RULES} rules`
  ours[name] = perSecond(content)
  say(`${name}: ${Math.round(ours[name])} messages/s`)
  if (withPeers) {
    for (const way of ['fontoxpath', 'libxml2'] as const) {
      const said = await inRole(way)
      if (said.fit !== content.fit) throw new Error(`${way} finds ${said.fit} rules that fit, not ${content.fit}`)
      peers[way] = { [name]: perSecond(said) }
      say(`${way}: ${Math.round(perSecond(said))} messages/s`)
    }
  }
  const slowest: number[] = []
  for (const rules of SIZES) {
    const said = await inRole('header', rules)
    ours[`by header, ${rules} rules`] = perSecond(said)
    slowest.push(perSecond(said))
    say(`by header, ${rules} rules: ${Math.round(perSecond(said))} messages/s`)
  }
  for (const [way, name] of [
    ['header-distinct', 'no two after one another alike'],
    ['header-unique', 'no two alike'],
  ] as const) {
    const said = await inRole(way, MANY)
    ours[`by header, ${MANY} rules, ${name}`] = perSecond(said)
    if (way === 'header-distinct') slowest.push(perSecond(said))
    say(`by header, ${MANY} rules, ${name}: ${Math.round(perSecond(said))} messages/s`)
  }
  for (const kind of ['content', 'mapping'] as const) {
    say(`through a hub: ${kind} …`)
    const { perSecond, hubCpuMicros, hubRssMb } = await measureThrough(kind, THROUGH_MESSAGES)
    ours[`msg/s through a hub, ${kind}`] = perSecond
    ours[`µs of hub CPU per message, ${kind}`] = hubCpuMicros
    ours[`memory of hub in MB, ${kind}`] = hubRssMb
  }
  const deployed = await measureDeploying(say, { rules: MANY, times: DEPLOYED_TIMES })
  const plain = peers.fontoxpath?.[name]
  const ratio = plain === undefined ? null : ours[name] / plain
  return {
    scenario: 'route',
    unit: 'messages per second of processor time',
    params: {
      content: `XML bodies of ${Math.round(bodies.reduce((sum, { length }) => sum + length, 0) / bodies.length)} bytes on average, ${bodies.length} different ones; all ${CONTENT_RULES} conditions are decided for each`,
      header:
        'batches of 1,000 messages, ten after one another alike, or no two after one another (the target holds for both), or no two at all; each rule asks one header for a value of its own; from the sealed batch to its placements',
      'through a hub': `the same bodies from a producer to a consumer that settles: each decided by 51 rules, or mapped to another document; ${THROUGH_MESSAGES} messages; producer and consumer in one process`,
      deployed: `${MANY} rules, ${DEPLOYED_TIMES} times, as JSON; 200 messages/s from producer to consumer, by header; hub and clients on two cores`,
      processes: 'one each, one thread; hub, and one for both clients, when rules are deployed',
      time: timesText(),
    },
    ours: { ...ours, ...deployMeasures(deployed) },
    peers,
    conditions: {
      fontoxpath: 'slimdom parses each document once, evaluateXPathToBoolean for each condition',
      libxml2: 'libxml2-wasm parses each document once, compiled XPath for each condition',
    },
    targets: [
      {
        name: 'content-ratio',
        want: `>= ${CONTENT_WANTED}`,
        got: ratio,
        ok: ratio === null ? null : ratio >= CONTENT_WANTED,
      },
      atLeast('header-per-s', HEADER_WANTED, Math.min(...slowest)),
      atMost('deploy-lost', 0, deployed.lost),
      atMost('deploy-misrouted', 0, deployed.misrouted),
      atMost('deploy-pause-ms', PAUSE_MS_WANTED, deployed.pauseMs),
    ],
    notes: [],
    shortened: isShortened || !withPeers,
  }
}

const atLeast = (name: string, want: number, got: number) => ({ name, want: `>= ${want}`, got, ok: got >= want })
const atMost = (name: string, want: number, got: number) => ({ name, want: `<= ${want}`, got, ok: got <= want })
const perSecond = ({ messages, cpuSeconds }: Said): number => messages / cpuSeconds

function deployMeasures({
  sent,
  lost,
  misrouted,
  pauseMs,
  pauseBetweenMs,
  deploySeconds,
}: Deploying): Record<string, number> {
  return {
    'messages while deploying': sent,
    'lost while deploying': lost,
    'misrouted while deploying': misrouted,
    'longest way in ms, while deploying': pauseMs,
    'longest way in ms, otherwise': pauseBetweenMs,
    'seconds until deployed rules count': deploySeconds,
  }
}

async function inRole(way: Way, rules = 0): Promise<Said> {
  const child = startRole('router', { way, rules, ...TIMES })
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${way}: it ended by itself`)
  })
  try {
    const [said] = await Promise.race([once(child, 'message'), failed])
    return said as Said
  } finally {
    // It ends now, because it is told to.
    failed.catch(() => undefined)
    await stop(child, 'SIGKILL')
  }
}
