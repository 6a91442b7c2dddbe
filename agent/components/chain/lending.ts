// Large documents in one call of a chain. A step asks for the bytes of one when it needs them; they are counted until it asks for the
// next, or is done. So a call holds one at a time, and what its steps make of it, which is put away before the next is taken.

import { Fault } from '#protocol/base/mod.ts'
import type { Content, HubContent, Item, Lent } from '../contract.ts'
import type { LargeDocuments } from './types.ts'

export class Lending {
  readonly #documents: LargeDocuments | null
  readonly #signal: AbortSignal | undefined
  #held: Lent | null = null
  /** Why a document could not be had that may be there later: no channel may take that for a defect of its item. */
  #failure: { readonly error: unknown } | null = null

  constructor(documents: LargeDocuments | null, signal: AbortSignal | undefined) {
    this.#documents = documents
    this.#signal = signal
  }

  /** The content as steps see it. */
  lent(content: Content): Content {
    if (content.kind !== 'hub' || !this.#isLent(content)) return content
    const { kind, id, size } = content
    const download: HubContent['download'] = (options) => content.download(options)
    return { kind, id, size, download, read: () => this.#read(content) }
  }

  /** Items that go through a step together: a large one alone, so that what comes of it can be put away before the next. */
  groupsOf(items: readonly Item[]): readonly (readonly Item[])[] {
    if (!items.some((item) => this.#isLarge(item))) return [items]
    const groups: Item[][] = []
    let open: Item[] | null = null
    for (const item of items) {
      if (this.#isLarge(item)) {
        groups.push([item])
        open = null
      } else if (open === null) {
        open = [item]
        groups.push(open)
      } else open.push(item)
    }
    return groups
  }

  /** Puts away what is too large to be kept at hand. Throws what kept a document from being read. */
  async put(items: readonly Item[]): Promise<readonly Item[]> {
    this.check()
    const documents = this.#documents
    if (documents === null || !this.isOver(items)) return items
    const out: Item[] = []
    for (const item of items) {
      const { content } = item
      if (content?.kind !== 'bytes' || content.bytes.byteLength <= documents.inlineBytesMax) out.push(item)
      else out.push({ ...item, content: this.lent(await documents.put(content.bytes, item, this.#signal)) })
    }
    return out
  }

  /** Whether any is too large to be kept at hand. */
  isOver(items: readonly Item[]): boolean {
    const bytesMax = this.#documents?.inlineBytesMax ?? Number.MAX_SAFE_INTEGER
    return items.some(({ content }) => content?.kind === 'bytes' && content.bytes.byteLength > bytesMax)
  }

  /** The step is done: it holds no document any more. */
  release(): void {
    this.#held?.release()
    this.#held = null
  }

  /** Throws what kept a document from being read, if that may pass. */
  check(): void {
    if (this.#failure !== null) throw this.#failure.error
  }

  #isLarge({ content }: Item): boolean {
    if (content === undefined || content.kind === 'bytes' || this.#documents === null) return false
    return content.kind === 'hub' ? this.#isLent(content) : content.size > this.#documents.inlineBytesMax
  }

  #isLent({ read }: HubContent): boolean {
    return read !== undefined || this.#documents?.read !== undefined
  }

  async #read(content: HubContent): Promise<Lent> {
    // First: who waits for room must not take any.
    this.release()
    try {
      const lent = await (content.read?.(this.#signal) ?? this.#documents?.read?.(content, this.#signal))
      if (lent === undefined) throw new Error('nobody lends it')
      this.#held = lent
      return { bytes: lent.bytes, release: () => undefined }
    } catch (error) {
      if (!(error instanceof Fault) || error.details.retry === true) this.#failure ??= { error }
      throw error
    }
  }
}
