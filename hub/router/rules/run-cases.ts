// Runs all cases of a rule set. Pipelines are kept open from case to case, unless they keep something: each sample comes by itself.

import { type Chain, chainOf } from '#agent/components/chain/mod.ts'
import type { IsolatedPool } from '#agent/components/isolation/mod.ts'
import { builtinComponents, type Item } from '#agent/components/mod.ts'
import { compilePredicates } from '#agent/components/predicates/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { type CaseOutcome, runCase } from './cases.ts'
import { compileRules } from './compile.ts'
import { rulesFault } from './faults.ts'
import type { PlacedRules } from './parse.ts'
import { contextOf, type Folders } from './ready.ts'
import type { ReadFile } from './sample.ts'
import type { PipelineSpec, RuleSet } from './spec.ts'

export type RunOptions = Folders & {
  readonly readFile: ReadFile
  /** For channels that evaluate what others wrote; `null` runs them here, without bounds on their time. */
  readonly pool: IsolatedPool | null
}

/**
 * Runs the cases of a set, one after the other; a set whose conditions or pipelines cannot be made throws. Stateful channels write
 * below `dataDir`, which is the caller's to remove.
 */
export async function* runCases(set: RuleSet, options: RunOptions): AsyncGenerator<CaseOutcome> {
  const rules = compileRules(set)
  const predicates = compilePredicates(rules.predicates)
  const pipelines = new CasePipelines(set.pipelines, options, options.pool)
  const run = (name: string, item: Item) => pipelines.run(name, item)
  try {
    for (const one of set.cases) {
      const nowMs = options.clock.wallMs()
      yield await runCase(rules, one, { predicates, readFile: options.readFile, run, nowMs })
    }
  } finally {
    predicates.dispose()
    await pipelines.close()
  }
}

/** Cases whose failure is told. */
const FAILED_TOLD_MAX = 20

/** The cases that do not come out as they say, each as `RULE_CASE_FAILED`. For a set that can run (`readyFaults`). */
export async function caseFaults({ set, where }: PlacedRules, options: RunOptions): Promise<Fault[]> {
  const faults: Fault[] = []
  let i = 0
  for await (const { name, differences } of runCases(set, options)) {
    const [first] = differences
    const place = where(`cases[${i++}]`)
    if (first === undefined) continue
    const { what, expected, got } = first
    const why = `${JSON.stringify(name)}: ${what}: expected ${expected}, got ${got}`
    if (faults.push(rulesFault('RULE_CASE_FAILED', { where: place, why })) >= FAILED_TOLD_MAX) break
  }
  return faults
}

type Ran = { readonly items: readonly Item[]; readonly refused: Fault | null }

class CasePipelines {
  private readonly pipelines: Readonly<Record<string, PipelineSpec>>
  private readonly options: Parameters<typeof chainOf>[1]
  private readonly open = new Map<string, Chain>()

  /** `dataDir` of `folders` is the caller's to remove. */
  constructor(pipelines: Readonly<Record<string, PipelineSpec>>, folders: Folders, pool: IsolatedPool | null) {
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
