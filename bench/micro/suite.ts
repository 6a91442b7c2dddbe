// Micro-benchmarks: parts of the hot path, each by itself, timed by `benchmark`. They say which part got slower or faster;
// what a user gets is said by the scenarios.

import { createRequire } from 'node:module'

export type Case = {
  readonly name: string
  /** What one run handles. */
  readonly unit: string
  readonly perRun: number
  /** One run; a promise when it has to wait for a disk. */
  readonly run: () => unknown
}

export type Suite = { readonly cases: readonly Case[]; readonly end?: () => Promise<void> }

export type Timed = { readonly perSecond: number; readonly errorPercent: number }

type Options = {
  readonly fn: (deferred?: { resolve(): void }) => void
  readonly defer: boolean
  readonly minSamples: number
  readonly maxTime: number
  readonly onComplete: () => void
  readonly onError: () => void
}

type Running = {
  readonly hz: number
  readonly stats: { readonly rme: number }
  readonly error?: Error
  run(options: { async: boolean }): void
}

/** CommonJS without types. */
const Benchmark = createRequire(import.meta.url)('benchmark') as new (name: string, options: Options) => Running

/** Beyond what warms it up; `benchmark` takes as many samples as fit. */
export async function timed({ name, perRun, run }: Case, maxSeconds: number): Promise<Timed> {
  // Once before: a case that throws says so here, and one that returns a promise shows it.
  const first = run()
  const defer = first instanceof Promise
  await first
  const done = await new Promise<Running>((resolve, reject) => {
    const benchmark = new Benchmark(name, {
      fn: defer ? (deferred) => void (run() as Promise<unknown>).then(() => deferred?.resolve(), reject) : () => run(),
      defer,
      minSamples: 10,
      maxTime: maxSeconds,
      onComplete: () => resolve(benchmark),
      onError: () => reject(benchmark.error),
    })
    benchmark.run({ async: true })
  })
  return { perSecond: done.hz * perRun, errorPercent: done.stats.rme }
}
