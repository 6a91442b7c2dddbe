// Notices that something happens in a folder: as an event where the system has them, else not at all, and its user polls.

import { type FSWatcher, watch } from 'node:fs'
import type { ComponentContext } from '../../contract.ts'
import { waitFor } from '../../support/mod.ts'

export class FolderWatch {
  /** Something happened; whoever looks says that it looked. */
  changed = false
  private readonly path: string
  private readonly context: ComponentContext
  private watcher: FSWatcher | null = null
  /** Ends the wait that is going on. */
  private wake: (() => void) | null = null

  constructor(path: string, context: ComponentContext) {
    this.path = path
    this.context = context
  }

  /** Not of sub-folders: a watch on each of many would cost more than to look. */
  begin(): void {
    try {
      this.watcher = watch(this.path, () => {
        this.changed = true
        this.wake?.()
      })
      this.watcher.on('error', (error) => this.failed(error))
    } catch (error) {
      this.failed(error)
    }
  }

  /** Until something happens, or has happened already; at most so long. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.changed) return
    await waitFor(ms, signal, (wake) => {
      this.wake = wake
    })
    this.wake = null
  }

  close(): void {
    this.watcher?.close()
    this.watcher = null
  }

  private failed(error: unknown): void {
    this.close()
    const why = error instanceof Error ? error.message : String(error)
    this.context.log('warn', 'the folder cannot be watched; looking every pollMs instead', { path: this.path, why })
  }
}
