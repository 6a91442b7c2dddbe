// Has a socket read into one buffer that all connections of a thread share. Streams take a fresh 64 KiB from the system for every
// read: collecting those is a third of receiving, and what is not collected yet is most of the memory of whoever receives much.

/** Bytes that arrived. They lie where the next ones will: they are the listener's only until it returns. */
export type OnChunk = (chunk: Buffer) => void

export class Inlet {
  /** The option of this name of Node's sockets. */
  readonly onread: { readonly buffer: Buffer; readonly callback: (length: number) => boolean }
  private early: Buffer[] = []
  private listener: OnChunk | null = null

  /** `bytes` is what one read takes at most, the same for all inlets of a thread. */
  constructor(bytes: number) {
    const buffer = receiveBuffer(bytes)
    const callback = (length: number): boolean => {
      this.take(buffer.subarray(0, length))
      return true
    }
    this.onread = { buffer, callback }
  }

  /** Hands on what arrives, from the first byte; call it once. */
  readonly read = (onChunk: OnChunk): void => {
    this.listener = onChunk
    const { early } = this
    this.early = []
    if (early.length === 0) return
    // As from a stream: what waits comes when the caller is done, and before anything else can arrive.
    queueMicrotask(() => {
      for (const chunk of early) onChunk(chunk)
    })
  }

  /** What comes in the same turn as the connection itself comes before anybody can listen. */
  private take(chunk: Buffer): void {
    if (this.listener !== null) this.listener(chunk)
    else this.early.push(Buffer.from(chunk))
  }
}

let shared: Buffer | null = null

/**
 * One for all connections, since what was read is used up before the loop reads again. On Windows the system may be given memory
 * ahead of the bytes: there each connection has its own.
 */
function receiveBuffer(bytes: number): Buffer {
  if (process.platform === 'win32') return Buffer.allocUnsafeSlow(bytes)
  shared ??= Buffer.allocUnsafeSlow(bytes)
  return shared.subarray(0, bytes)
}
