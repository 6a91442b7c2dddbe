// The file of a state. Little-endian:
//
//   header: 0 u32 "CWS1" · 4 u32 number of the file · 8 u32 CRC-32 of these
//   record: 0 u32 length · 4 u32 CRC-32 · 8 bytes
//
// The checksum of a record goes on from that of the record before, beginning with the header's: so the last one stands for all that
// lies before it, and what an earlier run left behind the end of a state is not taken for its continuation.

import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { stateFault } from './faults.ts'
import { STATE_READ_BYTES, STATE_RECORD_BYTES_MAX } from './limits.ts'

const MAGIC = 0x31535743
export const HEADER_BYTES = 12
export const FRAME_BYTES = 8

/** How far into which file a state reaches, and the checksum there. File 0: nothing is kept. */
export type Extent = { readonly file: number; readonly end: number; readonly crc: number }

export function headerOf(file: number): { readonly bytes: Buffer; readonly crc: number } {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt32LE(file, 4)
  const crc = crc32(bytes.subarray(0, 8))
  bytes.writeUInt32LE(crc, 8)
  return { bytes, crc }
}

/** The eight bytes before a record, which continue from `crc`. */
export function frameOf(record: Buffer, crc: number): { readonly bytes: Buffer; readonly crc: number } {
  const bytes = Buffer.alloc(FRAME_BYTES)
  bytes.writeUInt32LE(record.length, 0)
  const after = crc32(record, crc32(bytes.subarray(0, 4), crc))
  bytes.writeUInt32LE(after, 4)
  return { bytes, crc: after }
}

/** Gives every record up to the end of the state, which must be exactly there. Records are copies. Faults: `STATE_DAMAGED`. */
export async function readFrames(
  handle: FileHandle,
  { file, end, crc: last }: Extent,
  { where, take }: { readonly where: string; readonly take: (record: Buffer) => void },
): Promise<void> {
  const refuse = (at: number, why: string): Error => stateFault('STATE_DAMAGED', { where, why, position: at })
  const reader = new Reading(handle, end)
  const header = await reader.take(HEADER_BYTES)
  const wanted = headerOf(file)
  if (header === null || !header.equals(wanted.bytes)) throw refuse(0, 'it does not begin as it should')
  let { crc } = wanted
  while (reader.at < end) {
    const { at } = reader
    const frame = await reader.take(FRAME_BYTES)
    if (frame === null) throw refuse(at, 'it is cut short')
    const length = frame.readUInt32LE(0)
    const sum = frame.readUInt32LE(4)
    const lengthCrc = crc32(frame.subarray(0, 4), crc)
    const record = length > STATE_RECORD_BYTES_MAX ? null : await reader.take(length)
    if (record === null) throw refuse(at, 'it is cut short, or a length is wrong')
    crc = crc32(record, lengthCrc)
    if (crc !== sum) throw refuse(at, 'a checksum is wrong')
    take(record)
  }
  if (crc !== last) throw refuse(end, 'it is not the state that the position names')
}

/** Reads on to `end`, a block at a time. */
class Reading {
  readonly #handle: FileHandle
  readonly #end: number
  #block: Buffer = Buffer.alloc(0)
  #blockAt = 0
  at = 0

  constructor(handle: FileHandle, end: number) {
    this.#handle = handle
    this.#end = end
  }

  /** A copy of the next bytes; `null` when there are not so many. */
  async take(length: number): Promise<Buffer | null> {
    if (length > this.#end - this.at) return null
    const from = this.at - this.#blockAt
    if (from + length > this.#block.length && !(await this.#load(length))) return null
    const start = this.at - this.#blockAt
    this.at += length
    return Buffer.from(this.#block.subarray(start, start + length))
  }

  async #load(length: number): Promise<boolean> {
    const size = Math.min(this.#end - this.at, Math.max(length, STATE_READ_BYTES))
    const block = Buffer.allocUnsafe(size)
    let filled = 0
    for (let got = -1; got !== 0 && filled < size; filled += got) {
      got = (await this.#handle.read(block, filled, size - filled, this.at + filled)).bytesRead
    }
    this.#block = block.subarray(0, filled)
    this.#blockAt = this.at
    return filled >= length
  }
}
