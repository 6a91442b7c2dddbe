// What has come to rest in a drop folder: looks through it when something has changed there, and every `pollMs`.

import type { ComponentContext } from '../../contract.ts'
import { WATCH_SETTLE_MS } from '../../limits.ts'
import { waitFor } from '../../support/mod.ts'
import { compileGlob } from './glob.ts'
import { FileScan, type Found } from './scan.ts'
import type { DirectorySourceSettings } from './settings.ts'
import { FolderWatch } from './watch.ts'

const DENIED_TOLD_MAX = 1_000

/** Names in a drop folder that are not the users'. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(['done', 'bad'])

export class DropScan {
  readonly #path: string
  readonly #pollMs: number
  readonly #context: ComponentContext
  readonly #scan: FileScan
  readonly #watch: FolderWatch
  /** When the last pass began (monotonic). */
  #passAtMs = 0
  /** Names that are not UTF-8, as far as that was told. */
  #unreadableNames = 0
  /** Sub-folders that were told of. */
  readonly #denied = new Set<string>()

  constructor(path: string, settings: DirectorySourceSettings, context: ComponentContext) {
    this.#path = path
    this.#pollMs = settings.pollMs
    this.#context = context
    this.#watch = new FolderWatch(path, context)
    this.#scan = new FileScan({
      path,
      matches: compileGlob(settings.pattern),
      stableMs: settings.stableMs,
      subfolders: settings.subfolders,
      reserved: RESERVED_NAMES,
      onDenied: (folder, why) => this.tellDenied(folder, why),
    })
  }

  /** Every name was read, and no file waits. */
  get isEmpty(): boolean {
    return this.#scan.passed && this.#scan.waiting === 0
  }

  /** Files known and not taken: a measure of the memory. */
  get held(): number {
    return this.#scan.waiting
  }

  /** A measure of the work; see `FileScan`. */
  get namesRead(): number {
    return this.#scan.namesRead
  }

  begin(): void {
    this.#watch.changed = true
    this.#passAtMs = 0
    this.#watch.begin()
  }

  /** As `FileScan.take`; begins a pass when it is time for one. */
  async take(limits: { filesMax: number; bytesMax: number }): Promise<Found[]> {
    const nowMs = performance.now()
    // While files rest there is no hurry to find more.
    const waitMs = this.#scan.restsInMs(nowMs) === 0 ? this.#pollMs : 0
    const passAtMs = this.#passAtMs + Math.max(waitMs, 2 * this.#scan.readMs)
    if (this.#watch.changed && this.#scan.passed && nowMs >= passAtMs) {
      this.#watch.changed = false
      this.#passAtMs = nowMs
      await this.#scan.beginPass()
    }
    const found = await this.#scan.take(nowMs, limits)
    this.#tellUnreadable()
    return found
  }

  /** What was found and not claimed is found again. */
  lookAgain(): void {
    this.#watch.changed = true
  }

  /** Until something may rest, or may be new. */
  async idle(signal: AbortSignal): Promise<void> {
    const nowMs = performance.now()
    const pollAtMs = this.#passAtMs + this.#pollMs
    const restsAtMs = nowMs + (this.#scan.restsInMs(nowMs) ?? Number.MAX_SAFE_INTEGER)
    await this.#watch.wait(Math.max(WATCH_SETTLE_MS, Math.min(restsAtMs, pollAtMs) - nowMs), signal)
    // Changes come in bursts: one pass for all of them, and half the time none, however long one takes.
    const passInMs = this.#passAtMs + 2 * this.#scan.readMs - performance.now()
    if (this.#watch.changed) await waitFor(Math.max(WATCH_SETTLE_MS, passInMs), signal)
    if (performance.now() >= pollAtMs) this.#watch.changed = true
  }

  tellDenied(folder: string, why: string): void {
    if (this.#denied.has(folder) || this.#denied.size >= DENIED_TOLD_MAX) return
    this.#denied.add(folder)
    this.#context.log('warn', 'a sub-folder is left out: the agent may not use it', { path: this.#path, folder, why })
  }

  async close(): Promise<void> {
    this.#watch.close()
    await this.#scan.close()
  }

  #tellUnreadable(): void {
    const files = this.#scan.unreadableNames
    if (!this.#scan.passed || files === this.#unreadableNames) return
    this.#unreadableNames = files
    if (files === 0) return
    const why = 'their names are not UTF-8; rename them, for instance with convmv'
    this.#context.log('warn', 'files are left where they are', { path: this.#path, files, why })
  }
}
