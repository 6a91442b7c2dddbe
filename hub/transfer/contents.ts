// All large content of the hub: what is being sent or served, how long the rest is kept, how much may be under way.

import { setImmediate } from 'node:timers/promises'
import { Hashing, SharedBuffers } from '#hub/pool/mod.ts'
import type { ContentStore, ContentView } from '#hub/store/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { OpenTransfer } from '#protocol/schema/mod.ts'
import { CHUNK_BYTES_MAX, CONTENT_ID_BYTES, checkPlan, nameProblem, transferFault } from '#protocol/transfer/mod.ts'
import { hubTransferFault } from './faults.ts'
import { CONTENTS_PER_AGENT_MAX, SWEEP_CONTENTS_MAX, SWEEP_MS } from './limits.ts'
import { LiveContent } from './live.ts'
import { Movement, type MovementOf } from './movement.ts'
import { RecentChunks } from './recent.ts'
import { Windows } from './windows.ts'

export type ContentsOptions = {
  readonly store: ContentStore
  /** Messages that refer to a content and are not settled everywhere. */
  readonly holds: (id: string) => number
  /** How long a content is kept that nothing refers to. */
  readonly keepMs: number
  /** Whose chunks an agent need not send again: its own (when absent), or everybody's. */
  readonly share?: 'own' | 'all'
  readonly nowMs: () => number
  readonly onFault: (fault: Fault) => void
}

export class Contents {
  readonly store: ContentStore
  readonly hashing = new Hashing()
  readonly buffers = new SharedBuffers()
  readonly recent = new RecentChunks(this.buffers)
  readonly windows = new Windows()
  /** Since the start: bytes of chunks received, as they came, and sent. */
  receivedBytes = 0
  sentBytes = 0
  private readonly options: ContentsOptions
  private readonly live = new Map<string, LiveContent>()
  private readonly removing = new Set<string>()
  private readonly movements = new Map<string, Set<Movement>>()
  private readonly timer: NodeJS.Timeout

  constructor(options: ContentsOptions) {
    this.options = options
    this.store = options.store
    this.store.onHealed = (id) => this.healed(id)
    this.timer = setInterval(() => void this.sweep(), SWEEP_MS)
    this.timer.unref()
  }

  /** Whether a message may refer to it. */
  isKnown(id: string): boolean {
    const view = this.removing.has(id) ? null : this.store.get(id)
    return view !== null && !this.isExpired(view)
  }

  /**
   * Whether the agent need not send the chunk. A chunk that only others have sent is taken from it as if it were new: else
   * whoever can name one would learn that the hub has it, and get it.
   */
  isHeld(digest: Buffer, agent: string): boolean {
    return this.options.share === 'all' ? this.store.has(digest) : this.store.hasOf(agent, digest)
  }

  /** The content an OPEN_TRANSFER of `agent` means, made when it is new. Faults: `CONTENT_*`, `TRANSFER_*`, those of the store. */
  async open(request: OpenTransfer, agent: string): Promise<LiveContent> {
    const id = idOf(request.content)
    const { name, mediaType, size, chunkBytes, keepMs, expiresMs } = request
    checkPlan({ size, chunkBytes })
    const problem = name === '' ? null : nameProblem(name)
    if (problem !== null) throw transferFault('CONTENT_NAME_INVALID', { where: JSON.stringify(name), why: problem })
    if (this.removing.has(id)) throw hubTransferFault('CONTENT_BUSY', { where: id, retry: true })
    const known = this.store.get(id)
    if (known === null) this.admit(size, agent)
    else if (known.origin !== agent || known.size !== size || known.chunkBytes !== chunkBytes || known.name !== name) {
      throw hubTransferFault('CONTENT_FOREIGN', { where: id })
    }
    const createdAtMs = this.options.nowMs()
    const expiresAtMs = expiresMs === 0 ? 0 : createdAtMs + expiresMs
    const info = { id, origin: agent, name, mediaType, size, chunkBytes, createdAtMs, keepMs, expiresAtMs }
    const view = known ?? (await this.store.begin(info))
    // Its sender may have other plans than when it was begun.
    if (view.expiresAtMs !== expiresAtMs) await this.postpone(id, expiresAtMs)
    const content = this.enliven(view)
    content.expired = null
    return content
  }

  /** A content of the hub's own, made when it is new. Faults: `CONTENT_BUSY`, `CONTENT_NO_ROOM`, those of the store. */
  async own(info: Pick<ContentView, 'id' | 'name' | 'mediaType' | 'size' | 'chunkBytes'>, hub: string) {
    const { id, size } = info
    if (this.removing.has(id)) throw hubTransferFault('CONTENT_BUSY', { where: id, retry: true })
    let view = this.store.get(id)
    if (view === null) {
      const full = this.roomFor(Math.min(size, CHUNK_BYTES_MAX))
      if (full !== null) throw full
      view = await this.store.begin({ ...info, origin: hub, createdAtMs: this.options.nowMs(), keepMs: 0 })
    }
    return this.enliven(view)
  }

  /** What whoever `mayRead` may not is as if it were not there. Faults: `CONTENT_ABSENT`, `CONTENT_EXPIRED`. */
  find(content: Uint8Array, mayRead: (id: string) => boolean = () => true): LiveContent {
    const id = idOf(content)
    const view = this.removing.has(id) ? null : this.store.get(id)
    if (view === null || !mayRead(id)) throw hubTransferFault('CONTENT_ABSENT', { where: id })
    if (this.isExpired(view)) throw hubTransferFault('CONTENT_EXPIRED', { where: id })
    return this.enliven(view)
  }

  /** Whoever sends or takes it says how much, for people who look; disposed of at its end. */
  move(id: string, how: MovementOf): Movement {
    const own = this.movements.get(id) ?? new Set()
    this.movements.set(id, own)
    const movement = new Movement(how, {
      nowMs: this.options.nowMs,
      told: (bytes) => {
        if (how.direction === 'out') this.sentBytes += bytes
      },
      ended: (movement) => {
        own.delete(movement)
        if (own.size === 0 && this.movements.get(id) === own) this.movements.delete(id)
      },
    })
    own.add(movement)
    return movement
  }

  movementsOf(id: string): readonly Movement[] {
    return [...(this.movements.get(id) ?? [])]
  }

  /** Transfers under way. */
  get moving(): { readonly in: number; readonly out: number } {
    const all = [...this.movements.values()].flatMap((own) => [...own])
    const received = all.filter(({ direction }) => direction === 'in').length
    return { in: received, out: all.length - received }
  }

  /** When it goes, if nothing changes; `null` while a message or a transfer holds it. */
  endsAtMs({ id, touchedAtMs, keepMs, expiresAtMs }: ContentView): number | null {
    const isHeld = this.options.holds(id) > 0 || this.live.get(id)?.inUse === true
    const keptToMs = isHeld ? null : touchedAtMs + (keepMs > 0 ? keepMs : this.options.keepMs)
    if (expiresAtMs === 0) return keptToMs
    return Math.min(expiresAtMs, keptToMs ?? expiresAtMs)
  }

  /**
   * Removes it now, as a person wishes: with `force` also one that messages refer to or that is being sent or fetched. Faults:
   * `CONTENT_ABSENT`, `CONTENT_HELD`, `CONTENT_IN_USE`, `CONTENT_BUSY`, those of the store.
   */
  async discard(id: string, { force }: { force: boolean }): Promise<void> {
    const where = `content ${id}`
    if (this.removing.has(id)) throw hubTransferFault('CONTENT_BUSY', { where, retry: true })
    if (this.store.get(id) === null) throw hubTransferFault('CONTENT_ABSENT', { where })
    const holds = this.options.holds(id)
    if (!force && holds > 0) throw hubTransferFault('CONTENT_HELD', { where, why: `${holds} batches` })
    const content = this.live.get(id)
    if (!force && content?.inUse === true) throw hubTransferFault('CONTENT_IN_USE', { where })
    await this.withdraw(id, hubTransferFault('CONTENT_REMOVED', { where }))
  }

  /** Whoever sent or served it has gone. */
  leave(content: LiveContent): void {
    this.store.touch(content.id, this.options.nowMs())
    if (!content.inUse && this.live.get(content.id) === content) this.live.delete(content.id)
  }

  /** Its sender does not want it any more. What was whole once stays; whoever fetches something else is told, and not to wait. */
  async cancel(content: LiveContent): Promise<void> {
    const { id } = content
    const view = this.removing.has(id) ? null : this.store.get(id)
    if (view === null || view.manifest !== null) return
    try {
      await this.withdraw(id, hubTransferFault('CONTENT_CANCELLED', { where: `content ${id}` }))
    } catch (error) {
      this.options.onFault(asFault(error, `content ${id}`))
    }
  }

  /** A chunk as its sender had it, verified, in `into`; or why it is damaged: see `lost`. Faults: the others of the store. */
  async read(digest: Buffer, into: Buffer): Promise<Buffer | { readonly damage: string }> {
    try {
      const stored = await this.store.read(digest, into)
      const isEncoded = stored.bytes.length < stored.length
      const found = await (isEncoded ? this.hashing.decode(stored, into) : this.hashing.digest(stored.bytes))
      return found?.equals(digest) === true ? into.subarray(0, stored.length) : { damage: 'its bytes are others' }
    } catch (error) {
      const { code, message } = asFault(error)
      if (code !== 'STORE_DAMAGED' && code !== 'CHUNK_UNKNOWN') throw error
      return { damage: message }
    }
  }

  /** A chunk of it is not what it was, or gone: it is looked at anew, and is whole again when the chunk comes again. */
  async lost(content: LiveContent, digest: Buffer): Promise<void> {
    this.live.delete(content.id)
    this.recent.forget(digest.toString('latin1'))
    await this.store.damaged(digest)
  }

  /** Room for so much more? */
  roomFor(bytes: number): Fault | null {
    const cause = this.store.freeFor(bytes)
    return cause === null ? null : hubTransferFault('CONTENT_NO_ROOM', { why: cause.message, cause, retry: true })
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    await this.hashing.close()
    await this.store.close()
  }

  /** Removes what has expired, and what was kept long enough and nothing refers to. Gives how many. */
  async sweep(): Promise<number> {
    let removed = 0
    for (const content of this.live.values()) {
      const view = this.store.get(content.id)
      if (view !== null && this.isExpired(view)) content.expire(hubTransferFault('CONTENT_EXPIRED', { where: view.id }))
    }
    // Sessions let go of them at once. Who reads by HTTP is told with its next chunk: then it goes with the next sweep.
    await setImmediate()
    const old: string[] = []
    for (const view of this.store.all()) {
      if (old.length >= SWEEP_CONTENTS_MAX) break
      if (this.isOver(view)) old.push(view.id)
    }
    for (const id of old) {
      // A message may have come meanwhile, or its sender.
      const view = this.store.get(id)
      if (view !== null && this.isOver(view) && (await this.remove(id))) removed++
    }
    return removed
  }

  private healed(id: string): void {
    const content = this.live.get(id)
    if (content === undefined) return
    try {
      const view = this.store.get(id)
      if (view !== null) content.heal(view, this.store)
    } catch (error) {
      this.options.onFault(asFault(error, `content ${id}`))
    }
  }

  /** Faults: as `open`. */
  private async postpone(id: string, expiresAtMs: number): Promise<void> {
    try {
      await this.store.expire(id, expiresAtMs)
    } catch (error) {
      const fault = asFault(error)
      // It was just removed: it is begun anew.
      throw fault.code === 'CONTENT_UNKNOWN' ? hubTransferFault('CONTENT_BUSY', { where: id, retry: true }) : fault
    }
  }

  private isExpired({ expiresAtMs }: ContentView): boolean {
    return expiresAtMs > 0 && expiresAtMs <= this.options.nowMs()
  }

  private isOver(view: ContentView): boolean {
    const { id, touchedAtMs, keepMs } = view
    if (this.live.get(id)?.inUse === true) return false
    if (this.isExpired(view)) return true
    const keptMs = this.options.nowMs() - touchedAtMs
    return keptMs >= (keepMs > 0 ? keepMs : this.options.keepMs) && this.options.holds(id) === 0
  }

  /** Removes it; who sends or fetches it is told why. From here on no message may refer to it, and nobody begins it anew. */
  private async withdraw(id: string, fault: Fault): Promise<void> {
    this.removing.add(id)
    try {
      this.live.get(id)?.expire(fault)
      // Sessions let go of it at once.
      await setImmediate()
      this.live.delete(id)
      await this.store.remove(id)
    } finally {
      this.removing.delete(id)
    }
  }

  private async remove(id: string): Promise<boolean> {
    if (this.removing.has(id)) return false
    this.removing.add(id)
    this.live.delete(id)
    try {
      await this.store.remove(id)
      return true
    } catch (error) {
      this.options.onFault(asFault(error, `content ${id}`))
      return false
    } finally {
      this.removing.delete(id)
    }
  }

  private enliven(view: ContentView): LiveContent {
    let content = this.live.get(view.id)
    if (content === undefined) {
      content = new LiveContent(view, this.store)
      this.live.set(view.id, content)
    }
    return content
  }

  private admit(size: number, agent: string): void {
    const { bytesMax } = this.store.usage()
    if (size > bytesMax) throw hubTransferFault('CONTENT_TOO_LARGE', { why: `${size} of at most ${bytesMax} bytes` })
    let own = 0
    for (const { origin } of this.store.all()) if (origin === agent) own++
    if (own >= CONTENTS_PER_AGENT_MAX) {
      throw hubTransferFault('CONTENT_NO_ROOM', { why: `agent ${agent} has ${own} contents`, retry: true })
    }
    // What of it is here already, by another content, is known only when its chunks are named.
    const full = this.roomFor(Math.min(size, CHUNK_BYTES_MAX))
    if (full !== null) throw full
  }
}

function idOf(content: Uint8Array): string {
  if (content.length !== CONTENT_ID_BYTES) throw transferFault('TRANSFER_MALFORMED', { where: 'content id' })
  return Buffer.from(content).toString('hex')
}
