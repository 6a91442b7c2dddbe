// Large content as an operator sees it: what there is, what moves, what holds it, when it goes; and how to end it.

import type { ContentView, MessageId } from '#hub/store/mod.ts'
import type { Contents } from './contents.ts'

/** `incomplete`: what is missing never came, or not yet. `damaged`: it was whole, and has lost chunks since. */
export type ContentState = 'whole' | 'arriving' | 'incomplete' | 'damaged'

/** One that sends it here, or takes it: an agent, or somebody with a link. */
export type MovementReport = {
  readonly direction: 'in' | 'out'
  readonly by: string
  /** As they travelled, since it began. */
  readonly bytes: number
  readonly bytesPerSecond: number
}

export type ContentReport = {
  readonly id: string
  readonly origin: string
  readonly name: string
  readonly mediaType: string
  readonly size: number
  readonly state: ContentState
  /** Of its bytes, those that are durable here; chunks that other contents share are counted in each. */
  readonly storedBytes: number
  readonly createdAtMs: number
  /** When somebody sent or fetched it last, or a message referred to it. */
  readonly usedAtMs: number
  /** Batches of messages that refer to it and are not settled everywhere, or kept for replay. */
  readonly holds: number
  /** When it goes, if nothing changes; `null` while a message or a transfer holds it. */
  readonly endsAtMs: number | null
  readonly movements: readonly MovementReport[]
}

export type ContentDetails = ContentReport & {
  readonly chunks: number
  /** After which it expires, whatever refers to it; `null`: never. */
  readonly expiresAtMs: number | null
  /** The first of the messages that refer to it. */
  readonly messages: readonly MessageId[]
  /** Agents it was sent to by a message, so that they may fetch it; the first of them. */
  readonly readers: readonly string[]
}

export type ContentsFilter = { readonly origin?: string; readonly state?: ContentState }
export type ContentsList = {
  readonly contents: readonly ContentReport[]
  /** All that fit, and bytes of them. */
  readonly total: number
  readonly bytes: number
}

export type ContentDiscarded = {
  readonly id: string
  readonly name: string
  readonly origin: string
  readonly storedBytes: number
  /** Batches of messages that referred to it, and transfers that were ended. */
  readonly holds: number
  readonly transfers: number
}

const MESSAGES_SHOWN_MAX = 20
const READERS_SHOWN_MAX = 100

export type ContentsAdminOptions = {
  readonly contents: Contents
  readonly holds: (id: string) => number
  readonly messages: (id: string, max: number) => readonly MessageId[]
}

export class ContentsAdmin {
  private readonly options: ContentsAdminOptions

  constructor(options: ContentsAdminOptions) {
    this.options = options
  }

  /** What moves first, then the newest. */
  list(filter: ContentsFilter, limit: number): ContentsList {
    const { contents } = this.options
    const fitting: ContentView[] = []
    let bytes = 0
    for (const view of contents.store.all()) {
      if (filter.origin !== undefined && view.origin !== filter.origin) continue
      if (filter.state !== undefined && this.stateOf(view) !== filter.state) continue
      fitting.push(view)
      bytes += view.bytes
    }
    const moves = (view: ContentView) => (contents.movementsOf(view.id).length > 0 ? 1 : 0)
    fitting.sort((a, b) => moves(b) - moves(a) || b.createdAtMs - a.createdAtMs)
    return { contents: fitting.slice(0, limit).map((view) => this.report(view)), total: fitting.length, bytes }
  }

  /** `null` when there is none. */
  details(id: string): ContentDetails | null {
    const { contents, messages } = this.options
    const view = contents.store.get(id)
    if (view === null) return null
    return {
      ...this.report(view),
      chunks: view.chunks,
      expiresAtMs: view.expiresAtMs === 0 ? null : view.expiresAtMs,
      messages: messages(id, MESSAGES_SHOWN_MAX),
      readers: contents.store.readers.of(id, READERS_SHOWN_MAX),
    }
  }

  /** Faults: as `Contents.discard`. */
  async discard(id: string, options: { force: boolean }): Promise<ContentDiscarded> {
    const { contents, holds } = this.options
    const view = contents.store.get(id)
    const held = holds(id)
    const transfers = contents.movementsOf(id).length
    await contents.discard(id, options)
    const { name = '', origin = '', bytes = 0 } = view ?? {}
    return { id, name, origin, storedBytes: bytes, holds: held, transfers }
  }

  private stateOf(view: ContentView): ContentState {
    if (view.state === 'sealed') return 'whole'
    if (this.options.contents.movementsOf(view.id).some(({ direction }) => direction === 'in')) return 'arriving'
    return view.manifest === null ? 'incomplete' : 'damaged'
  }

  private report(view: ContentView): ContentReport {
    const { contents, holds } = this.options
    const { id, origin, name, mediaType, size, bytes, createdAtMs, touchedAtMs } = view
    return {
      id,
      origin,
      name,
      mediaType,
      size,
      state: this.stateOf(view),
      storedBytes: bytes,
      createdAtMs,
      usedAtMs: touchedAtMs,
      holds: holds(id),
      endsAtMs: contents.endsAtMs(view),
      movements: contents.movementsOf(id).map((movement) => {
        const { direction, by, bytes } = movement
        return { direction, by, bytes, bytesPerSecond: movement.bytesPerSecond() }
      }),
    }
  }
}
