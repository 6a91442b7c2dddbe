// A file of rows set aside: one JSON object per line, appended and flushed. A repeat after a crash adds nothing twice:
// every entry has a key, and the keys at the file's end are known when it is opened.

import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Reject } from '../contract.ts'
import { formatJsonRecord } from '../formats/mod.ts'
import { REJECT_TAIL_BYTES, REJECT_TEXT_CHARS_MAX } from '../limits.ts'
import { flushFolder } from './files.ts'

/** What one line holds: where the row came from, why it was set aside, and the row itself as text or as fields. */
export type RejectEntry = {
  readonly ref?: string | number
  readonly line?: number
  readonly code: string
  readonly reason: string
  readonly text?: string
  readonly cut?: true
  readonly row?: unknown
  /** Where its document is. */
  readonly file?: string
}

export class RejectFile {
  readonly path: string
  readonly #file: FileHandle
  readonly #known: Set<string>
  #sizeBytes: number

  private constructor(path: string, file: FileHandle, sizeBytes: number, known: Set<string>) {
    this.path = path
    this.#file = file
    this.#sizeBytes = sizeBytes
    this.#known = known
  }

  static async open(path: string): Promise<RejectFile> {
    const file = await open(path, 'a+')
    try {
      await flushFolder(dirname(path))
      const { size } = await file.stat()
      const start = Math.max(0, size - REJECT_TAIL_BYTES)
      const tail = Buffer.alloc(size - start)
      await file.read(tail, 0, tail.length, start)
      // A crash may have cut the last line short: it is written again.
      const whole = tail.lastIndexOf(0x0a) + 1
      if (whole < tail.length) await file.truncate(start + whole)
      const lines = tail.subarray(0, whole).toString('utf8').split('\n').slice(0, -1)
      return new RejectFile(path, file, start + whole, new Set(lines.map(keyOf)))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Appends what is not yet there and returns when it is on disk. */
  async append(entries: readonly RejectEntry[]): Promise<void> {
    const lines: string[] = []
    const keys: string[] = []
    for (const entry of entries) {
      const line = formatJsonRecord(entry as never)
      const key = keyOf(line)
      if (this.#known.has(key)) continue
      this.#known.add(key)
      keys.push(key)
      lines.push(line)
    }
    if (lines.length === 0) return
    const bytes = Buffer.from(`${lines.join('\n')}\n`)
    try {
      await this.#file.appendFile(bytes)
      await this.#file.datasync()
    } catch (error) {
      for (const key of keys) this.#known.delete(key)
      // What a full disk let through is taken back, so that the next try starts on a whole line.
      await this.#file.truncate(this.#sizeBytes)
      throw error
    }
    this.#sizeBytes += bytes.length
  }

  /** What was committed will not be repeated: its keys may go. */
  forget(): void {
    this.#known.clear()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

function keyOf(line: string): string {
  return createHash('sha256').update(line).digest('base64url').slice(0, 16)
}

/** The reason as one text: the fault's code says the kind, this says what happened and what to do. */
export function reasonOf(reject: Reject): string {
  return `${reject.fault.message}. ${reject.fault.remedy}`
}

export function boundedText(text: string): { text: string; cut?: true } {
  return text.length <= REJECT_TEXT_CHARS_MAX ? { text } : { text: text.slice(0, REJECT_TEXT_CHARS_MAX), cut: true }
}
