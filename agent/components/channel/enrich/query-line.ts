// The line to the process that runs the query: started when first asked, and again when it has ended.

import { type ChildProcess, fork } from 'node:child_process'
import type { SQLInputValue } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import type { Fault } from '#protocol/base/mod.ts'
import { enrichFault } from './faults.ts'
import type { Answer, QueryOptions } from './query-process.ts'

const PROGRAM = fileURLToPath(new URL('./query-process.ts', import.meta.url))

type Asked = {
  readonly key: readonly SQLInputValue[]
  resolve(answer: Answer): void
  reject(reason: unknown): void
}

export class QueryLine {
  readonly #options: QueryOptions
  #child: ChildProcess | null = null
  #isReady = false
  /** In the order of their answers. */
  readonly #asked: Asked[] = []
  #answeredMs = 0
  #closed = false

  constructor(options: QueryOptions) {
    this.#options = options
  }

  /** Faults: `ENRICH_QUERY_TIMEOUT`, `ENRICH_QUERY_ENDED` (with `retry`). What SQLite says against the query is an answer. */
  ask(key: readonly SQLInputValue[]): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const child = this.#child ?? this.#start()
      if (this.#asked.length === 0) {
        this.#answeredMs = performance.now()
        hold(child, true)
      }
      this.#asked.push({ key, resolve, reject })
      if (this.#isReady) child.send(key, ignored)
    })
  }

  /** What is asked fails with `ENRICH_QUERY_ENDED`. */
  async close(): Promise<void> {
    this.#closed = true
    const child = this.#child
    if (child === null) return
    hold(child, true)
    await new Promise((resolve) => {
      child.once('close', resolve)
      child.kill('SIGKILL')
    })
  }

  #start(): ChildProcess {
    const child = fork(PROGRAM, [JSON.stringify(this.#options)], {
      serialization: 'advanced',
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    this.#child = child
    this.#isReady = false
    child.on('message', (said: Answer | { ready: true }) => this.#heard(child, said))
    child.once('error', (error) => this.#ended(child, error))
    child.once('close', () => this.#ended(child, null))
    return child
  }

  #heard(child: ChildProcess, said: Answer | { ready: true }): void {
    if (child !== this.#child) return
    this.#answeredMs = performance.now()
    if ('ready' in said) {
      this.#isReady = true
      for (const { key } of this.#asked) child.send(key, ignored)
      return
    }
    if (!this.#isReady) {
      // It could not even be opened; perhaps it can next time.
      const asked = this.#asked.splice(0)
      this.#child = null
      child.kill('SIGKILL')
      for (const { resolve } of asked) resolve(said)
      return
    }
    this.#asked.shift()?.resolve(said)
    if (this.#asked.length === 0) hold(child, false)
  }

  /** The one it was at pays, the others are asked of another process. */
  #ended(child: ChildProcess, error: Error | null): void {
    if (child !== this.#child) return
    this.#child = null
    const asked = this.#asked.splice(0)
    // Nothing was wrong with what was asked of one that did not even start.
    if (this.#closed || !this.#isReady) {
      for (const { reject } of asked) reject(endedFault(error))
      return
    }
    const [first, ...others] = asked
    const { limitMs } = this.#options
    const isOver = performance.now() - this.#answeredMs >= limitMs
    first?.reject(
      isOver
        ? enrichFault('ENRICH_QUERY_TIMEOUT', {
            where: 'enrich: from.sqlite.query',
            why: `more than ${limitMs} ms`,
            limitMs,
          })
        : endedFault(error),
    )
    for (const { key, resolve, reject } of others) this.ask(key).then(resolve, reject)
  }
}

const endedFault = (cause: Error | null): Fault =>
  enrichFault('ENRICH_QUERY_ENDED', { where: 'enrich: from.sqlite.query', retry: true, cause })

/** Whether this process lives on for it. */
function hold(child: ChildProcess, held: boolean): void {
  if (held) {
    child.ref()
    child.channel?.ref()
  } else {
    child.unref()
    child.channel?.unref()
  }
}

/** A process that has ended is heard of by its end. */
const ignored = (): void => undefined
