// The thread of `HashPool`: digests of what lies in shared memory, in the order asked for.

import { hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import type { Digested, ToDigest } from './pool.ts'

parentPort?.on('message', ({ id, memory, offset, length }: ToDigest) => {
  const digest = hash('sha256', Buffer.from(memory, offset, length), 'buffer')
  // Its own 32 bytes: a small buffer shares a slab, all of which would be copied.
  parentPort?.postMessage({ id, digest: new Uint8Array(digest) } satisfies Digested)
})
