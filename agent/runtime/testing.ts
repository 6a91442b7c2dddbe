// A scripted world for the runtime's tests: a table as source, a transactional table as destination, and a director
// that decides at each call whether it succeeds, throws a fault, or is where the process dies.

import { declareFaults, systemClock } from '#protocol/base/mod.ts'
import { f } from '#protocol/fields/mod.ts'
import { type Chain, chainOf } from '../components/chain/mod.ts'
import type { Channel, Cursor, Destination, Item, Portion, Reject, Source } from '../components/contract.ts'
import { defineComponent } from '../components/registry.ts'
import type { FlowComponents, RunFlowOptions } from './flow.ts'

export const testFault = declareFaults('runtime-test', {
  TEST_AWAY: { meaning: 'not there just now', remedy: 'wait' },
  TEST_BROKEN: { meaning: 'broken for good', remedy: 'repair' },
  TEST_REFUSED: { meaning: 'this row cannot be', remedy: 'change it' },
})

/** Seeded numbers in [0, 1) (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export type Verdict = 'ok' | 'away' | 'broken' | 'dies'
export type Point = { readonly index: number; readonly name: string }

/** What survives the death of the process. */
export class World {
  readonly rows: readonly Item[]
  readonly portionRows: number
  /** Committed by the destination, with the position, as one. */
  landed: number[] = []
  position: Cursor | null = null
  /** Put aside by the source: place → codes, in the order they came. */
  readonly aside = new Map<string | number, string[]>()
  committed: Cursor | null = null
  points = 0
  /** Does the destination wait until refused rows are put aside, as it should? */
  awaitsRejects = true
  decide: (point: Point) => Verdict = () => 'ok'

  constructor(options: { rows: number; portionRows: number }) {
    this.rows = Array.from({ length: options.rows }, (_, index) => ({ row: { id: index }, ref: index }))
    this.portionRows = options.portionRows
  }

  /** Refused by the channel, never by the destination as well. */
  static refusedByChannel(id: number): boolean {
    return id % 7 === 3
  }

  static refusedByDestination(id: number): boolean {
    return id % 5 === 1 && !World.refusedByChannel(id)
  }
}

/** One process's view of the world: components for one run, which all stop for ever when the process dies. */
export class Process {
  readonly #world: World
  readonly exhausted = Promise.withResolvers<void>()
  readonly died = Promise.withResolvers<void>()
  #dead = false
  /** Calls to the source under way: never more than one. */
  sourceCalls = 0
  overlaps = 0
  opened = 0
  closed = 0

  constructor(world: World) {
    this.#world = world
  }

  async at(name: string): Promise<void> {
    const verdict = this.#dead ? 'dies' : this.#world.decide({ index: this.#world.points++, name })
    if (verdict === 'away') throw testFault('TEST_AWAY', { where: name, retry: true })
    if (verdict === 'broken') throw testFault('TEST_BROKEN', { where: name })
    if (verdict === 'dies') {
      this.#dead = true
      this.died.resolve()
      await new Promise(() => undefined)
    }
  }

  components(): FlowComponents {
    const parts = { source: this.#source(), destination: this.#destination() }
    return { ...parts, chain: chainFor([this.#channel()]), rejectOwn: async () => undefined }
  }

  #source(): Source {
    const world = this.#world
    let next = 0
    const call = async <T>(name: string, effect: () => T): Promise<T> => {
      this.sourceCalls += 1
      if (this.sourceCalls > 1) this.overlaps += 1
      try {
        await this.at(`${name} before`)
        const result = effect()
        await this.at(`${name} after`)
        return result
      } finally {
        this.sourceCalls -= 1
      }
    }
    return {
      open: (position) =>
        call('source.open', () => {
          this.opened += 1
          world.committed = position
          next = position === null ? 0 : (JSON.parse(position) as { next: number }).next
        }),
      // A source that fails has not moved: `after` comes before the step counts.
      next: async () => {
        const made = await call('source.next', (): Portion | null => {
          const items = world.rows.slice(next, next + world.portionRows)
          return items.length === 0 ? null : { items, cursor: JSON.stringify({ next: next + items.length }) }
        })
        next += made?.items.length ?? 0
        return made
      },
      idle: async (signal) => {
        this.exhausted.resolve()
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      },
      reject: (rejects) =>
        call('source.reject', () => {
          for (const { item, fault } of rejects) {
            world.aside.set(item.ref, [...(world.aside.get(item.ref) ?? []), fault.code])
          }
        }),
      committed: (cursor) =>
        call('source.committed', () => {
          world.committed = cursor
        }),
      close: async () => {
        this.closed += 1
      },
    }
  }

  #channel(): Channel {
    return {
      process: async (items, reject) => {
        await this.at('channel')
        return items.filter((item) => {
          if (!World.refusedByChannel(item.row.id as number)) return true
          reject({ item, fault: testFault('TEST_REFUSED', { where: 'channel' }) })
          return false
        })
      },
    }
  }

  #destination(): Destination {
    const world = this.#world
    return {
      open: () => this.at('destination.open'),
      position: async () => {
        await this.at('destination.position')
        return world.position
      },
      write: async (portion, reject) => {
        await this.at('write begun')
        const refuse: (reject: Reject) => unknown = reject
        const rows: number[] = []
        const pending: unknown[] = []
        for (const item of portion.items) {
          const id = item.row.id as number
          if (World.refusedByDestination(id))
            pending.push(refuse({ item, fault: testFault('TEST_REFUSED', { where: 'table' }) }))
          else rows.push(id)
        }
        if (world.awaitsRejects) await Promise.all(pending)
        await this.at('write before commit')
        world.landed = [...world.landed, ...rows]
        world.position = portion.cursor
        await this.at('write after commit')
      },
      close: async () => {
        this.closed += 1
      },
    }
  }
}

/** Channels as they are, as the chain of a flow whose folder is `dataDir`. */
export function chainFor(channels: readonly Channel[], dataDir = ''): Chain {
  const context = {
    flow: 'test',
    dataDir,
    clock: systemClock,
    resolvePath: (path: string) => path,
    log: () => undefined,
  }
  const entries = channels.map((channel, i) =>
    defineComponent({
      kind: 'channel',
      type: `test${i}`,
      doc: 'a test',
      settings: f.object({}),
      create: () => channel,
    }),
  )
  const specs = entries.map(({ type }) => ({ type, settings: {} }))
  return chainOf(specs, { context, entries, pool: null, record: false })
}

/** The rest of what `runFlow` wants, quick and quiet. */
export function options(process: Process, signal: AbortSignal): RunFlowOptions {
  return {
    flow: { name: 'test', retry: { firstMs: 1, maxMs: 2 } },
    components: () => process.components(),
    clock: systemClock,
    random: Math.random,
    log: () => undefined,
    signal,
  }
}
