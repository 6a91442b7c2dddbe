// One of our child programs; starting it again continues its work.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { endWithUs } from '../fixtures/hub.ts'
import type { Fuse } from './points.ts'

export class Worker {
  onLine: (line: string) => void = () => {}
  private readonly program: string
  private child: ChildProcess | null = null
  private ended: Promise<unknown> = Promise.resolve()

  constructor(program: string) {
    this.program = join(import.meta.dirname, program)
    endWithUs(() => void this.child?.kill('SIGKILL'))
  }

  start(settings: object): void {
    const args = ['--disable-warning=ExperimentalWarning', this.program, JSON.stringify(settings)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
    const closed = once(child, 'close')
    const read = once(
      createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> }).on('line', (line) =>
        this.onLine(line),
      ),
      'close',
    )
    // Killed is what they are here for; an error of theirs is not.
    child.once('exit', (code) => {
      if (code !== null && code > 0) this.onLine(`fault ${this.program} ended with ${code}`)
    })
    this.child = child
    this.ended = Promise.all([closed, read])
  }

  /** Resolves when it is gone, by itself or not, and everything it said was read. */
  get exited(): Promise<unknown> {
    return this.ended
  }

  arm(fuse: Fuse): void {
    // One that has just died does not take it.
    this.child?.send(fuse, () => undefined)
  }

  signal(signal: 'SIGTERM'): void {
    this.child?.kill(signal)
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.child?.kill(signal)
    await this.ended
  }
}
