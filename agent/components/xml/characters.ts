// What each UTF-16 unit may be in XML 1.0 (fifth edition, sections 2.2 and 2.3), as bits, one load per unit.
//
// Texts are well-formed UTF-16, so pairs are judged by their first half: names may hold U+10000…U+EFFFF, whose first halves are
// D800…DB7F; a second half only ever follows a first.

export const NAME_START = 1
export const NAME = 2
export const SPACE = 4
/** Ends a run of text, or must be looked at: `<`, `&`, `>`, what is no character. */
export const TEXT_STOP = 8
/** The same inside an attribute value: quotes, `<`, `&`, white space that becomes a space, what is no character. */
export const VALUE_STOP = 16
export const INVALID = 32

export const CLASS = makeClasses()

function makeClasses(): Uint8Array {
  const table = new Uint8Array(0x10000)
  const set = (bits: number, ...ranges: readonly (readonly [number, number])[]): void => {
    for (const [from, to] of ranges) for (let c = from; c <= to; c += 1) table[c] = (table[c] as number) | bits
  }
  const one = (text: string): (readonly [number, number])[] =>
    [...text].map((char) => [char.charCodeAt(0), char.charCodeAt(0)])
  const starts = [
    ...one(':_'),
    [0x41, 0x5a],
    [0x61, 0x7a],
    [0xc0, 0xd6],
    [0xd8, 0xf6],
    [0xf8, 0x2ff],
    [0x370, 0x37d],
    [0x37f, 0x1fff],
    [0x200c, 0x200d],
    [0x2070, 0x218f],
    [0x2c00, 0x2fef],
    [0x3001, 0xdb7f],
    [0xf900, 0xfdcf],
    [0xfdf0, 0xfffd],
  ] as const
  set(NAME_START, ...starts)
  set(NAME, ...starts, ...one('-.\u00b7'), [0x30, 0x39], [0x300, 0x36f], [0x203f, 0x2040], [0xdc00, 0xdfff])
  set(SPACE, ...one(' \t\n\r'))
  // Not above with the names: the halves of pairs up to DB7F start names, the private use area E000–F8FF is in none.
  const invalid = [
    [0x00, 0x08],
    [0x0b, 0x0c],
    [0x0e, 0x1f],
    [0xfffe, 0xffff],
  ] as const
  set(INVALID, ...invalid)
  set(TEXT_STOP, ...one('<&>'), ...invalid)
  set(VALUE_STOP, ...one('"\'<&\t\n\r'), ...invalid)
  return table
}

/** A name without colon (NCName). */
export function isLocalName(text: string): boolean {
  if (!text.isWellFormed() || ((CLASS[text.charCodeAt(0)] as number) & NAME_START) === 0) return false
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === ':' || ((CLASS[text.charCodeAt(i)] as number) & NAME) === 0) return false
  }
  return true
}
