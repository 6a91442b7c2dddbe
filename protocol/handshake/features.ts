// Features a side may offer in HELLO, by their bit; never reused. What is not agreed is not said: an older peer would close.

/** Large content in chunks: frames 0x30 to 0x3a. */
export const FEATURE_TRANSFERS = 0
/** Encoded chunks in CHUNK_DATA. Means something only with `FEATURE_TRANSFERS`. */
export const FEATURE_ENCODED_CHUNKS = 1

/** The words of HELLO for these bits. */
export function featureWords(bits: readonly number[]): number[] {
  const words: number[] = []
  for (const bit of bits) {
    while (words.length <= bit >>> 5) words.push(0)
    words[bit >>> 5] = ((words[bit >>> 5] as number) | (1 << (bit & 31))) >>> 0
  }
  return words
}
