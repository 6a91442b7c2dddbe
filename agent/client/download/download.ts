// One content on its way to a file here. It outlives connections and, by its journal, the process: whoever asks for the same
// content at the same place again goes on where this ended.

import { asFault, type Backoff, type Fault, jitteredBackoff } from '#protocol/base/mod.ts'
import type { Priority } from '#protocol/codec/mod.ts'
import type { Chunks, EndTransfer, Fetched, Seal } from '#protocol/schema/mod.ts'
import { type ChunkData, type Manifest, WINDOW_BYTES } from '#protocol/transfer/mod.ts'
import { clientFault } from '../faults.ts'
import { CREDIT_AHEAD_BYTES_MIN, CREDIT_AHEAD_SECONDS } from '../limits.ts'
import type { Line } from '../line.ts'
import { PRIORITY_NAMES, type PriorityName } from '../outgoing.ts'
import { Pacer } from '../pace.ts'
import { RateMeter, secondsLeft } from '../rate.ts'
import {
  priorityOf,
  type Transfer,
  type TransferHost,
  type TransferLink,
  type TransferReport,
  type TransferWish,
  WISHED,
} from '../transfers.ts'
import { ChunkArena } from './arena.ts'
import { checkedManifest, checkFetched } from './claims.ts'
import { downloadFault } from './faults.ts'
import { PROGRESS_MS, RETRY_MS_FIRST, RETRY_MS_MAX } from './limits.ts'
import type { DownloadOptions } from './options.ts'
import { Place } from './place.ts'
import type { Downloaded, DownloadProgress, DownloadState } from './progress.ts'
import { endTransfer, fetchContent, type LeftPart, Session } from './session.ts'
import { Work } from './work.ts'

export type { DownloadOptions } from './options.ts'

export type DownloadHost = TransferHost

export class Download implements Transfer {
  readonly direction = 'download'
  priority: Priority
  /**
   * Faults: `DOWNLOAD_*`, `TARGET_*`, `CONTENT_*`, `CHUNK_DAMAGED`, `MANIFEST_*`, `TRANSFER_*`, `ORIGIN_UNKNOWN`,
   * `REQUEST_REFUSED`, `CLIENT_CLOSED`. What has arrived stays for another try.
   */
  readonly done: Promise<Downloaded>
  private readonly options: DownloadOptions
  private readonly host: DownloadHost
  private readonly id: Buffer
  private readonly line: Line
  /** Its own limit, below that of the line; it wakes the line. */
  private readonly pacer: Pacer
  private readonly meter = new RateMeter(performance.now())
  private readonly settle = Promise.withResolvers<Downloaded>()
  private readonly backoff: Backoff = jitteredBackoff({
    firstMs: RETRY_MS_FIRST,
    maxMs: RETRY_MS_MAX,
    random: Math.random,
  })
  private arena: ChunkArena | null = null
  private fetched_: Fetched | null = null
  private opening: Promise<Work> | null = null
  private work: Work | null = null
  /** Asked for, not agreed: what the hub may send at first. */
  private asking: { readonly link: TransferLink; readonly granted: number; readonly priority: Priority } | null = null
  private session: Session | null = null
  /** Of the last session: the next one goes on there. */
  private left: LeftPart | null = null
  /** Checked and signed by its origin. */
  private manifest: Manifest | null = null
  private receivedBytes = 0
  private wireBytes = 0
  private state: DownloadState = 'connecting'
  private fault: Fault | null = null
  /** Why nothing can be written at the moment, whatever else it is doing. */
  private full: Fault | null = null
  private paused = false
  private over = false
  private retry: NodeJS.Timeout | null = null
  private toldAtMs = 0

  /** Use `client.download`. Faults: `DOWNLOAD_INVALID`. */
  constructor(options: DownloadOptions, host: DownloadHost) {
    if (!/^[0-9a-f]{32}$/.test(options.id)) throw downloadFault('DOWNLOAD_INVALID', { where: 'id' })
    this.options = options
    this.host = host
    this.id = Buffer.from(options.id, 'hex')
    this.priority = checkedPriority(options.priority)
    this.line = host.transferLine(this.direction)
    this.pacer = new Pacer(options.bytesPerSecondMax ?? 0, () => this.line.pump())
    this.done = this.settle.promise
    // Whoever asks is told.
    this.done.catch(() => undefined)
    options.signal?.addEventListener('abort', this.onAbort, { once: true })
  }

  get progress(): DownloadProgress {
    const { work, fault, receivedBytes, wireBytes, fetched_: fetched } = this
    const size = fetched?.size ?? 0
    const bytesPerSecond = this.meter.rate(performance.now())
    return {
      name: fetched?.name ?? '',
      size,
      receivedBytes,
      wireBytes,
      storedBytes: work?.records.bytes ?? 0,
      reusedBytes: work?.intake.reusedBytes ?? 0,
      hashedAgainBytes: work?.intake.hashedAgainBytes ?? 0,
      bytesPerSecond,
      secondsLeft: fetched === null ? null : secondsLeft(size - (work?.records.bytes ?? 0), bytesPerSecond),
      state: this.shownState,
      fault: this.full ?? fault,
    }
  }

  /** No more is asked for; what is on its way, up to 15 MiB, still comes. */
  pause(): void {
    this.paused = true
    this.tell({ now: true })
  }

  resume(): void {
    this.paused = false
    this.tell({ now: true })
    this.line.pump()
  }

  /** Among the downloads of this client, here and at the hub, from now on. Faults: `DOWNLOAD_INVALID`. */
  prioritize(priority: PriorityName): void {
    this.priority = checkedPriority(priority)
    this.line.reorder(this)
    this.session?.prioritize(this.priority)
    this.line.pump()
  }

  /** Gives it up: `done` rejects with `TRANSFER_CANCELLED`. What has arrived stays for another try, unless it is to be forgotten. */
  cancel({ forget = false }: { readonly forget?: boolean } = {}): void {
    this.giveUpBy({ forget })
  }

  /** @internal */
  async attach(link: TransferLink): Promise<void> {
    if (this.over || this.state === 'finishing') return
    this.leave()
    // Where there is a limit nothing comes before this one's turn.
    const granted = this.isFree() ? WINDOW_BYTES : 0
    const { priority } = this
    const asking = { link, granted, priority }
    this.asking = asking
    try {
      await fetchContent(link, { content: this.id, creditBytes: granted, priority })
    } catch (error) {
      const fault = asFault(error)
      if (this.asking !== asking || !link.connection.alive) return
      if (fault.details.retry !== true) throw fault
      this.again(fault)
    }
  }

  /** @internal The hub has agreed: what it says of the content next may come at once. */
  fetched(fetched: Fetched): void {
    if (this.asking === null) return
    const { link, granted, priority } = this.asking
    this.asking = null
    try {
      checkFetched(fetched, this.fetched_, this.options)
      this.fetched_ = fetched
      this.arena ??= new ChunkArena(fetched.size)
      const credit = { isFree: () => this.isFree(), onWish: () => this.line.pump() }
      const { arena, left } = this
      this.left = null
      this.session = new Session(link, fetched, { granted, credit, arena, left })
      // It was changed while it was asked for.
      if (priority !== this.priority) this.session.prioritize(this.priority)
    } catch (error) {
      const fault = asFault(error)
      endTransfer(link.connection, fetched.transfer, fault)
      this.end(fault)
      return
    }
    this.setState('receiving', null)
    void this.begin(this.session, fetched)
  }

  /** @internal */
  detach(): void {
    this.leave()
    if (!this.over && this.state !== 'finishing') this.setState('connecting', null)
  }

  /** @internal */
  pump(): void {}

  /** @internal Lets the hub send so much more. */
  step(bytesMax: number): number {
    const { session } = this
    if (session === null || this.paused || this.over || this.state === 'finishing') return 0
    const wish = session.wish(this.aheadBytesMax())
    if (wish === 0) return 0
    const { isClosed } = this.pacer
    const bytes = Math.min(wish, bytesMax, this.pacer.allowed())
    if (this.pacer.isClosed !== isClosed) this.tell({ now: true })
    if (bytes === 0) return 0
    this.pacer.spend(bytes)
    session.grant(bytes)
    return bytes
  }

  /** @internal */
  windowChanged(): void {
    this.tell({ now: true })
  }

  /** @internal */
  obey({ priority, paused, cancelled }: TransferWish): void {
    if (cancelled === true && this.state !== 'finishing') this.giveUpBy({ why: WISHED, forget: true })
    if (priority !== undefined && PRIORITY_NAMES[this.priority] !== priority) this.prioritize(priority)
    if (paused === true) this.pause()
    else if (paused === false) this.resume()
  }

  /** @internal */
  report(): TransferReport {
    const { name, size, storedBytes: doneBytes, bytesPerSecond, secondsLeft, state, fault } = this.progress
    const progress = { name, size, doneBytes, bytesPerSecond, secondsLeft, state, fault }
    const priority = PRIORITY_NAMES[this.priority] as PriorityName
    return { direction: 'download', id: this.options.id, priority, ...progress }
  }

  /** @internal */
  fail(fault: Fault): void {
    this.end(fault)
  }

  /** @internal */
  chunks(chunks: Chunks): void {
    this.guarded(() => {
      this.session?.incoming.named(chunks)
      this.sort()
    })
  }

  /** @internal */
  data(data: ChunkData): void {
    const { session } = this
    if (session === null) return
    this.guarded(() => {
      const before = session.incoming.receivedBytes
      const arrived = session.data(data)
      const contentBytes = session.incoming.receivedBytes - before
      this.receivedBytes += contentBytes
      this.wireBytes += data.bytes.length
      this.moved()
      if (!this.isFree()) {
        // Credit counts content, and a rate what travels.
        this.giveBack(contentBytes - data.bytes.length)
        this.line.pump()
      }
      if (arrived !== null) void this.work?.intake.arrived(session, arrived)
      this.tell({ now: false })
    })
  }

  /** @internal */
  seal({ manifest }: Seal): void {
    this.guarded(() => this.checkSeal(Buffer.from(manifest)))
  }

  /** @internal */
  ended({ fault }: EndTransfer): void {
    if (this.state === 'finishing' || this.over) return
    const why = fault === null ? 'it gave no reason' : `${fault.code}: ${fault.message}`
    const todo = fault === null || fault.remedy === '' ? {} : { todo: fault.remedy }
    const retry = fault === null || fault.retry
    const refused = clientFault('TRANSFER_REFUSED', { why, ...todo, hubCode: fault?.code ?? '', retry })
    this.leave()
    if (retry) this.again(refused)
    else this.end(refused)
  }

  private readonly onAbort = () => this.cancel()

  private async begin(session: Session, fetched: Fetched): Promise<void> {
    try {
      this.opening ??= this.open(fetched)
      this.work = await this.opening
      if (this.over || session !== this.session) return
      this.work.intake.attach(session)
      this.sort()
      this.checkDone()
    } catch (error) {
      this.notOpened(session, asFault(error))
    }
  }

  /** It could not be: where there was no room it is tried again later. */
  private notOpened(session: Session, fault: Fault): void {
    if (fault.code !== 'TARGET_FULL') this.giveUp(fault)
    else if (!this.over && session === this.session) {
      this.opening = null
      session.end(fault)
      this.leave()
      this.again(fault)
    }
  }

  private async open({ name, size, chunkBytes }: Fetched): Promise<Work> {
    const { id, to, as = 'folder', overwrite = 'number', reuse = [] } = this.options
    const place = await Place.find({ to, as, name, id })
    const arena = this.arena as ChunkArena
    return await Work.open({
      id: this.id,
      place,
      plan: { size, chunkBytes },
      arena,
      overwrite,
      reuse,
      hooks: {
        onKept: (session, chunks) => {
          this.backoff.reset()
          this.moved()
          session.keep(chunks)
          this.tell({ now: false })
          this.checkDone()
        },
        onDamaged: (session, chunk) => this.guarded(() => session.damaged(chunk)),
        onFull: (fault) => {
          this.full = fault
          this.tell({ now: true })
        },
        onFailed: (fault) => this.giveUp(fault),
      },
    })
  }

  /** All chunks are named by now. Faults: `MANIFEST_*`, `ORIGIN_UNKNOWN`. */
  private checkSeal(bytes: Buffer): void {
    const { session, fetched_: fetched } = this
    if (session === null || fetched === null) return
    const { link, list } = session
    this.manifest = checkedManifest(bytes, { id: this.id, list, fetched, origins: link.origins })
    this.checkDone()
  }

  private checkDone(): void {
    const { work, manifest, session, state } = this
    if (work === null || manifest === null || session?.incoming.complete !== true) return
    if (this.over || state === 'finishing') return
    this.setState('finishing', null)
    void this.finish(work, manifest)
  }

  private async finish(work: Work, manifest: Manifest): Promise<void> {
    try {
      const path = await work.publish()
      if (this.over) return
      this.session?.sealed()
      this.over = true
      this.setState('done', null)
      this.tidy()
      this.arena?.release()
      const { size, name, mediaType, origin, root } = manifest
      this.host.transferDone?.(this.options.id)
      this.settle.resolve({ path, size, name, mediaType, origin, root: root.toString('hex') })
    } catch (error) {
      this.end(asFault(error))
    }
  }

  private sort(): void {
    this.work?.intake.sort().catch((error: unknown) => this.giveUp(asFault(error)))
  }

  private get shownState(): DownloadState {
    if (this.full !== null && !this.over) return 'waiting'
    if (this.state !== 'receiving') return this.state
    if (this.paused) return 'paused'
    return this.line.rate < 0 || this.pacer.rate < 0 ? 'window' : 'receiving'
  }

  /** All that there is room for may come. */
  private isFree(): boolean {
    return !this.paused && this.line.rate === 0 && this.pacer.rate === 0
  }

  /** What may be on its way while there is a limit: enough that the line does not stand still between two grants. */
  private aheadBytesMax(): number {
    const rates = [this.line.rate, this.pacer.rate].filter((rate) => rate > 0)
    if (rates.length === 0) return WINDOW_BYTES
    return Math.max(CREDIT_AHEAD_BYTES_MIN, Math.min(...rates) * CREDIT_AHEAD_SECONDS)
  }

  private giveBack(bytes: number): void {
    if (bytes <= 0) return
    this.pacer.giveBack(bytes)
    this.line.giveBack(bytes)
  }

  private moved(): void {
    this.meter.note(this.receivedBytes + (this.work?.intake.reusedBytes ?? 0), performance.now())
  }

  /** What the other side says may be wrong: then this transfer ends, not the connection. */
  private guarded(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.giveUp(asFault(error))
    }
  }

  /** Ends it, and tells the hub why. */
  private giveUp(fault: Fault): void {
    if (!this.over) this.session?.end(fault)
    this.end(fault)
  }

  /** On this connection, or for a while, it does not go on. */
  private leave(): void {
    this.asking = null
    const { session } = this
    this.session = null
    if (session !== null && !this.isFree()) this.giveBack(session.aheadBytes)
    if (session !== null) this.left = session.abandon()
    if (this.over && this.left !== null) {
      this.arena?.free(this.left.part.bytes)
      this.left = null
    }
    this.work?.intake.detach()
    this.pacer.stop()
    if (this.retry !== null) clearTimeout(this.retry)
    this.retry = null
  }

  private again(fault: Fault): void {
    this.setState('waiting', fault)
    this.retry = setTimeout(() => this.host.beginTransfer(this), this.backoff.next())
  }

  private giveUpBy({ why, forget }: { readonly why?: string; readonly forget: boolean }): void {
    const details = { where: this.options.id, ...(why === undefined ? {} : { why }) }
    this.end(clientFault('TRANSFER_CANCELLED', details), { forget })
  }

  private end(fault: Fault, { forget = false } = {}): void {
    if (this.over) return
    this.over = true
    this.full = null
    if (fault.code === 'TRANSFER_CANCELLED') this.session?.end(null)
    this.setState('failed', fault)
    this.tidy()
    void this.close(fault, forget)
  }

  private async close(fault: Fault, forget: boolean): Promise<void> {
    try {
      const work = await this.opening
      await work?.close()
      if (forget) await work?.forget()
    } catch {
      // What could not be opened is why it ended; what cannot be closed is closed with the process.
    }
    this.settle.reject(fault)
  }

  private tidy(): void {
    this.leave()
    this.host.removeTransfer(this)
    this.options.signal?.removeEventListener('abort', this.onAbort)
  }

  private setState(state: DownloadState, fault: Fault | null): void {
    const changed = state !== this.state
    this.state = state
    this.fault = fault
    if (changed) this.tell({ now: true })
  }

  private tell({ now }: { now: boolean }): void {
    const { onProgress } = this.options
    if (onProgress === undefined) return
    const nowMs = performance.now()
    if (!now && nowMs - this.toldAtMs < PROGRESS_MS) return
    this.toldAtMs = nowMs
    onProgress(this.progress)
  }
}

const checkedPriority = (name: PriorityName | undefined): Priority =>
  priorityOf(name, (why) => downloadFault('DOWNLOAD_INVALID', { why }))

/** Begins a download. Faults: `DOWNLOAD_INVALID`, `CLIENT_CLOSED`. */
export function startDownload(options: DownloadOptions, host: DownloadHost): Download {
  const download = new Download(options, host)
  host.addTransfer(download)
  if (options.signal?.aborted === true) download.cancel()
  return download
}
