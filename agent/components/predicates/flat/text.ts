// XPath 1.0's conversions and functions on strings and numbers.

/** Section 4.4. What libxml2 takes beyond the standard (an exponent) gives `undefined`: the caller is not sure. */
export function numberOf(text: string): number | undefined {
  // Most are plain digits.
  const plain = /^[ \t\r\n]*(-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))[ \t\r\n]*$/.exec(text)
  if (plain !== null) return Number(plain[1])
  return /[0-9.][eE]/.test(text) ? undefined : Number.NaN
}

/** Characters are code points. */
export function lengthOf(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i += 1) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) length -= 1
  return length
}

export function normalizeSpace(text: string): string {
  return text.replace(/[ \t\r\n]+/g, ' ').replace(/^ | $/g, '')
}

export function translate(text: string, from: string, to: string): string {
  const [sources, targets] = [[...from], [...to]]
  let done = ''
  for (const char of text) {
    const i = sources.indexOf(char)
    done += i < 0 ? char : (targets[i] ?? '')
  }
  return done
}

/** Section 4.2: characters whose position p has p ≥ round(start) and p < round(start) + round(count). */
export function substring(text: string, start: number, count: number | null): string {
  const from = Math.round(start)
  const to = count === null ? Number.POSITIVE_INFINITY : from + Math.round(count)
  // NaN compares false: nothing is there.
  if (!(from < to)) return ''
  const chars = /[\ud800-\udfff]/.test(text) ? [...text] : null
  const length = chars?.length ?? text.length
  const first = Math.max(from, 1) - 1
  const last = Math.min(to - 1, length)
  if (first >= last) return ''
  return chars === null ? text.slice(first, last) : chars.slice(first, last).join('')
}
