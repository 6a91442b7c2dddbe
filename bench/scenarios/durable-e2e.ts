// Producer → server → consumer that settles each message, in three processes over loopback TCP: the product and its peers,
// one after the other at each body size. Ours is measured before and after the peers of a size, and the mean counts, so
// that a machine that slows down or speeds up meanwhile favours nobody.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { measurePeer } from '../peers/measure.ts'
import { isPeerName, loadPeer, type Peer, peerNames, unavailable, type Variant } from '../peers/mod.ts'
import { measureProduct, productConditions, productMeasures, rateName } from '../product.ts'
import { isShortened, type ScenarioResult, SIZES, type Target, TIMES, timesText } from '../report.ts'

/** The first figure. */
const WANTED_256 = 300_000
/** Our two measurements at a size may differ by so much before the result says so. */
const DRIFT_MAX = 0.2

type Say = (text: string) => void
type Entry = { readonly peer: Peer; readonly variant: Variant }
type Rates = Record<string, Record<string, number>>
type Reasons = Record<string, string>

export async function durableE2e(say: Say): Promise<ScenarioResult> {
  const ours: Record<string, number> = {}
  const peers: Rates = {}
  const notes: string[] = []
  const { entries, missing } = await peersToMeasure(say)
  for (const bodyBytes of SIZES) {
    say(`durable-e2e: ${bodyBytes} B: causeway …`)
    const flows = [await measureProduct(bodyBytes, TIMES)]
    for (const { peer, variant } of entries) {
      if (missing[variant.name] !== undefined) continue
      say(`durable-e2e: ${bodyBytes} B: ${variant.name} …`)
      const rate = await ratesOf({ peer, variant, bodyBytes })
      if ('reason' in rate) missing[variant.name] = rate.reason
      else peers[variant.name] = { ...peers[variant.name], ...rate.measures }
    }
    if (entries.length > 0) {
      say(`durable-e2e: ${bodyBytes} B: causeway again …`)
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
    conditions: Object.fromEntries(entries.map(({ variant }) => [variant.name, variant.conditions])),
    targets: [
      { name: 'first-figure-256', want: `>= ${WANTED_256}`, got, ok: got === null ? null : got >= WANTED_256 },
      ratioOverBest({ bodyBytes: 256, want: 8, ours, peers }),
      ratioOverBest({ bodyBytes: 1024, want: 4, ours, peers }),
    ],
    notes,
    shortened: isShortened || !['', 'installed'].includes(process.env.PEERS ?? ''),
  }
}

/** PEERS=none: none; PEERS=redis,nats: those; PEERS=installed: those that are there. By default missing ones are installed. */
async function peersToMeasure(say: Say): Promise<{ entries: Entry[]; missing: Reasons }> {
  const { PEERS = '' } = process.env
  const names = PEERS === '' || PEERS === 'installed' ? peerNames : PEERS.split(',').filter((name) => name !== 'none')
  const entries: Entry[] = []
  for (const name of names) {
    if (!isPeerName(name)) throw new Error(`PEERS: no peer is called "${name}". There are: ${peerNames.join(', ')}`)
    const peer = await loadPeer(name)
    entries.push(...peer.variants.map((variant) => ({ peer, variant })))
  }
  let missing = await reasonsOf(entries)
  if (PEERS !== 'installed' && Object.values(missing).some((reason) => reason.includes('not installed'))) {
    install(say)
    missing = await reasonsOf(entries)
  }
  return { entries, missing }
}

async function reasonsOf(entries: readonly Entry[]): Promise<Reasons> {
  const reasons: Reasons = {}
  for (const { peer, variant } of entries) {
    const reason = await unavailable(peer, variant)
    if (reason !== null) reasons[variant.name] = reason
  }
  return reasons
}

/** What it cannot install is listed as missing afterwards, with the reason. */
function install(say: Say): void {
  try {
    execFileSync(join(import.meta.dirname, '../peers/install'), { stdio: ['ignore', 'inherit', 'inherit'] })
  } catch (error) {
    say(`durable-e2e: not all peers are installed (${(error as Error).message})`)
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
