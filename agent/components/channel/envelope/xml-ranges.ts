// Where elements begin and end in the text of a document that the parser has taken. The tree says what things are, with line ends
// normalised; what is cut out or put in must stay as it was written, unit by unit, so that signatures inside stay good.

export type TagAttribute = { readonly name: string /** With its quotes. */; readonly quoted: string }

export type Tag = {
  readonly from: number
  readonly name: string
  readonly attributes: readonly TagAttribute[]
  /** Behind its `>`. */
  readonly end: number
  readonly empty: boolean
}

const ATTRIBUTE = /\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')/y

export function tagAt(text: string, from: number): Tag {
  let at = from + 1
  while (!/[\s/>]/.test(text.charAt(at))) at += 1
  const name = text.slice(from + 1, at)
  const attributes: TagAttribute[] = []
  ATTRIBUTE.lastIndex = at
  for (let found = ATTRIBUTE.exec(text); found !== null; found = ATTRIBUTE.exec(text)) {
    attributes.push({ name: found[1] as string, quoted: found[2] as string })
    at = ATTRIBUTE.lastIndex
  }
  const close = text.indexOf('>', at)
  return { from, name, attributes, end: close + 1, empty: text[close - 1] === '/' }
}

/** The place of the root element's tag. */
export function rootAt(text: string): number {
  let at = text.indexOf('<')
  while (isSkipped(text, at)) at = text.indexOf('<', skipped(text, at))
  return at
}

/** Where the children of an element begin and end that are elements. */
export function childrenOf(text: string, tag: Tag): { readonly from: number; readonly to: number }[] {
  const children: { from: number; to: number }[] = []
  if (tag.empty) return children
  for (let at = text.indexOf('<', tag.end); text[at + 1] !== '/'; at = text.indexOf('<', at)) {
    if (isSkipped(text, at)) at = skipped(text, at)
    else {
      const to = elementEnd(text, at)
      children.push({ from: at, to })
      at = to
    }
  }
  return children
}

/** Behind the end of the element whose tag is at `from`. */
export function elementEnd(text: string, from: number): number {
  let depth = 0
  let at = from
  for (;;) {
    if (isSkipped(text, at)) at = skipped(text, at)
    else if (text[at + 1] === '/') {
      depth -= 1
      at = text.indexOf('>', at) + 1
    } else {
      const end = tagEnd(text, at)
      if (text[end - 2] !== '/') depth += 1
      at = end
    }
    if (depth === 0) return at
    at = text.indexOf('<', at)
  }
}

/** The places of all start tags, in the order of the document. */
export function* startTags(text: string): Generator<number> {
  for (let at = text.indexOf('<'); at !== -1; at = text.indexOf('<', at)) {
    if (isSkipped(text, at)) at = skipped(text, at)
    else if (text[at + 1] === '/') at += 2
    else {
      yield at
      at = tagEnd(text, at)
    }
  }
}

function tagEnd(text: string, from: number): number {
  for (let at = from + 1; ; at += 1) {
    const char = text[at]
    if (char === '>') return at + 1
    if (char === '"' || char === "'") at = text.indexOf(char, at + 1)
  }
}

const isSkipped = (text: string, at: number): boolean => text[at + 1] === '!' || text[at + 1] === '?'

/** Behind a comment, a CDATA section or a processing instruction. */
function skipped(text: string, at: number): number {
  const close = text[at + 1] === '?' ? '?>' : text[at + 2] === '[' ? ']]>' : '-->'
  return text.indexOf(close, at + (close === '-->' ? 4 : 2)) + close.length
}
