// Pipelines as cases run them: each sample by itself.

import { type Chain, chainOf } from '#agent/components/chain/mod.ts'
import type { IsolatedPool } from '#agent/components/isolation/mod.ts'
import { builtinComponents, type Item } from '#agent/components/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { contextOf, type Folders } from './ready.ts'
import type { PipelineSpec } from './spec.ts'

export type Ran = { readonly items: readonly Item[]; readonly refused: Fault | null }

export class CasePipelines {
  private readonly pipelines: Readonly<Record<string, PipelineSpec>>
  private readonly options: Parameters<typeof chainOf>[1]
  private readonly open = new Map<string, Chain>()

  /** `dataDir` of `folders` is the caller's to remove. */
  constructor(pipelines: Readonly<Record<string, PipelineSpec>>, folders: Folders, pool: IsolatedPool) {
    this.pipelines = pipelines
    this.options = { context: contextOf(folders), entries: builtinComponents, pool, record: false }
  }

  /** Throws what its channels throw when they open. */
  async run(name: string, item: Item): Promise<Ran> {
    let chain = this.open.get(name)
    if (chain === undefined) {
      chain = chainOf(this.pipelines[name]?.steps ?? [], this.options)
      await chain.open(null)
      this.open.set(name, chain)
    }
    const { items, rejects } = await chain.process([item])
    // One that keeps something must not know of this case in the next.
    if ((await chain.save()) !== null || chain.dueAtMs() !== null) {
      this.open.delete(name)
      await chain.close()
    }
    return { items, refused: rejects[0]?.fault ?? null }
  }

  async close(): Promise<void> {
    for (const chain of this.open.values()) await chain.close()
    this.open.clear()
  }
}
