// Producer → server → consumer that settles each message, in three processes over loopback TCP: the product and its peers,
// one after the other at each body size. Ours is measured before and after the peers of a size, and the mean counts, so
// that a machine that slows down or speeds up meanwhile favours nobody.

import { conditionsOf, type Entry, peersAreShortened, peersToMeasure } from '../peers/choose.ts'
import { measurePeer } from '../peers/measure.ts'
import { measureProduct, productConditions, productMeasures, rateName } from '../product.ts'
import { isShortened, type ScenarioResult, SIZES, type Target, TIMES, timesText } from '../report.ts'

/** The first figure. */
const WANTED_256 = 300_000
/** Our two measurements at a size may differ by so much before the result says so. */
const DRIFT_MAX = 0.2

type Say = (text: string) => void
type Rates = Record<string, Record<string, number>>

export async function durableE2e(say: Say): Promise<ScenarioResult> {
  const ours: Record<string, number> = {}
  const peers: Rates = {}
  const notes: string[] = []
  const { entries, missing } = await peersToMeasure(say)
  for (const bodyBytes of SIZES) {
    say(`${bodyBytes} B: causeway …`)
    const flows = [await measureProduct(bodyBytes, TIMES)]
    for (const { peer, variant } of entries) {
      if (missing[variant.name] !== undefined) continue
      say(`${bodyBytes} B: ${variant.name} …`)
      const rate = await ratesOf({ peer, variant, bodyBytes })
      if ('reason' in rate) missing[variant.name] = rate.reason
      else peers[variant.name] = { ...peers[variant.name], ...rate.measures }
    }
    if (entries.length > 0) {
      say(`${bodyBytes} B: causeway again …`)
      flows.push(await measureProduct(bodyBytes, TIMES))
    }
    Object.assign(ours, productMeasures(bodyBytes, flows))
    for (const { lost, outOfOrder } of flows) {
      if (lost !== 0 || outOfOrder !== 0) notes.push(`${bodyBytes} B: ${lost} lost, ${outOfOrder} out of order`)
    }
    const [first = 0, last = first] = flows.map((flow) => flow.perSecond)
    if (Math.abs(first - last) > DRIFT_MAX * Math.max(first, last)) {
      notes.push(
        `${bodyBytes} B: our two measurements differ by more than ${DRIFT_MAX * 100} %: the machine was not quiet`,
      )
    }
  }
  const got = ours[rateName(256)] ?? null
  return {
    scenario: 'durable-e2e',
    unit: 'msg/s',
    params: { ...productConditions, measured: timesText() },
    ours,
    peers,
    missing,
    conditions: conditionsOf(entries),
    targets: [
      { name: 'first-figure-256', want: `>= ${WANTED_256}`, got, ok: got === null ? null : got >= WANTED_256 },
      ratioOverBest({ bodyBytes: 256, want: 8, ours, peers }),
      ratioOverBest({ bodyBytes: 1024, want: 4, ours, peers }),
    ],
    notes,
    shortened: isShortened || peersAreShortened,
  }
}

/** A peer that fails or loses messages has no rate, but a reason. */
async function ratesOf({ peer, variant, bodyBytes }: Entry & { bodyBytes: number }) {
  try {
    const flow = await measurePeer({ peer, variant, bodyBytes, times: TIMES })
    if (flow.lost !== 0 || flow.outOfOrder !== 0) {
      return { reason: `${bodyBytes} B: ${flow.lost} lost, ${flow.outOfOrder} out of order` }
    }
    const measures = { [rateName(bodyBytes)]: flow.perSecond, [`cores of server, ${bodyBytes} B`]: flow.cores.server }
    return { measures }
  } catch (error) {
    return { reason: `${bodyBytes} B: ${(error as Error).message}` }
  }
}

function ratioOverBest(options: {
  bodyBytes: number
  want: number
  ours: Record<string, number>
  peers: Rates
}): Target {
  const { bodyBytes, want, ours, peers } = options
  const rate = rateName(bodyBytes)
  const best = Math.max(...Object.values(peers).map((measures) => measures[rate] ?? 0), 0)
  const mine = ours[rate]
  const got = mine === undefined || best === 0 ? null : mine / best
  return { name: `ratio-${bodyBytes}`, want: `>= ${want}`, got, ok: got === null ? null : got >= want }
}
