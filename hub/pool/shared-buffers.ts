// Memory for chunks that threads can see too, used again and again: shared memory is not counted by the garbage collector, which
// would let it pile up. Several may use one buffer; it is free when the last has let it go.

import { SHARED_KEPT_BYTES_MAX, SHARED_STEP_BYTES } from './limits.ts'

export class SharedBuffers {
  /** Bytes that are in use. */
  usedBytes = 0
  private readonly users = new Map<ArrayBufferLike, number>()
  private readonly free = new Map<number, Buffer[]>()
  private freeBytes = 0

  /** At least so many bytes, of any content; its taker is its first user. The result has just the length asked for. */
  take(bytes: number): Buffer {
    const capacity = Math.max(1, Math.ceil(bytes / SHARED_STEP_BYTES)) * SHARED_STEP_BYTES
    let buffer = this.free.get(capacity)?.pop()
    if (buffer === undefined) buffer = Buffer.from(new SharedArrayBuffer(capacity))
    else this.freeBytes -= capacity
    this.users.set(buffer.buffer, 1)
    this.usedBytes += capacity
    return buffer.subarray(0, bytes)
  }

  /** One more user. Buffers from elsewhere are nobody's business here. */
  hold({ buffer }: Buffer): void {
    const users = this.users.get(buffer)
    if (users !== undefined) this.users.set(buffer, users + 1)
  }

  /** A user less. */
  release({ buffer }: Buffer): void {
    const users = this.users.get(buffer)
    if (users === undefined) return
    if (users > 1) {
      this.users.set(buffer, users - 1)
      return
    }
    this.users.delete(buffer)
    this.usedBytes -= buffer.byteLength
    if (this.freeBytes + buffer.byteLength > SHARED_KEPT_BYTES_MAX) return
    const list = this.free.get(buffer.byteLength)
    if (list === undefined) this.free.set(buffer.byteLength, [Buffer.from(buffer)])
    else list.push(Buffer.from(buffer))
    this.freeBytes += buffer.byteLength
  }
}
