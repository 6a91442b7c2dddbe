// Full-width characters: Chinese punctuation typed where YAML wants its half-width form, and columns that line up.

const FORMS: Readonly<Record<string, string>> = {
  '“': '"',
  '”': '"',
  '‘': "'",
  '’': "'",
  '、': ',',
  '。': '.',
  '【': '[',
  '】': ']',
  '　': ' ',
  '\u00a0': ' ',
  '—': '-',
  '–': '-',
}

const FULL_WIDTH = /[“”‘’、。【】　\u00a0—–\uff01-\uff5e]/g

/** The same text in half-width form. */
export function halfWidth(text: string): string {
  return text.replace(FULL_WIDTH, half)
}

/** A sentence naming the full-width characters of the text and what to type instead, or `null` when there are none. */
export function fullWidthHint(text: string): string | null {
  const found = [...new Set(text.match(FULL_WIDTH) ?? [])].slice(0, 6)
  if (found.length === 0) return null
  const pairs = found.map((char) => `${named(char)} as ${named(half(char))}`)
  return `Full-width characters were typed here: write ${pairs.join(', ')}`
}

/** Columns a text takes on a terminal: East Asian wide characters take two. */
export function columns(text: string): number {
  let sum = 0
  for (const char of text) sum += WIDE.test(char) ? 2 : 1
  return sum
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u

function half(char: string): string {
  const known = FORMS[char]
  if (known !== undefined) return known
  // U+FF01…U+FF5E are ASCII 0x21…0x7E moved by a constant.
  return String.fromCharCode(char.charCodeAt(0) - 0xfee0)
}

function named(char: string): string {
  if (char === ' ') return 'a plain space'
  if (char === '　') return 'the wide space (U+3000)'
  if (char === '\u00a0') return 'the no-break space (U+00A0)'
  return char
}
