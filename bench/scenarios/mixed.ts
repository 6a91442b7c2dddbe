// Do urgent messages suffer while a large file is on its way? They flow at a fixed rate through a queue of their own: alone,
// during a transfer between two other agents, and alone again. All three are measured over equal times; the one during the
// transfer lies wholly within it, and where the transfer ends earlier all three are cut to what lies within.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  bytesToSend,
  type Content,
  flushDisk,
  isShortContent,
  makeContent,
  scaleText,
  settleDisk,
  settledText,
  sizeText,
} from '../content.ts'
import { Histogram, monotonicMs } from '../histogram.ts'
import { measurePaced, type Paced, type PacedOptions } from '../paced.ts'
import { freePort } from '../peers/server.ts'
import { type Say, type ScenarioResult, shown } from '../report.ts'
import { freshFolder, Stage } from '../stage.ts'
import { elapsed, FILE_QUEUE, reaches, Transfer, transferConditions } from '../transfer.ts'

const BODY_BYTES = 256
const PER_SECOND = 200
const WANTED = 3
const MEASURED_MS = 10_000
const { SECONDS } = process.env
const TIMES = { warmUpMs: 1000, measuredMs: SECONDS === undefined ? MEASURED_MS : Number(SECONDS) * 1000 }
/** Fewer say nothing of one in a hundred. */
const SAMPLES_MIN = 500
/** The transfer counts as under way when the receiver's side has had so much. */
const UNDER_WAY_BYTES = 16e6
const QUIET_MS = 5000
/** The two idle values may differ by such a factor before the result says so. */
const DRIFT_MAX = 2

const URGENT_QUEUE = { name: 'urgent', topics: ['bench/urgent'] } as const

type During = {
  readonly paced: Paced
  /** When the transfer ended, or was seen under way for the last time. */
  readonly untilMs: number
  /** MB/s that came through meanwhile. */
  readonly perSecond: number
}

export async function mixed(say: Say): Promise<ScenarioResult> {
  const folder = freshFolder('source')
  const stage = new Stage()
  try {
    // Less would end before there are enough urgent messages.
    const bytes = bytesToSend('mixed', folder.dir, { inAll: 4e9 })
    say(`making a file of ${sizeText(bytes)} …`)
    const source = await makeContent(join(folder.dir, 'content.bin'), bytes)
    const server = await stage.startHub({ queues: [FILE_QUEUE, URGENT_QUEUE], tls: false, port: await freePort() })
    const urgent = await urgentFlow(stage, server)
    say('urgent messages alone …')
    const before = await measurePaced(urgent)
    say('urgent messages during the transfer …')
    const during = await measureDuring(stage, { source, urgent })
    rmSync(source.path)
    await flushDisk(folder.dir)
    // The hub notices that the agents are gone, and writes what it had.
    await elapsed(QUIET_MS)
    say('urgent messages alone again …')
    const after = await measurePaced(urgent)
    return resultOf({ source, before, during, after })
  } finally {
    await stage.end()
    folder.remove()
  }
}

async function urgentFlow(stage: Stage, server: PacedOptions['server']): Promise<PacedOptions> {
  const side = async (agent: string) => {
    const identity = await stage.enroll(agent, false)
    return { kind: 'product', identity, queue: 'urgent', topic: 'bench/urgent', priority: 'urgent' } as const
  }
  return {
    producer: await side('urgent-producer'),
    consumer: await side('urgent-consumer'),
    server,
    bodyBytes: BODY_BYTES,
    perSecond: PER_SECOND,
    times: TIMES,
    keep: true,
  }
}

async function measureDuring(
  stage: Stage,
  { source, urgent }: { source: Content; urgent: PacedOptions },
): Promise<During> {
  const transfer = await Transfer.prepare(stage, source)
  try {
    await settleDisk(source)
    const { bytesOut: before } = await transfer.onWire()
    transfer.begin()
    const ended = transfer.end().then(() => monotonicMs())
    // A failure is told by an await below; the end is not waited for when urgent messages are through before.
    ended.catch(() => undefined)
    const underWay = before + Math.min(UNDER_WAY_BYTES, source.bytes / 10)
    if (!(await reaches(transfer, { bytes: underWay, way: 'bytesOut' }))) {
      await ended
      throw new Error('the transfer ended before urgent messages could flow: give more BYTES=')
    }
    const start = { atMs: monotonicMs(), ...(await transfer.onWire()) }
    const paced = await measurePaced(urgent)
    const { bytesOut } = await transfer.onWire()
    const untilMs = transfer.isOver ? await ended : monotonicMs()
    return { paced, untilMs, perSecond: (bytesOut - start.bytesOut) / (untilMs - start.atMs) / 1000 }
  } finally {
    await transfer.stop()
  }
}

function resultOf(options: { source: Content; before: Paced; during: During; after: Paced }): ScenarioResult {
  const { source, before, during, after } = options
  const notes: string[] = []
  const forMs = Math.min(TIMES.measuredMs, Math.max(0, during.untilMs - during.paced.fromMs))
  if (forMs < TIMES.measuredMs) {
    notes.push(
      `the transfer ended before the measured time did: all three are cut to its first ${shown(forMs / 1000)} s`,
    )
  }
  const phases = { 'idle, before': before, 'during the transfer': during.paced, 'idle, after': after }
  const measures: Record<string, number> = {}
  const p99s: number[] = []
  let fewest = Number.MAX_SAFE_INTEGER
  for (const [name, paced] of Object.entries(phases)) {
    const latencies = within(paced, forMs)
    p99s.push(latencies.percentile(0.99))
    fewest = Math.min(fewest, latencies.total)
    for (const [percentile, share] of [
      ['p50', 0.5],
      ['p99', 0.99],
      ['most', 1],
    ] as const) {
      measures[`${percentile}, ${name}`] = latencies.percentile(share)
    }
    measures[`messages measured, ${name}`] = latencies.total
    if (paced.outOfOrder > 0) notes.push(`${name}: ${paced.outOfOrder} out of order`)
  }
  const [idleBefore = 0, busy = 0, idleAfter = 0] = p99s
  const isEnough = fewest >= SAMPLES_MIN
  if (!isEnough)
    notes.push(`p99 of ${fewest} messages says nothing: ${SAMPLES_MIN} are needed (more BYTES= or SECONDS=)`)
  const [low, high] = [Math.min(idleBefore, idleAfter), Math.max(idleBefore, idleAfter)]
  if (high > DRIFT_MAX * low) notes.push(`the idle p99s differ; over the smaller one the ratio is ${shown(busy / low)}`)
  const got = isEnough ? busy / ((idleBefore + idleAfter) / 2) : null
  return {
    scenario: 'mixed',
    unit: 'ms',
    better: 'less',
    params: {
      processes: `${transferConditions.processes}; two more agents for the urgent messages`,
      file: `${scaleText(source)}, random content, from one agent to another; given up when the urgent messages are through`,
      before: settledText(),
      urgent: `${BODY_BYTES} bytes, priority urgent, ${PER_SECOND}/s, flushed before the acknowledgement; agents and queue of their own`,
      schedule:
        'every message has a time to be sent at, and its latency counts from then; what never arrived counts with the time it waited',
      measured: `${shown(forMs / 1000)} s each after ${TIMES.warmUpMs / 1000} s of warm-up, on one clock (CLOCK_MONOTONIC)`,
      samples: `at least ${fewest} messages each; p99 rests on the slowest ${Math.floor(fewest / 100)}`,
    },
    ours: { ...measures, 'MB/s of the transfer meanwhile': during.perSecond },
    peers: {},
    targets: [{ name: 'urgent-p99-ratio', want: `<= ${WANTED}`, got, ok: got === null ? null : got <= WANTED }],
    notes,
    shortened: isShortContent(source) || TIMES.measuredMs < MEASURED_MS,
  }
}

/** Of the messages that should have been sent in the first `forMs` of the measured time. */
function within({ latencies, fromMs }: Paced, forMs: number): Histogram {
  const histogram = new Histogram()
  for (const { intendedMs, latencyMs } of latencies) if (intendedMs < fromMs + forMs) histogram.add(latencyMs)
  return histogram
}
