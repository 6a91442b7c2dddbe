// YAML 1.2 text → raw values with their places. No tags, anchors, aliases or merge keys: settings are read by people and by
// other programs, and an alias is a way to make a small file large.

import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type Scalar } from 'yaml'
import { asFault, type Fault, type Result } from '#protocol/base/mod.ts'
import { fault } from './faults.ts'
import { DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX } from './limits.ts'
import { below, type Findings, type Origin, type Raw, type RawEntry, type RawMap } from './raw.ts'
import { quoted } from './show.ts'
import { fullWidthHint } from './width.ts'

const OPTIONS = {
  version: '1.2',
  schema: 'core',
  merge: false,
  resolveKnownTags: false,
  stringKeys: true,
  // Own checks, in linear time: the library compares each key with all before it.
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: 'error',
} as const

/**
 * Text whose faults can be placed. `root` is `null` when nothing can be read from it; the findings say why. Duplicate names
 * and refused values are findings too, but leave the rest readable.
 */
export type YamlText = { readonly root: Raw | null; readonly origin: Origin }

export function rawFromYaml(text: string, file: string, findings: Findings): YamlText {
  const lines = new LineCounter()
  const origin: Origin = {
    missing: 'FIELD_MISSING',
    named: (path) => path,
    where: (at, path) => {
      const { line, col } = at < 0 ? { line: 1, col: 1 } : lines.linePos(at)
      return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}${path === '' ? '' : ` ${path}`}`
    },
    line: (at) => lineAt(text, at),
  }
  // UTF-16 units never outnumber the bytes of UTF-8, so the first comparison spares counting them.
  if (text.length > TEXT_BYTES_MAX || Buffer.byteLength(text) > TEXT_BYTES_MAX) {
    findings.add(0, fault('FIELD_TOO_LARGE', { where: file, why: `more than ${TEXT_BYTES_MAX} bytes of text` }))
    return { root: null, origin }
  }
  let document: ReturnType<typeof parseDocument>
  try {
    document = parseDocument(text, { ...OPTIONS, lineCounter: lines })
  } catch (error) {
    // The parser recurses; a text made of brackets alone ends its stack before our own depth check sees a tree.
    const cause = asFault(error)
    findings.add(0, fault('FIELD_TOO_DEEP', { where: file, why: 'the YAML parser gave up', cause }))
    return { root: null, origin }
  }
  const problems = [...document.errors, ...document.warnings]
  for (const problem of problems) {
    if (findings.full) break
    findings.add(problem.pos[0], syntaxFault(problem, origin))
  }
  if (problems.length > 0) return { root: null, origin }
  const converter = new Converter(origin, findings)
  return { root: converter.convert(document.contents, { at: 0, path: '', depth: 1 }), origin }
}

/** Bytes of a file as text: UTF-8 with or without a byte order mark; anything else is named and refused. */
export function decodeText(bytes: Uint8Array, options: { file: string }): Result<string, Fault[]> {
  const refuse = (why: string): Result<string, Fault[]> => {
    return { ok: false, fault: [fault('YAML_ENCODING', { where: options.file, why })] }
  }
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return refuse('it is UTF-16')
  try {
    return { ok: true, value: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    // The decoder knows no position; the first bad byte is found by decoding line by line, on this failing path only.
    return refuse(`line ${badLine(bytes)} is no UTF-8; it may be GBK or GB18030`)
  }
}

type Place = { readonly at: number; readonly path: string; readonly depth: number }

class Converter {
  readonly #origin: Origin
  readonly #findings: Findings
  #nodes = 0

  constructor(origin: Origin, findings: Findings) {
    this.#origin = origin
    this.#findings = findings
  }

  convert(node: unknown, place: Place): Raw {
    this.#nodes += 1
    if (this.#nodes > NODES_MAX) return this.#refuse('FIELD_TOO_LARGE', place, `more than ${NODES_MAX} values`)
    if (place.depth > DEPTH_MAX) return this.#refuse('FIELD_TOO_DEEP', place, `more than ${DEPTH_MAX} levels`)
    if (node === null || node === undefined) {
      return { kind: 'scalar', at: place.at, value: null, source: '', plain: true }
    }
    const at = (node as Node).range?.[0] ?? place.at
    const here = { ...place, at }
    if (isAlias(node)) return this.#refuse('YAML_ALIAS', here, 'an alias')
    if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined) {
      return this.#refuse('YAML_ALIAS', here, 'an anchor')
    }
    if (isScalar(node)) return scalar(node, at, place.at)
    if (isMap(node)) return this.#map(node.items, here)
    if (isSeq(node)) {
      const items: Raw[] = []
      for (const item of node.items) {
        if (this.#nodes > NODES_MAX) break
        items.push(this.convert(item, { at, path: below(place.path, items.length), depth: place.depth + 1 }))
      }
      return { kind: 'list', at, items }
    }
    return this.#refuse('YAML_SYNTAX', here, 'neither a scalar, a list nor a map')
  }

  #map(pairs: readonly Pair[], place: Place): RawMap {
    const entries: RawEntry[] = []
    const seen = new Map<string, number>()
    for (const pair of pairs) {
      if (this.#nodes > NODES_MAX) break
      // `stringKeys` has made every other kind of key a syntax error.
      const node = pair.key as Scalar | null
      const keyAt = node?.range?.[0] ?? place.at
      const key = String(node?.value ?? '')
      const path = below(place.path, key)
      if (isScalar(node) && node.anchor !== undefined) {
        this.#refuse('YAML_ALIAS', { ...place, at: keyAt, path }, 'an anchor')
      }
      const before = seen.get(key)
      if (before !== undefined) {
        // A name with a colon inside may be "password:secret" without its space.
        const name = key.split(/[:：]/, 1)[0] ?? ''
        const why = `${quoted(name)} already stands at ${this.#origin.where(before, '')}`
        this.#findings.add(
          keyAt,
          fault('FIELD_DUPLICATE', { where: this.#origin.where(keyAt, below(place.path, name)), why }),
        )
        continue
      }
      seen.set(key, keyAt)
      entries.push({ key, keyAt, value: this.convert(pair.value, { at: keyAt, path, depth: place.depth + 1 }) })
    }
    return { kind: 'map', at: place.at, entries }
  }

  #refuse(code: 'YAML_ALIAS' | 'YAML_SYNTAX' | 'FIELD_TOO_DEEP' | 'FIELD_TOO_LARGE', place: Place, why: string): Raw {
    this.#findings.add(place.at, fault(code, { where: this.#origin.where(place.at, place.path), why }))
    return { kind: 'refused', at: place.at }
  }
}

function scalar(node: Scalar, at: number, emptyAt: number): Raw {
  const value = node.value as string | number | bigint | boolean | null
  const source = node.source ?? String(value ?? '')
  const plain = node.type === 'PLAIN' && node.tag === undefined
  // An empty value has its place behind the colon, often at the end of the line: its name is the better place.
  return { kind: 'scalar', at: source === '' && plain ? emptyAt : at, value, source, plain }
}

/** Remedies for what people get wrong most. The library's messages may quote the text, a password perhaps: it is cut off. */
const REMEDIES: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'Indent with spaces, not with a tab',
  BAD_INDENT: 'Bring the names of one map to the same column, and close every bracket that was opened',
  BLOCK_AS_IMPLICIT_KEY: 'Put a value that contains ": " in quotes; indent settings that belong to a name below it',
  MULTILINE_IMPLICIT_KEY: 'Write "name: value", with a colon and a space, on a line of its own',
  MISSING_CHAR: 'Write "name: value" with a colon and a space, and close every quote and bracket that was opened',
  BAD_SCALAR_START: 'Put the value in quotes: it begins with a character that means something in YAML',
  BAD_DQ_ESCAPE: "In double quotes \\ begins an escape: write \\\\, or use single quotes, such as 'C:\\data'",
  TAG_RESOLVE_FAILED: 'Remove the tag (the word beginning with !), or put the value in quotes',
  MULTIPLE_DOCS: 'Keep one document: remove the line ---',
  NON_STRING_KEY: 'A name is a plain text: put a value that begins with { or [ in quotes',
  UNEXPECTED_TOKEN: 'Put the whole value in quotes, or correct the punctuation before it',
}

function syntaxFault(problem: { code: string; message: string; pos: [number, number] }, origin: Origin): Fault {
  const [at] = problem.pos
  const where = origin.where(at, '')
  if (problem.code === 'RESOURCE_EXHAUSTION') {
    return fault('FIELD_TOO_DEEP', { where, why: `more than ${DEPTH_MAX} levels` })
  }
  const why = problem.message.replace(/: .*$/s, '').replace('"quote', 'quote')
  const remedy = REMEDIES[problem.code]
  const hint = fullWidthHint(withoutComment(origin.line(at)))
  const todo = [remedy, hint].filter((part) => part !== undefined && part !== null).join('. ')
  return fault('YAML_SYNTAX', { where, why, ...(todo === '' ? {} : { todo }) })
}

function lineAt(text: string, at: number): string {
  if (at < 0) return ''
  const start = text.lastIndexOf('\n', Math.max(0, at - 1)) + 1
  const end = text.indexOf('\n', Math.max(start, at))
  return text.slice(start, end < 0 ? start + 1000 : Math.min(end, start + 1000))
}

function withoutComment(line: string): string {
  return line.replace(/(^|\s)#.*$/, '')
}

function badLine(bytes: Uint8Array): number {
  let line = 1
  let start = 0
  while (start < bytes.length) {
    const found = bytes.indexOf(0x0a, start)
    const end = found < 0 ? bytes.length : found
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(start, end))
    } catch {
      return line
    }
    start = end + 1
    line += 1
  }
  return line
}
