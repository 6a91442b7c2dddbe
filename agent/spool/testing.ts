// What the spool's tests share.

/** A seeded generator of integers below `bound` (mulberry32): a failing run is repeated by its seed. */
export function randomFrom(seed: number): (bound: number) => number {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}

/** A batch whose size and every byte follow from its sequence number and count, so that a reader can prove it. */
export function batchFor(firstSeq: number, count: number): Buffer {
  const random = randomFrom(firstSeq * 31 + count)
  const bytes = Buffer.alloc(1 + random(random(4) === 0 ? 60_000 : 900), random(256))
  if (bytes.length >= 6) bytes.writeUIntBE(firstSeq, 0, 6)
  return bytes
}
