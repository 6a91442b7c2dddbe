// The members of a zip archive, checked before any is given: what two readers could see differently is refused. The central
// directory is read by yauzl; the bytes of the members here, because they are in memory, within bounds.

import { isUtf8 } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { type Entry, fromBuffer, type ZipFile } from 'yauzl'
import { Fault } from '#protocol/base/mod.ts'
import { isReallyUtf8 } from '../../formats/mod.ts'
import { pathProblem, sameOnDisk } from '../attached.ts'
import { compressFault } from '../compress/mod.ts'
import { type Bounds, inflated, outputBound } from './inflate.ts'

export type ZipMember = { readonly name: string; readonly bytes: Buffer }

export type UnzipOptions = Bounds & {
  readonly membersMax: number
  readonly nameEncoding: string
  /** Names stay in memory: they need not be such as a disk takes. Workbooks have `.rels`. */
  readonly anyName?: boolean
}

const LOCAL_BYTES = 30
const LOCAL_SIGNATURE = 0x04034b50
const STORED = 0
const DEFLATED = 8
const ENCRYPTED = 0x0001 | 0x0040 | 0x2000
const NAMES_UTF8 = 0x0800
const UNICODE_PATH = 0x7075
const MADE_BY_UNIX = 3
const UNIX_TYPE = 0xf000
const UNIX_FILE = 0x8000
const UNIX_FOLDER = 0x4000

/** Files in the order of the archive; folders are left out. Faults: `COMPRESSED_INVALID`, `DECOMPRESSED_…`, `ZIP_…`. */
export async function unzip(bytes: Buffer, options: UnzipOptions): Promise<ZipMember[]> {
  const bound = outputBound(bytes.length, options)
  const entries = await entriesOf(bytes, options.membersMax)
  const seen = new Set<string>()
  const spans: Span[] = []
  const files = entries.flatMap((entry) => {
    const name = nameOf(entry, options.nameEncoding)
    const why = options.anyName === true ? null : pathProblem(name.endsWith('/') ? name.slice(0, -1) : name)
    if (why !== null) throw invalid(name, why)
    const data = checkEntry(bytes, entry, name)
    spans.push({ from: entry.relativeOffsetOfLocalHeader, to: data.byteOffset - bytes.byteOffset + data.length, name })
    if (name.endsWith('/')) return []
    if (seen.has(sameOnDisk(name))) throw invalid(name, 'another member has the same name')
    seen.add(sameOnDisk(name))
    return [{ entry, name, data }]
  })
  checkSpans(spans)
  const members: ZipMember[] = []
  let left = bound.bytes
  for (const { entry, name, data } of files) {
    if (entry.uncompressedSize > left) throw bound.beyond()
    const content = entry.compressionMethod === STORED ? data : await inflatedMember(data, entry, name)
    if (content.length !== entry.uncompressedSize) throw invalid(name, 'it has another size than the archive says')
    if (crc32(content) !== entry.crc32) throw invalid(name, 'its checksum is wrong')
    left -= content.length
    members.push({ name, bytes: content })
  }
  return members
}

/** At most the size the archive says, which is within the bounds. */
async function inflatedMember(data: Buffer, entry: Entry, name: string): Promise<Buffer> {
  try {
    const beyond = () => invalid(name, 'it has another size than the archive says')
    return await inflated('deflate-raw', data, { limitBytes: Math.max(entry.uncompressedSize, 1), beyond })
  } catch (error) {
    throw error instanceof Fault && error.code === 'COMPRESSED_INVALID' ? invalid(name, error.message) : error
  }
}

/** Rejects with what is wrong with the central directory. */
function entriesOf(bytes: Buffer, membersMax: number): Promise<Entry[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Entry[]>()
  const broken = (error: Error): void =>
    reject(compressFault('COMPRESSED_INVALID', { why: error.message, cause: error }))
  const options = { lazyEntries: true, decodeStrings: false, validateEntrySizes: true }
  fromBuffer(bytes, options, (error, archive?: ZipFile) => {
    if (error !== null || archive === undefined) return broken(error ?? new Error('no archive'))
    if (archive.entryCount > membersMax) {
      return reject(compressFault('ZIP_MEMBERS', { why: `${archive.entryCount} members`, limit: membersMax }))
    }
    const entries: Entry[] = []
    archive.on('error', broken)
    archive.on('end', () => resolve(entries))
    archive.on('entry', (entry: Entry) => {
      entries.push(entry)
      archive.readEntry()
    })
    archive.readEntry()
  })
  return promise
}

function nameOf(entry: Entry, encoding: string): string {
  const raw = entry.fileNameRaw
  const unicode = entry.extraFields.find(
    ({ id, data }) => id === UNICODE_PATH && data.length >= 6 && data[0] === 1,
  )?.data
  // Info-ZIP's field holds for the name it was made of; another writer may have changed that since.
  const holds = unicode !== undefined && unicode.readUInt32LE(1) === crc32(raw)
  // Some write UTF-8 and do not say so, macOS above all.
  const says = (entry.generalPurposeBitFlag & NAMES_UTF8) !== 0 || isReallyUtf8(raw, encoding, 2)
  const [bytes, label] = holds ? [unicode.subarray(5), 'utf-8'] : [raw, says ? 'utf-8' : encoding]
  try {
    return new TextDecoder(label, { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    if (isUtf8(bytes)) return bytes.toString('utf8')
    throw invalid(raw.toString('latin1'), `its name is not in ${label}: set \`nameEncoding\``)
  }
}

/** What the archive holds of the member. */
function checkEntry(bytes: Buffer, entry: Entry, name: string): Buffer {
  const isFolder = name.endsWith('/')
  if ((entry.generalPurposeBitFlag & ENCRYPTED) !== 0) throw compressFault('ZIP_ENCRYPTED', { where: shown(name) })
  if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED) {
    throw invalid(name, `it is compressed by method ${entry.compressionMethod}; only stored and deflate are taken`)
  }
  if (entry.versionMadeBy >>> 8 === MADE_BY_UNIX) {
    const type = (entry.externalFileAttributes >>> 16) & UNIX_TYPE
    if (type !== 0 && type !== UNIX_FILE && type !== UNIX_FOLDER) throw invalid(name, 'it is a link or a device')
  }
  if (isFolder && entry.uncompressedSize !== 0) throw invalid(name, 'it is a folder with content')
  const at = entry.relativeOffsetOfLocalHeader
  if (at + LOCAL_BYTES > bytes.length || bytes.readUInt32LE(at) !== LOCAL_SIGNATURE)
    throw invalid(name, 'its header is missing')
  const nameBytes = bytes.readUInt16LE(at + 26)
  const from = at + LOCAL_BYTES + nameBytes + bytes.readUInt16LE(at + 28)
  const sameName = bytes.subarray(at + LOCAL_BYTES, at + LOCAL_BYTES + nameBytes).equals(entry.fileNameRaw)
  if (!sameName || bytes.readUInt16LE(at + 8) !== entry.compressionMethod) {
    throw invalid(name, 'its header says another thing than the directory of the archive')
  }
  if (from + entry.compressedSize > bytes.length) throw invalid(name, 'it is cut')
  return bytes.subarray(from, from + entry.compressedSize)
}

type Span = { readonly from: number; readonly to: number; readonly name: string }

/** Members that share bytes multiply what a small archive gives. */
function checkSpans(spans: Span[]): void {
  spans.sort((a, b) => a.from - b.from)
  for (let i = 1; i < spans.length; i += 1) {
    const span = spans[i] as Span
    if (span.from < (spans[i - 1] as Span).to) throw invalid(span.name, 'it shares bytes with another member')
  }
}

const invalid = (name: string, why: string): Fault => compressFault('ZIP_MEMBER_INVALID', { where: shown(name), why })

/** For people: without what controls what shows it. */
const shown = (name: string): string => JSON.stringify(name.slice(0, 80)).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
