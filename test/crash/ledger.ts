// Compares what was accepted with what took effect, as the databases of the programs have it.

import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import {
  FLOWS,
  type Flow,
  GROUPS,
  groupOf,
  groupSize,
  isRejected,
  isSome,
  memberNumber,
  orderOf,
  RECEIPTED,
  STREAMS,
  type StreamName,
  sideOf,
} from './load.ts'

export type Counts = {
  /** Messages accepted by the spool, and members of groups the hub took. */
  accepted: number
  effects: number
  lost: number
  duplicated: number
  reordered: number
  /** Messages whose end their origin was not told, or was told more than once. */
  receiptsMissing: number
  receiptsDouble: number
  /** Groups of which a part took effect. */
  halves: number
  /** What should not be and is none of the above. */
  readonly problems: string[]
}

type Accepted = { readonly streams: ReadonlyMap<string, number>; readonly groups: ReadonlySet<number> }

/** Which numbers of which streams a flow has to bring. */
const SOURCES: Readonly<Record<Flow, readonly StreamName[]>> = {
  plain: ['one', 'two'],
  mixed: ['mixed'],
  'fan-all': ['fan'],
  'fan-some': ['fan'],
  keyed: ['keyed'],
  left: [],
  right: [],
}

export function countLedger(files: { effects: string; receipts: string }, accepted: Accepted): Counts {
  const counts: Counts = {
    accepted: 0,
    effects: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    receiptsMissing: 0,
    receiptsDouble: 0,
    halves: 0,
    problems: [],
  }
  for (const stream of STREAMS) counts.accepted += accepted.streams.get(stream) ?? 0
  for (const group of accepted.groups) counts.accepted += groupSize(group)
  const effects = new DatabaseSync(files.effects, { readOnly: true })
  try {
    const members = new Map<number, number>()
    for (const flow of FLOWS) countFlow(effects, flow, accepted, counts, members)
    countGroups(members, accepted, counts)
  } finally {
    effects.close()
  }
  if (!existsSync(files.receipts)) return counts
  const receipts = new DatabaseSync(files.receipts, { readOnly: true })
  try {
    for (const stream of RECEIPTED) countReceipts(receipts, stream, accepted.streams.get(stream) ?? 0, counts)
  } finally {
    receipts.close()
  }
  return counts
}

function countFlow(
  database: DatabaseSync,
  flow: Flow,
  accepted: Accepted,
  counts: Counts,
  members: Map<number, number>,
): void {
  const seen = new Map<string, Uint8Array>()
  for (const stream of SOURCES[flow]) seen.set(stream, new Uint8Array(1 + (accepted.streams.get(stream) ?? 0)))
  const met = new Set<number>()
  const last = new Map<string, number>()
  const rows = database.prepare('SELECT stream, number FROM effects WHERE flow = ? ORDER BY id')
  for (const row of rows.iterate(flow)) {
    const { stream, number } = row as { stream: string; number: number }
    counts.effects++
    const order = orderOf(flow, stream, number)
    const before = order === null ? undefined : last.get(order)
    if (order !== null) last.set(order, Math.max(number, before ?? 0))
    if (before !== undefined && number < before) counts.reordered++
    const times = seen.get(stream)
    if (stream === GROUPS && times === undefined) {
      if (met.has(number)) counts.duplicated++
      else members.set(groupOf(number), (members.get(groupOf(number)) ?? 0) + 1)
      met.add(number)
    } else if (times === undefined || number < 1 || number >= times.length) {
      counts.problems.push(`${flow} has an effect of ${stream} ${number}, which nobody sent`)
    } else if ((times[number] as number) > 0) counts.duplicated++
    else times[number] = 1
  }
  for (const [stream, times] of seen) countLost(flow, stream, times, counts)
  if (flow !== 'left' && flow !== 'right') return
  for (const group of accepted.groups) {
    for (let member = 0; member < groupSize(group); member++) {
      if (sideOf(member) === flow && !met.has(memberNumber(group, member))) counts.lost++
    }
  }
}

function countLost(flow: Flow, stream: string, times: Uint8Array, counts: Counts): void {
  for (let number = 1; number < times.length; number++) {
    if (times[number] !== 0 || (flow === 'fan-some' && !isSome(number))) continue
    counts.lost++
    if (counts.lost <= 20) counts.problems.push(`${flow} has no effect of ${stream} ${number}`)
  }
}

/** A group nobody was told of may be there or not, but not in part. */
function countGroups(members: ReadonlyMap<number, number>, accepted: Accepted, counts: Counts): void {
  for (const [group, count] of members) if (count !== groupSize(group)) counts.halves++
  for (const group of accepted.groups) if (!members.has(group)) counts.halves++
}

function countReceipts(database: DatabaseSync, stream: StreamName, accepted: number, counts: Counts): void {
  const told = new Uint8Array(accepted + 1)
  const rows = database.prepare('SELECT first, last, state FROM receipts WHERE stream = ? ORDER BY position')
  for (const row of rows.iterate(stream)) {
    const { first, last, state } = row as { first: number; last: number; state: string }
    for (let number = first; number <= last; number++) {
      const isRight = state === 'processed' || (state === 'rejected' && isRejected('mixed', number))
      if (!isRight || stream !== 'mixed' || number > accepted) {
        if (state !== 'processed') counts.problems.push(`receipt of ${stream} ${number} says ${state}`)
      }
      if ((told[number] ?? 0) > 0) counts.receiptsDouble++
      told[number] = 1
    }
  }
  for (let number = 1; number <= accepted; number++) if (told[number] === 0) counts.receiptsMissing++
}
