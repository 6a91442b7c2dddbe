// Which peers a run measures: PEERS=none: none; PEERS=redis,nats: those; PEERS=installed: those that are there. By default
// missing ones are installed, when the user may.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Copier, copierReason, copiers } from './copiers.ts'
import { loadPeer, type Peer, peerNames, unavailable, type Variant } from './mod.ts'
import { locate } from './server.ts'

export type Entry = { readonly peer: Peer; readonly variant: Variant }
/** By variant: why it is not measured. */
export type Reasons = Record<string, string>
export type Chosen = { readonly entries: readonly Entry[]; readonly missing: Reasons }

/** Not all that are to be compared with: a trial. */
export const peersAreShortened = !['', 'installed'].includes(process.env.PEERS ?? '')

let installed = false

/** Entries that cannot run here are in `missing` as well. */
export async function peersToMeasure(say: (text: string) => void): Promise<Chosen> {
  const entries: Entry[] = []
  for (const name of peerNames.filter(isChosen)) {
    const peer = await loadPeer(name)
    entries.push(...peer.variants.map((variant) => ({ peer, variant })))
  }
  return { entries, missing: await reasonsOrInstalled(() => reasonsOf(entries), say) }
}

/** The same of the programs that copy files. */
export async function copiersToMeasure(
  say: (text: string) => void,
): Promise<{ readonly chosen: readonly Copier[]; readonly missing: Reasons }> {
  const chosen = copiers.filter(({ name }) => isChosen(name))
  const reasons = async () => {
    const reasons: Reasons = {}
    for (const copier of chosen) {
      const reason = await copierReason(copier)
      if (reason !== null) reasons[copier.name] = reason
    }
    return reasons
  }
  return { chosen, missing: await reasonsOrInstalled(reasons, say) }
}

/** The same of one program, by its name. */
export function programToMeasure(program: string, say: (text: string) => void): Promise<Reasons> {
  const { PEERS = '' } = process.env
  if (!['', 'installed'].includes(PEERS)) return Promise.resolve({ [program]: `PEERS=${PEERS}` })
  const reason = `${program} is not installed: run bench/peers/install as root`
  return reasonsOrInstalled(async () => (locate(program) === null ? { [program]: reason } : {}), say)
}

function isChosen(name: string): boolean {
  const { PEERS = '' } = process.env
  if (PEERS === '' || PEERS === 'installed') return true
  const all: readonly string[] = [...peerNames, ...copiers.map((copier) => copier.name)]
  const names = PEERS.split(',')
  const unknown = names.filter((one) => one !== 'none' && !all.includes(one))
  if (unknown.length > 0)
    throw new Error(`PEERS: no peer is called "${unknown.join(', ')}". There are: ${all.join(', ')}`)
  return names.includes(name)
}

/** Installs what is not there, once, and looks again. */
async function reasonsOrInstalled(reasons: () => Promise<Reasons>, say: (text: string) => void): Promise<Reasons> {
  const missing = await reasons()
  const isAbsent = Object.values(missing).some((why) => why.includes('not installed'))
  if (process.env.PEERS === 'installed' || installed || !isAbsent) return missing
  installed = true
  install(say)
  return await reasons()
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
