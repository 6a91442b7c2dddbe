// Pieces of bytes after one another in memory of their own, which goes to another thread without being copied again.

export type Pieces = { readonly bytes: Uint8Array<ArrayBuffer>; readonly ends: Uint32Array<ArrayBuffer> }

const FIRST_BYTES = 64 * 1024

export class Gathered {
  #bytes = new Uint8Array(FIRST_BYTES)
  #filled = 0
  readonly #ends: number[] = []

  get size(): number {
    return this.#filled
  }

  get count(): number {
    return this.#ends.length
  }

  /** Copies them; what is `owned`, and nobody else's any more, only when it is not the first. */
  add(piece: Uint8Array, owned = false): void {
    const end = this.#filled + piece.byteLength
    if (owned && this.#filled === 0 && piece.buffer instanceof ArrayBuffer) {
      this.#bytes = piece as Uint8Array<ArrayBuffer>
      this.#filled = end
      this.#ends.push(end)
      return
    }
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length))
      larger.set(this.#bytes.subarray(0, this.#filled))
      this.#bytes = larger
    }
    this.#bytes.set(piece, this.#filled)
    this.#filled = end
    this.#ends.push(end)
  }

  /** What was added; nothing is added any more. */
  take(): Pieces {
    return { bytes: this.#bytes.subarray(0, this.#filled), ends: Uint32Array.from(this.#ends) }
  }
}

/** What is to be handed over, not copied. */
export const buffersOf = ({ bytes, ends }: Pieces): ArrayBuffer[] => [bytes.buffer, ends.buffer]

/** Views. */
export function piecesOf({ bytes, ends }: Pieces): Buffer[] {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from(ends, (end, i) => whole.subarray(i === 0 ? 0 : ends[i - 1], end))
}
