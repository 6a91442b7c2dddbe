// The pipelines that rules use, each with its chain of channels. A pipeline that keeps something between messages (merge, deduplicate)
// has one chain, and whoever uses it has it alone until what it gave is on the disk: its state goes there in the same transaction. Of
// one that keeps nothing there are as many chains as are in use at once.

import type { Chain, ChainMembers, ChainReject, ChainResult, LargeDocuments } from '#agent/components/chain/types.ts'
import type { Item } from '#agent/components/mod.ts'
import { transformFault } from './faults.ts'

/** What comes of messages in one pipeline. */
export type Passed = ChainResult & {
  /** What its channels keep, to be conveyed with the results; `null` when they keep nothing. */
  readonly state: string | null
  /** More waits in the channels. */
  readonly waits: boolean
  /** Of what a channel gave in this use that it had kept: see `Chain.membersOf`. */
  readonly membersOf: (item: Item) => ChainMembers | null
}

/** The use of a pipeline for one conveyance. To be ended in any case. */
export type Use = {
  /** `large`: whoever lends large documents, and takes those that are made. */
  process(items: readonly Item[], large?: LargeDocuments): Promise<Passed>
  due(large?: LargeDocuments): Promise<Passed>
  /** Some of what waits, whatever its time: see `Chain.flush`. */
  flush(large?: LargeDocuments): Promise<Passed>
  /** What was given is on the disk. */
  committed(): Promise<void>
  /** Without `committed` before: what a keeping chain did since is undone by opening it anew. */
  end(): Promise<void>
}

export type PipelineOptions = {
  readonly name: string
  /** Whether its channels keep anything between messages. */
  readonly keeps: boolean
  readonly make: () => Chain
  /** The one it replaces has ended: what that kept is on the disk then. */
  readonly after?: Promise<void>
  /** The state of the last conveyance, from the disk. */
  readonly stored: () => string | null
  /** It is open and not in use: its `dueAtMs` is known. */
  readonly onFree?: (pipeline: Pipeline) => void
}

export class Pipeline {
  readonly keeps: boolean
  readonly name: string
  private readonly options: PipelineOptions
  private readonly free: Chain[] = []
  private turn: Promise<void> = Promise.resolve()
  private closed = false

  constructor(options: PipelineOptions) {
    this.options = options
    this.keeps = options.keeps
    this.name = options.name
  }

  /** When `due` of the chain will have something (monotonic); `null` when nothing waits. Of a chain that is open and not in use. */
  get dueAtMs(): number | null {
    return this.free[0]?.dueAtMs() ?? null
  }

  /** Opens the chain of one that keeps something, so that what waits in it is known. */
  async prepare(): Promise<void> {
    if (this.keeps) await (await this.use()).end()
  }

  /** Faults: those of opening its channels. */
  async use(): Promise<Use> {
    const leave = this.keeps ? await this.enter() : () => undefined
    let chain: Chain
    try {
      chain = this.free.pop() ?? (await this.open())
    } catch (error) {
      leave()
      throw error
    }
    let state: string | null = null
    let unsaved = false
    const after = async (result: ChainResult, large: LargeDocuments | undefined): Promise<Passed> => {
      state = await chain.save()
      const rejects: ChainReject[] = []
      for (const reject of result.rejects) rejects.push(await putAway(reject, large))
      return { ...result, rejects, state, waits: chain.waits(), membersOf: ({ ref }) => chain.membersOf(ref) }
    }
    return {
      process: async (items, large) => {
        unsaved = true
        return after(await chain.process(items, undefined, large), large)
      },
      due: async (large) => {
        unsaved = true
        return after(await chain.due(undefined, large), large)
      },
      flush: async (large) => {
        unsaved = true
        return after(await chain.flush(undefined, large), large)
      },
      committed: async () => {
        if (state !== null) await chain.committed(state)
        unsaved = false
      },
      end: async () => {
        try {
          if (this.closed || (this.keeps && unsaved)) await chain.close()
          else this.free.push(chain)
        } finally {
          leave()
          if (!this.closed) this.options.onFree?.(this)
        }
      },
    }
  }

  /** When nobody uses it any more. */
  async close(): Promise<void> {
    this.closed = true
    if (this.keeps) (await this.enter())()
    await Promise.all(this.free.splice(0).map((chain) => chain.close()))
  }

  private async open(): Promise<Chain> {
    await this.options.after
    if (this.closed) throw transformFault('PIPELINE_REPLACED', { where: `pipeline ${this.name}`, retry: true })
    const chain = this.options.make()
    try {
      await chain.open(this.keeps ? this.options.stored() : null)
      return chain
    } catch (error) {
      await chain.close()
      throw error
    }
  }

  private async enter(): Promise<() => void> {
    const before = this.turn
    const mine = Promise.withResolvers<void>()
    this.turn = mine.promise
    await before
    return mine.resolve
  }
}

/** What a channel had kept and refuses is a message of its own: too large for one, it is put away, too. */
async function putAway(reject: ChainReject, large: LargeDocuments | undefined): Promise<ChainReject> {
  const { item } = reject
  if (large === undefined || item.content?.kind !== 'bytes') return reject
  const { bytes } = item.content
  if (bytes.byteLength <= large.inlineBytesMax) return reject
  return { ...reject, item: { ...item, content: await large.put(bytes, item) } }
}
