// Sends one file as a large content. The file may change meanwhile: then what was sent is given up, and the file is sent as it is
// now, under a new id.

import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { basename, resolve } from 'node:path'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Priority } from '#protocol/codec/mod.ts'
import { CONTENT_ID_BYTES, checkName, MEDIA_TYPE_LENGTH_MAX } from '#protocol/transfer/mod.ts'
import { clientFault } from '../faults.ts'
import { PRIORITY_NAMES, type PriorityName } from '../outgoing.ts'
import { type BytesPerSecond, Pacer } from '../pace.ts'
import { RateMeter, secondsLeft } from '../rate.ts'
import { priorityOf, type TransferReport, type TransferWish, WISHED } from '../transfers.ts'
import { Attempt, type UploadHost } from './attempt.ts'
import { Compression, type CompressWish, isCompressWish } from './compression.ts'
import { type CutPlan, type CutWish, planCut } from './cutting.ts'
import { earlierCut, noteCut } from './earlier.ts'
import { uploadFault } from './faults.ts'
import { Journal } from './journal.ts'
import { EARLIER_CUT_BYTES_MIN, PROGRESS_MS, RESTART_MS_FIRST, RESTARTS_MAX, TIMER_MS_MAX } from './limits.ts'
import { ChunkMemory } from './memory.ts'
import { GIVEN_UP } from './opening.ts'
import { newCounters, type UploadProgress, type UploadState } from './progress.ts'
import { type OpenFile, ReadingThread } from './thread.ts'

export type UploadOptions = {
  /** A file. It should not be written while it is sent. */
  readonly path: string
  /** For those who receive it; the file's own name unless said otherwise. */
  readonly name?: string
  /** RFC 6838. */
  readonly mediaType?: string
  /** How long the hub keeps it while nothing refers to it; 0 for the hub's own time. */
  readonly keepMs?: number
  /**
   * So long from now the content is worth anything. Then the hub removes it, whatever refers to it; before that it must be sent. 0
   * (default): it does not expire.
   */
  readonly expiresMs?: number
  /** Among the uploads of this client, `normal` unless said: an urgent one gets nearly all of the line, a bulk one what is left. */
  readonly priority?: PriorityName
  /** 32 hexadecimal digits; the journal's unless said otherwise, else random. */
  readonly id?: string
  /** Where progress is remembered over restarts of the process; nowhere unless said. Nothing else should be in that folder. */
  readonly journalDir?: string
  /**
   * `fixed`: chunks of one size. `content`: cut where the content says so, to find what was sent before behind an insertion, too.
   * `auto` (default): as an earlier version was; else by content where that costs little, or the kind of file has versions.
   */
  readonly cut?: CutWish
  /**
   * `auto` (default): what compresses travels so where that is faster, as well compressed as pays on this line. `on`: wherever it
   * compresses, at the fastest level; a number from 1 to 19: at that level of zstd. `off`: everything travels as it is.
   */
  readonly compress?: CompressWish
  /**
   * Bytes a second on the line, below what the client allows all its uploads together; 0 for no limit, below 0 for nothing at this
   * time of day: a function is asked again and again.
   */
  readonly bytesPerSecondMax?: BytesPerSecond
  /** Gives the upload up, as `cancel` does. */
  readonly signal?: AbortSignal
  /** Four times a second at most, and at the end. */
  readonly onProgress?: (progress: UploadProgress) => void
  /** The file has changed: it is sent again under this id. */
  readonly onRestart?: (id: string, reason: Fault) => void
  /** 0 ≤ random < 1. */
  readonly random?: () => number
}

/** What an attempt is made with. */
type Opened = CutPlan & { readonly file: OpenFile }

export class Upload {
  /** The hub has agreed to take it. Faults: those of `sealed`. */
  readonly opened: Promise<void>
  /**
   * It is whole and durable at the hub, under `id`. Faults: `CONTENT_UNREADABLE`, `CONTENT_CHANGED` (it kept changing),
   * `TRANSFER_TOO_LARGE`, `TRANSFER_REFUSED`, `TRANSFER_EXPIRED`, `TRANSFER_CANCELLED`, `TRANSFER_LEFT`,
   * `TRANSFERS_UNSUPPORTED`, `CLIENT_CLOSED`.
   */
  readonly sealed: Promise<void>
  /** Why progress cannot be remembered, if it cannot: the upload goes on without. */
  journalFailed: Error | null = null
  private readonly host: UploadHost
  private readonly options: UploadOptions
  private readonly path: string
  private readonly name: string
  private readonly counters = newCounters()
  private readonly meter = new RateMeter(performance.now())
  private readonly pacer: Pacer
  private priority: Priority
  private readonly compression: Compression
  private readonly beganMs = performance.now()
  private readonly opening = Promise.withResolvers<void>()
  private readonly sealing = Promise.withResolvers<void>()
  private contentId: Buffer
  private attempt: Attempt | null = null
  private isPaused = false
  private stopped: Fault | null = null
  private wake: (() => void) | null = null
  private reporting: NodeJS.Timeout | null = null
  private expiry: NodeJS.Timeout | null = null

  /** Use `client.upload()`. Faults: `UPLOAD_INVALID`, `CONTENT_NAME_INVALID`. */
  constructor(host: UploadHost, options: UploadOptions) {
    checkOptions(options)
    this.host = host
    this.options = options
    this.path = resolve(options.path)
    this.name = options.name ?? basename(this.path)
    checkName(this.name)
    this.contentId = options.id === undefined ? randomBytes(CONTENT_ID_BYTES) : Buffer.from(options.id, 'hex')
    this.priority = checkedPriority(options.priority)
    this.pacer = new Pacer(options.bytesPerSecondMax ?? 0, () => host.transferLine('upload').pump())
    this.compression = new Compression(
      options.compress ?? 'auto',
      availableParallelism(),
      host.transferLine('upload').known,
    )
    this.opened = this.opening.promise
    this.sealed = this.sealing.promise
    // Who waits for one of them need not wait for the other; a rejection that nobody awaits must not end the process.
    for (const promise of [this.opened, this.sealed]) promise.catch(() => undefined)
    const abort = () => void this.cancel()
    options.signal?.addEventListener('abort', abort, { once: true })
    if (options.signal?.aborted === true) this.stopped = cancelled(this.path)
    this.expire()
    void this.run().finally(() => options.signal?.removeEventListener('abort', abort))
  }

  /** 32 hexadecimal digits. The journal may replace it before `opened`, a change of the file at any time (`onRestart`). */
  get id(): string {
    return this.contentId.toString('hex')
  }

  get progress(): UploadProgress {
    const { counters, name } = this
    const bytesPerSecond = this.meter.rate(performance.now())
    return {
      ...counters,
      name,
      bytesPerSecond,
      secondsLeft: secondsLeft(counters.size - counters.storedBytes, bytesPerSecond),
    }
  }

  /** Sends and reads nothing more until `resume`; what is on its way arrives. */
  pause(): void {
    this.setPaused(true)
  }

  resume(): void {
    this.setPaused(false)
  }

  /** Among the uploads of this client, from now on. Faults: `UPLOAD_INVALID`. */
  prioritize(priority: PriorityName): void {
    this.priority = checkedPriority(priority)
    this.attempt?.prioritize(this.priority)
    this.report()
  }

  /** Gives it up, at the hub too if the hub can be told; resolves when file and journal are closed. After `sealed` without effect. */
  async cancel(): Promise<void> {
    if (this.counters.state === 'sealed') return
    this.stop(cancelled(this.path))
    // What it rejects with is told to whoever awaits it.
    await this.sealed.catch(() => undefined)
  }

  /**
   * Ends it for now: hub and journal keep what they have, and whoever sends the file again, under the same id, goes on there.
   * Resolves when file and journal are closed. After `sealed` without effect.
   */
  async leave(): Promise<void> {
    if (this.counters.state === 'sealed') return
    this.stop(clientFault('TRANSFER_LEFT', { where: this.path }))
    // What it rejects with is told to whoever awaits it.
    await this.sealed.catch(() => undefined)
  }

  private stop(fault: Fault): void {
    this.stopped ??= fault
    this.attempt?.fail(this.stopped)
    this.wake?.()
  }

  private setPaused(isPaused: boolean): void {
    this.isPaused = isPaused
    this.attempt?.pause(isPaused)
  }

  private obey({ priority, paused, cancelled: isCancelled }: TransferWish): void {
    if (isCancelled === true && this.counters.state !== 'sealed') this.stop(cancelled(this.path, WISHED))
    if (priority !== undefined) this.prioritize(priority)
    if (paused !== undefined) this.setPaused(paused)
  }

  private async run(): Promise<void> {
    const { options } = this
    const fixedId = options.id === undefined ? null : Buffer.from(options.id, 'hex')
    try {
      for (let restarts = 0; ; restarts++) {
        const changed = await this.send(restarts === 0 ? fixedId : null)
        if (changed === null) break
        if (restarts === RESTARTS_MAX) throw changed
        await this.wait(RESTART_MS_FIRST * 2 ** restarts)
        const { id } = this
        this.contentId = randomBytes(CONTENT_ID_BYTES)
        this.host.transferRenamed?.(id, this.id)
        options.onRestart?.(this.id, changed)
      }
      this.end('sealed')
      this.host.transferDone?.(this.id)
      this.opening.resolve()
      this.sealing.resolve()
    } catch (error) {
      const fault = asFault(error, this.path)
      this.counters.fault = fault
      this.end('failed')
      this.opening.reject(fault)
      this.sealing.reject(fault)
    }
  }

  /** Sends the file as it is now; gives why it has to be done again, `null` when it is sealed. */
  private async send(id: Buffer | null): Promise<Fault | null> {
    this.check()
    const opened = await this.open(id)
    const { file, chunkBytes, cut } = opened
    let journal: Journal | null = null
    let isWanted = true
    try {
      journal = await this.journal(opened, id)
      this.check()
      if (journal !== null) this.contentId = journal.id
      const attempt = new Attempt({
        host: this.host,
        id: this.contentId,
        name: this.name,
        mediaType: this.options.mediaType ?? '',
        keepMs: this.options.keepMs ?? 0,
        expiresMs: () => this.timeLeftMs(),
        priority: this.priority,
        file,
        chunkBytes,
        cut,
        compression: this.compression,
        journal,
        memory: ChunkMemory.shared().share(Math.min(file.stamp.size, cut?.max ?? chunkBytes), this.priority),
        pacer: this.pacer,
        counters: this.counters,
        meter: this.meter,
        random: this.options.random ?? Math.random,
        onOpened: () => this.opening.resolve(),
        onProgress: () => this.report(),
        report: () => this.standing(),
        obey: (wish) => this.obey(wish),
      })
      this.attempt = attempt
      if (this.isPaused) attempt.pause(true)
      await attempt.start()
      await attempt.done
      isWanted = false
      await this.noteCut(opened)
      return null
    } catch (error) {
      const fault = asFault(error, this.path)
      isWanted = !GIVEN_UP.has(fault.code)
      this.attempt?.fail(fault)
      if (fault.code === 'CONTENT_CHANGED') return fault
      throw fault
    } finally {
      this.attempt = null
      await file.close()
      if (isWanted) await journal?.close()
      else await journal?.remove()
      this.journalFailed ??= journal?.failed ?? null
    }
  }

  private async open(id: Buffer | null): Promise<Opened> {
    const file = await ReadingThread.shared().open(this.path)
    try {
      const { stamp, isPacked } = file
      const { journalDir, cut: wish = 'auto' } = this.options
      const earlier =
        journalDir === undefined
          ? null
          : ((await Journal.planOf(journalDir, { path: this.path, stamp }, id)) ??
            (await earlierCut(journalDir, this.name)))
      return { file, ...planCut({ size: stamp.size, name: this.name, isPacked, wish, earlier }) }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** For the next version. */
  private async noteCut({ file, chunkBytes, cut }: Opened): Promise<void> {
    const { journalDir, cut: wish = 'auto' } = this.options
    if (journalDir === undefined || (wish === 'auto' && file.stamp.size < EARLIER_CUT_BYTES_MIN)) return
    // It was a wish: without it more is sent.
    await noteCut(journalDir, this.name, { chunkBytes, average: cut?.average ?? 0 }).catch(() => undefined)
  }

  private async journal({ file, chunkBytes, cut }: Opened, id: Buffer | null): Promise<Journal | null> {
    const { journalDir } = this.options
    if (journalDir === undefined) return null
    const key = { path: this.path, stamp: file.stamp, chunkBytes, average: cut?.average ?? 0 }
    try {
      return await Journal.open(journalDir, key, id, this.contentId)
    } catch (error) {
      this.journalFailed = error as Error
      return null
    }
  }

  private check(): void {
    if (this.stopped !== null) throw this.stopped
  }

  private wait(ms: number): Promise<void> {
    this.setState('waiting')
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** It ends when its time is over, also without a connection. */
  private expire(): void {
    const { expiresMs = 0 } = this.options
    if (expiresMs === 0) return
    const leftMs = this.beganMs + expiresMs - performance.now()
    this.expiry = setTimeout(
      () => (leftMs > TIMER_MS_MAX ? this.expire() : this.stop(expired(this.path))),
      Math.min(Math.max(0, leftMs), TIMER_MS_MAX),
    )
  }

  /** 0: it does not expire. Faults: `TRANSFER_EXPIRED`. */
  private timeLeftMs(): number {
    const { expiresMs = 0 } = this.options
    if (expiresMs === 0) return 0
    const leftMs = Math.ceil(this.beganMs + expiresMs - performance.now())
    if (leftMs <= 0) throw expired(this.path)
    return leftMs
  }

  private standing(): TransferReport {
    const { name, size, storedBytes: doneBytes, bytesPerSecond, secondsLeft, state, fault } = this.progress
    const progress = { name, size, doneBytes, bytesPerSecond, secondsLeft, state, fault }
    return { direction: 'upload', id: this.id, priority: PRIORITY_NAMES[this.priority] as PriorityName, ...progress }
  }

  private end(state: UploadState): void {
    this.pacer.stop()
    if (this.expiry !== null) clearTimeout(this.expiry)
    this.setState(state)
    if (this.reporting !== null) clearTimeout(this.reporting)
    this.reporting = null
    this.options.onProgress?.(this.progress)
  }

  private setState(state: UploadState): void {
    this.counters.state = state
    this.report()
  }

  private report(): void {
    if (this.options.onProgress === undefined) return
    this.reporting ??= setTimeout(() => {
      this.reporting = null
      this.options.onProgress?.(this.progress)
    }, PROGRESS_MS)
  }
}

const checkedPriority = (name: PriorityName | undefined): Priority =>
  priorityOf(name, (why) => uploadFault('UPLOAD_INVALID', { why }))

const expired = (where: string): Fault => clientFault('TRANSFER_EXPIRED', { where })
const cancelled = (where: string, why?: string): Fault =>
  clientFault('TRANSFER_CANCELLED', { where, ...(why === undefined ? {} : { why }) })

function checkOptions({ id, mediaType = '', keepMs = 0, expiresMs = 0, compress = 'auto' }: UploadOptions): void {
  if (!isCompressWish(compress)) throw uploadFault('UPLOAD_INVALID', { why: `compress is ${JSON.stringify(compress)}` })
  if (id !== undefined && !/^[0-9a-f]{32}$/i.test(id)) throw uploadFault('UPLOAD_INVALID', { why: `the id is ${id}` })
  if (mediaType.length > MEDIA_TYPE_LENGTH_MAX)
    throw uploadFault('UPLOAD_INVALID', { why: 'the media type is too long' })
  for (const [name, ms] of Object.entries({ keepMs, expiresMs })) {
    if (!Number.isSafeInteger(ms) || ms < 0) throw uploadFault('UPLOAD_INVALID', { why: `${name} is ${ms}` })
  }
}
