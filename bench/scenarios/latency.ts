// From the time a message should have been sent to the time the consumer has it, at fixed rates: 20 % and 60 % of what the
// product can do, and half of what the slowest peer can do, so that something is said about little load as well. All
// peaks are measured in this run. Product and peers send by the same schedule from the same program.

import { measurePaced, type Paced } from '../paced.ts'
import { conditionsOf, type Entry, peersAreShortened, peersToMeasure, type Reasons } from '../peers/choose.ts'
import { measurePeer } from '../peers/measure.ts'
import { measurePacedPeer } from '../peers/paced.ts'
import { measureProduct, productConditions } from '../product.ts'
import { isShortened, type Say, type ScenarioResult, type Target, TIMES, timesText } from '../report.ts'
import { Stage } from '../stage.ts'

const BODY_BYTES = 256
const SHARES = { '20 %': 0.2, '60 %': 0.6 } as const
const LOW = 'low rate'
/** Of the slowest peer's peak. */
const LOW_SHARE = 0.5
/** Without peers: of the product's peak. */
const LOW_SHARE_ALONE = 0.02
const PEAK_TIMES = { warmUpMs: TIMES.warmUpMs, measuredMs: Math.min(TIMES.measuredMs, 2000) }

type Rate = { readonly name: string; readonly perSecond: number }
type Measures = Record<string, number>

export async function latency(say: Say): Promise<ScenarioResult> {
  const { entries, missing } = await peersToMeasure(say)
  say('causeway, as fast as it goes …')
  const { perSecond: peak } = await measureProduct(BODY_BYTES, TIMES)
  const peers: Record<string, Measures> = {}
  for (const entry of entries) await addPeak(entry, { peers, missing, say })
  const peaks = Object.values(peers).map((measures) => measures[PEAK] as number)
  const low = peaks.length === 0 ? peak * LOW_SHARE_ALONE : Math.min(...peaks) * LOW_SHARE
  const rates: Rate[] = [
    { name: LOW, perSecond: Math.round(low) },
    ...Object.entries(SHARES).map(([name, share]) => ({ name, perSecond: Math.round(peak * share) })),
  ].sort((a, b) => a.perSecond - b.perSecond)
  const notes: string[] = []
  const marked: Record<string, string[]> = {}
  const ours = await measureOurs(rates, { say, notes, marked })
  for (const entry of entries) {
    if (peers[entry.variant.name] !== undefined) await measureTheirs(entry, rates, { say, notes, marked, peers })
  }
  return {
    scenario: 'latency',
    unit: 'ms',
    better: 'less',
    params: {
      ...productConditions,
      body: `${BODY_BYTES} bytes`,
      rates: `20 % and 60 % of the product's own peak; low rate: ${LOW_SHARE * 100} % of the slowest peer's peak; all measured in this run`,
      schedule:
        'every message has a time to be sent at, and its latency counts from then; who sends wakes every millisecond; what ' +
        'never arrived counts with the time it waited',
      measured: `${timesText()}, on one clock (CLOCK_MONOTONIC)`,
    },
    ours: {
      'own peak msg/s': peak,
      ...Object.fromEntries(rates.map((r) => [`msg/s: ${r.name}`, r.perSecond])),
      ...ours,
    },
    peers,
    missing,
    conditions: conditionsOf(entries),
    marked,
    targets: [
      ratioToBest('p99-ratio', Object.keys(SHARES), { ours, peers }),
      ratioToBest('p99-ratio-low', [LOW], { ours, peers }),
    ],
    notes,
    shortened: isShortened || peersAreShortened,
  }
}

const PEAK = 'peak msg/s'
const nameOf = (percentile: string, rate: string): string => `${percentile} at ${rate}`

async function addPeak(
  { peer, variant }: Entry,
  { peers, missing, say }: { peers: Record<string, Measures>; missing: Reasons; say: Say },
): Promise<void> {
  if (missing[variant.name] !== undefined) return
  say(`${variant.name}, as fast as it goes …`)
  try {
    const { perSecond } = await measurePeer({ peer, variant, bodyBytes: BODY_BYTES, times: PEAK_TIMES })
    if (perSecond > 0) peers[variant.name] = { [PEAK]: perSecond }
    else missing[variant.name] = 'nothing came through'
  } catch (error) {
    missing[variant.name] = (error as Error).message
  }
}

type Telling = { readonly say: Say; readonly notes: string[]; readonly marked: Record<string, string[]> }

async function measureOurs(rates: readonly Rate[], telling: Telling): Promise<Measures> {
  const measures: Measures = {}
  const stage = new Stage()
  try {
    const server = await stage.startHub({ queues: [{ name: 'work', topics: ['bench/#'] }], tls: false })
    const side = async (agent: string) =>
      ({ kind: 'product', identity: await stage.enroll(agent, false), queue: 'work', topic: 'bench/x' }) as const
    const [producer, consumer] = [await side('producer'), await side('consumer')]
    for (const { name, perSecond } of rates) {
      telling.say(`causeway, ${name} …`)
      const paced = await measurePaced({ producer, consumer, server, bodyBytes: BODY_BYTES, perSecond, times: TIMES })
      Object.assign(measures, measuresOf('causeway', name, paced, telling))
      // The rest would lie before the next rate's messages.
      if (!paced.keptUp) break
    }
    return measures
  } finally {
    await stage.end()
  }
}

async function measureTheirs(
  { peer, variant }: Entry,
  rates: readonly Rate[],
  telling: Telling & { peers: Record<string, Measures> },
): Promise<void> {
  const { name: who } = variant
  for (const { name, perSecond } of rates) {
    telling.say(`${who}, ${name} …`)
    try {
      const paced = await measurePacedPeer({ peer, variant, bodyBytes: BODY_BYTES, perSecond, times: TIMES })
      telling.peers[who] = { ...telling.peers[who], ...measuresOf(who, name, paced, telling) }
      if (paced.keptUp) continue
      const higher = rates.filter((rate) => rate.perSecond > perSecond).map((rate) => rate.name)
      if (higher.length > 0) telling.notes.push(`${who}: not tried at ${higher.join(', ')}`)
    } catch (error) {
      telling.notes.push(`${who}, ${name}: ${(error as Error).message}`)
    }
    return
  }
}

function measuresOf(who: string, rate: string, paced: Paced, { notes, marked }: Telling): Measures {
  const measures = {
    [nameOf('p50', rate)]: paced.p50Ms,
    [nameOf('p99', rate)]: paced.p99Ms,
    [nameOf('p99.9', rate)]: paced.p999Ms,
  }
  if (!paced.keptUp) {
    marked[who] = [...(marked[who] ?? []), ...Object.keys(measures)]
    notes.push(
      `${who} did not keep up at ${rate}: its backlog grew to ${paced.behind} messages, and its latency with the time measured`,
    )
  }
  if (paced.outOfOrder > 0) notes.push(`${who}, ${rate}: ${paced.outOfOrder} out of order`)
  return measures
}

/** Ours over the best peer's at the same rate; of several rates the worst. */
function ratioToBest(
  name: string,
  rates: readonly string[],
  { ours, peers }: { ours: Measures; peers: Record<string, Measures> },
): Target {
  const ratios = rates.map((rate) => {
    const measure = nameOf('p99', rate)
    const theirs = Object.values(peers).flatMap((measures) => measures[measure] ?? [])
    const mine = ours[measure]
    return mine === undefined || theirs.length === 0 ? null : mine / Math.min(...theirs)
  })
  const got = ratios.includes(null) ? null : Math.max(...(ratios as number[]))
  return { name, want: '<= 1', got, ok: got === null ? null : got <= 1 }
}
