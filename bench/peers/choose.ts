// Which peers a run measures: PEERS=none: none; PEERS=redis,nats: those; PEERS=installed: those that are there. By default
// missing ones are installed, when the user may.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { isPeerName, loadPeer, type Peer, peerNames, unavailable, type Variant } from './mod.ts'

export type Entry = { readonly peer: Peer; readonly variant: Variant }
/** By variant: why it is not measured. */
export type Reasons = Record<string, string>
export type Chosen = { readonly entries: readonly Entry[]; readonly missing: Reasons }

/** Not all that are to be compared with: a trial. */
export const peersAreShortened = !['', 'installed'].includes(process.env.PEERS ?? '')

let installed = false

/** Entries that cannot run here are in `missing` as well. */
export async function peersToMeasure(say: (text: string) => void): Promise<Chosen> {
  const { PEERS = '' } = process.env
  const names = PEERS === '' || PEERS === 'installed' ? peerNames : PEERS.split(',').filter((name) => name !== 'none')
  const entries: Entry[] = []
  for (const name of names) {
    if (!isPeerName(name)) throw new Error(`PEERS: no peer is called "${name}". There are: ${peerNames.join(', ')}`)
    const peer = await loadPeer(name)
    entries.push(...peer.variants.map((variant) => ({ peer, variant })))
  }
  let missing = await reasonsOf(entries)
  if (PEERS !== 'installed' && !installed && Object.values(missing).some((why) => why.includes('not installed'))) {
    installed = true
    install(say)
    missing = await reasonsOf(entries)
  }
  return { entries, missing }
}

export const conditionsOf = (entries: readonly Entry[]): Record<string, string> =>
  Object.fromEntries(entries.map(({ variant }) => [variant.name, variant.conditions]))

async function reasonsOf(entries: readonly Entry[]): Promise<Reasons> {
  const reasons: Reasons = {}
  for (const { peer, variant } of entries) {
    const reason = await unavailable(peer, variant)
    if (reason !== null) reasons[variant.name] = reason
  }
  return reasons
}

/** What it cannot install is listed as missing afterwards, with the reason. */
function install(say: (text: string) => void): void {
  try {
    execFileSync(join(import.meta.dirname, './install'), { stdio: ['ignore', 'inherit', 'inherit'] })
  } catch (error) {
    say(`not all peers are installed (${(error as Error).message})`)
  }
}
