/**
 * Gives the memory of a large buffer back at once: the garbage collector, which sees a small object, leaves it for long. Nobody
 * may look at it any more. One that shares a slab is left alone.
 */
export function freeBuffer({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}
