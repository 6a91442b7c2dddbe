// Offline tools for a stopped hub's folder: check, repair, compact. Each takes the store's lock, so a running hub is never
// looked at halfway. Results are plain values, to be shown or printed as JSON.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Fault } from '#protocol/base/mod.ts'
import { describeBatch } from './batch-row.ts'
import { type CheckProgress, type Damage, type Survey, survey } from './check-survey.ts'
import { Engine } from './engine.ts'
import { storeFault } from './faults.ts'
import { STORE_VERSION, versionOf } from './migrate.ts'

export type { CheckProgress } from './check-survey.ts'

/** Address space only: nothing is appended up to this bound. */
export const OFFLINE_BYTES_MAX = 2 ** 40

export type DamagedBatch = {
  readonly batch: number
  /** `null` when nothing on the disk says it any more. */
  readonly origin: string | null
  readonly stream: string | null
  readonly epoch: number | null
  readonly firstSeq: number | null
  readonly lastSeq: number | null
  readonly why: string
  /** Where its messages stood. */
  readonly places: readonly MessagePlace[]
}

export type MessagePlace = {
  readonly queue: string
  readonly lane: number
  /** Positions from … to-1; `null` for messages that waited for their time. */
  readonly from: number | null
  readonly to: number | null
  readonly messages: number
}

export type StoreReport = {
  /** Nothing is damaged and nothing contradicts itself. */
  readonly ok: boolean
  readonly folder: string
  readonly version: number
  readonly batches: number
  readonly bytes: number
  readonly references: number
  readonly segments: number
  readonly segmentBytes: number
  /** In segment files and in use by nothing; what compaction or the next start gives back. */
  readonly unusedBytes: number
  readonly damaged: readonly DamagedBatch[]
  /** Contradictions, each a sentence. */
  readonly problems: readonly string[]
}

/**
 * Reads all of a store and changes nothing. Faults: `STORE_MISSING`, `STORE_IN_USE`, `STORE_VERSION` (start the hub once
 * to migrate), `STORE_DAMAGED` when LMDB's own file cannot be read, `STORE_IO`.
 */
export async function checkStore(dataDir: string, options: { onProgress?: CheckProgress } = {}): Promise<StoreReport> {
  const engine = openOffline(dataDir)
  try {
    return reportOf(dataDir, engine, await survey(engine, options.onProgress ?? (() => undefined)))
  } finally {
    await engine.close()
  }
}

/** The engine of an existing, migrated store. Faults: as `checkStore`. */
export function openOffline(dataDir: string): Engine {
  const folder = join(dataDir, 'store')
  if (!existsSync(join(folder, 'store.mdb'))) throw storeFault('STORE_MISSING', { where: folder })
  const engine = Engine.open(folder, OFFLINE_BYTES_MAX, { freeBytesMin: 0 })
  try {
    const version = versionOf(engine)
    if (version === STORE_VERSION) return engine
    throw storeFault('STORE_VERSION', {
      where: folder,
      why: `it is version ${version}; start the hub once to migrate it`,
    })
  } catch (error) {
    void engine.close()
    throw error
  }
}

export function reportOf(dataDir: string, engine: Engine, found: Survey): StoreReport {
  const problems: string[] = []
  const queueName = (id: number) => found.queueNames.get(id) ?? `number ${id}`
  for (const id of found.strays) problems.push(`there are messages of queue ${id}, which does not exist`)
  for (const { queueId, lane, gaps, unreadable } of found.lanes) {
    const where = `queue ${queueName(queueId)}, lane ${lane}`
    for (const key of unreadable) problems.push(`${where}: the entry at position ${(key as number[])[2]} is unreadable`)
    for (const [from, to] of gaps)
      problems.push(`${where}: positions ${from}–${to - 1} are neither waiting nor settled`)
  }
  for (const { seq, counted, found: references } of found.miscounted) {
    problems.push(`batch ${seq} has ${references} references and counts ${counted}`)
  }
  for (const { seq, why } of found.holds) problems.push(`batch ${seq}: ${HOLD_PROBLEMS[why]}`)
  const damaged = [...found.damaged.values()].map((damage) => damagedBatch(damage, queueName))
  const { segments } = engine
  return {
    ok: damaged.length === 0 && problems.length === 0,
    folder: dataDir,
    version: STORE_VERSION,
    batches: found.batches,
    bytes: found.bytes,
    references: found.references,
    segments: segments.count,
    segmentBytes: segments.fileBytes,
    unusedBytes: Math.max(0, segments.fileBytes - found.segmentBytes),
    damaged,
    problems,
  }
}

const HOLD_PROBLEMS = {
  gone: 'it is gone and still holds contents',
  missing: 'it refers to contents and does not hold them',
  unreadable: 'the row of the contents it holds is unreadable',
  other: 'it holds other contents than it refers to',
} as const

export function damagedBatch(
  { seq, name, fault, references }: Damage,
  queueName: (id: number) => string,
): DamagedBatch {
  const places = references.map((reference): MessagePlace => {
    const at = { queue: queueName(reference.queueId), lane: reference.lane }
    if (reference.kind === 'entry') {
      const { position, count } = reference.entry
      return { ...at, from: position, to: position + count, messages: count }
    }
    const { timer } = reference.timer
    return { ...at, from: null, to: null, messages: timer.kind === 'due' ? timer.entry.count : 0 }
  })
  return {
    batch: seq,
    origin: name?.origin ?? null,
    stream: name?.stream ?? null,
    epoch: name?.epoch ?? null,
    firstSeq: name?.firstSeq ?? null,
    lastSeq: name === null ? null : name.firstSeq + name.count - 1,
    why: reasonOf(fault),
    places,
  }
}

/** One line for people: `batch 5 of agent/s, epoch 1, 1–9: …`. */
export function describeDamage({ batch, origin, stream, epoch, firstSeq, lastSeq, why }: DamagedBatch): string {
  const known = origin !== null && stream !== null && epoch !== null && firstSeq !== null && lastSeq !== null
  if (!known) return `batch ${batch} of unknown origin: ${why}`
  return `batch ${batch} of ${describeBatch({ origin, stream, epoch, firstSeq, count: lastSeq - firstSeq + 1 })}: ${why}`
}

function reasonOf(fault: Fault): string {
  return fault.cause instanceof Error ? `${fault.message} (${fault.cause.message})` : fault.message
}
