// What an agent says of itself (`DIR/status.json`), and counters that go on through its crashes.

import { readFileSync, statSync } from 'node:fs'
import { fault } from './faults.ts'
import { STATUS_BYTES_MAX } from './limits.ts'

export type Traffic = { readonly bytesIn: number; readonly bytesOut: number }

export type FlowStatus = { readonly state: string; readonly rowsOut: number; readonly rejected: number }

export type AgentStatus = {
  readonly pid: number
  readonly rssBytesMax: number
  readonly connected: boolean
  readonly flows: Readonly<Record<string, FlowStatus>>
  readonly spoolMessages: number
  readonly wire: Traffic
  readonly raw: Traffic
}

/** `null` while there is no report yet. Faults: `DEMO_STATUS_MALFORMED`. */
export function readAgentStatus(file: string): AgentStatus | null {
  let text: string
  try {
    if (statSync(file).size > STATUS_BYTES_MAX) throw malformed(file, `longer than ${STATUS_BYTES_MAX} bytes`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  return parseAgentStatus(text, file)
}

export function parseAgentStatus(text: string, where: string): AgentStatus {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw malformed(where, 'not JSON', error)
  }
  const root = new Fields(value, where, '')
  const flows: Record<string, FlowStatus> = {}
  const all = root.fields('flows')
  for (const name of all.names()) {
    const flow = all.fields(name)
    flows[name] = { state: flow.text('state'), rowsOut: flow.count('rowsOut'), rejected: flow.count('rejected') }
  }
  return {
    pid: root.count('pid'),
    rssBytesMax: root.count('rssBytesMax'),
    connected: root.flag('connected'),
    flows,
    spoolMessages: root.fields('spool').count('messages'),
    wire: trafficOf(root.fields('wire')),
    raw: trafficOf(root.fields('raw')),
  }
}

function trafficOf(fields: Fields): Traffic {
  return { bytesIn: fields.count('bytesIn'), bytesOut: fields.count('bytesOut') }
}

class Fields {
  readonly #value: Readonly<Record<string, unknown>>
  readonly #where: string
  readonly #path: string

  constructor(value: unknown, where: string, path: string) {
    if (typeof value !== 'object' || value === null) throw malformed(where, `${path || 'it'} is not an object`)
    this.#value = value as Readonly<Record<string, unknown>>
    this.#where = where
    this.#path = path
  }

  names(): string[] {
    return Object.keys(this.#value)
  }

  fields(name: string): Fields {
    return new Fields(this.#value[name], this.#where, this.#path === '' ? name : `${this.#path}.${name}`)
  }

  count(name: string): number {
    const value = this.#value[name]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    throw this.#wrong(name, 'a whole number')
  }

  flag(name: string): boolean {
    const value = this.#value[name]
    if (typeof value === 'boolean') return value
    throw this.#wrong(name, 'true or false')
  }

  text(name: string): string {
    const value = this.#value[name]
    if (typeof value === 'string') return value
    throw this.#wrong(name, 'text')
  }

  #wrong(name: string, right: string) {
    const path = this.#path === '' ? name : `${this.#path}.${name}`
    return malformed(this.#where, `${path} is ${JSON.stringify(this.#value[name])}, not ${right}`)
  }
}

function malformed(where: string, why: string, cause?: unknown) {
  return fault('DEMO_STATUS_MALFORMED', { where, why, ...(cause === undefined ? {} : { cause }) })
}

/**
 * An agent's counters over all its lives: each life counts from zero, and the last report of a killed one stays. What it did
 * after that report (at most its interval) is not in the sums; they are for display, the proof does not rest on them.
 */
export class AgentMeter {
  readonly #lives = new Map<number, AgentStatus>()
  #latest: AgentStatus | null = null

  take(status: AgentStatus | null): void {
    if (status === null) return
    this.#latest = status
    this.#lives.set(status.pid, status)
  }

  get latest(): AgentStatus | null {
    return this.#latest
  }

  get rowsOut(): number {
    return this.#sum((life) => Object.values(life.flows).reduce((rows, flow) => rows + flow.rowsOut, 0))
  }

  get rejected(): number {
    return this.#sum((life) => Object.values(life.flows).reduce((rows, flow) => rows + flow.rejected, 0))
  }

  get wireBytes(): number {
    return this.#sum(({ wire }) => wire.bytesIn + wire.bytesOut)
  }

  get rawBytes(): number {
    return this.#sum(({ raw }) => raw.bytesIn + raw.bytesOut)
  }

  #sum(count: (life: AgentStatus) => number): number {
    let sum = 0
    for (const life of this.#lives.values()) sum += count(life)
    return sum
  }
}
