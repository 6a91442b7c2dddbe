// Versions of the store, and how an older one becomes the present one: by steps, each a row of bounded transactions that
// note how far they are. A hub killed anywhere in between goes on at the next start. From the first transaction on the
// folder's version is one that neither the old nor the new program opens by mistake.

import { Engine, type EngineOptions } from './engine.ts'
import { storeFault } from './faults.ts'
import { batchesToSegments } from './migrate-batches.ts'
import { entriesToLanes, statesToLanes } from './migrate-lanes.ts'
import type { Blob } from './segments.ts'

/** 1: batches inside LMDB. 2: batches in segments, lanes, policies. */
export const STORE_VERSION = 2
/** Added to the version it comes from while a migration is under way. */
const UNDER_WAY = 0x1_0000

export type Migration = {
  readonly engine: Engine
  /** What the last `commit` of this step noted; `null` at its beginning. */
  readonly progress: string | null
  /**
   * One transaction: what `write` puts, after `blobs` are on the disk, and `progress`. It takes effect whole or not at
   * all. Faults: `STORE_FULL`, `STORE_IO`: the hub does not start, and goes on from here the next time.
   */
  commit(progress: string, write: () => void, blobs?: readonly Blob[]): Promise<void>
}

export type MigrationStep = { readonly name: string; run(migration: Migration): Promise<void> }

/** Steps by the version they begin with; a list's steps run in order, the last one leaves the next version. */
export const migrations: Readonly<Record<number, readonly MigrationStep[]>> = {
  1: [batchesToSegments, entriesToLanes, statesToLanes],
}

export type MigrationProgress = (what: { from: number; to: number; step: string; progress: string | null }) => void

/**
 * Opens the engine of a store's folder, migrated to the present version if it is older. A new folder has no version yet:
 * its store writes it. Faults: those of `Engine.open`, `STORE_VERSION`.
 */
export async function openEngine(
  folder: string,
  bytesMax: number,
  options: EngineOptions & { readonly onMigrate?: MigrationProgress } = {},
): Promise<Engine> {
  for (;;) {
    const engine = Engine.open(folder, bytesMax, options)
    try {
      const version = versionOf(engine)
      if (version === STORE_VERSION || version === null) return engine
      await migrate(engine, version % UNDER_WAY, options.onMigrate ?? (() => undefined))
    } catch (error) {
      await engine.close()
      throw error
    }
    // Memory knows the folder as it was.
    await engine.close()
  }
}

/** The version in the folder; `null` in a new one. Faults: `STORE_VERSION` for one this program cannot read. */
export function versionOf(engine: Engine): number | null {
  const version = engine.table('meta').get('version')?.readUInt32LE(0) ?? null
  const readable = version === null || version === STORE_VERSION || migrations[version % UNDER_WAY] !== undefined
  if (readable) return version
  throw storeFault('STORE_VERSION', { why: `it is version ${version}, this hub reads up to ${STORE_VERSION}` })
}

export function encodeVersion(version: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(version)
  return out
}

type Mark = { readonly step: number; readonly progress: string | null }

async function migrate(engine: Engine, from: number, tell: MigrationProgress): Promise<void> {
  const meta = engine.table('meta')
  const steps = migrations[from] ?? []
  const to = from + 1
  const marked = meta.get('migration')
  const mark: Mark = marked === undefined ? { step: 0, progress: null } : (JSON.parse(String(marked)) as Mark)
  for (const [number, step] of steps.entries()) {
    if (number < mark.step) continue
    const note = (progress: string | null, step: number) => {
      meta.put('version', encodeVersion(UNDER_WAY + from))
      meta.put('migration', Buffer.from(JSON.stringify({ step, progress })))
    }
    const begun = number === mark.step ? mark.progress : null
    tell({ from, to, step: step.name, progress: begun })
    await step.run({
      engine,
      progress: begun,
      commit: async (progress, write, blobs = []) => {
        const works: Promise<void>[] = blobs.map((blob) => engine.append(0, { write: nothing, done: nothing }, blob))
        const work = () => {
          write()
          note(progress, number)
        }
        works.push(engine.append(0, { write: work, done: nothing }))
        await Promise.all(works)
        tell({ from, to, step: step.name, progress })
      },
    })
    await engine.append(0, { write: () => note(null, number + 1), done: nothing })
  }
  const write = () => {
    meta.put('version', encodeVersion(to))
    meta.remove('migration')
  }
  await engine.append(0, { write, done: nothing })
}

function nothing(): void {
  // The blob alone goes with the group; its row is put by the one work that writes.
}
