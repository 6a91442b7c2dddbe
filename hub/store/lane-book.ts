// All lanes and their rows: entries by [queue, lane, position], one state row per lane. Whatever changed in a lane is put
// once per transaction, however many messages it was.

import type { Key, Table } from './disk.ts'
import type { Engine, Work } from './engine.ts'
import { decodeEntry, type Entry, encodeEntry, endOf, entryAt, type NewEntry } from './entry.ts'
import { storeFault } from './faults.ts'
import { decodeLaneState, encodeLaneState, Lane } from './lane.ts'
import { SWEEP_ENTRIES } from './limits.ts'
import { retains } from './policy.ts'
import type { Queue } from './queue.ts'
import { together } from './works.ts'

export type EntryRow = { readonly key: Key; readonly entry: Entry }

export class LaneBook {
  private readonly engine: Pick<Engine, 'table' | 'maintain' | 'readable'>
  private readonly entries: Table
  private readonly states: Table
  private readonly releaseBatch: (batchSeq: number) => Work
  /** Lanes by queue, known from their states; taken by `addLanes`. */
  private readonly known = new Map<number, number[]>()
  private dirty = new Set<Lane>()
  /** Put in the transaction under way, with their floors. */
  private writing = new Map<Lane, number>()

  constructor(engine: Pick<Engine, 'table' | 'maintain' | 'readable'>, releaseBatch: (batchSeq: number) => Work) {
    this.engine = engine
    this.entries = engine.table('entries')
    this.states = engine.table('states')
    this.releaseBatch = releaseBatch
    for (const key of this.states.keys()) {
      const [queueId, lane] = key as [number, number]
      const lanes = this.known.get(queueId)
      if (lanes === undefined) this.known.set(queueId, [lane])
      else lanes.push(lane)
    }
  }

  /** Gives a new queue the lanes it has on disk; lane 0 always. */
  addLanes(queue: Queue): void {
    const { id } = queue.info
    for (const number of new Set([0, ...(this.known.get(id) ?? [])])) queue.addLane(this.open(queue, number))
    this.known.delete(id)
  }

  /** The lane, made when it is new. */
  lane(queue: Queue, number: number): Lane {
    const found = queue.lanes.get(number)
    if (found !== undefined) return found
    const lane = this.open(queue, number)
    queue.addLane(lane)
    return lane
  }

  /** Within a group's work. */
  put(lane: Lane, entry: Entry, row: Buffer): void {
    this.entries.put([lane.queue.info.id, lane.number, entry.position], row)
  }

  /** Takes a settled entry off the disk: a work for a group. */
  remove(lane: Lane, position: number): Work {
    lane.leaving.add(position)
    return {
      write: () => this.entries.remove([lane.queue.info.id, lane.number, position]),
      done: () => void lane.leaving.delete(position),
    }
  }

  /** Places, puts and later appends an entry: a work for a group. */
  append(lane: Lane, entry: NewEntry): Work & { placed: Entry | null } {
    const row = encodeEntry(entry)
    const work = {
      placed: null as Entry | null,
      write: () => {
        work.placed = lane.place(entry)
        this.put(lane, work.placed, row)
      },
      done: () => {
        if (work.placed !== null) lane.appended(work.placed)
        lane.queue.onReady()
      },
    }
    return work
  }

  /** The entry at this very position, as the disk has it. */
  entryAt(queueId: number, lane: number, position: number): Entry | null {
    const row = this.entries.get([queueId, lane, position])
    return row === undefined ? null : entryAt(position, decodeEntry(row))
  }

  /** Whether something of the entry at this very position is not settled. */
  isOpen(lane: Lane, position: number): boolean {
    const entry = this.entryAt(lane.queue.info.id, lane.number, position)
    return entry !== null && lane.settled.missing(position, endOf(entry)).length > 0
  }

  /** Entries of a lane from a position on. */
  read(queueId: number, lane: number, from: number, limit: number): Entry[] {
    const range = { from: [queueId, lane, from], to: [queueId, lane + 1, 0], limit }
    return this.entries.range(range).map(({ key, value }) => readRow(key, value))
  }

  /** Position of the entry that holds `position`, or of the first behind it; `tail` when there is none. */
  entryFrom(lane: Lane, position: number): number {
    const { id } = lane.queue.info
    const before = this.entries.lastIn([id, lane.number, 0], [id, lane.number, position + 1])
    if (before !== undefined) {
      const entry = readRow(before.key, before.value)
      if (endOf(entry) > position) return entry.position
    }
    return this.read(id, lane.number, position, 1)[0]?.position ?? lane.tail
  }

  /** Called by the engine when all works of a group have written. */
  beforeCommit(): void {
    this.writing = new Map()
    for (const lane of this.dirty) {
      this.states.put([lane.queue.info.id, lane.number], encodeLaneState(lane.state))
      this.writing.set(lane, lane.settled.floor)
    }
    this.dirty = new Set()
  }

  /** Called when the group is on the disk. */
  onWritten(): void {
    // A lane that was opened again meanwhile stays as low as it is.
    for (const [lane, floor] of this.writing) lane.floor = Math.min(floor, lane.settled.floor)
    this.writing = new Map()
  }

  /** Called by the engine when a group was not written: positions given out in it are forgotten, states are put again. */
  onDiscarded(): void {
    for (const lane of this.writing.keys()) this.dirty.add(lane)
    this.writing = new Map()
    for (const lane of this.dirty) lane.forgetPlaces()
  }

  /** Entries of a forgotten queue, in any lane, first come first. */
  rowsOf(queueId: number, limit: number): EntryRow[] {
    return this.entries
      .range({ from: [queueId, 0, 0], to: [queueId + 1, 0, 0], limit })
      .map(({ key, value }) => ({ key, entry: readRow(key, value) }))
  }

  /** Within a group's work. */
  removeRow(key: Key): void {
    this.entries.remove(key)
  }

  /** Within a group's work: the states of a forgotten queue. */
  removeStates(queue: Queue): void {
    for (const lane of queue.lanes.keys()) this.states.remove([queue.info.id, lane])
    for (const lane of queue.lanes.values()) this.dirty.delete(lane)
  }

  /** Removes what was kept for replay longer, or more of it, than the policy says; gives whether there may be more to do. */
  async sweep(queue: Queue, nowMs: number): Promise<boolean> {
    let more = false
    for (const lane of queue.lanes.values()) if (await this.sweepLane(lane, nowMs)) more = true
    return more
  }

  private async sweepLane(lane: Lane, nowMs: number): Promise<boolean> {
    const { retainMs, retainBytes } = lane.queue.info.policy
    const { id } = lane.queue.info
    const doomed: Entry[] = []
    let left = lane.retainedBytes
    if (left === 0) return false
    for (const entry of this.read(id, lane.number, 0, SWEEP_ENTRIES)) {
      if (lane.leaving.has(entry.position)) continue
      // One that is stuck does not keep those behind it.
      if (lane.settled.missing(entry.position, endOf(entry)).length > 0) continue
      const tooOld = retainMs > 0 && nowMs - entry.storedAtMs > retainMs
      const tooMuch = retainBytes > 0 && left > retainBytes
      if (!tooOld && !tooMuch && retains(lane.queue.info.policy)) break
      doomed.push(entry)
      left -= entry.bytes
    }
    if (doomed.length === 0) return false
    const works = doomed.flatMap((entry) => this.removal(lane, entry))
    lane.retainedBytes = Math.max(0, left)
    this.dirty.add(lane)
    await this.engine.maintain(together(works))
    return doomed.length === SWEEP_ENTRIES
  }

  private open(queue: Queue, number: number): Lane {
    const { id, policy } = queue.info
    const state = decodeLaneState(this.states.get([id, number]))
    const last = this.entries.lastIn([id, number, 0], [id, number + 1, 0])
    const tail = Math.max(last === undefined ? 0 : endOf(readRow(last.key, last.value)), state.settled.end)
    const lane: Lane = new Lane({
      queue,
      number,
      state,
      tail,
      head: tail,
      disk: {
        load: (from, limit) => (this.engine.readable ? this.read(id, number, from, limit) : null),
        onLeftover: (entry) => this.onLeftover(lane, entry),
        onDirty: (changed) => void this.dirty.add(changed),
      },
    })
    // What is kept for replay lies before the floor and is not looked at; what a crash left behind is.
    lane.startAt(
      retains(policy) || state.retainedBytes > 0 ? this.entryFrom(lane, state.settled.floor) : this.entryFrom(lane, 0),
    )
    return lane
  }

  private onLeftover(lane: Lane, entry: Entry): void {
    if (retains(lane.queue.info.policy) || lane.retainedBytes > 0) return
    void this.engine.maintain(together(this.removal(lane, entry)))
  }

  private removal(lane: Lane, { position, batchSeq }: Entry): Work[] {
    const removed = this.remove(lane, position)
    return batchSeq === 0 ? [removed] : [removed, this.releaseBatch(batchSeq)]
  }
}

function readRow(key: Key, value: Buffer): Entry {
  const [queueId, lane, position] = key as [number, number, number]
  try {
    return entryAt(position, decodeEntry(value))
  } catch (cause) {
    throw storeFault('STORE_DAMAGED', { where: `queue ${queueId}, lane ${lane}, position ${position}`, cause })
  }
}
