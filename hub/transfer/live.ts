// A content that is being sent or served: which chunks it has, which of them are here, who waits for more of them. One object for
// all who have to do with it, so that a download can follow an upload.

import type { ContentStore, ContentView } from '#hub/store/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import { ChunkList } from '#protocol/transfer/mod.ts'
import { Nearness } from './nearness.ts'

const PARTS_READ = 4096

export class LiveContent {
  readonly id: string
  readonly view: ContentView
  /** Named so far, in their order. */
  readonly list: ChunkList
  /** Of these, on the disk. */
  readonly durable = new RangeSet()
  /** Who sends it, and who is served what comes. */
  readonly nearness = new Nearness()
  manifest: Buffer | null
  /** Why it may not be sent or served any longer. */
  expired: Fault | null = null
  /** The session that sends it, by identity; one at a time. */
  uploader: object | null = null
  /** Those who send or serve it, told when there is more, or it expired. */
  private readonly followers = new Set<() => void>()

  constructor(view: ContentView, store: ContentStore) {
    this.id = view.id
    this.view = view
    // One that has lost a chunk is open again, and its manifest is what it is to be sealed with.
    this.manifest = view.state === 'sealed' ? view.manifest : null
    this.list = new ChunkList(view)
    this.adopt(store)
  }

  get inUse(): boolean {
    return this.uploader !== null || this.followers.size > 0
  }

  follow(more: () => void): Disposable {
    this.followers.add(more)
    return { [Symbol.dispose]: () => this.followers.delete(more) }
  }

  /** Something is new: chunks named, one durable, the seal. */
  tell(): void {
    for (const more of this.followers) more()
  }

  expire(fault: Fault): void {
    this.expired = fault
    this.tell()
  }

  /** Chunks of it that were lost are here again. */
  heal(view: ContentView, store: ContentStore): void {
    for (let from = 0; from < this.list.count; ) {
      const parts = store.parts(this.id, from, PARTS_READ)
      for (const { index } of parts) if (index < this.list.count) this.durable.add(index, index + 1)
      const last = parts.at(-1)
      if (last === undefined) break
      from = last.index + 1
    }
    this.adopt(store)
    if (view.state === 'sealed') this.manifest = view.manifest
    this.tell()
  }

  /** What an earlier session, or life of the hub, brought. Chunks behind a gap count when they are named again. */
  private adopt(store: ContentStore): void {
    for (;;) {
      const parts = store.parts(this.id, this.list.count, PARTS_READ)
      for (const { index, digest, length } of parts) {
        if (index !== this.list.count) return
        this.list.add(digest, length)
        this.durable.add(index, index + 1)
      }
      if (parts.length < PARTS_READ) return
    }
  }
}
