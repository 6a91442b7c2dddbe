// Runs in a worker thread: SHA-256 of bytes in shared memory, and of chunks that lie there encoded.

import { hash } from 'node:crypto'
import { freeBuffer } from '#protocol/bytes/free.ts'
import { decodeChunk } from '#protocol/transfer/coding.ts'

export type EncodedTask = {
  readonly bytes: Uint8Array
  readonly length: number
  /** The chunk is put here; it may be where `bytes` are. */
  readonly into: Uint8Array | null
}

export default function digestOf(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}

/** Of the chunk; `null` when it does not decode. */
export function digestOfEncoded({ bytes, length, into }: EncodedTask): Uint8Array | null {
  let chunk: Buffer
  try {
    chunk = decodeChunk(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), length)
  } catch {
    return null
  }
  into?.set(chunk)
  const digest = digestOf(chunk)
  freeBuffer(chunk)
  return digest
}
