// Runs one flow: source → channels → destination, portion by portion, until it is stopped or meets a fault that waiting
// cannot cure.
//
// Order of one portion, and why nothing is lost or doubled by a crash at any point:
//
//   1. next            the source's cursor after the portion comes with it
//   2. channels        rows they refuse: `source.reject`, durable before the write
//   3. write           rows and cursor commit as one. A row refused here goes to `source.reject` as well; the promise
//                      that `reject` gives back is fulfilled when it is durable, and the destination awaits it before
//                      it commits
//   4. arrived         only for a source that keeps what it gave until then: it is at the hub, not only in the spool
//   5. committed       the source may settle what lies before the cursor; after a crash it learns the same by `open`
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
import type {
  Channel,
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
import { CURSOR_BYTES_MAX } from '../components/contract.ts'
import { flowFault } from './faults.ts'
import { IDLE_MS_MIN } from './limits.ts'
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
  readonly channels: readonly Channel[]
  readonly destination: Destination
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
  #committed: Cursor | null = null

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
    if (this.#parts !== null) await this.#close(this.#parts)
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
      const portion = await this.#next(made)
      made = null
      if (portion === null) {
        if (this.#inUse().source.ended?.() === true) return
        await this.#idle()
        continue
      }
      this.#check(portion)
      const items = await this.#process(portion)
      this.#ahead = this.#makeAhead()
      await this.#deliver(portion, items)
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
      let sourceTouched = false
      try {
        await parts.destination.open()
        this.#committed = await parts.destination.position()
        if (this.#committed !== null) await this.#arrived(parts)
        sourceTouched = true
        await parts.source.open(this.#committed)
      } catch (error) {
        await this.#close(parts, sourceTouched)
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

  async #idle(): Promise<void> {
    this.#tell({ state: 'idle' })
    const { clock } = this.#options
    const before = clock.nowMs()
    await this.#attempt('source.idle', () => this.#inUse().source.idle(this.#signal))
    const passed = clock.nowMs() - before
    if (passed < IDLE_MS_MIN) await waitOrStop(IDLE_MS_MIN - passed, this.#signal)
    this.#tell({ state: 'running' })
  }

  #check(portion: Portion): void {
    const where = this.#options.flow.name
    const cursorBytes = Buffer.byteLength(portion.cursor, 'utf8')
    if (cursorBytes > CURSOR_BYTES_MAX)
      throw flowFault('FLOW_CURSOR_TOO_LARGE', { where, cursorBytes, limit: CURSOR_BYTES_MAX })
    if (portion.items.length > 0 && portion.cursor === this.#committed) {
      throw flowFault('FLOW_CURSOR_STUCK', { where, cursor: portion.cursor.slice(0, 200) })
    }
  }

  /** Sends the rows through the channels; what they refuse is put aside before anything is written. */
  async #process(portion: Portion): Promise<readonly Item[]> {
    const setAside = portion.setAside ?? 0
    this.#tell({
      rowsIn: this.#status.rowsIn + portion.items.length + setAside,
      rejected: this.#status.rejected + setAside,
    })
    const { channels } = this.#inUse()
    let rejects: Reject[] = []
    const items = await this.#attempt('channels', async () => {
      rejects = []
      let passing = portion.items
      for (const channel of channels) passing = await channel.process(passing, (reject) => void rejects.push(reject))
      return passing
    })
    if (rejects.length > 0) await this.#attempt('source.reject', () => this.#inUse().source.reject(rejects))
    this.#tell({ rejected: this.#status.rejected + rejects.length })
    return items
  }

  /** Writes until committed, then tells the source. */
  async #deliver(portion: Portion, items: readonly Item[]): Promise<void> {
    const rejects = await this.#write({ items, cursor: portion.cursor })
    this.#committed = portion.cursor
    await this.#attempt('destination.arrived', () => this.#arrived(this.#inUse()))
    await this.#ahead
    await this.#attempt('source.committed', () => this.#inUse().source.committed(portion.cursor))
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
    const { destination, source } = this.#inUse()
    const put = async (rejects: readonly Reject[]): Promise<void> => {
      await this.#ahead
      await source.reject(rejects)
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

  async #arrived({ source, destination }: FlowComponents): Promise<void> {
    if (source.keepsUntilArrived === true) await destination.arrived?.(this.#signal)
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

  /** Closes what was opened. A component that fails to close is reported; the other is closed all the same. */
  async #close(parts: FlowComponents, withSource = true): Promise<void> {
    const closing = withSource ? [parts.source, parts.destination] : [parts.destination]
    for (const part of closing) {
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
