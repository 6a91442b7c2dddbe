// A process that answers one query of an SQLite database for one key after the other. Nothing in Node stops a query that runs: so one
// that takes too long ends with this process. A thread looks at the time; whoever started the process may be gone by then.
//
// Argument: JSON of `QueryOptions`. Messages in: the values of a key. Out: `{ ready: true }`, then an `Answer` for each key, in order.

import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

export type QueryOptions = {
  readonly file: string
  readonly query: string
  /** Longest time for one key. */
  readonly limitMs: number
  /** Of it, for a lock. */
  readonly busyMs: number
}

/** Integers are bigints. */
export type Answer =
  | { readonly row: Readonly<Record<string, unknown>> | null }
  | { readonly failed: { readonly message: string; readonly code: unknown; readonly errcode: unknown } }

type Watch = { readonly runs: Int32Array; readonly limitMs: number }

function answer({ file, query, limitMs, busyMs }: QueryOptions): void {
  // Odd while a query runs.
  const runs = new Int32Array(new SharedArrayBuffer(4))
  new Worker(new URL(import.meta.url), { workerData: { runs, limitMs } satisfies Watch })
  const timed = <T extends Answer | { readonly ready: true }>(work: () => T): Answer | T => {
    Atomics.add(runs, 0, 1)
    try {
      return work()
    } catch (error) {
      const { message, code, errcode } = error as { message: string; code?: unknown; errcode?: unknown }
      return { failed: { message, code, errcode } }
    } finally {
      Atomics.add(runs, 0, 1)
    }
  }
  let statement: StatementSync
  const opened = timed(() => {
    statement = new DatabaseSync(file, { readOnly: true, timeout: busyMs }).prepare(query)
    statement.setReadBigInts(true)
    return { ready: true }
  })
  process.on('message', (key: SQLInputValue[]) => {
    process.send?.(timed(() => ({ row: statement.get(...key) ?? null })))
  })
  process.on('disconnect', () => process.exit())
  process.send?.(opened)
}

function watch({ runs, limitMs }: Watch): void {
  let seen = 0
  let sinceMs = performance.now()
  setInterval(
    () => {
      const run = Atomics.load(runs, 0)
      if (run !== seen) {
        seen = run
        sinceMs = performance.now()
      } else if (run % 2 === 1 && performance.now() - sinceMs >= limitMs) process.kill(process.pid, 'SIGKILL')
    },
    Math.max(5, Math.min(50, limitMs / 10)),
  )
}

if (isMainThread) answer(JSON.parse(process.argv[2] ?? '') as QueryOptions)
else watch(workerData as Watch)
