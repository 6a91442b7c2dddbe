// From version 1 to 2: a queue was one line of positions and becomes lane 0 of a queue with lanes; its entries and its
// state get the present form. The queue of rejected messages becomes that of dead letters, which know where they come from.

import { ByteReader } from '#protocol/bytes/mod.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import { BatchRows } from './batch-rows.ts'
import type { Key, Table } from './disk.ts'
import { decodeEntry, encodeEntry, endOf, entryAt, type Home, type NewEntry, settledBytes } from './entry.ts'
import { encodeLaneState } from './lane.ts'
import { MIGRATE_STEP_ROWS } from './limits.ts'
import type { Migration } from './migrate.ts'
import { DEFAULT_POLICY, QUEUE_DEAD } from './policy.ts'

const QUEUE_REJECTED = '$rejected'

type OldQueue = { readonly id: number; readonly name: string }

export const entriesToLanes = {
  name: 'queue entries to lanes',
  async run({ engine, progress, commit }: Migration): Promise<void> {
    const entries = engine.table('entries')
    const batches = new BatchRows(engine)
    const queues = engine.table('queues')
    const idOf = new Map(queues.keys().map((id) => [parsed<OldQueue>(queues.get(id)).name, id as number]))
    const nowMs = Date.now()
    let from: Key = progress === null ? [0] : (JSON.parse(progress) as number[])
    for (;;) {
      const rows = entries.range({ from, to: [Number.MAX_SAFE_INTEGER], limit: MIGRATE_STEP_ROWS })
      const last = rows.at(-1)
      if (last === undefined) return
      const moved = rows
        // What has three parts is in its new form already.
        .filter(({ key }) => (key as number[]).length === 2)
        .map(({ key, value }) => {
          const [queueId, position] = key as [number, number]
          return { key, to: [queueId, 0, position], value: encodeEntry(newEntryOf(value, batches, idOf, nowMs)) }
        })
      await commit(JSON.stringify([...(last.key as number[]), 0]), () => {
        for (const { key, to, value } of moved) {
          entries.remove(key)
          entries.put(to, value)
        }
      })
      from = [...(last.key as number[]), 0]
    }
  },
}

export const statesToLanes = {
  name: 'queue states to lanes',
  async run({ engine, commit }: Migration): Promise<void> {
    const [queues, states, entries] = [engine.table('queues'), engine.table('states'), engine.table('entries')]
    for (const id of queues.keys() as number[]) {
      const info = parsed<OldQueue>(queues.get(id))
      const old = states.get(id)
      const [floor, above] = old === undefined ? [0, []] : parsed<[number, [number, number][]]>(old)
      const settled = new RangeSet(floor, above)
      const isDone = states.get([id, 0]) !== undefined
      const bytes = isDone ? 0 : openBytes(entries, id, settled)
      const name = info.name === QUEUE_REJECTED ? QUEUE_DEAD : info.name
      await commit(String(id), () => {
        queues.put(id, Buffer.from(JSON.stringify({ policy: DEFAULT_POLICY, ...info, name })))
        if (!isDone) states.put([id, 0], encodeLaneState({ settled, bytes, retainedBytes: 0 }))
        if (old !== undefined) states.remove(id)
      })
    }
  },
}

/** The old row: varints batch, count, length of the reason; the reason; the selection's pairs. */
function newEntryOf(row: Buffer, batches: BatchRows, idOf: ReadonlyMap<string, number>, nowMs: number): NewEntry {
  const reader = new ByteReader(row, 'queue entry of version 1')
  const batchSeq = reader.varint()
  const count = reader.varint()
  const reason = reader.text(reader.varint())
  const pairs: number[] = []
  while (reader.remaining > 0) pairs.push(reader.varint())
  const batch = batches.sizeOf(batchSeq)
  const [home, note] = homeOf(reason, idOf)
  return {
    batchSeq,
    count,
    bytes: batch === null ? 0 : Math.floor((batch.bytes * count) / batch.count),
    storedAtMs: nowMs,
    expiresAtMs: 0,
    attempts: 0,
    receiptFlags: 0,
    home,
    note,
    backNote: '',
    selection: pairs.length === 0 ? null : pairs,
  }
}

/** A rejected message's reason was "queue: reason". */
function homeOf(reason: string, idOf: ReadonlyMap<string, number>): [Home | null, string] {
  for (const [name, queueId] of idOf) {
    if (reason.startsWith(`${name}: `)) return [{ queueId, lane: 0 }, reason.slice(name.length + 2)]
  }
  return [null, reason]
}

function openBytes(entries: Table, queueId: number, settled: RangeSet): number {
  let sum = 0
  for (let at = 0; ; ) {
    const rows = entries.range({ from: [queueId, 0, at], to: [queueId, 1, 0], limit: MIGRATE_STEP_ROWS })
    for (const { key, value } of rows) {
      const entry = entryAt((key as number[])[2] as number, decodeEntry(value))
      const open = settled.missing(entry.position, endOf(entry)).reduce((all, [from, to]) => all + to - from, 0)
      sum += entry.bytes - settledBytes(entry, entry.count - open)
      at = endOf(entry)
    }
    if (rows.length < MIGRATE_STEP_ROWS) return sum
  }
}

const parsed = <T>(bytes: Buffer | undefined): T => JSON.parse(String(bytes)) as T
