// What people wish of single transfers of an agent while they run: a file for each in its data folder, named by the content's id. The
// command line writes them, whoever moves the content looks for them, and they hold until it has arrived: so also after a restart. One
// that is to be given up holds until what becomes of it is settled for good. Where it had arrived before, that stands there instead,
// for who wished it.

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { PriorityName, TransferWish, TransferWishes } from '#agent/client/mod.ts'

const LOOK_MS = 250
/** More are left by transfers that never arrived; the oldest go. Some 50 bytes each. */
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
    this.bound(id)
  }

  arrived(id: string): void {
    if (this.of(id)?.cancelled !== true) {
      this.over(id)
      return
    }
    try {
      writeFileSync(this.pathOf(id), JSON.stringify({ arrived: true }))
    } catch {
      this.over(id)
    }
  }

  /** It had arrived when it was to be given up. */
  hasArrived(id: string): boolean {
    return /^\{"arrived":true\}$/.test(this.textOf(id) ?? '')
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

  private bound(kept: string): void {
    const names = this.names()
    if (names.length <= WISHES_MAX) return
    const agesMs = new Map(names.map((id) => [id, statSync(this.pathOf(id), { throwIfNoEntry: false })?.mtimeMs ?? 0]))
    names.sort((a, b) => (agesMs.get(a) ?? 0) - (agesMs.get(b) ?? 0))
    for (const other of names.slice(0, names.length - WISHES_MAX)) if (other !== kept) this.over(other)
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
  const { paused, cancelled } = found
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(typeof paused === 'boolean' ? { paused } : {}),
    ...(cancelled === true ? { cancelled } : {}),
  }
}
