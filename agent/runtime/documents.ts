// Large documents of a flow: contents of the hub that a channel asks for are fetched into the flow's folder and read from there, up to a
// bound; what channels make that is too large to be kept at hand is put into files there, which destinations take like those of a
// source. All of them go when their portion has arrived. After a crash the same portion finds what is there already: an upload goes on
// under its id, and what was fetched is not fetched again.

import { hash } from 'node:crypto'
import { lstat, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { LargeDocuments } from '#agent/components/chain/types.ts'
import type { HubContent, Lent, LocalFile } from '#agent/components/contract.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import { componentFault } from '../components/faults.ts'
import { exists, fetchRefusal, fileFault, makeFolder, replaceFile } from '../components/support/mod.ts'

const MADE = 'made-'
const FETCHED = 'fetched-'
/** What was fetched stays for the next step that asks, so many of the largest: a portion may have hundreds. */
const FETCHED_KEPT = 4

export class FlowDocuments implements LargeDocuments {
  /** What a message takes. */
  readonly inlineBytesMax = BODY_BYTES_MAX
  readonly #folder: string
  readonly #bytesMax: number
  /** Whether anything lies in the folder; until it was looked at, nobody knows. */
  #isUsed: boolean | null = null
  /** Sizes of what was fetched, by path, the one asked for last at the end. */
  readonly #fetched = new Map<string, number>()

  /** `bytesMax`: the largest content that is fetched. */
  constructor(options: { readonly folder: string; readonly bytesMax: number }) {
    this.#folder = options.folder
    this.#bytesMax = options.bytesMax
  }

  async read(content: HubContent, signal: AbortSignal = new AbortController().signal): Promise<Lent> {
    const { id, size } = content
    const where = `content ${id}`
    const bytesMax = this.#bytesMax
    const path = join(this.#folder, `${FETCHED}${id}`)
    try {
      if (size > bytesMax) throw this.#tooLarge(where, size)
      await this.#begin()
      if (!(await exists(path))) {
        const fetched = await content.download({ path, reuse: [], signal, bytesMax })
        if (fetched.size > bytesMax) throw this.#tooLarge(where, fetched.size)
      }
      const bytes = await readFile(path)
      await this.#keep(path, bytes.length)
      return { bytes, release: () => undefined }
    } catch (error) {
      signal.throwIfAborted()
      const { code, details } = asFault(error, where)
      if (code === 'DOCUMENT_TOO_LARGE') throw this.#tooLarge(where, Number(details.sizeBytes))
      throw this.#refusal(error, where)
    }
  }

  async put(bytes: Uint8Array): Promise<LocalFile> {
    // The same file after a crash, so that its upload goes on.
    const path = join(this.#folder, `${MADE}${hash('sha256', bytes, 'hex')}`)
    try {
      await this.#begin()
      if (!(await exists(path))) await replaceFile(path, bytes)
      const { size, mtimeMs, ino } = await lstat(path)
      return { kind: 'local', path, size, changedMs: mtimeMs, inode: ino }
    } catch (error) {
      throw fileFault(error, this.#folder)
    }
  }

  /** Whether something was made that may be needed until it has arrived; also before a crash. */
  async hasMade(): Promise<boolean> {
    return (await this.#names()).some((name) => name.startsWith(MADE))
  }

  /** The portion is where it is to be: nothing of it is needed any more. */
  async done(): Promise<void> {
    if (this.#isUsed === false) return
    await rm(this.#folder, { recursive: true, force: true }).catch((error: unknown) => {
      throw fileFault(error, this.#folder)
    })
    this.#isUsed = false
    this.#fetched.clear()
  }

  async #keep(path: string, size: number): Promise<void> {
    this.#fetched.delete(path)
    this.#fetched.set(path, size)
    let bytes = 0
    for (const each of this.#fetched.values()) bytes += each
    for (const [oldest, each] of this.#fetched) {
      if (bytes <= FETCHED_KEPT * this.#bytesMax) return
      await rm(oldest, { force: true })
      this.#fetched.delete(oldest)
      bytes -= each
    }
  }

  #refusal(error: unknown, where: string): Fault {
    try {
      return fetchRefusal(error, where)
    } catch (passing) {
      return fileFault(passing, this.#folder)
    }
  }

  #tooLarge(where: string, sizeBytes: number): Fault {
    const todo = 'Raise `documentBytesMax` of the flow if the memory is there, or split the document at its source'
    const limitBytes = this.#bytesMax
    return componentFault('DOCUMENT_TOO_LARGE', { where, why: `${sizeBytes} bytes`, sizeBytes, limitBytes, todo })
  }

  async #begin(): Promise<void> {
    if (this.#isUsed === true) return
    await makeFolder(this.#folder)
    this.#isUsed = true
  }

  async #names(): Promise<string[]> {
    if (this.#isUsed === false) return []
    try {
      return await readdir(this.#folder)
    } catch {
      this.#isUsed = false
      return []
    }
  }
}
