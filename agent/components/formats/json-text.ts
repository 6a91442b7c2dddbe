// What `JSON.parse` does not say of a text: a name that stands twice in an object, of which it silently keeps the last, and where a text
// stops being JSON.

/** A name that an object of `text` has twice; `text` is JSON, and `value` what `JSON.parse` made of it. */
export function repeatedName(text: string, value: unknown): string | null {
  // The usual case is quick to see: as many names in the text as members in the value, and all of them counted.
  if (namesIn(text) === membersOf(value) && !BLANKS.some((blank) => text.includes(blank))) return null
  const open: Set<string>[] = []
  for (let at = next(text, 0), end = 0; at < text.length; at = next(text, end)) {
    end = tokenEnd(text, at)
    if (text[at] === '{') open.push(new Set())
    else if (text[at] === '}') open.pop()
    else if (text[at] === '"' && text[next(text, end)] === ':') {
      const name = JSON.parse(text.slice(at, end)) as string
      if (open.at(-1)?.has(name)) return name
      open.at(-1)?.add(name)
    }
  }
  return null
}

/** Before a colon; as plain texts, which are found many times faster than a pattern. */
const BLANKS = [' :', '\n:', '\t:', '\r:']

/** Too many where a value has `":` in it, too few where blanks stand before the colon. */
function namesIn(text: string): number {
  let count = 0
  for (let at = text.indexOf('":'); at >= 0; at = text.indexOf('":', at + 2)) count += 1
  return count
}

function membersOf(value: unknown): number {
  const open: object[] = []
  let count = 0
  for (let inner: unknown = value; typeof inner === 'object' && inner !== null; inner = open.pop()) {
    if (Array.isArray(inner)) {
      for (const each of inner) if (typeof each === 'object' && each !== null) open.push(each)
      continue
    }
    for (const name in inner) {
      count += 1
      const each = (inner as Record<string, unknown>)[name]
      if (typeof each === 'object' && each !== null) open.push(each)
    }
  }
  return count
}

const TOKEN = /[[\]{},:]|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON has none in its strings.
const PLAIN = /[^"\\\0-\x1f]*/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y

/** Behind the token that begins here, or -1. */
function tokenEnd(text: string, from: number): number {
  if (text[from] !== '"') return matchEnd(TOKEN, text, from)
  let at = from + 1
  for (;;) {
    at = matchEnd(PLAIN, text, at)
    if (text[at] === '"') return at + 1
    at = matchEnd(ESCAPE, text, at)
    if (at < 0) return -1
  }
}

function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}

function next(text: string, from: number): number {
  let at = from
  for (; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) break
  }
  return at
}

/** Where a text that `JSON.parse` refuses stops being JSON: it says so itself only of some mistakes. */
export function jsonEndsAt(text: string): number {
  const open: string[] = []
  let wanted: 'value' | 'key' | 'colon' | 'end' = 'value'
  let fresh = false
  for (let at = next(text, 0), end = 0; at < text.length; at = next(text, end)) {
    end = tokenEnd(text, at)
    if (end < 0) return at
    const token = text[at] as string
    const inner = open.at(-1)
    if (token === '}' || token === ']') {
      if (token !== inner || (wanted !== 'end' && !fresh)) return at
      open.pop()
      wanted = 'end'
    } else if (wanted === 'colon') {
      if (token !== ':') return at
      wanted = 'value'
    } else if (wanted === 'end') {
      if (token !== ',' || inner === undefined) return at
      wanted = inner === '}' ? 'key' : 'value'
    } else if (wanted === 'key') {
      if (token !== '"') return at
      wanted = 'colon'
    } else if (token === '{' || token === '[') {
      open.push(token === '{' ? '}' : ']')
      wanted = token === '{' ? 'key' : 'value'
    } else if (token === ',' || token === ':') return at
    else wanted = 'end'
    fresh = token === '{' || token === '['
  }
  return text.length
}

/** What is wrong there. The platform's own words name places in its own way, and repeat the text. */
export function whyNotJson(text: string, at: number): string {
  if (at >= text.length) return 'it ends too early'
  const unit = text.codePointAt(at) as number
  const char = String.fromCodePoint(unit)
  if (char === '"') return 'a text has no end, or a character in it that must be escaped'
  if (unit < 0x20 || unit === 0xfeff) return `U+${unit.toString(16).toUpperCase().padStart(4, '0')} cannot stand here`
  return `${char} cannot stand here`
}
