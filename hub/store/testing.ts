// What the store's tests share.

import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Fault } from '#protocol/base/mod.ts'
import { type Batch, BatchBuilder, NO_HEADERS, openBatch } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { type Range, RangeSet } from '#protocol/session/mod.ts'
import { Engine } from './engine.ts'
import { decodeEntry, type Entry } from './entry.ts'
import type { QueueInfo } from './queue.ts'
import { HubStore } from './store.ts'

const KEY = signingKey(generateKeyPairSync('ed25519').privateKey)
const MIB = 1024 * 1024

/** A sealed batch whose bodies begin with their sequence number and are `bodyBytes` long. */
export function sealed(options: {
  firstSeq: number
  count: number
  stream?: string
  epoch?: number
  topic?: string
  bodyBytes?: number
}): Batch {
  const { firstSeq, count, stream = 's', epoch = 1, topic = 't', bodyBytes = 8 } = options
  const builder = new BatchBuilder()
  for (let i = 0; i < count; i++) {
    const body = Buffer.alloc(bodyBytes, i)
    body.writeUIntBE(firstSeq + i, 0, 6)
    builder.add(topic, NO_HEADERS, null, body)
  }
  const bytes = builder.seal({
    origin: 'agent',
    stream,
    epoch,
    firstSeq,
    sealedAtMs: 0,
    key: KEY,
    compression: 'none',
    tree: false,
  })
  return openBatch(bytes)
}

export function openStore(
  dataDir: string,
  options: { mapBytesMax?: number; cacheBytes?: number; onFault?: (fault: Fault) => void } = {},
) {
  return HubStore.open({ dataDir, mapBytesMax: 256 * MIB, cacheBytes: 4 * MIB, ...options })
}

/** What the file of a closed store holds, read without the store. */
export type Contents = {
  readonly queues: ReadonlyMap<string, { readonly settled: RangeSet; readonly entries: readonly Entry[] }>
  /** Last sequence number by stream name. */
  readonly streams: ReadonlyMap<string, number>
  readonly batches: ReadonlyMap<number, Buffer>
  /** What contradicts itself; empty when all is well. */
  readonly problems: readonly string[]
}

export async function contentsOf(dataDir: string): Promise<Contents> {
  const engine = Engine.open(join(dataDir, 'store'), 256 * MIB)
  try {
    const rows = (name: string) => {
      const table = engine.table(name)
      return table.keys().map((key) => ({ key, value: table.get(key) as Buffer }))
    }
    const problems: string[] = []
    const infos = rows('queues').map(({ value }) => parsed<QueueInfo>(value))
    const states = new Map(
      rows('states').map(({ key, value }) => [key, JSON.parse(String(value)) as [number, Range[]]]),
    )
    const ids = new Set(infos.map(({ id }) => id))
    // One that is being forgotten is still there, beside another of its name perhaps; it is removed at the next start.
    const queues = new Map(
      infos
        .filter(({ ephemeral }) => !ephemeral)
        .map(({ id, name }) => [
          name,
          { id, settled: new RangeSet(...(states.get(id) ?? [0, []])), entries: [] as Entry[] },
        ]),
    )
    const references = new Map<number, number>()
    for (const { key, value } of rows('entries')) {
      const [id, position] = key as [number, number]
      const entry = decodeEntry(position, value)
      references.set(entry.batchSeq, (references.get(entry.batchSeq) ?? 0) + 1)
      const queue = [...queues.values()].find((other) => other.id === id)
      if (!ids.has(id)) problems.push(`entry ${position} lies in queue ${id}, which does not exist`)
      else if (queue?.settled.missing(position, position + entry.count).length === 0)
        problems.push(`entry ${position} of queue ${id} is settled and still there`)
      queue?.entries.push(entry)
    }
    for (const [name, { settled, entries }] of queues) problems.push(...uncovered(name, settled, entries))
    const batches = new Map(rows('batches').map(({ key, value }) => [key as number, value]))
    const shares = new Map(rows('shares').map(({ key, value }) => [key as number, value.readUInt32LE(0)]))
    for (const seq of new Set([...batches.keys(), ...references.keys(), ...shares.keys()])) {
      const counts = [references.get(seq) ?? 0, batches.has(seq) ? (shares.get(seq) ?? 1) : 0]
      if (counts[0] !== counts[1]) problems.push(`batch ${seq} has ${counts[0]} references and counts ${counts[1]}`)
    }
    const streams = new Map(
      rows('streams').map(({ key, value }) => [(key as string[])[1] as string, Number(value.readBigUInt64LE(0))]),
    )
    return { queues, streams, batches, problems }
  } finally {
    await engine.close()
  }
}

const parsed = <T>(bytes: Buffer): T => JSON.parse(String(bytes)) as T

/** Positions that are neither settled nor in an entry, though later ones are. */
function uncovered(name: string, settled: RangeSet, entries: readonly Entry[]): string[] {
  const covered = new RangeSet(settled.floor, settled.above)
  for (const { position, count } of entries) covered.add(position, position + count)
  return covered.above.length === 0 ? [] : [`queue ${name} has a gap after ${covered.floor}`]
}

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
