// Writes of one event turn go out together: one system call, one TLS record where they fit, instead of one for each part.

/** The part of a stream that corking needs; sockets and WebSocket streams have it. */
export type Corkable = {
  cork(): void
  uncork(): void
  write(bytes: Buffer): boolean
  readonly writableLength: number
  readonly destroyed: boolean
}

export class CorkedWriter {
  private readonly stream: Corkable
  private corked = false

  constructor(stream: Corkable) {
    this.stream = stream
  }

  get queuedBytes(): number {
    return this.stream.writableLength
  }

  write(bytes: Buffer): void {
    if (this.stream.destroyed) return
    if (!this.corked) {
      this.corked = true
      this.stream.cork()
      process.nextTick(() => {
        this.corked = false
        this.stream.uncork()
      })
    }
    this.stream.write(bytes)
  }
}
