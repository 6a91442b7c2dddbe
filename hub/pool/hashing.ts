// SHA-256 in worker threads. Bytes lie in shared memory, so that nothing is copied on the way.

import { hash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Piscina } from 'piscina'
import { HASHED_AT_ONCE_BYTES, IDLE_MS } from './limits.ts'

export class Hashing {
  private pool: Piscina | null = null

  /** Memory that a thread can see too. Its content is zeros. */
  static buffer(bytes: number): Buffer {
    return Buffer.from(new SharedArrayBuffer(bytes))
  }

  /** 32 bytes. `bytes` must not change until it resolves; from `Hashing.buffer` they are not copied. */
  async digest(bytes: Buffer): Promise<Buffer> {
    if (bytes.length <= HASHED_AT_ONCE_BYTES) return hash('sha256', bytes, 'buffer')
    this.pool ??= new Piscina({
      filename: new URL('./hash-task.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: Math.max(1, availableParallelism() - 1),
      idleTimeout: IDLE_MS,
      concurrentTasksPerWorker: 1,
    })
    // A Buffer would arrive as what it is underneath anyway.
    const digest = (await this.pool.run(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length))) as Uint8Array
    return Buffer.from(digest.buffer, digest.byteOffset, digest.length)
  }

  async close(): Promise<void> {
    await this.pool?.destroy()
    this.pool = null
  }
}
