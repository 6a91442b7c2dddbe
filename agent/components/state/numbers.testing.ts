// A state for tests: numbers by name, each with a filling that makes records as large as wanted.

import type { StateOwner } from './mod.ts'

export class Numbers implements StateOwner {
  readonly values = new Map<string, number>()
  readonly #fillBytes: number

  constructor(fillBytes = 0) {
    this.#fillBytes = fillBytes
  }

  /** The record of the change, which is made; `null` takes the name away. */
  set(name: string, value: number | null): Buffer {
    if (value === null) this.values.delete(name)
    else this.values.set(name, value)
    return this.#record(name, value)
  }

  clear(): void {
    this.values.clear()
  }

  replay(record: Buffer): void {
    const [name, value] = JSON.parse(record.toString('utf8', 1).trimEnd()) as [string, number | null]
    this.set(name, value)
  }

  *snapshot(): Iterable<Buffer> {
    for (const [name, value] of this.values) yield this.#record(name, value)
  }

  keptBytes(): number {
    return this.values.size * (this.#fillBytes + 20)
  }

  #record(name: string, value: number | null): Buffer {
    return Buffer.from(`!${JSON.stringify([name, value]).padEnd(this.#fillBytes)}`)
  }
}
