// A zip archive of files in memory (APPNOTE 6.3.10): deflated or stored, names in UTF-8, no ZIP64. The same files give the same
// archive: members have no times but the one that the format can express first.

import { promisify } from 'node:util'
import { crc32, deflateRaw } from 'node:zlib'
import { compressFault } from './faults.ts'

const deflated = promisify(deflateRaw) as (bytes: Uint8Array, options: { level?: number }) => Promise<Buffer>

export type ZipFile = { readonly name: string; readonly bytes: Uint8Array }

const LOCAL_BYTES = 30
const CENTRAL_BYTES = 46
const END_BYTES = 22
const LOCAL_SIGNATURE = 0x04034b50
const CENTRAL_SIGNATURE = 0x02014b50
const END_SIGNATURE = 0x06054b50
/** Deflate; what reads 2.0 reads it. */
const VERSION = 20
const STORED = 0
const DEFLATED = 8
const NAMES_UTF8 = 0x0800
/** 1980-01-01. */
const FIRST_DATE = (1 << 5) | 1
const COUNT_MAX = 0xffff
const SIZE_MAX = 0xffff_ffff

/** Names must be checked. Faults: `ZIP_MEMBERS`. */
export async function packZip(
  files: readonly ZipFile[],
  options: { readonly level?: number | undefined },
): Promise<Buffer> {
  if (files.length > COUNT_MAX) throw compressFault('ZIP_MEMBERS', { why: `${files.length} files` })
  const parts: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const { name, bytes } of files) {
    const squeezed = await deflated(bytes, options.level === undefined ? {} : { level: options.level })
    const isSmaller = squeezed.length < bytes.length
    const data = isSmaller ? squeezed : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const nameBytes = Buffer.from(name)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(VERSION, 0)
    common.writeUInt16LE(NAMES_UTF8, 2)
    common.writeUInt16LE(isSmaller ? DEFLATED : STORED, 4)
    common.writeUInt16LE(FIRST_DATE, 8)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(bytes.length, 18)
    common.writeUInt16LE(nameBytes.length, 22)
    const local = Buffer.alloc(LOCAL_BYTES)
    local.writeUInt32LE(LOCAL_SIGNATURE, 0)
    common.copy(local, 4)
    const entry = Buffer.alloc(CENTRAL_BYTES)
    entry.writeUInt32LE(CENTRAL_SIGNATURE, 0)
    entry.writeUInt16LE(VERSION, 4)
    common.copy(entry, 6)
    entry.writeUInt32LE(offset, 42)
    parts.push(local, nameBytes, data)
    central.push(entry, nameBytes)
    offset += LOCAL_BYTES + nameBytes.length + data.length
    if (offset > SIZE_MAX) throw compressFault('ZIP_MEMBERS', { why: 'together they are larger than 4 GiB' })
  }
  const directoryBytes = central.reduce((sum, part) => sum + part.length, 0)
  const end = Buffer.alloc(END_BYTES)
  end.writeUInt32LE(END_SIGNATURE, 0)
  end.writeUInt16LE(files.length, 8)
  end.writeUInt16LE(files.length, 10)
  end.writeUInt32LE(directoryBytes, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, ...central, end])
}
