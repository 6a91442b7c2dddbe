// Names, topics and values of headers are short, and few of them are seen again and again: those of ASCII alone are kept in a table of a
// fixed size, and made only once. It takes no look-up of characters, no view and no decoder to read one that is known.

/** Longer ones are hardly ever the same. */
const LENGTH_MAX = 64
/** So many characters are put together sooner than the runtime is asked for a text of them; V8 makes one flat string of them. */
const JOINED_MAX = 12
/** A power of two. */
const SLOTS = 4096

export class Texts {
  private readonly slots: string[] = new Array(SLOTS).fill('')

  /** The text in `bytes` from `from` to `to`, when it is short and ASCII; `null` for any other, which is for a decoder of UTF-8. */
  find(bytes: Buffer, from: number, to: number): string | null {
    const length = to - from
    if (length > LENGTH_MAX) return null
    // FNV-1a. A peer that makes texts collide makes them be decoded, as all would be without a table.
    let hash = length
    let all = 0
    for (let i = from; i < to; i++) {
      const byte = bytes[i] as number
      hash = Math.imul(hash ^ byte, 0x01000193)
      all |= byte
    }
    if (all >= 0x80) return null
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const known = this.slots[slot] as string
    if (known.length === length && isThere(known, bytes, from)) return known
    const text = length > JOINED_MAX ? bytes.toString('latin1', from, to) : joined(bytes, from, to)
    this.slots[slot] = text
    return text
  }
}

function isThere(text: string, bytes: Buffer, from: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false
  return true
}

function joined(bytes: Buffer, from: number, to: number): string {
  let text = ''
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i] as number)
  return text
}
