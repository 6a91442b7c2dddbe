// One large file from agent to agent through the hub, beside programs that copy files, all on one disk; then smaller ones
// during which sender, hub and receiver are killed. Everything is measured twice, in opposite orders, and the mean counts,
// so that a machine that slows down or speeds up meanwhile favours nobody.
//
// BYTES=1e9 sets the size, KILLS=20 how often each of the three is killed (0: never).

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  bytesToSend,
  type Content,
  digestOf,
  isShortContent,
  makeContent,
  scaleText,
  settleDisk,
  settledText,
  sizeText,
} from '../content.ts'
import { copiersToMeasure, peersAreShortened, type Reasons } from '../peers/choose.ts'
import type { Copier } from '../peers/copiers.ts'
import type { Say, ScenarioResult, Target } from '../report.ts'
import { freshFolder } from '../stage.ts'
import {
  type OfParts,
  PARTS,
  type Part,
  reaches,
  type Transfer,
  transferConditions,
  withTransfer,
} from '../transfer.ts'

const WANTED_RATIO = 2
/** Of what three bare processes do that only hash, store and send on. */
const WANTED_OF_CEILING = 0.6
const RSS_MB_MAX = 256
const SENT_TWICE_MB_MAX = 16
/** Of the file the kills happen in: so much, and this share of the other one. */
const KILLED_BYTES_MAX = 1e9
const KILLED_SHARE_MAX = 0.3
const KILLS_DEFAULT = 2
/** Of the file: the earliest and the latest kill. */
const KILLED_AT = { first: 0.15, last: 0.75 }
const DRIFT_MAX = 0.2
const SAY_MS = 5000
const RATE = 'MB/s'

type Run = { readonly perSecond: number; readonly cpuPerGb: OfParts; readonly rssBytes: OfParts }
type Telling = { readonly say: Say; readonly notes: string[] }

export async function transfer(say: Say): Promise<ScenarioResult> {
  const kills = Number(process.env.KILLS ?? KILLS_DEFAULT)
  if (!Number.isInteger(kills) || kills < 0) throw new Error(`KILLS=${process.env.KILLS} is no number of kills`)
  const notes: string[] = []
  const { chosen, missing } = await copiersToMeasure(say)
  const folder = freshFolder('source')
  try {
    const bytes = bytesToSend('transfer', folder.dir, { inAll: 1e9 })
    say(`making a file of ${sizeText(bytes)} …`)
    const source = await makeContent(join(folder.dir, 'content.bin'), bytes)
    const { runs, rates } = await measureAll(source, { chosen, missing, say })
    rmSync(source.path)
    const killedBytes = Math.min(KILLED_BYTES_MAX, Math.ceil(bytes * KILLED_SHARE_MAX))
    const killed = await makeContent(join(folder.dir, 'smaller.bin'), kills > 0 ? killedBytes : 0)
    const killRuns = await killAll(killed, kills, { say, notes })
    const ours = measuresOf(runs)
    const peers = Object.fromEntries(Object.entries(rates).map(([name, each]) => [name, { [RATE]: mean(each) }]))
    tellDrift({ causeway: runs.map((run) => run.perSecond), ...rates }, notes)
    return {
      scenario: 'transfer',
      unit: RATE,
      params: conditions({ source, killed, kills }),
      ours: { ...ours, ...killMeasures(killRuns) },
      peers,
      missing,
      conditions: Object.fromEntries(chosen.map(({ name, conditions }) => [name, conditions])),
      targets: targetsOf({ ours, rsync: peers.rsync?.[RATE], ceiling: peers['raw-sha256']?.[RATE], runs, killRuns }),
      notes,
      shortened: isShortContent(source) || peersAreShortened || kills < KILLS_DEFAULT,
    }
  } finally {
    folder.remove()
  }
}

function conditions({ source, killed, kills }: { source: Content; killed: Content; kills: number }) {
  return {
    ...transferConditions,
    file: `${scaleText(source)}, random content, one disk for all`,
    before: settledText(),
    order: 'causeway, the copiers, the copiers in opposite order, causeway: the mean of both counts',
    digest: 'the SHA-256 of every result is compared with the source, after the measured time',
    'cpu and memory': 'user and system, VmHWM; of sender and receiver as of a tenth of a second before their end',
    'sent twice':
      'both ways together, the most over all kills: sender or receiver killed: what the sockets of the hub had above twice the ' +
      'file, frames and messages included; hub killed: content by the counters of sender and receiver',
    kills: `${kills} of each part with SIGKILL during a transfer of ${sizeText(killed.bytes)}, each on a hub of its own (KILLS= sets it)`,
  }
}

async function measureAll(
  source: Content,
  options: { chosen: readonly Copier[]; missing: Reasons; say: Say },
): Promise<{ runs: Run[]; rates: Record<string, number[]> }> {
  const { chosen, missing, say } = options
  const rates: Record<string, number[]> = {}
  const runs = [await measureOurs(source, say)]
  for (const copier of [...chosen, ...chosen.toReversed()]) {
    const { name } = copier
    if (missing[name] !== undefined) continue
    say(`${name} …`)
    try {
      const rate = await measureCopier(copier, source)
      say(`${name}: ${Math.round(rate)} MB/s`)
      rates[name] = [...(rates[name] ?? []), rate]
    } catch (error) {
      missing[name] = (error as Error).message
      delete rates[name]
    }
  }
  if (Object.keys(rates).length > 0) runs.push(await measureOurs(source, (text) => say(`again: ${text}`)))
  return { runs, rates }
}

async function measureCopier(copier: Copier, source: Content): Promise<number> {
  const folder = freshFolder(copier.name)
  try {
    const copying = await copier.open(folder.dir)
    try {
      await settleDisk(source)
      const startMs = performance.now()
      const path = await copying.copy(source.path)
      const ms = performance.now() - startMs
      if ((await digestOf(path)) !== source.sha256) throw new Error('its copy differs from the source')
      return source.bytes / ms / 1000
    } finally {
      await copying.close()
    }
  } finally {
    folder.remove()
  }
}

function measureOurs(source: Content, say: Say): Promise<Run> {
  say('causeway …')
  return withTransfer(source, async (under) => {
    await settleDisk(source)
    const telling = setInterval(() => void tellProgress(under, source, say), SAY_MS)
    try {
      const startMs = performance.now()
      under.begin()
      const { atMs } = await under.end()
      const perSecond = source.bytes / (atMs - startMs) / 1000
      const cpuPerGb = ofParts(under.cpuSeconds(), (seconds) => (seconds * 1e9) / source.bytes)
      const rssBytes = under.rssBytesMax()
      say(`causeway: ${Math.round(perSecond)} MB/s`)
      if ((await digestOf(under.path)) !== source.sha256) throw new Error('the file received differs from the source')
      return { perSecond, cpuPerGb, rssBytes }
    } finally {
      clearInterval(telling)
    }
  })
}

async function tellProgress(under: Transfer, { bytes }: Content, say: Say): Promise<void> {
  // The last one may find the hub gone.
  const wire = await under.onWire().catch(() => null)
  const share = (some: number) => `${Math.min(100, Math.round((some / bytes) * 100))} %`
  if (wire !== null) say(`${share(wire.bytesIn)} at the hub, ${share(wire.bytesOut)} on the way to the receiver`)
}

type KillRun = {
  readonly part: Part
  /** What was wrong with the file afterwards, if anything. */
  readonly failure: string | null
  readonly sentTwiceBytes: number | null
  readonly hashedAgainBytes: number | null
}

async function killAll(source: Content, kills: number, { say, notes }: Telling): Promise<KillRun[]> {
  const runs: KillRun[] = []
  for (let i = 0; i < kills; i++) {
    const share = KILLED_AT.first + ((KILLED_AT.last - KILLED_AT.first) * (i + 0.5)) / kills
    for (const part of PARTS) {
      const where = `${part} killed at ${Math.round(share * 100)} %`
      say(`${where} …`)
      try {
        const run = await killOnce(source, { part, share })
        if (run.failure !== null) notes.push(`${where}: ${run.failure}`)
        runs.push(run)
      } catch (error) {
        const failure = (error as Error).message
        notes.push(`${where}: ${failure}`)
        runs.push({ part, failure, sentTwiceBytes: null, hashedAgainBytes: null })
      }
    }
  }
  return runs
}

function killOnce(source: Content, { part, share }: { part: Part; share: number }): Promise<KillRun> {
  return withTransfer(source, async (under) => {
    under.begin()
    const way = part === 'receiver' ? 'bytesOut' : 'bytesIn'
    if (!(await reaches(under, { bytes: share * source.bytes, way }))) {
      // With its own reason when it failed.
      await under.end()
      throw new Error('the transfer ended before anything could be killed')
    }
    await under.killAndRestart(part)
    await under.end()
    const sentTwice = await sentTwiceBytes(under, { bytes: source.bytes, part })
    const failure = (await digestOf(under.path)) === source.sha256 ? null : 'the file received differs from the source'
    return { part, failure, sentTwiceBytes: sentTwice, hashedAgainBytes: hashedAgainBytes(under) }
  })
}

type Counts = Partial<Record<'size' | 'sentBytes' | 'receivedBytes' | 'reusedBytes' | 'hashedAgainBytes', number>>

/** What the last life of a command counted. */
const countsOf = (under: Transfer, part: 'sender' | 'receiver'): Counts =>
  (under.answersOf(part).at(-1) ?? {}) as Counts

/**
 * How much crossed a connection more than once in a transfer that is done, on both ways together; null when nobody says so.
 * A killed hub's counters are gone: sender and receiver, which lived through it, say it. A killed command's counters are gone:
 * the hub's sockets say it, and charge frames and messages as well.
 */
async function sentTwiceBytes(under: Transfer, { bytes, part }: { bytes: number; part: Part }): Promise<number | null> {
  if (part !== 'hub') {
    const { bytesIn, bytesOut } = await under.onWire()
    return bytesIn + bytesOut - 2 * bytes
  }
  const [sender, receiver] = [countsOf(under, 'sender'), countsOf(under, 'receiver')]
  const sent = sum(sender.sentBytes, sender.reusedBytes)
  const received = sum(receiver.receivedBytes, receiver.reusedBytes)
  return sent === null || received === null ? null : Math.max(0, sent - bytes) + Math.max(0, received - bytes)
}

/** Of what sender and receiver had hashed in an earlier life; null when they do not say so. */
const hashedAgainBytes = (under: Transfer): number | null =>
  sum(countsOf(under, 'sender').hashedAgainBytes, countsOf(under, 'receiver').hashedAgainBytes)

const sum = (a: number | undefined, b: number | undefined): number | null =>
  a === undefined || b === undefined ? null : a + b

function measuresOf(runs: readonly Run[]): Record<string, number> {
  const measures: Record<string, number> = { [RATE]: mean(runs.map((run) => run.perSecond)) }
  for (const part of PARTS) {
    measures[`CPU seconds per GB of ${part}`] = mean(runs.map((run) => run.cpuPerGb[part]))
    measures[`peak memory of ${part} in MiB`] = Math.max(...runs.map((run) => run.rssBytes[part])) / 2 ** 20
  }
  return measures
}

function killMeasures(killRuns: readonly KillRun[]): Record<string, number> {
  const measures: Record<string, number> = {}
  for (const part of PARTS) {
    const runs = killRuns.filter((run) => run.part === part && run.failure === null)
    const twice = mostMb(runs.map((run) => run.sentTwiceBytes))
    if (twice !== null) measures[`MB sent twice at most, ${part} killed`] = twice
  }
  return measures
}

/** Null when one of them, or all, were not measured. */
function mostMb(bytes: readonly (number | null)[]): number | null {
  return bytes.length === 0 || bytes.includes(null) ? null : Math.max(...(bytes as number[])) / 1e6
}

function targetsOf(options: {
  ours: Record<string, number>
  rsync: number | undefined
  ceiling: number | undefined
  runs: readonly Run[]
  killRuns: readonly KillRun[]
}): Target[] {
  const { ours, rsync, ceiling, runs, killRuns } = options
  const least = (name: string, min: number, of: number | undefined): Target => {
    const got = of === undefined ? null : (ours[RATE] as number) / of
    return { name, want: `>= ${min}`, got, ok: got === null ? null : got >= min }
  }
  const rssMb = Math.max(...runs.flatMap(({ rssBytes }) => PARTS.map((part) => rssBytes[part]))) / 2 ** 20
  const wrong = killRuns.length === 0 ? null : killRuns.filter(({ failure }) => failure !== null).length
  const most = (name: string, max: number, got: number | null): Target => ({
    name,
    want: `<= ${max}`,
    got,
    ok: got === null ? null : got <= max,
  })
  return [
    least('rsync-ratio', WANTED_RATIO, rsync),
    least('of-ceiling', WANTED_OF_CEILING, ceiling),
    most('rss-mb', RSS_MB_MAX, rssMb),
    most('sent-twice-mb-per-kill', SENT_TWICE_MB_MAX, mostMb(killRuns.map((run) => run.sentTwiceBytes))),
    most('hashed-again-mb-per-kill', 0, mostMb(killRuns.map((run) => run.hashedAgainBytes))),
    most('wrong-after-kill', 0, wrong),
  ]
}

function tellDrift(rates: Record<string, readonly number[]>, notes: string[]): void {
  for (const [who, each] of Object.entries(rates)) {
    if (Math.max(...each) - Math.min(...each) <= DRIFT_MAX * Math.max(...each)) continue
    const says = `its two runs differ by more than ${DRIFT_MAX * 100} %: the machine was not quiet`
    notes.push(`${who}: ${says}`)
  }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

const ofParts = (values: OfParts, change: (value: number) => number): OfParts => ({
  sender: change(values.sender),
  hub: change(values.hub),
  receiver: change(values.receiver),
})
