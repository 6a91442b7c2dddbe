// SHA-256, and decoding, in worker threads. Bytes lie in shared memory, so that nothing is copied on the way.

import { hash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Piscina } from 'piscina'
import type { StoredChunk } from '#hub/store/mod.ts'
import { digestOfEncoded, type EncodedTask } from './hash-task.ts'
import { DECODED_AT_ONCE_BYTES, HASHED_AT_ONCE_BYTES, IDLE_MS } from './limits.ts'

export class Hashing {
  private pool: Piscina | null = null

  /** Memory that a thread can see too. Its content is zeros. */
  static buffer(bytes: number): Buffer {
    return Buffer.from(new SharedArrayBuffer(bytes))
  }

  /** 32 bytes. `bytes` must not change until it resolves; from `Hashing.buffer` they are not copied. */
  async digest(bytes: Buffer): Promise<Buffer> {
    if (bytes.length <= HASHED_AT_ONCE_BYTES) return hash('sha256', bytes, 'buffer')
    return bufferOf((await this.threads().run(viewOf(bytes))) as Uint8Array)
  }

  /** The same of a chunk, however it is stored; `null` when it does not decode. */
  digestOf({ bytes, length }: StoredChunk): Promise<Buffer | null> {
    return bytes.length < length ? this.decoded({ bytes, length, into: null }) : this.digest(bytes)
  }

  /**
   * Decodes a chunk into the beginning of `into`, shared memory that may be where it lies, and gives its digest; `null` when it
   * does not decode.
   */
  decode({ bytes, length }: StoredChunk, into: Buffer): Promise<Buffer | null> {
    return this.decoded({ bytes, length, into })
  }

  async close(): Promise<void> {
    await this.pool?.destroy()
    this.pool = null
  }

  private async decoded({ bytes, length, into }: EncodedTask & { bytes: Buffer; into: Buffer | null }) {
    const digest =
      length <= DECODED_AT_ONCE_BYTES
        ? digestOfEncoded({ bytes, length, into })
        : ((await this.threads().run(
            { bytes: viewOf(bytes), length, into: into === null ? null : viewOf(into) } satisfies EncodedTask,
            { name: digestOfEncoded.name },
          )) as Uint8Array | null)
    return digest === null ? null : bufferOf(digest)
  }

  private threads(): Piscina {
    this.pool ??= new Piscina({
      filename: new URL('./hash-task.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: Math.max(1, availableParallelism() - 1),
      idleTimeout: IDLE_MS,
      concurrentTasksPerWorker: 1,
    })
    return this.pool
  }
}

/** A Buffer would arrive as what it is underneath anyway. */
const viewOf = ({ buffer, byteOffset, length }: Buffer): Uint8Array => new Uint8Array(buffer, byteOffset, length)
const bufferOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length)
