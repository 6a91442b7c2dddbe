// Who may read which content: agents that were sent a message which refers to it. A row for each, which goes with the content.

import type { Engine } from '../engine.ts'
import { sound } from './chunks.ts'
import { namedKeys, type Tables } from './tables.ts'

export class Readers {
  private readonly engine: Pick<Engine, 'maintain' | 'readable'>
  private readonly tables: Tables
  /** On their way to the disk. */
  private readonly admitting = new Set<string>()

  constructor(engine: Pick<Engine, 'maintain' | 'readable'>, tables: Tables) {
    this.engine = engine
    this.tables = tables
  }

  /** Whether the agent may. Faults: `STORE_IO`. */
  has(id: string, agent: string): boolean {
    if (this.admitting.has(`${id} ${agent}`)) return true
    const number = sound(() => this.tables.ids.stored(id))
    return number !== null && sound(() => this.tables.readers.stored([number, agent])) === id
  }

  /** The first of those who may, by name. Faults: `STORE_IO`. */
  of(id: string, max: number): string[] {
    const number = sound(() => this.tables.ids.stored(id))
    if (number === null) return []
    return namedKeys(this.tables.readers.table, number, max).map(([, agent]) => agent)
  }

  /** From now on it may; a little later that is on the disk. Nothing when there is no such content. */
  admit(id: string, agent: string): void {
    if (this.engine.readable && this.has(id, agent)) return
    const { ids, readers } = this.tables
    const name = `${id} ${agent}`
    this.admitting.add(name)
    const write = () => {
      const number = sound(() => ids.get(id))
      if (number !== null) readers.put([number, agent], id)
    }
    void this.engine.maintain({ write, done: () => void this.admitting.delete(name) })
  }
}
