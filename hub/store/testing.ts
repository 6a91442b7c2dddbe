// What the store's tests share.

import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  attributesOf,
  type Batch,
  BatchBuilder,
  contentsIn,
  FLAG_RECEIPT_FINAL,
  type Headers,
  NO_HEADERS,
  openBatch,
  type Receipts,
} from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import { BatchRows } from './batch-rows.ts'
import { ContentHolds, decodeHold, HOLDS_TABLE } from './content-holds.ts'
import type { Table } from './disk.ts'
import { Engine } from './engine.ts'
import { decodeEntry, type Entry, endOf, entryAt, type NewEntry, placesOf, settledBytes } from './entry.ts'
import { decodeLaneState, type LaneState } from './lane.ts'
import { retains } from './policy.ts'
import type { Queue, QueueInfo } from './queue.ts'
import type { Receipt } from './receipts.ts'
import { HubStore, type Placement, type StoreOptions } from './store.ts'
import { Timers } from './timers.ts'

const KEY = signingKey(generateKeyPairSync('ed25519').privateKey)
const MIB = 1024 * 1024

/** A sealed batch whose bodies begin with their sequence number and are `bodyBytes` long. */
export function sealed(options: {
  firstSeq: number
  count: number
  origin?: string
  stream?: string
  epoch?: number
  topic?: string
  headers?: Headers
  keys?: readonly string[]
  bodyBytes?: number
  receipts?: Receipts
}): Batch {
  const { firstSeq, count, origin = 'agent', stream = 's', epoch = 1, topic = 't' } = options
  const { bodyBytes = 8, headers = NO_HEADERS, receipts = 'none' } = options
  const builder = new BatchBuilder()
  for (let i = 0; i < count; i++) {
    const body = Buffer.alloc(bodyBytes, i)
    body.writeUIntBE(firstSeq + i, 0, 6)
    builder.add(topic, headers, options.keys?.[i] ?? null, body)
  }
  const how = { sealedAtMs: 0, key: KEY, compression: 'none', tree: false, receipts } as const
  return openBatch(builder.seal({ origin, stream, epoch, firstSeq, ...how }))
}

/** All or some messages of a batch for a queue. */
export function placement(
  queue: Queue,
  batch: Batch,
  { selection = null, partition = 0 }: { selection?: readonly number[] | null; partition?: number } = {},
): Placement {
  const count = selection === null ? batch.count : selection.reduce((sum, n, i) => sum + (i % 2) * n, 0)
  const attributes = attributesOf(batch.index().envelopes[0]?.headers ?? NO_HEADERS)
  return { queue, selection, count, partition, attributes }
}

export function openStore(dataDir: string, options: Partial<StoreOptions> = {}) {
  return HubStore.open({ dataDir, mapBytesMax: 256 * MIB, cacheBytes: 4 * MIB, ...options })
}

export type LaneContents = LaneState & { readonly entries: readonly Entry[] }

/** What the files of a closed store hold, read without the store. */
export type Contents = {
  /** Durable queues; `lanes` holds at least lane 0. */
  readonly queues: ReadonlyMap<string, { readonly info: QueueInfo; readonly lanes: ReadonlyMap<number, LaneContents> }>
  /** Last sequence number by stream name. */
  readonly streams: ReadonlyMap<string, number>
  readonly batches: ReadonlySet<number>
  /** Large contents that batches hold, of those that hold any. */
  readonly holds: ReadonlyMap<number, readonly string[]>
  /** Messages that wait for their time, by queue id. */
  readonly delayed: ReadonlyMap<number, readonly NewEntry[]>
  /** Receipts that wait, by agent. */
  readonly receipts: ReadonlyMap<string, readonly Receipt[]>
  /** What contradicts itself; empty when all is well. */
  readonly problems: readonly string[]
}

export async function contentsOf(dataDir: string): Promise<Contents> {
  const engine = Engine.open(join(dataDir, 'store'), 256 * MIB, { freeBytesMin: 0 })
  try {
    return new Reading(engine).contents()
  } finally {
    await engine.close()
  }
}

type OpenLane = { readonly state: LaneState; readonly entries: Entry[] }

/** One look at a store's files. */
class Reading {
  private readonly problems: string[] = []
  private readonly engine: Engine
  private readonly infos: ReadonlyMap<number, QueueInfo>
  private readonly lanes = new Map<number, Map<number, OpenLane>>()
  private readonly references = new Map<number, number>()
  private readonly delayed = new Map<number, NewEntry[]>()
  /** Open copies of messages whose end is to be told: batch, then place. */
  private readonly copies = new Map<number, Map<number, number>>()
  /** Batches with copies in queues that can be replayed: those may be open although their fate is final. */
  private readonly replayable = new Set<number>()
  /** What batches say they refer to. */
  private readonly referred = new Map<number, readonly string[]>()

  constructor(engine: Engine) {
    this.engine = engine
    this.infos = new Map(
      this.rows('queues').map(({ value }) => [parsed<QueueInfo>(value).id, parsed<QueueInfo>(value)]),
    )
  }

  contents(): Contents {
    this.readLanes()
    this.readTimers()
    for (const [id, lanes] of this.lanes) for (const [number, lane] of lanes) this.checkLane(id, number, lane)
    const batches = this.checkBatches()
    this.checkFates(batches)
    const holds = this.checkHolds()
    const queues: [string, { info: QueueInfo; lanes: ReadonlyMap<number, LaneContents> }][] = []
    const receipts = new Map<string, Receipt[]>()
    for (const info of this.infos.values()) {
      // One that is being forgotten is still there, beside another of its name perhaps.
      if (info.ephemeral) continue
      const lanes = [...(this.lanes.get(info.id) ?? new Map([[0, newLane()]]))]
      queues.push([
        info.name,
        { info, lanes: new Map(lanes.map(([n, { state, entries }]) => [n, { ...state, entries }])) },
      ])
      if (!info.name.startsWith('receipts/')) continue
      const notes = lanes.flatMap(([, { entries }]) => entries.map(({ note }) => JSON.parse(note) as Receipt))
      receipts.set(info.name.slice('receipts/'.length), notes)
    }
    const streams = new Map(
      this.rows('streams').map(({ key, value }) => [(key as string[])[1] as string, Number(value.readBigUInt64LE(0))]),
    )
    return {
      queues: new Map(queues),
      streams,
      batches,
      holds,
      delayed: this.delayed,
      receipts,
      problems: this.problems,
    }
  }

  private rows(name: string) {
    const table: Table = this.engine.table(name)
    return table.keys().map((key) => ({ key, value: table.get(key) as Buffer }))
  }

  private lane(id: number, number: number): OpenLane {
    let lanes = this.lanes.get(id)
    if (lanes === undefined) {
      lanes = new Map()
      this.lanes.set(id, lanes)
    }
    let lane = lanes.get(number)
    if (lane === undefined) {
      lane = newLane()
      lanes.set(number, lane)
    }
    return lane
  }

  private readLanes(): void {
    for (const { key, value } of this.rows('states')) {
      const [id, number] = key as [number, number]
      if (!this.infos.has(id)) this.problems.push(`lane ${number} is of queue ${id}, which does not exist`)
      const lanes = this.lanes.get(id) ?? new Map<number, OpenLane>()
      lanes.set(number, { state: decodeLaneState(value), entries: [] })
      this.lanes.set(id, lanes)
    }
    for (const { key, value } of this.rows('entries')) {
      const [id, number, position] = key as [number, number, number]
      if (!this.infos.has(id)) this.problems.push(`entry ${position} is of queue ${id}, which does not exist`)
      this.lane(id, number).entries.push(entryAt(position, decodeEntry(value)))
    }
  }

  private readTimers(): void {
    for (const { timer, atMs } of new Timers(this.engine, 0).all()) {
      const where = `queue ${timer.queueId}, lane ${timer.lane}`
      if (timer.kind === 'due') {
        if (!this.infos.has(timer.queueId)) this.problems.push(`a delayed message waits for ${where}`)
        this.refer(timer.entry.batchSeq)
        this.count(timer.entry, 0, timer.entry.count)
        this.delayed.set(timer.queueId, [...(this.delayed.get(timer.queueId) ?? []), timer.entry])
        continue
      }
      const entry = this.lanes
        .get(timer.queueId)
        ?.get(timer.lane)
        ?.entries.find((e) => e.position === timer.position)
      if (entry?.expiresAtMs !== atMs) this.problems.push(`${where}: a timer for ${timer.position}, which is not there`)
    }
  }

  private refer(batchSeq: number): void {
    if (batchSeq > 0) this.references.set(batchSeq, (this.references.get(batchSeq) ?? 0) + 1)
  }

  /** Open copies of an entry's messages. */
  private count(entry: NewEntry, skip: number, count: number): void {
    if (entry.batchSeq === 0 || (entry.receiptFlags & FLAG_RECEIPT_FINAL) === 0) return
    const copies = this.copies.get(entry.batchSeq) ?? new Map<number, number>()
    for (const place of placesOf(entry, skip, count)) copies.set(place, (copies.get(place) ?? 0) + 1)
    this.copies.set(entry.batchSeq, copies)
  }

  private checkLane(id: number, number: number, { state, entries }: OpenLane): void {
    const info = this.infos.get(id)
    const where = `queue ${info?.name ?? id}, lane ${number}`
    const { settled } = state
    const covered = new RangeSet(settled.floor, settled.above)
    let [bytes, retainedBytes, end] = [0, 0, 0]
    for (const entry of entries) {
      const { position } = entry
      if (position < end) this.problems.push(`${where}: two entries at ${position}`)
      end = endOf(entry)
      covered.add(position, end)
      const open = settled.missing(position, end)
      const left = open.reduce((sum, [from, to]) => sum + to - from, 0)
      entry.remaining = left
      bytes += entry.bytes - settledBytes(entry, entry.count - left)
      if (left === 0) retainedBytes += entry.bytes
      if (left === 0 && info !== undefined && !retains(info.policy) && state.retainedBytes === 0)
        this.problems.push(`${where}: entry ${position} is settled and still there`)
      this.refer(entry.batchSeq)
      for (const [from, to] of open) this.count(entry, from - position, to - from)
      if (info !== undefined && retains(info.policy)) this.replayable.add(entry.batchSeq)
    }
    // What is being forgotten is half gone.
    if (info?.ephemeral === true) return
    if (covered.above.length > 0) this.problems.push(`${where}: a gap after ${covered.floor}`)
    if (state.bytes !== bytes) this.problems.push(`${where}: ${bytes} bytes, it says ${state.bytes}`)
    if (info !== undefined && retains(info.policy) && state.retainedBytes !== retainedBytes)
      this.problems.push(`${where}: ${retainedBytes} bytes retained, it says ${state.retainedBytes}`)
  }

  private checkBatches(): ReadonlySet<number> {
    const batches = new Set<number>()
    const rows = new BatchRows(this.engine)
    for (const row of rows.all()) {
      const { seq } = row
      if (batches.has(seq)) this.problems.push(`batch ${seq} has two rows`)
      batches.add(seq)
      try {
        const contents = contentsIn(openBatch(rows.read(row)))
        if (contents.length > 0) this.referred.set(seq, contents)
      } catch (error) {
        this.problems.push(`batch ${seq}: ${error}`)
      }
    }
    for (const { key } of this.rows('made')) this.refer(key as number)
    const shares = new Map(this.rows('shares').map(({ key, value }) => [key as number, value.readUInt32LE(0)]))
    for (const seq of new Set([...batches, ...this.references.keys(), ...shares.keys()])) {
      const found = this.references.get(seq) ?? 0
      const counted = batches.has(seq) ? (shares.get(seq) ?? 1) : 0
      if (found !== counted) this.problems.push(`batch ${seq} has ${found} references and counts ${counted}`)
    }
    return batches
  }

  /** What is held against a recount, on the disk and as the store counts it. */
  private checkHolds(): ReadonlyMap<number, readonly string[]> {
    const held = new Map(this.rows(HOLDS_TABLE).map(({ key, value }) => [key as number, decodeHold(value) ?? []]))
    for (const seq of new Set([...held.keys(), ...this.referred.keys()])) {
      const [has, wants] = [held.get(seq), this.referred.get(seq)].map((ids = []) => ids.toSorted().join(' '))
      if (has !== wants) this.problems.push(`batch ${seq} refers to contents "${wants}" and holds "${has}"`)
    }
    const counts = new Map<string, number>()
    for (const id of [...this.referred.values()].flat()) counts.set(id, (counts.get(id) ?? 0) + 1)
    const holds = new ContentHolds(this.engine, new BatchRows(this.engine))
    for (const [id, count] of holds.all()) {
      if (counts.get(id) !== count) this.problems.push(`content ${id} is held by ${counts.get(id)}, counted ${count}`)
      counts.delete(id)
    }
    for (const [id, count] of counts) this.problems.push(`content ${id} is held by ${count}, counted by none`)
    return held
  }

  /** Copies left by the fates, against the open ones there are. */
  private checkFates(batches: ReadonlySet<number>): void {
    const left = new Map<number, Map<number, number>>()
    for (const { key, value } of this.rows('fates')) {
      const seq = key as number
      if (!batches.has(seq)) this.problems.push(`there are fates of batch ${seq}, which is gone`)
      const places = new Map<number, number>()
      for (const fate of parsed<{ fates: { from: number; to: number; left: number }[] }>(value).fates) {
        for (let place = fate.from; place < fate.to; place++) places.set(place, fate.left)
      }
      left.set(seq, places)
    }
    for (const seq of new Set([...left.keys(), ...this.copies.keys()])) {
      for (const place of new Set([...(left.get(seq)?.keys() ?? []), ...(this.copies.get(seq)?.keys() ?? [])])) {
        const open = this.copies.get(seq)?.get(place) ?? 0
        const told = left.get(seq)?.get(place) ?? 0
        if (open === told || (open > told && this.replayable.has(seq))) continue
        this.problems.push(`batch ${seq}, message ${place}: ${open} open copies, its fate waits for ${told}`)
      }
    }
  }
}

const newLane = (): OpenLane => ({ state: decodeLaneState(undefined), entries: [] })

const parsed = <T>(bytes: Buffer): T => JSON.parse(String(bytes)) as T

/** Why a small file system cannot be mounted here, or false. */
export function cannotMount(): string | false {
  if (process.platform !== 'linux') return 'a full disk is made with a Linux tmpfs'
  if (process.getuid?.() !== 0) return 'mounting a small file system needs root'
  const probe = mkdtempSync(join(tmpdir(), 'causeway-mount-'))
  try {
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'causeway-probe', probe]).status !== 0) {
      return 'this machine does not allow mounting'
    }
    spawnSync('umount', [probe])
    return false
  } finally {
    rmSync(probe, { recursive: true, force: true })
  }
}
