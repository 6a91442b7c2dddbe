// What a workbook's parts say before its sheets are read (ECMA-376): which sheets there are and where, shared texts, which styles are
// dates. Names are compared without their namespaces: strict and transitional workbooks differ in nothing else that is read here.

import { posix } from 'node:path'
import { Fault } from '#protocol/base/mod.ts'
import { decodeXml, XmlParser, type XmlTree } from '../../../xml/mod.ts'
import { unzip } from '../../decompress/mod.ts'
import { convertFault } from '../faults.ts'
import { XLSX_ENTRIES_MAX, XLSX_RATIO_MAX, XLSX_UNPACKED_BYTES_MAX, XLSX_UNPACKED_FACTOR } from '../limits.ts'
import { elementsIn } from '../xml-path.ts'
import { type DateKind, dateKind } from './serial.ts'

export type Workbook = {
  /** Of the sheet that was asked for. */
  readonly sheet: XmlTree
  readonly texts: readonly string[]
  /** By the number of a cell's style; `null` for what is no date. */
  readonly styles: readonly (DateKind | null)[]
  /** Days are counted from 1904. */
  readonly from1904: boolean
}

/** Faults: `CONVERT_XLSX`, `CONVERT_XLSX_TOO_LARGE`, `CONVERT_SHEET`, those of XML. */
export async function openWorkbook(
  bytes: Buffer,
  { sheet, name, bytesMax }: { readonly sheet: string; readonly name: string; readonly bytesMax: number },
): Promise<Workbook> {
  const parts = new Parts(await unpacked(bytes, { name, bytesMax }), name)
  const rootRelations = parts.relations('')
  const main = [...rootRelations.values()].find(({ type }) => type === 'officeDocument')?.target
  if (main === undefined) throw parts.broken('it has no workbook')
  const tree = parts.tree(main)
  const sheets = [...descendants(tree, 'sheets')].flatMap((list) => [...childrenOf(tree, list, 'sheet')])
  const names = sheets.map((node) => attributeOf(tree, node, 'name') ?? '')
  const ids = sheets.map((node) => attributeOf(tree, node, 'id') ?? '')
  const from1904 = [...descendants(tree, 'workbookPr')].some((node) => isTrue(attributeOf(tree, node, 'date1904')))
  const at = names.includes(sheet) ? names.indexOf(sheet) : /^\d+$/.test(sheet) ? Number(sheet) - 1 : -1
  const known = names.map((each) => JSON.stringify(each)).join(', ')
  if (at < 0 || at >= names.length)
    throw convertFault('CONVERT_SHEET', { where: name, why: `${sheet}; it has ${known}` })
  const relations = parts.relations(main)
  const relation = relations.get(ids[at] as string)
  if (relation?.type !== 'worksheet')
    throw convertFault('CONVERT_SHEET', { where: name, why: `${names[at]} is no sheet of cells` })
  const partOf = (type: string): string | undefined =>
    [...relations.values()].find((each) => each.type === type)?.target
  const texts = textsOf(parts, partOf('sharedStrings'))
  const styles = stylesOf(parts, partOf('styles'))
  return { sheet: parts.tree(relation.target), texts, styles, from1904 }
}

type Relation = { readonly type: string; readonly target: string }

async function unpacked(
  bytes: Buffer,
  { name, bytesMax }: { readonly name: string; readonly bytesMax: number },
): Promise<Map<string, Buffer>> {
  if (bytes.subarray(0, 4).toString('hex') === 'd0cf11e0') {
    throw convertFault('CONVERT_XLSX', { where: name, why: 'it is an old workbook (.xls), or one with a password' })
  }
  const outputBytesMax = Math.min(bytesMax * XLSX_UNPACKED_FACTOR, XLSX_UNPACKED_BYTES_MAX)
  const bounds = {
    outputBytesMax,
    ratioMax: XLSX_RATIO_MAX,
    membersMax: XLSX_ENTRIES_MAX,
    nameEncoding: 'utf-8',
    anyName: true,
  }
  try {
    const members = await unzip(bytes, bounds)
    return new Map(members.map((member) => [member.name, member.bytes]))
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const tooLarge = /^DECOMPRESSED_/.test(error.code)
    throw convertFault(tooLarge ? 'CONVERT_XLSX_TOO_LARGE' : 'CONVERT_XLSX', {
      where: name,
      why: error.message,
      cause: error,
    })
  }
}

class Parts {
  readonly #parts: ReadonlyMap<string, Buffer>
  readonly #name: string

  constructor(parts: ReadonlyMap<string, Buffer>, name: string) {
    this.#parts = parts
    this.#name = name
  }

  /** Trees are read one beside the other, so each has a parser of its own. */
  tree(part: string): XmlTree {
    const bytes = this.#parts.get(part)
    if (bytes === undefined) throw this.broken(`it lacks ${part}`)
    return new XmlParser().parse(decodeXml(bytes))
  }

  /** Relations of a part by their ids; of the whole when `part` is ''. */
  relations(part: string): Map<string, Relation> {
    const { dir, base } = posix.parse(part)
    const file = posix.join(dir, '_rels', `${base}.rels`)
    const relations = new Map<string, Relation>()
    if (!this.#parts.has(file)) return relations
    const tree = this.tree(file)
    for (const node of descendants(tree, 'Relationship')) {
      if (attributeOf(tree, node, 'TargetMode') === 'External') continue
      const target = attributeOf(tree, node, 'Target') ?? ''
      const type = (attributeOf(tree, node, 'Type') ?? '').split('/').at(-1) ?? ''
      const path = target.startsWith('/') ? target.slice(1) : posix.join(dir, target)
      relations.set(attributeOf(tree, node, 'Id') ?? '', { type, target: path })
    }
    return relations
  }

  broken(why: string): Error {
    return convertFault('CONVERT_XLSX', { where: this.#name, why })
  }
}

function textsOf(parts: Parts, part: string | undefined): string[] {
  if (part === undefined) return []
  const tree = parts.tree(part)
  return [...descendants(tree, 'si')].map((node) => richText(tree, node))
}

/** The text of a cell or a shared text: all runs, without what only says how it is read aloud. */
export function richText(tree: XmlTree, node: number): string {
  let text = ''
  for (const child of elementsIn(tree, node)) {
    const name = localOf(tree, child)
    if (name === 't') text += tree.stringValue(child)
    else if (name === 'r') for (const run of childrenOf(tree, child, 't')) text += tree.stringValue(run)
  }
  return unescaped(text)
}

/** `_x000D_` is what the format writes for a character that XML cannot hold, `_x005F_` for an underscore that would look so. */
export const unescaped = (text: string): string =>
  text.includes('_x')
    ? text.replace(/_x([\dA-Fa-f]{4})_/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : text

function stylesOf(parts: Parts, part: string | undefined): (DateKind | null)[] {
  if (part === undefined) return []
  const tree = parts.tree(part)
  const formats = new Map<number, string>()
  for (const node of descendants(tree, 'numFmt')) {
    formats.set(Number(attributeOf(tree, node, 'numFmtId')), attributeOf(tree, node, 'formatCode') ?? '')
  }
  const [cells] = descendants(tree, 'cellXfs')
  if (cells === undefined) return []
  return [...childrenOf(tree, cells, 'xf')].map((node) => {
    const id = Number(attributeOf(tree, node, 'numFmtId') ?? 0)
    return dateKind(id, formats.get(id))
  })
}

export const isTrue = (text: string | null): boolean => text === '1' || text === 'true'

export const localOf = (tree: XmlTree, node: number): string =>
  tree.names.localPart[tree.name[node] as number] as string

export function* childrenOf(tree: XmlTree, node: number, local: string): Generator<number> {
  for (const child of elementsIn(tree, node)) if (localOf(tree, child) === local) yield child
}

export function* descendants(tree: XmlTree, local: string): Generator<number> {
  for (let node = 1; node < tree.count; node += 1) {
    if ((tree.name[node] as number) >= 0 && localOf(tree, node) === local) yield node
  }
}

/** By its local name; of two with the same the first. */
export function attributeOf(tree: XmlTree, node: number, local: string): string | null {
  const end = tree.attributes[node + 1] as number
  for (let i = tree.attributes[node] as number; i < end; i += 1) {
    if (tree.names.localPart[tree.attributeName[i] as number] === local) return tree.attributeText(i)
  }
  return null
}
