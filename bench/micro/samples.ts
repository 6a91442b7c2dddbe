// What the micro-benchmarks work on: sealed batches of rows.

import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { BatchBuilder, type Compression, NO_HEADERS } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { recordBodies } from '../records.ts'

export const BODY_BYTES = 256
/** About 256 KiB. */
export const MESSAGES = 1000

const { privateKey } = generateKeyPairSync('ed25519')
export const key = signingKey(privateKey)
export const publicKey = createPublicKey(privateKey)
export const bodies = recordBodies({ count: MESSAGES, bytes: BODY_BYTES, seed: 1 })

export type Form = { readonly compression: Compression; readonly tree: boolean; readonly topics?: number }

/** `topics`: how many different ones the messages have, in turn. */
export function seal(builder: BatchBuilder, { compression, tree, topics = 1 }: Form): Buffer {
  const names = Array.from({ length: topics }, (_, i) => `permits/${i}/filed`)
  for (let i = 0; i < MESSAGES; i++) builder.add(names[i % topics] as string, NO_HEADERS, null, bodies[i] as Buffer)
  return builder.seal({
    origin: 'office',
    stream: 'bench',
    epoch: 1,
    firstSeq: 1,
    sealedAtMs: 0,
    key,
    compression,
    tree,
  })
}

export const sealed = (form: Form): Buffer => seal(new BatchBuilder(), form)
