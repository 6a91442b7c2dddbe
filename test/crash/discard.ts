// What a power cut may do to a killed hub's segments: whatever no row of LMDB refers to was perhaps never flushed, so it
// may be old, new, zero or anything else. Everything that is referred to was flushed before its row, and stays.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { decodeBatchRow } from '#hub/store/batch-row.ts'
import { Engine } from '#hub/store/engine.ts'
import { FILE_HEADER_BYTES, recordBytes } from '#hub/store/segment-file.ts'
import type { Random } from '#protocol/bytes/testing.ts'

const PIECE_BYTES = 64 * 1024
const ADDRESSES_MAX = 2 ** 40

type Range = [from: number, to: number]

/** Spoils what is not in use; gives how many bytes. The hub that owns the folder is dead. */
export async function discardUnflushed(dataDir: string, random: Random): Promise<number> {
  const engine = Engine.open(join(dataDir, 'store'), ADDRESSES_MAX, { freeBytesMin: 0 })
  const used = new Map<number, Range[]>()
  let files: readonly { path: string; number: number; size: number }[]
  try {
    const table = engine.table('batches')
    for (const key of table.keys()) {
      const { place } = decodeBatchRow(key as number, table.get(key) as Buffer)
      const ranges = used.get(place.segment) ?? [[0, FILE_HEADER_BYTES]]
      ranges.push([place.offset, place.offset + recordBytes(place.bytes)])
      used.set(place.segment, ranges)
    }
    files = engine.segments.files
      .list()
      .map(({ number, size }) => ({ path: engine.segments.files.pathOf(number), number, size }))
  } finally {
    await engine.close()
  }
  const noise = random.bytes(PIECE_BYTES)
  const zeros = Buffer.alloc(PIECE_BYTES)
  let spoiled = 0
  for (const { path, number, size } of files) {
    const file = openSync(path, 'r+')
    for (const [from, to] of gaps(used.get(number) ?? [], size)) {
      if (random.oneIn(3)) continue
      spoiled += to - from
      if (to === size && random.oneIn(2)) ftruncateSync(file, from)
      else fill(file, from, to, random.oneIn(2) ? zeros : noise)
    }
    closeSync(file)
  }
  return spoiled
}

/** What the ranges leave of 0 … size. */
function gaps(ranges: readonly Range[], size: number): Range[] {
  const out: Range[] = []
  let at = 0
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    if (from > at) out.push([at, from])
    at = Math.max(at, to)
  }
  if (at < size) out.push([at, size])
  return out
}

/** As far as the disk allows: holes in a file need blocks of it. */
function fill(file: number, from: number, to: number, piece: Buffer): void {
  try {
    for (let at = from; at < to; at += piece.length) writeSync(file, piece, 0, Math.min(piece.length, to - at), at)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
