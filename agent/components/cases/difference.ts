// Whether a document is what a case expects: XML by its elements, attributes and texts, JSON by its values, other text by lines, all else
// by bytes. What is told is the first difference, with its place.

import { isUtf8 } from 'node:buffer'
import { decodeXml, XmlParser, type XmlTree } from '../xml/mod.ts'

export type Difference = {
  /** A path in XML or JSON, `line 3`, `byte 17`. */
  readonly at: string
  readonly expected: string
  readonly got: string
}

/** Characters of a value that are told. */
const SHOWN_CHARS_MAX = 200
const NOTHING = 'nothing'

/**
 * The first difference; `null` when there is none. `mediaType` is that of what was got; without one, what is expected tells by its
 * look whether it is XML or JSON. XML that is only laid out differently is the same; so are names with other prefixes.
 */
export function differenceOf(expected: Buffer, got: Buffer, mediaType = ''): Difference | null {
  if (expected.equals(got)) return null
  const kind = kindOf(expected, mediaType)
  if (kind === 'xml') return ofXml(expected, got)
  if (kind === 'json') return ofJson(expected, got)
  return exactDifferenceOf(expected, got)
}

/** The same to the last byte. */
export function exactDifferenceOf(expected: Buffer, got: Buffer): Difference | null {
  if (expected.equals(got)) return null
  return isUtf8(expected) && isUtf8(got) ? ofText(expected, got) : ofBytes(expected, got)
}

function kindOf(expected: Buffer, mediaType: string): 'xml' | 'json' | 'other' {
  const [type = ''] = mediaType.toLowerCase().split(';', 1)
  if (/[/+]xml$/.test(type.trim())) return 'xml'
  if (/[/+]json$/.test(type.trim())) return 'json'
  const start = expected
    .toString('utf8', 0, 200)
    .replace(/^\ufeff/, '')
    .trimStart()
  if (start.startsWith('<')) return 'xml'
  return /^[[{]/.test(start) ? 'json' : 'other'
}

type Fact = { readonly at: string; readonly says: string }

function ofXml(expected: Buffer, got: Buffer): Difference | null {
  const [wanted, found] = [factsOf(expected), factsOf(got)]
  if (typeof wanted === 'string') return ofText(expected, got, wanted)
  if (typeof found === 'string')
    return { at: 'the document', expected: 'XML', got: `${found}: ${shown(got.toString())}` }
  const most = Math.max(wanted.length, found.length)
  for (let i = 0; i < most; i++) {
    const [one, other] = [wanted[i], found[i]]
    if (one?.at === other?.at && one?.says === other?.says) continue
    return { at: (one ?? other)?.at ?? '', expected: told(one, other), got: told(other, one) }
  }
  return null
}

const told = (fact: Fact | undefined, other: Fact | undefined): string =>
  fact === undefined
    ? NOTHING
    : shown(fact.at === other?.at || other === undefined ? fact.says : `${fact.says} at ${fact.at}`)

/** What a document says, in its order; why it says nothing when it is not XML. */
function factsOf(bytes: Buffer): Fact[] | string {
  try {
    const tree = new XmlParser().parse(decodeXml(bytes))
    const facts: Fact[] = []
    const paths = new Map<number, string>([[0, '']])
    const met = new Map<string, number>()
    for (let node = 1; node < tree.count; node++) {
      const parent = tree.parent[node] as number
      const above = paths.get(parent) as string
      const name = tree.name[node] as number
      if (name < 0) {
        // Comments cut text; what they cut is one text again.
        const last = facts.at(-1)
        const text = tree.textOf(node)
        if (last?.at === `${above}/text()`) facts[facts.length - 1] = { ...last, says: last.says + text }
        else facts.push({ at: `${above}/text()`, says: text })
        continue
      }
      const local = tree.names.localPart[name]
      const step = `${above}/${local}`
      const nth = (met.get(step) ?? 0) + 1
      met.set(step, nth)
      const at = `${step}[${nth}]`
      paths.set(node, at)
      facts.push({ at, says: elementText(tree, node) })
    }
    return facts.filter(({ at, says }) => !at.endsWith('/text()') || /[^ \t\n]/.test(says))
  } catch (error) {
    return (error as Error).message
  }
}

function elementText(tree: XmlTree, node: number): string {
  const { names } = tree
  const full = (name: number) => (names.uri[name] === '' ? '' : `{${names.uri[name]}}`) + names.localPart[name]
  const attributes: string[] = []
  for (let i = tree.attributes[node] as number; i < (tree.attributes[node + 1] as number); i++) {
    attributes.push(`${full(tree.attributeName[i] as number)}=${JSON.stringify(tree.attributeText(i))}`)
  }
  return `<${[full(tree.name[node] as number), ...attributes.sort()].join(' ')}>`
}

function ofJson(expected: Buffer, got: Buffer): Difference | null {
  const [wanted, found] = [jsonOf(expected), jsonOf(got)]
  if (wanted === null) return ofText(expected, got, 'what is expected is no JSON')
  if (found === null) return { at: 'the document', expected: 'JSON', got: shown(got.toString()) }
  return ofValues(wanted.value, found.value, '')
}

function jsonOf(bytes: Buffer): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(bytes.toString(), exactly as (name: string, value: unknown) => unknown) }
  } catch {
    return null
  }
}

/** Whole numbers beyond 2^53 keep their digits. */
function exactly(_name: string, value: unknown, { source }: { readonly source?: string } = {}): unknown {
  return typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? '')
    ? BigInt(source as string)
    : value
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `undefined` is a value that is not there. */
function ofValues(wanted: unknown, found: unknown, at: string): Difference | null {
  const both = isMap(wanted) && isMap(found)
  if (!both && !(Array.isArray(wanted) && Array.isArray(found))) {
    if (Object.is(wanted, found) || (wanted === 0 && found === 0)) return null
    return { at: at === '' ? 'the document' : at, expected: valueText(wanted), got: valueText(found) }
  }
  const [one, other] = [wanted as Record<string, unknown>, found as Record<string, unknown>]
  for (const name of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const own = (map: Record<string, unknown>) => (Object.hasOwn(map, name) ? map[name] : undefined)
    const difference = ofValues(own(one), own(other), `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
    if (difference !== null) return difference
  }
  return null
}

function valueText(value: unknown): string {
  if (value === undefined) return NOTHING
  return shown(JSON.stringify(value, (_name, one) => (typeof one === 'bigint' ? String(one) : one)))
}

function ofText(expected: Buffer, got: Buffer, note?: string): Difference {
  const [wanted, found] = [expected.toString().split('\n'), got.toString().split('\n')]
  let i = 0
  while (i < wanted.length && wanted[i] === found[i]) i++
  const line = (lines: readonly string[]) => (i < lines.length ? shown(JSON.stringify(lines[i])) : NOTHING)
  return { at: `line ${i + 1}${note === undefined ? '' : ` (${note})`}`, expected: line(wanted), got: line(found) }
}

function ofBytes(expected: Buffer, got: Buffer): Difference {
  let i = 0
  while (i < expected.length && expected[i] === got[i]) i++
  const some = (bytes: Buffer) => {
    const rest = bytes.subarray(i, i + 16)
    return rest.length === 0
      ? `nothing, of ${bytes.length} bytes`
      : `${rest.toString('hex')}…, of ${bytes.length} bytes`
  }
  return { at: `byte ${i}`, expected: some(expected), got: some(got) }
}

function shown(text: string): string {
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX).toWellFormed()}…` : text
}
