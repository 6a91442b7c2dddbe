// What a download has open: the part file with its journal, the files to copy from, the memory, and the intake over them.

import type { Fault } from '#protocol/base/mod.ts'
import type { Plan } from '#protocol/transfer/mod.ts'
import { HashPool } from '../hashing/mod.ts'
import type { ChunkArena } from './arena.ts'
import { candidatesFor } from './candidates.ts'
import { downloadFault } from './faults.ts'
import { Intake, type IntakeHooks } from './intake.ts'
import { Journal, readJournal } from './journal.ts'
import { PartFile } from './part-file.ts'
import { lstatIfThere, type Overwrite, type Place } from './place.ts'
import type { ChunkRecords } from './records.ts'
import { ReuseFiles } from './reuse.ts'
import { ChunkStore, targetFault } from './store.ts'

export type WorkOptions = {
  readonly id: Buffer
  readonly place: Place
  readonly plan: Plan
  readonly arena: ChunkArena
  readonly overwrite: Overwrite
  readonly reuse: readonly string[]
  readonly hooks: IntakeHooks & { onFull(fault: Fault | null): void }
}

/** Part files of this process that are open. */
const open = new Set<string>()

export class Work {
  readonly intake: Intake
  readonly records: ChunkRecords
  private readonly place: Place
  private readonly overwrite: Overwrite
  private readonly store: ChunkStore | null
  private readonly reuse: ReuseFiles
  /** Where the complete file was before this download began. */
  private readonly publishedAt: string | null

  private constructor(options: WorkOptions, parts: Pick<Work, 'records' | 'intake'> & WorkParts) {
    this.place = options.place
    this.overwrite = options.overwrite
    this.records = parts.records
    this.intake = parts.intake
    this.store = parts.store
    this.reuse = parts.reuse
    this.publishedAt = parts.publishedAt
  }

  /** Finds what is here of it. Faults: `DOWNLOAD_RUNNING`, `TARGET_EXISTS`, `TARGET_FULL`, `TARGET_FAILED`. */
  static async open(options: WorkOptions): Promise<Work> {
    const { place } = options
    if (open.has(place.partPath)) throw downloadFault('DOWNLOAD_RUNNING', { where: place.partPath })
    open.add(place.partPath)
    try {
      return await openWork(options, (parts) => new Work(options, parts))
    } catch (error) {
      open.delete(place.partPath)
      throw targetFault(place.partPath, error)
    }
  }

  /** All chunks are durable: gives the file its name; gives its path. Faults: `TARGET_EXISTS`, `TARGET_FAILED`. */
  async publish(): Promise<string> {
    const { place, store } = this
    if (store === null) {
      await this.forgetLeftovers()
      return this.publishedAt as string
    }
    try {
      await store.persist(async () => store.journal.complete(await store.part.finish()))
      await this.close()
      const path = await place.publish(this.overwrite)
      await place.sync()
      await place.keepIndex(path)
      return path
    } catch (error) {
      throw targetFault(place.partPath, error)
    }
  }

  /** What is on its way is written; what is not durable then will come again. */
  async close(): Promise<void> {
    this.intake.stop()
    await this.store?.stop()
    await this.reuse.close()
    await this.store?.part.close()
    await this.store?.journal.close()
    open.delete(this.place.partPath)
  }

  /** After `close`: nothing of the content is kept. */
  async forget(): Promise<void> {
    if (this.store !== null) await this.place.removeLeftovers()
  }

  /** The last download ended between naming the file and keeping its index. */
  private async forgetLeftovers(): Promise<void> {
    const left = await readJournal(this.place.journalPath)
    await this.close()
    if (left !== null) await this.place.keepIndex(this.publishedAt as string)
    await this.place.removeLeftovers()
  }
}

type WorkParts = {
  readonly store: ChunkStore | null
  readonly reuse: ReuseFiles
  readonly publishedAt: string | null
}

async function openWork(
  { id, place, plan, arena, overwrite, reuse: reusePaths, hooks }: WorkOptions,
  make: (parts: Pick<Work, 'records' | 'intake'> & WorkParts) => Work,
): Promise<Work> {
  const { size, chunkBytes } = plan
  const common = { arena, hashes: HashPool.shared(), hooks }
  const published = await place.published(id, overwrite)
  const index = published === null ? null : await readJournal(published.journalPath)
  if (published !== null && index !== null) {
    const reuse = await ReuseFiles.open([], chunkBytes)
    const { records } = index
    const intake = new Intake({ ...common, records, store: null, reuse })
    return make({ records, intake, store: null, reuse, publishedAt: published.path })
  }
  const target = place.numbered(1)
  const taken = (await lstatIfThere(target)) !== null
  if (overwrite === 'refuse' && taken) throw downloadFault('TARGET_EXISTS', { where: target })
  const header = { id, size, chunkBytes }
  const left = await readJournal(place.journalPath)
  const fits = left?.id.equals(id) === true && left.size === size && left.chunkBytes === chunkBytes
  const goesOn = fits && (await PartFile.exists(place.partPath, size))
  const part = await PartFile.open(place.partPath, { ...plan, goOn: goesOn }, arena)
  let journal: Journal | null = null
  try {
    journal = goesOn ? await Journal.resume(place.journalPath, left) : await Journal.create(place.journalPath, header)
    await place.sync()
    const reuse = await ReuseFiles.open(await candidatesFor(place, size, reusePaths), chunkBytes)
    const store = new ChunkStore({
      part,
      journal,
      arena,
      hooks: {
        onDurable: (chunks) => intake.durable(chunks),
        onFull: (fault) => hooks.onFull(fault),
        onFailed: (fault) => hooks.onFailed(fault),
      },
    })
    const { records } = journal
    const intake = new Intake({ ...common, records, store, reuse })
    return make({ records, intake, store, reuse, publishedAt: null })
  } catch (error) {
    await part.close()
    await journal?.close()
    throw error
  }
}
