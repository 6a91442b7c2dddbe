// What a group becomes: how each item must be to be a part of it, and how the parts are put together.

import type { Item } from '../../contract.ts'
import { documentOf } from '../../document.ts'
import { formatJsonRecord } from '../../formats/mod.ts'
import { pointedName } from '../../support/mod.ts'
import { decodeXml, escapeValue, XML_DECLARATION, XmlParser } from '../../xml/mod.ts'
import { pathProblem, sameOnDisk } from '../attached.ts'
import { packZip } from '../compress/mod.ts'
import { elementEnd, tagOf } from '../xml-text.ts'
import { mergeFault } from './faults.ts'
import type { Member } from './groups.ts'
import type { MergeSettings } from './settings.ts'

export type Form = {
  readonly ending: string
  readonly mediaType: string
  /** The item as it is kept. Throws a fault when it cannot be a part. */
  member(item: Item): Promise<Member>
  /** The document of all. */
  joined(members: readonly Member[]): Promise<Buffer>
}

const LF = 0x0a

/** `null` for rows. */
export function formOf(settings: MergeSettings): Form | null {
  const { as } = settings
  switch (as.type) {
    case 'row':
      return null
    case 'json':
      return {
        ending: '.json',
        mediaType: 'application/json',
        member: async (item) => ({ row: item.row, bytes: await jsonOf(item, settings) }),
        joined: async (members) => joinedBy(members, '[', ',', ']'),
      }
    case 'jsonl':
      return {
        ending: '.jsonl',
        mediaType: 'application/jsonl',
        // Valid JSON has line ends between values alone.
        member: async (item) => {
          const text = (await jsonOf(item, settings)).toString()
          return { row: item.row, bytes: Buffer.from(text.replaceAll(/[\r\n]+/g, ' ')) }
        },
        joined: async (members) => joinedBy(members, '', '\n', '\n'),
      }
    case 'xml':
      return xmlForm(settings, as.settings)
    case 'text':
      return {
        ending: '.txt',
        mediaType: 'text/plain',
        member: async (item) => ({ row: item.row, bytes: await documentOf(item, settings) }),
        joined: async (members) => joinedText(members, as.settings),
      }
    default:
      return {
        ending: '.zip',
        mediaType: 'application/zip',
        member: async (item) => {
          const { name } = item.row
          const why = typeof name === 'string' ? pathProblem(name) : 'it has no field `name`'
          if (why !== null) throw mergeFault('MERGE_MEMBER_INVALID', { where: 'field name', why })
          return { row: item.row, bytes: await documentOf(item, settings) }
        },
        joined: async (members) => packZip(zipFiles(members), {}),
      }
  }
}

/** A row that is all of its item, or a document in JSON. */
async function jsonOf(item: Item, settings: MergeSettings): Promise<Buffer> {
  if (item.content === undefined && settings.field === undefined) return Buffer.from(formatJsonRecord(item.row))
  const bytes = await documentOf(item, settings)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    JSON.parse(text)
    return Buffer.from(text.trim())
  } catch (error) {
    throw mergeFault('MERGE_MEMBER_INVALID', { where: 'merge: as.json', why: `no JSON: ${(error as Error).message}` })
  }
}

function joinedBy(members: readonly Member[], before: string, between: string, behind: string): Buffer {
  const parts: Uint8Array[] = [Buffer.from(before)]
  const separator = Buffer.from(between)
  for (const [i, { bytes }] of members.entries()) {
    if (i > 0) parts.push(separator)
    parts.push(bytes ?? separator)
  }
  parts.push(Buffer.from(behind))
  return Buffer.concat(parts)
}

function xmlForm(settings: MergeSettings, { element, namespace }: { element: string; namespace?: string }): Form {
  const parser = new XmlParser()
  const declaration = namespace === undefined ? '' : ` xmlns="${escapeValue(namespace)}"`
  return {
    ending: '.xml',
    mediaType: 'application/xml',
    /** The root element alone. One without a default namespace must not get that of the element around it. */
    member: async (item) => {
      const { source, from } = parser.parse(decodeXml(await documentOf(item, settings)))
      const start = from[1] as number
      const { nameEnd, attributes } = tagOf(source, start)
      const none = declaration !== '' && !attributes.has('xmlns') ? ' xmlns=""' : ''
      const text = source.slice(start, nameEnd) + none + source.slice(nameEnd, elementEnd(source, start))
      return { row: item.row, bytes: Buffer.from(text) }
    },
    joined: async (members) => joinedBy(members, `${XML_DECLARATION}<${element}${declaration}>`, '', `</${element}>`),
  }
}

function joinedText(
  members: readonly Member[],
  { separator, header, closeLines }: { separator: string; header: number; closeLines: boolean },
): Buffer {
  const parts: Uint8Array[] = []
  let first: Uint8Array | null = null
  for (const [i, { bytes }] of members.entries()) {
    if (bytes === null) continue
    if (i > 0) parts.push(Buffer.from(separator))
    if (first === null || bytes.length === 0) parts.push(bytes)
    else if (headerOf(bytes, header) === headerOf(first, header)) {
      parts.push(bytes.subarray(Math.max(behindLines(bytes, header), markBytes(bytes))))
    } else {
      // What stands below another header has other columns.
      const why = `the first lines of item ${i + 1} are not those of the first`
      throw mergeFault('MERGE_MEMBER_INVALID', { where: 'merge: as.text.header', why })
    }
    if (bytes.length > 0) first ??= bytes
    if (closeLines && i < members.length - 1 && bytes.length > 0 && bytes.at(-1) !== LF) parts.push(Buffer.from('\n'))
  }
  return Buffer.concat(parts)
}

/** Its characters are only compared, whatever the encoding is. */
function headerOf(bytes: Uint8Array, lines: number): string {
  const text = Buffer.from(bytes.subarray(markBytes(bytes), behindLines(bytes, lines))).toString('latin1')
  return text.replace(/\r?\n$/, '').replaceAll('\r\n', '\n')
}

/** A byte order mark of UTF-8 is one at the beginning of a text only. */
const markBytes = (bytes: Uint8Array): number => (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0)

function behindLines(bytes: Uint8Array, lines: number): number {
  let at = 0
  for (let i = 0; i < lines; i += 1) {
    const feed = bytes.indexOf(LF, at)
    if (feed < 0) return bytes.length
    at = feed + 1
  }
  return at
}

/** A second member of the same name gets a number, as a second file does. */
function zipFiles(members: readonly Member[]): { name: string; bytes: Uint8Array }[] {
  const taken = new Set<string>()
  return members.map(({ row, bytes }) => {
    const wanted = String(row.name)
    const slash = wanted.lastIndexOf('/') + 1
    let name = wanted
    for (let n = 2; taken.has(sameOnDisk(name)); n += 1) {
      name = wanted.slice(0, slash) + pointedName(wanted.slice(slash), n)
    }
    taken.add(sameOnDisk(name))
    return { name, bytes: bytes ?? Buffer.alloc(0) }
  })
}
