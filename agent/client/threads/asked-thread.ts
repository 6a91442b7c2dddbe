// A worker thread that is asked questions and answers them in the order they came. It is started by the first one, ends by itself
// when it has nothing to do, and does not keep the process alive meanwhile; the next question starts another.

import { Worker } from 'node:worker_threads'

/** A thread that has nothing to do for so long ends; the next question starts another (some 40 ms, 10 MB). */
const IDLE_MS = 10_000

export type Asked = { readonly id: number; readonly question: unknown }
export type Answer = {
  readonly id: number
  readonly value: unknown
  readonly problem: { readonly code: string; readonly why: string } | null
}

/** A question was not answered: the thread threw, with that code, or is gone (code empty). */
export class ThreadError extends Error {
  readonly code: string

  constructor(why: string, code = '') {
    super(why)
    this.code = code
  }
}

export class AskedThread {
  private readonly file: URL
  private readonly name: string
  private worker: Worker | null = null
  private nextId = 1
  private readonly waiting = new Map<number, PromiseWithResolvers<unknown>>()
  private idle: NodeJS.Timeout | null = null
  private holds = 0

  /** `file`: what the thread runs; it calls `answerQuestions`. */
  constructor(file: URL, name: string) {
    this.file = file
    this.name = name
  }

  /** Questions not answered yet. */
  get pending(): number {
    return this.waiting.size
  }

  /** What `question` consists of is copied, shared memory excepted. Faults: `ThreadError`. */
  ask(question: unknown): Promise<unknown> {
    if (this.idle !== null) clearTimeout(this.idle)
    this.idle = null
    this.worker ??= this.start()
    this.worker.ref()
    const id = this.nextId++
    const answer = Promise.withResolvers<unknown>()
    this.waiting.set(id, answer)
    this.worker.postMessage({ id, question } satisfies Asked)
    return answer.promise
  }

  /** The thread has something that is not to be lost: it does not end by itself until `release`. */
  hold(): void {
    this.holds++
  }

  release(): void {
    this.holds--
    this.rest()
  }

  /** Ends the thread; `ask` starts another. */
  async close(): Promise<void> {
    const { worker } = this
    this.lost(`the ${this.name} thread was closed`)
    await worker?.terminate()
  }

  private start(): Worker {
    const worker = new Worker(this.file, { name: this.name })
    const lost = (why: string) => {
      if (this.worker === worker) this.lost(why)
    }
    worker.on('message', (answer: Answer) => this.answered(answer))
    worker.on('error', (error) => lost(error.message))
    worker.on('exit', (code) => lost(`the ${this.name} thread ended with code ${code}`))
    return worker
  }

  private answered({ id, value, problem }: Answer): void {
    const waiting = this.waiting.get(id)
    this.waiting.delete(id)
    this.rest()
    if (problem === null) waiting?.resolve(value)
    else waiting?.reject(new ThreadError(problem.why, problem.code))
  }

  private rest(): void {
    if (this.waiting.size > 0) return
    this.worker?.unref()
    if (this.holds > 0 || this.worker === null || this.idle !== null) return
    this.idle = setTimeout(() => void this.close(), IDLE_MS)
    this.idle.unref()
  }

  private lost(why: string): void {
    if (this.idle !== null) clearTimeout(this.idle)
    this.idle = null
    this.worker = null
    const waiting = [...this.waiting.values()]
    this.waiting.clear()
    for (const { reject } of waiting) reject(new ThreadError(why))
  }
}
