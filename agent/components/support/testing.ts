// What the tests of components share. Not imported by anything else.

import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { Fault, systemClock } from '#protocol/base/mod.ts'
import { type Field, parseValue } from '#protocol/fields/mod.ts'
import type { ComponentContext, Item, Portion, Reject, Row, Source } from '../contract.ts'

let folders = 0
const rooted = new WeakSet<Test>()

/** A new empty folder below the test's own. */
export function freshFolder(t: Test): string {
  if (!rooted.has(t)) t.testdir({})
  rooted.add(t)
  folders += 1
  const root = join(t.testdirName, String(folders))
  mkdirSync(root)
  return root
}

/** A context whose relative paths start at `root` and whose data folder is made there. */
export function testContext(root: string, flow = 'flow-1'): ComponentContext & { readonly logs: string[] } {
  const dataDir = join(root, `data-${flow}`)
  mkdirSync(dataDir, { recursive: true })
  const logs: string[] = []
  return {
    flow,
    dataDir,
    clock: systemClock,
    resolvePath: (path) => resolve(root, path),
    log: (level, message, details) => logs.push(`${level} ${message} ${JSON.stringify(details ?? {})}`),
    logs,
  }
}

/** Settings as a flow file would give them: parsed by their own spec, so that defaults and checks are the real ones. */
export function settingsOf<T>(spec: Field<T>, value: unknown): T {
  const parsed = parseValue(spec, value, { where: 'test' })
  if (parsed.ok) return parsed.value
  throw parsed.fault[0] ?? new Error('settings do not parse')
}

export const itemsOf = (rows: readonly Row[]): Item[] => rows.map((row, i) => ({ row, ref: i + 1 }))

export const portionOf = (rows: readonly Row[], cursor: string): Portion => ({ items: itemsOf(rows), cursor })

/** The code of the fault an action ends in, or what else happened. */
export async function codeOf(action: () => unknown): Promise<string> {
  return (await faultOf(action))?.code ?? 'no fault'
}

export async function faultOf(action: () => unknown): Promise<Fault | null> {
  try {
    await action()
    return null
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
}

/** Every portion until the source has nothing more. Waits through `idle` when there is something that is not yet ready. */
export async function drain(
  source: Source,
  options: { settle?: boolean; until?: () => boolean } = {},
): Promise<Portion[]> {
  const signal = AbortSignal.timeout(120_000)
  const portions: Portion[] = []
  while (!signal.aborted) {
    const portion = await source.next(signal)
    if (portion !== null) {
      portions.push(portion)
      if (options.settle !== false) await source.committed(portion.cursor)
    } else if (options.until?.() ?? source.ended?.() ?? true) return portions
    else await source.idle(signal)
  }
  throw new Error(`the source did not end; it gave ${portions.length} portions`)
}

export const rowsOf = (portions: readonly Portion[]): Row[] =>
  portions.flatMap((portion) => portion.items.map((item) => item.row))

/** A `reject` that collects. */
export function collector(): {
  readonly rejects: Reject[]
  readonly reject: (reject: Reject) => void
  codes(): string[]
} {
  const rejects: Reject[] = []
  return { rejects, reject: (reject) => void rejects.push(reject), codes: () => rejects.map((each) => each.fault.code) }
}

/**
 * Runs with each limit in turn until the result is good: the first is soon over, the last is enough for a machine that has other
 * things to do. Gives the last result.
 */
export async function patiently<T>(
  limitsMs: readonly number[],
  run: (limitMs: number) => Promise<T>,
  isGood: (result: T) => boolean,
): Promise<T> {
  for (const limitMs of limitsMs.slice(0, -1)) {
    const result = await run(limitMs)
    if (isGood(result)) return result
  }
  return await run(limitsMs.at(-1) as number)
}

/** Reproducible random numbers in [0, 1): mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
