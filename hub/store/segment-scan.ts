// Finds the records of a segment file without any rows: for compaction and for the offline tools. Follows the chain of
// headers, and where that is broken (damage, padding, the unwritten end) looks at every place a record may begin.

import { read } from 'node:fs'
import { promisify } from 'node:util'
import {
  FILE_HEADER_BYTES,
  parseRecordHeader,
  RECORD_ALIGN,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  recordBytes,
} from './segment-file.ts'
import type { FileOwner, SegmentFiles } from './segment-files.ts'

const readAsync = promisify(read)
const CHUNK_BYTES = 256 * 1024

export type FoundRecord = { readonly seq: number; readonly offset: number; readonly header: RecordHeader }

/**
 * Records of one life, or of all lives with `null`, ascending by offset. Hold the segment meanwhile. A record's batch is
 * not read and may be damaged, and may lie partly under another record, of a later life.
 */
export async function* recordsIn(
  files: SegmentFiles,
  owner: FileOwner,
  life: number | null,
): AsyncGenerator<FoundRecord> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let from = 0
  let filled = 0
  let offset = FILE_HEADER_BYTES
  while (offset + RECORD_HEADER_BYTES <= owner.capacity) {
    if (offset < from || offset + RECORD_HEADER_BYTES > from + filled) {
      from = offset
      filled = (await readAsync(files.handle(owner), chunk, 0, CHUNK_BYTES, from)).bytesRead
      if (filled < RECORD_HEADER_BYTES) return
    }
    const header = parseRecordHeader(chunk.subarray(0, filled), offset - from)
    const ours = header !== null && (life === null || header.life === life)
    if (ours) yield { seq: header.seq, offset, header }
    // With several lives in a file, one's records may begin within another's.
    offset += ours && life !== null ? recordBytes(header.bytes) : RECORD_ALIGN
  }
}
