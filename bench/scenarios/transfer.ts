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
const RSS_MB_MAX = 256
const SENT_TWICE_MB_MAX = 16
const KILLED_BYTES_MAX = 1e9
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
    let killed = source
    if (kills > 0 && bytes > KILLED_BYTES_MAX) {
      rmSync(source.path)
      killed = await makeContent(join(folder.dir, 'smaller.bin'), KILLED_BYTES_MAX)
    }
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
      targets: targetsOf({ ours, rsync: peers.rsync?.[RATE], runs, killRuns }),
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
    'MB too many':
      "the most over all kills, by the hub's sockets both ways, less twice the file: frames, messages, and what came twice",
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
  /** Above the file's size, on both ways together; null when the counters died with the hub. */
  readonly wireMoreBytes: number | null
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
        runs.push({ part, failure, sentTwiceBytes: null, wireMoreBytes: null })
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
    const { bytesIn, bytesOut } = await under.onWire()
    const failure = (await digestOf(under.path)) === source.sha256 ? null : 'the file received differs from the source'
    return {
      part,
      failure,
      sentTwiceBytes: sentTwiceBytes(under),
      wireMoreBytes: part === 'hub' ? null : bytesIn + bytesOut - 2 * source.bytes,
    }
  })
}

/**
 * PLUG IN HERE: content bytes that crossed a connection more than once in a transfer that is done, of sender to hub and hub to
 * receiver together, by the counters of `answersOf('sender')`, `answersOf('receiver')` and the hub's status; null while none
 * of them says it: then the target is not measured.
 */
function sentTwiceBytes(_under: Transfer): number | null {
  return null
}

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
    const more = killRuns.flatMap((run) => (run.part === part ? (run.wireMoreBytes ?? []) : []))
    if (more.length > 0) measures[`MB too many on the wire, ${part} killed`] = Math.max(...more) / 1e6
  }
  return measures
}

function targetsOf(options: {
  ours: Record<string, number>
  rsync: number | undefined
  runs: readonly Run[]
  killRuns: readonly KillRun[]
}): Target[] {
  const { ours, rsync, runs, killRuns } = options
  const ratio = rsync === undefined ? null : (ours[RATE] as number) / rsync
  const rssMb = Math.max(...runs.flatMap(({ rssBytes }) => PARTS.map((part) => rssBytes[part]))) / 2 ** 20
  const twice = killRuns.map((run) => run.sentTwiceBytes)
  const isTold = twice.length > 0 && !twice.includes(null)
  const twiceMb = isTold ? Math.max(...(twice as number[])) / 1e6 : null
  const wrong = killRuns.length === 0 ? null : killRuns.filter(({ failure }) => failure !== null).length
  const most = (name: string, max: number, got: number | null): Target => ({
    name,
    want: `<= ${max}`,
    got,
    ok: got === null ? null : got <= max,
  })
  return [
    { name: 'rsync-ratio', want: `>= ${WANTED_RATIO}`, got: ratio, ok: ratio === null ? null : ratio >= WANTED_RATIO },
    most('rss-mb', RSS_MB_MAX, rssMb),
    most('sent-twice-mb-per-kill', SENT_TWICE_MB_MAX, twiceMb),
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
