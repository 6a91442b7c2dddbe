// Room in memory for documents: who wants to read one waits until there is. What somebody who has room makes is counted and waits for
// nothing, or two could wait for each other.

type Waiting = { readonly bytes: number; enter(): void }

export class Memory {
  usedBytes = 0
  private readonly bytesMax: number
  /** In the order in which they came: a large one is not passed by small ones for ever. */
  private readonly waiting = new Set<Waiting>()

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Gives what leaves it. One alone has room, however large it is. Throws the reason of `signal`. */
  async enter(bytes: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.waiting.size > 0 || !this.hasRoom(bytes)) await this.turn(bytes, signal)
    else this.usedBytes += bytes
    return this.leaving(bytes)
  }

  take(bytes: number): () => void {
    this.usedBytes += bytes
    return this.leaving(bytes)
  }

  private turn(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const give = () => {
        this.waiting.delete(waiting)
        reject(signal.reason)
        this.admit()
      }
      const waiting = {
        bytes,
        enter: () => {
          signal.removeEventListener('abort', give)
          this.usedBytes += bytes
          resolve()
        },
      }
      signal.addEventListener('abort', give, { once: true })
      this.waiting.add(waiting)
    })
  }

  private leaving(bytes: number): () => void {
    let left = false
    return () => {
      if (left) return
      left = true
      this.usedBytes -= bytes
      this.admit()
    }
  }

  private admit(): void {
    for (const waiting of this.waiting) {
      if (!this.hasRoom(waiting.bytes)) return
      this.waiting.delete(waiting)
      waiting.enter()
    }
  }

  private hasRoom(bytes: number): boolean {
    return this.usedBytes === 0 || this.usedBytes + bytes <= this.bytesMax
  }
}
