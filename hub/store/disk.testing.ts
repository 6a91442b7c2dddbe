// What the tests of the disk layer share; nothing here knows queues.

import { generateKeyPairSync } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { type Batch, BatchBuilder, NO_HEADERS, openBatch } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import type { Batches } from './batches.ts'
import type { Engine } from './engine.ts'

const KEY = signingKey(generateKeyPairSync('ed25519').privateKey)

/** A sealed batch whose bodies begin with their sequence number and are `bodyBytes` long. */
export function sealed(options: {
  firstSeq: number
  count: number
  origin?: string
  stream?: string
  epoch?: number
  topic?: string
  bodyBytes?: number
}): Batch {
  const { firstSeq, count, origin = 'agent', stream = 's', epoch = 1, topic = 't', bodyBytes = 8 } = options
  const builder = new BatchBuilder()
  for (let i = 0; i < count; i++) {
    const body = Buffer.alloc(bodyBytes, i)
    body.writeUIntBE(firstSeq + i, 0, 6)
    builder.add(topic, NO_HEADERS, null, body)
  }
  const how = { sealedAtMs: 0, key: KEY, compression: 'none', tree: false } as const
  return openBatch(builder.seal({ origin, stream, epoch, firstSeq, ...how }))
}

/** Appends a batch alone, without queues; gives its number when it is on the disk. */
export async function store(engine: Engine, batches: Batches, bytes: Buffer, references = 1): Promise<number> {
  const batch = batches.add(bytes, references)
  await engine.append(100 + batch.rowBytes, batch, batch.blob)
  return batch.seq
}

/** Turns one bit of a file over. */
export function flipBit(path: string, bit: number): void {
  const file = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  const at = Math.floor(bit / 8)
  readSync(file, byte, 0, 1, at)
  byte[0] = (byte[0] as number) ^ (1 << (bit % 8))
  writeSync(file, byte, 0, 1, at)
  closeSync(file)
}
