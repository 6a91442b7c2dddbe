// Runs one flow: source → channels → destination, portion by portion, until it is stopped or meets a fault that waiting
// cannot cure.
//
// Order of one portion, and why nothing is lost or doubled by a crash at any point:
//
//   1. next            the source's cursor after the portion comes with it
//   2. channels        rows they refuse: `source.reject`, durable before the write
//   3. save            channels that keep something put on the disk what later rows need, and name it: their state
//   4. write           rows and position (cursor and state) commit as one. A row refused here goes to `source.reject` as
//                      well; the promise that `reject` gives back is fulfilled when it is durable, and the destination
//                      awaits it before it commits
//   5. arrived         only for a source that keeps what it gave until then, or when channels made files for the portion (see
//                      documents.ts): it is at the hub, not only in the spool
//   6. committed       the source may settle what lies before the cursor, and channels let go what was only in earlier
//                      states; after a crash they learn the same by `open`
//
// Channels may have something when a time has come, with nothing from the source: the same from step 2 on, with the same
// cursor and another state. What they made of rows kept since earlier portions no source knows; when that is refused, it is
// set aside in the flow's own folder.
//
// So a refused row is put aside before the position passes it. When the write is repeated (after a crash, or after a
// fault worth repeating) it is put aside again, which sources recognise. A row refused in one try and taken in the next
// is in both places.
//
// While the destination writes a portion, the source already makes the next one. Calls to the source stay one at a
// time, and a portion made ahead has no effect until it is written: a crash just produces it again.
//
// A step that throws a fault with `details.retry` waits and is repeated, alone: the portion in hand stays in hand.
// Before a write is repeated the destination is asked for its position: a commit whose answer was lost must not be made
// twice.

import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  asFault,
  assert,
  type Backoff,
  type Clock,
  type Fault,
  jitteredBackoff,
  type Millis,
} from '#protocol/base/mod.ts'
import { atStep, type Chain, type ChainResult } from '../components/chain/mod.ts'
import type {
  ComponentContext,
  Content,
  Cursor,
  Destination,
  Item,
  Portion,
  Reject,
  Source,
  Value,
} from '../components/contract.ts'
import { CURSOR_BYTES_MAX, isOwnRef } from '../components/contract.ts'
import type { FlowDocuments } from './documents.ts'
import { flowFault } from './faults.ts'
import { IDLE_MS_MIN, TIMER_MS_MAX } from './limits.ts'
import { type FlowPosition, unwrapPosition, wrapPosition } from './position.ts'
import { PutAside } from './put-aside.ts'
import { FlowStopped, isAbort, waitOrStop } from './wait.ts'

export type FlowState = 'starting' | 'running' | 'idle' | 'waiting' | 'failed' | 'stopped'

export type FlowStatus = {
  readonly name: string
  readonly state: FlowState
  /** The latest fault, also after the flow has recovered from it. */
  readonly lastFault: Fault | null
  /** Rows taken from the source, since the start. */
  readonly rowsIn: number
  /** Rows the destination has committed. */
  readonly rowsOut: number
  /** Rows put aside with a reason. */
  readonly rejected: number
  /** Size of the committed values (text in characters, numbers as 8 bytes) and contents. A measure of the load. */
  readonly bytes: number
  readonly portions: number
  /** How often a step had to be repeated after waiting. */
  readonly restarts: number
  /** Wall clock. */
  readonly lastPortionAt: Millis | null
}

export type FlowComponents = {
  readonly source: Source
  readonly chain: Chain
  readonly destination: Destination
  /** Lends channels large documents; left out: none are fetched or put away. */
  readonly documents?: FlowDocuments
  /** Where refused items go that a channel made of what it had kept; like `source.reject`. */
  readonly rejectOwn: (rejects: readonly Reject[]) => Promise<void>
}

/** What of a flow file the runtime itself needs. */
export type RunnableFlow = {
  readonly name: string
  readonly retry: { readonly firstMs: number; readonly maxMs: number }
}

export type RunFlowOptions = {
  readonly flow: RunnableFlow
  /** Makes the components; called again for each attempt to open them, as a closed component is not opened twice. */
  readonly components: () => FlowComponents | Promise<FlowComponents>
  readonly clock: Clock
  /** Numbers in [0, 1). */
  readonly random: () => number
  readonly log: ComponentContext['log']
  /** Stops the flow: the portion in hand is finished, then everything is closed. */
  readonly signal: AbortSignal
  /** Called at each change of state and after each portion. Must not throw. */
  readonly onProgress?: (status: FlowStatus) => void
}

/**
 * Runs until stopped or until the source has ended (resolves with the last status), or until a fault that is not worth
 * repeating (rejects with it).
 */
export async function runFlow(options: RunFlowOptions): Promise<FlowStatus> {
  return new FlowRun(options).run()
}

type Closable = { close(): Promise<void> }

/** Items on their way to the destination, and the position after them. */
type Step = {
  readonly items: readonly Item[]
  readonly cursor: Cursor
  readonly position: FlowPosition
  /** The position of the source moves with them. */
  readonly ofSource: boolean
}

type Made = { readonly ok: true; readonly portion: Portion | null } | { readonly ok: false; readonly error: unknown }

class FlowRun {
  readonly #options: RunFlowOptions
  readonly #signal: AbortSignal
  readonly #backoff: Backoff
  /** Ends a `next` made ahead when the flow ends for another reason than being stopped. */
  readonly #ending = new AbortController()
  #status: FlowStatus
  #parts: FlowComponents | null = null
  /** The portion being made while another is written; never rejects. */
  #ahead: Promise<Made> | null = null
  #committed: FlowPosition = { source: null, channels: null }

  constructor(options: RunFlowOptions) {
    this.#options = options
    this.#signal = AbortSignal.any([options.signal, this.#ending.signal])
    this.#backoff = jitteredBackoff({ ...options.flow.retry, random: options.random })
    this.#status = {
      name: options.flow.name,
      state: 'starting',
      lastFault: null,
      rowsIn: 0,
      rowsOut: 0,
      rejected: 0,
      bytes: 0,
      portions: 0,
      restarts: 0,
      lastPortionAt: null,
    }
  }

  async run(): Promise<FlowStatus> {
    let failure: Fault | null = null
    try {
      this.#tell({})
      await this.#open()
      await this.#loop()
    } catch (error) {
      if (!(error instanceof FlowStopped)) failure = asFault(error, this.#options.flow.name)
    }
    this.#ending.abort()
    await this.#ahead
    const parts = this.#parts
    if (parts !== null) await this.#close([parts.destination, parts.chain, parts.source])
    if (failure === null) {
      this.#tell({ state: 'stopped' })
      return this.#status
    }
    this.#options.log('error', 'flow failed', { fault: failure.toJSON() })
    this.#tell({ state: 'failed', lastFault: failure })
    throw failure
  }

  async #loop(): Promise<void> {
    this.#tell({ state: 'running' })
    let made: Made | null = null
    while (!this.#signal.aborted) {
      if (this.#isDue()) {
        await this.#due()
        await nextTurn()
        continue
      }
      const portion = await this.#next(made)
      made = null
      if (portion === null) {
        if (this.#inUse().source.ended?.() !== true) await this.#idle()
        else if (!(await this.#waitUntilDue())) return
        continue
      }
      const step = await this.#process(portion)
      this.#ahead = this.#makeAhead()
      await this.#deliver(step)
      made = await this.#ahead
      this.#ahead = null
      // Components may be synchronous throughout: give sockets, timers and other flows their turn.
      await nextTurn()
    }
  }

  // ---- the steps ----

  /**
   * Opens fresh components and learns the position; on a fault worth repeating, closes them and tries again with new
   * ones.
   */
  async #open(): Promise<void> {
    await this.#attempt('open', async () => {
      const parts = await this.#options.components()
      const opened: Closable[] = [parts.destination]
      try {
        await parts.destination.open()
        const position = await parts.destination.position()
        this.#committed = unwrapPosition(position)
        if (position !== null) await this.#arrived(parts, parts.source.keepsUntilArrived === true)
        opened.push(parts.chain)
        await parts.chain.open(this.#committed.channels)
        opened.push(parts.source)
        await parts.source.open(this.#committed.source)
      } catch (error) {
        await this.#close(opened)
        throw error
      }
      this.#parts = parts
    })
  }

  /** The portion made ahead, or the next one. A failure to make it ahead counts as the first failure here. */
  async #next(made: Made | null): Promise<Portion | null> {
    let first = made
    return this.#attempt('source.next', async () => {
      const given = first
      first = null
      if (given === null) return this.#inUse().source.next(this.#signal)
      if (given.ok) return given.portion
      throw given.error
    })
  }

  async #makeAhead(): Promise<Made> {
    if (this.#signal.aborted) return { ok: true, portion: null }
    try {
      return { ok: true, portion: await this.#inUse().source.next(this.#signal) }
    } catch (error) {
      return { ok: false, error }
    }
  }

  /** Until the source may have something, or a channel has. */
  async #idle(): Promise<void> {
    this.#tell({ state: 'idle' })
    const { clock } = this.#options
    const before = clock.nowMs()
    const dueAtMs = this.#inUse().chain.dueAtMs()
    const due = new AbortController()
    const timer = dueAtMs === null ? null : setTimeout(() => due.abort(), waitMsOf(dueAtMs - before))
    const signal = AbortSignal.any([this.#signal, due.signal])
    await this.#attempt('source.idle', async () => {
      try {
        await this.#inUse().source.idle(signal)
      } catch (error) {
        if (this.#signal.aborted || !isAbort(error, signal)) throw error
      }
    }).finally(() => clearTimeout(timer ?? undefined))
    const passed = clock.nowMs() - before
    if (passed < IDLE_MS_MIN && !due.signal.aborted) await waitOrStop(IDLE_MS_MIN - passed, this.#signal)
    this.#tell({ state: 'running' })
  }

  #isDue(): boolean {
    const dueAtMs = this.#inUse().chain.dueAtMs()
    return dueAtMs !== null && dueAtMs <= this.#options.clock.nowMs()
  }

  /** The source has ended. False when the channels wait for no time either: what they keep is for the next start. */
  async #waitUntilDue(): Promise<boolean> {
    const dueAtMs = this.#inUse().chain.dueAtMs()
    if (dueAtMs === null) return false
    this.#tell({ state: 'idle' })
    await waitOrStop(waitMsOf(dueAtMs - this.#options.clock.nowMs()), this.#signal)
    this.#tell({ state: 'running' })
    return true
  }

  /** Sends the rows through the channels; what they refuse is put aside before anything is written. */
  async #process(portion: Portion): Promise<Step> {
    this.#check(portion.cursor, portion.items.length > 0 && portion.cursor === this.#committed.source)
    const setAside = portion.setAside ?? 0
    this.#tell({
      rowsIn: this.#status.rowsIn + portion.items.length + setAside,
      rejected: this.#status.rejected + setAside,
    })
    const { items, position } = await this.#passed(portion.cursor, ({ chain, documents }) =>
      chain.process(portion.items, this.#signal, documents),
    )
    const cursor = wrapPosition(position)
    this.#check(cursor, false)
    return { items, cursor, position, ofSource: true }
  }

  /** What has come due at the channels is written with the source's cursor as it is. */
  async #due(): Promise<void> {
    const { source } = this.#committed
    const { items, position } = await this.#passed(source, ({ chain, documents }) => chain.due(this.#signal, documents))
    const cursor = wrapPosition(position)
    const same = position.channels === this.#committed.channels
    this.#check(cursor, items.length > 0 && same)
    if (!same) await this.#deliver({ items, cursor, position, ofSource: false })
  }

  async #passed(
    source: Cursor | null,
    act: (parts: FlowComponents) => Promise<ChainResult>,
  ): Promise<{ readonly items: readonly Item[]; readonly position: FlowPosition }> {
    const parts = this.#inUse()
    const { chain } = parts
    const { items, rejects } = await this.#attempt('channels', () => act(parts))
    if (rejects.length > 0) await this.#attempt('source.reject', () => this.#reject(rejects.map(atStep)))
    this.#tell({ rejected: this.#status.rejected + rejects.length })
    const channels = await this.#attempt('channels.save', () => chain.save())
    return { items, position: { source, channels } }
  }

  #check(cursor: Cursor, stuck: boolean): void {
    const where = this.#options.flow.name
    const cursorBytes = Buffer.byteLength(cursor, 'utf8')
    if (cursorBytes > CURSOR_BYTES_MAX)
      throw flowFault('FLOW_CURSOR_TOO_LARGE', { where, cursorBytes, limit: CURSOR_BYTES_MAX })
    if (stuck) throw flowFault('FLOW_CURSOR_STUCK', { where, cursor: cursor.slice(0, 200) })
  }

  async #reject(rejects: readonly Reject[]): Promise<void> {
    const { source, rejectOwn } = this.#inUse()
    const own = rejects.filter(({ item }) => isOwnRef(item.ref))
    if (own.length > 0) await rejectOwn(own)
    if (own.length < rejects.length) await source.reject(rejects.filter(({ item }) => !isOwnRef(item.ref)))
  }

  /** Writes until committed, then tells the source and the channels. */
  async #deliver({ items, cursor, position, ofSource }: Step): Promise<void> {
    const parts = this.#inUse()
    const { chain, source, documents } = parts
    const rejects = await this.#write({ items, cursor })
    this.#committed = position
    await this.#attempt('destination.arrived', () =>
      this.#arrived(parts, ofSource && source.keepsUntilArrived === true),
    )
    if (documents !== undefined) await this.#attempt('documents', () => documents.done())
    if (ofSource) {
      await this.#ahead
      await this.#attempt('source.committed', () => source.committed(position.source as Cursor))
    }
    const { channels } = position
    if (channels !== null) await this.#attempt('channels.committed', () => chain.committed(channels))
    const refused = new Set(rejects.map(({ item }) => item))
    const landed = items.filter((item) => !refused.has(item))
    this.#tell({
      rowsOut: this.#status.rowsOut + landed.length,
      rejected: this.#status.rejected + rejects.length,
      bytes: this.#status.bytes + landed.reduce((sum, { row, content }) => sum + sizeOf(row) + bytesOf(content), 0),
      portions: this.#status.portions + 1,
      lastPortionAt: this.#options.clock.wallMs(),
    })
  }

  /** Resolves when the portion is committed, with the rows the destination refused. */
  async #write(portion: Portion): Promise<readonly Reject[]> {
    const { destination } = this.#inUse()
    const put = async (rejects: readonly Reject[]): Promise<void> => {
      await this.#ahead
      await this.#reject(rejects)
    }
    let aside = new PutAside(put)
    let repeated = false
    await this.#attempt('destination.write', async () => {
      if (repeated && (await destination.position()) === portion.cursor) return
      repeated = true
      aside = new PutAside(put)
      try {
        await destination.write(portion, aside.reject, this.#signal)
      } catch (error) {
        await aside.done()
        // The destination may have wrapped what the source threw.
        throw aside.failure ?? error
      }
    })
    // For a destination that did not await, or whose last try did commit: put aside what was not.
    await this.#attempt('source.reject', () => aside.complete())
    return aside.rejects
  }

  async #arrived({ destination, documents }: FlowComponents, isKept: boolean): Promise<void> {
    if (isKept || (await documents?.hasMade()) === true) await destination.arrived?.(this.#signal)
  }

  // ---- supervision ----

  /** Repeats a step while it throws faults worth repeating, waiting in between. */
  async #attempt<T>(step: string, act: () => Promise<T>): Promise<T> {
    for (let waited = false; ; waited = true) {
      try {
        const result = await act()
        this.#backoff.reset()
        if (waited) this.#tell({ state: 'running' })
        return result
      } catch (error) {
        if (error instanceof FlowStopped || isAbort(error, this.#signal)) throw new FlowStopped()
        await this.#waitAfter(step, asFault(error, `${this.#options.flow.name}: ${step}`))
      }
    }
  }

  async #waitAfter(step: string, fault: Fault): Promise<void> {
    const { log } = this.#options
    if (fault.details.retry !== true) throw fault
    if (this.#signal.aborted) {
      log('warn', 'flow stopped while a step was failing', { step, fault: fault.toJSON() })
      this.#tell({ lastFault: fault })
      throw new FlowStopped()
    }
    const waitMs = this.#backoff.next()
    log('warn', 'flow waits and tries again', { step, waitMs, failures: this.#backoff.failures, fault: fault.toJSON() })
    this.#tell({ state: 'waiting', lastFault: fault, restarts: this.#status.restarts + 1 })
    await waitOrStop(waitMs, this.#signal)
  }

  /** Closes what was opened. A component that fails to close is reported; the others are closed all the same. */
  async #close(opened: readonly Closable[]): Promise<void> {
    for (const part of opened.toReversed()) {
      try {
        await part.close()
      } catch (error) {
        const fault = asFault(error, `${this.#options.flow.name}: close`)
        this.#options.log('error', 'a component did not close', { fault: fault.toJSON() })
        this.#tell({ lastFault: fault })
      }
    }
  }

  #inUse(): FlowComponents {
    assert(this.#parts !== null, 'components are open')
    return this.#parts
  }

  #tell(changes: Partial<FlowStatus>): void {
    this.#status = { ...this.#status, ...changes }
    this.#options.onProgress?.(this.#status)
  }
}

/** Waking early does no harm. */
const waitMsOf = (ms: number): number => Math.min(TIMER_MS_MAX, Math.max(0, ms))

function bytesOf(content: Content | undefined): number {
  if (content === undefined) return 0
  return content.kind === 'bytes' ? content.bytes.byteLength : content.size
}

function sizeOf(value: Value | undefined): number {
  if (typeof value === 'string') return value.length
  if (value instanceof Uint8Array) return value.byteLength
  if (typeof value !== 'object' || value === null) return 8
  let sum = 0
  for (const each of Object.values(value) as Value[]) sum += sizeOf(each)
  return sum
}
