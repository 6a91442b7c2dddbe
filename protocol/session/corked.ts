// Writes of one event turn go out together: one system call, one TLS record where they fit, instead of one for each part.

/** The part of a stream that corking needs; sockets and WebSocket streams have it. */
export type Corkable = {
  cork(): void
  uncork(): void
  write(bytes: Buffer, done?: () => void): boolean
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

  /** `sent`: the bytes are not needed any more, because the system has them or nobody will. */
  write(bytes: Buffer, sent?: () => void): void {
    if (this.stream.destroyed) {
      sent?.()
      return
    }
    if (!this.corked) {
      this.corked = true
      this.stream.cork()
      process.nextTick(() => {
        this.corked = false
        this.stream.uncork()
      })
    }
    if (sent === undefined) this.stream.write(bytes)
    else this.stream.write(bytes, sent)
  }
}
