// What is to happen at a time: a delayed message comes into its lane, a message expires. Rows lie ordered by time, so the
// next ones are at the front; only their number and the time of the first are in memory.

import { ByteReader, varintBytes, writeVarint } from '#protocol/bytes/mod.ts'
import type { Key, Table } from './disk.ts'
import type { Engine, Work } from './engine.ts'
import { decodeEntry, encodeEntry, type NewEntry } from './entry.ts'

/** A message that waits for its time outside of its lane, or one in its lane that expires. */
export type Timer =
  | { readonly kind: 'due'; readonly queueId: number; readonly lane: number; readonly entry: NewEntry }
  | { readonly kind: 'expire'; readonly queueId: number; readonly lane: number; readonly position: number }

type ExpirePlace = { readonly queueId: number; readonly lane: number; readonly position: number }

export type TimerRow = { readonly key: Key; readonly atMs: number; readonly timer: Timer }

const DUE = 1
const EXPIRE = 2

export class Timers {
  /** When the first falls due; infinite when there is none. */
  nextAtMs = Number.POSITIVE_INFINITY
  /** Told when `nextAtMs` became earlier. */
  onEarlier: () => void = () => {}
  private readonly table: Table
  /** Tells this run's keys from those of earlier ones. */
  private readonly run: number
  private next = 0
  /** Fired, and not yet removed from the disk. */
  private readonly firing = new Set<string>()
  /** Of messages that were out when their time was over: the row stays, for the case that the hub ends before they come back. */
  private readonly parked = new Set<string>()

  constructor(engine: Pick<Engine, 'table'>, run: number) {
    this.table = engine.table('timers')
    this.run = run
    this.look()
  }

  /** Within a group's work. */
  put(atMs: number, timer: Timer): void {
    const key = timer.kind === 'expire' ? expireKey(atMs, timer) : [atMs, this.run, this.next++]
    this.table.put(key, encodeTimer(timer))
  }

  /** Within a group's work: the message is gone before its time was over. */
  forgetExpire(atMs: number, place: ExpirePlace): void {
    const key = expireKey(atMs, place)
    this.table.remove(key)
    this.parked.delete(String(key))
  }

  /** The message is out: what becomes of it is seen when it comes back. */
  park({ key }: TimerRow): void {
    this.parked.add(String(key))
  }

  /** It came back, and by the clock of now its time is not over. */
  unpark(atMs: number, place: ExpirePlace): void {
    if (this.parked.delete(String(expireKey(atMs, place)))) this.stored(atMs)
  }

  /** What was just put is on disk. */
  stored(atMs: number): void {
    if (atMs >= this.nextAtMs) return
    this.nextAtMs = atMs
    this.onEarlier()
  }

  /** Those that are due and not yet being seen to, earliest first. */
  due(nowMs: number, limit: number): TimerRow[] {
    const rows = this.table.range({ from: [0], to: [nowMs + 1], limit: limit + this.passedOver })
    const out: TimerRow[] = []
    for (const { key, value } of rows) {
      if (this.isPassedOver(key)) continue
      out.push({ key, atMs: (key as number[])[0] as number, timer: decodeTimer(value) })
      if (out.length === limit) break
    }
    return out
  }

  isFiring({ key }: TimerRow): boolean {
    return this.firing.has(String(key))
  }

  /** Removes a timer with whatever its effect is: a work for a group. */
  remove({ key }: TimerRow): Work {
    const name = String(key)
    this.firing.add(name)
    return {
      write: () => this.table.remove(key),
      done: () => void this.firing.delete(name),
    }
  }

  /** Finds the next time again, after some were removed. */
  look(): void {
    const first = this.table.range({ from: [0], to: [Number.MAX_SAFE_INTEGER], limit: 1 + this.passedOver })
    const next = first.find(({ key }) => !this.isPassedOver(key))
    this.nextAtMs = next === undefined ? Number.POSITIVE_INFINITY : ((next.key as number[])[0] as number)
  }

  private get passedOver(): number {
    return this.firing.size + this.parked.size
  }

  private isPassedOver(key: Key): boolean {
    const name = String(key)
    return this.firing.has(name) || this.parked.has(name)
  }

  /** All that wait, for counting at the start and for looking for a message. */
  *all(): Generator<TimerRow> {
    let from: Key = [0]
    for (;;) {
      const rows = this.table.range({ from, to: [Number.MAX_SAFE_INTEGER], limit: 1000 })
      for (const { key, value } of rows) yield { key, atMs: (key as number[])[0] as number, timer: decodeTimer(value) }
      const last = rows.at(-1)
      if (last === undefined || rows.length < 1000) return
      // The first key behind it.
      from = [...(last.key as (string | number)[]), 0]
    }
  }
}

/** Found again without looking for it. */
const expireKey = (atMs: number, { queueId, lane, position }: ExpirePlace): Key => [atMs, 'x', queueId, lane, position]

/** Row: u8 kind, varints queue, lane; then the entry, or the varint of its position. */
function encodeTimer(timer: Timer): Buffer {
  const rest = timer.kind === 'due' ? encodeEntry(timer.entry) : encodeNumber(timer.position)
  const out = Buffer.allocUnsafe(1 + varintBytes(timer.queueId) + varintBytes(timer.lane) + rest.length)
  out[0] = timer.kind === 'due' ? DUE : EXPIRE
  let at = writeVarint(out, 1, timer.queueId)
  at = writeVarint(out, at, timer.lane)
  rest.copy(out, at)
  return out
}

function encodeNumber(value: number): Buffer {
  const out = Buffer.allocUnsafe(varintBytes(value))
  writeVarint(out, 0, value)
  return out
}

function decodeTimer(row: Buffer): Timer {
  const reader = new ByteReader(row, 'timer')
  const kind = reader.u8()
  const queueId = reader.varint()
  const lane = reader.varint()
  if (kind === DUE) return { kind: 'due', queueId, lane, entry: decodeEntry(reader.view(reader.remaining)) }
  return { kind: 'expire', queueId, lane, position: reader.varint() }
}
