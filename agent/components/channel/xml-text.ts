// Places in the text of a document that the parser has found well-formed, and which has no DTD.

const NAME = /[^\s/>]+/y
const ATTRIBUTE = /\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')/y

/** A start tag: where its name and it itself end, and its attributes as written, with their quotes. */
export function tagOf(source: string, from: number): { nameEnd: number; end: number; attributes: Map<string, string> } {
  NAME.lastIndex = from + 1
  NAME.test(source)
  const nameEnd = NAME.lastIndex
  const attributes = new Map<string, string>()
  let at = nameEnd
  for (ATTRIBUTE.lastIndex = at; ; at = ATTRIBUTE.lastIndex) {
    const found = ATTRIBUTE.exec(source)
    if (found === null) break
    attributes.set(found[1] as string, found[2] as string)
  }
  return { nameEnd, end: source.indexOf('>', at) + 1, attributes }
}

/** Behind the end tag of the element whose start tag begins here. */
export function elementEnd(source: string, from: number): number {
  let depth = 0
  let at = from
  for (;;) {
    if (source.startsWith('</', at)) {
      depth -= 1
      at = source.indexOf('>', at) + 1
    } else if (source.startsWith('<!--', at)) at = source.indexOf('-->', at + 4) + 3
    else if (source.startsWith('<![CDATA[', at)) at = source.indexOf(']]>', at + 9) + 3
    else if (source.startsWith('<?', at)) at = source.indexOf('?>', at) + 2
    else {
      const end = tagEnd(source, at)
      if (source[end - 2] !== '/') depth += 1
      at = end
    }
    if (depth === 0) return at
    at = source.indexOf('<', at)
  }
}

/** A `>` may stand in a value. */
function tagEnd(source: string, from: number): number {
  let at = from
  for (;;) {
    const unit = source[at]
    if (unit === '>') return at + 1
    at = unit === '"' || unit === "'" ? source.indexOf(unit, at + 1) + 1 : at + 1
  }
}
