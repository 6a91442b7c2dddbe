// What people wish of single transfers of an agent while they run: a file for each in its data folder, named by the content's id. The
// command line writes them, whoever moves the content looks for them, and they hold until it has arrived: so also after a restart.

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { PriorityName, TransferWish, TransferWishes } from '#agent/client/mod.ts'

const LOOK_MS = 250
/** More are left by transfers that never arrived; the oldest by name go. Some 50 bytes each. */
const WISHES_MAX = 1000
const WISH_BYTES_MAX = 256
const PRIORITIES: readonly PriorityName[] = ['normal', 'urgent', 'bulk']

export class WishFolder implements TransferWishes {
  private readonly folder: string
  /** As they were read last. */
  private known = new Map<string, string>()

  constructor(dataDir: string) {
    this.folder = join(dataDir, 'wishes')
  }

  of(id: string): TransferWish | null {
    const text = this.textOf(id)
    return text === null ? null : wishIn(text)
  }

  /** What is not said stays as it was. Durable when it returns. */
  add(id: string, wish: TransferWish): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    const path = this.pathOf(id)
    const temporary = `${path}.${process.pid}.new`
    const file = openSync(temporary, 'w', 0o600)
    try {
      writeSync(file, JSON.stringify({ ...this.of(id), ...wish }))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
    const names = this.names()
    for (const other of names.slice(0, Math.max(0, names.length - WISHES_MAX))) if (other !== id) this.over(other)
  }

  over(id: string): void {
    this.known.delete(id)
    try {
      rmSync(this.pathOf(id), { force: true })
    } catch {
      // What cannot be removed is never asked for again.
    }
  }

  renamed(id: string, to: string): void {
    try {
      renameSync(this.pathOf(id), this.pathOf(to))
    } catch {
      // There is none, as a rule.
    }
  }

  watch(changed: (id: string) => void): () => void {
    this.look()
    const timer = setInterval(() => {
      for (const id of this.look()) changed(id)
    }, LOOK_MS)
    timer.unref()
    return () => clearInterval(timer)
  }

  /** Gives those that are new, or others than before. */
  private look(): string[] {
    const now = new Map<string, string>()
    for (const id of this.names().slice(0, WISHES_MAX)) {
      const text = this.textOf(id)
      if (text !== null) now.set(id, text)
    }
    const before = this.known
    this.known = now
    return [...now].filter(([id, text]) => before.get(id) !== text).map(([id]) => id)
  }

  private names(): string[] {
    try {
      return readdirSync(this.folder).flatMap((name) => /^([0-9a-f]{32})\.json$/.exec(name)?.[1] ?? [])
    } catch {
      return []
    }
  }

  private textOf(id: string): string | null {
    try {
      return readFileSync(this.pathOf(id), 'utf8').slice(0, WISH_BYTES_MAX)
    } catch {
      return null
    }
  }

  private pathOf(id: string): string {
    return join(this.folder, `${id}.json`)
  }
}

/** What is not one of ours is no wish. */
function wishIn(text: string): TransferWish | null {
  let found: Record<string, unknown>
  try {
    found = Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    return null
  }
  const priority = PRIORITIES.find((name) => name === found.priority)
  const { paused } = found
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(typeof paused === 'boolean' ? { paused } : {}),
  }
}
