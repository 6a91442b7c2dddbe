// How a file is cut when nobody says how. By content it is found again behind an insertion, and in finer pieces: of 1 GB, 14,000
// instead of 1,900. That costs three quarters of a second of the sender's processor per GB for the cuts, and for the many chunks
// twice the processor of hub and receiver. Two versions share chunks only when both were cut alike, so the first one decides.

import { extname } from 'node:path'
import { type CutSizes, chunkBytesFor, cutSizesFor } from '#protocol/transfer/mod.ts'
import { CUT_ALWAYS_BYTES_MAX, CUT_BYTES_MIN } from './limits.ts'

export type CutWish = 'auto' | 'fixed' | 'content'

/** As the file, or one of its name, was cut before: `average` is 0 for chunks of one size, else `chunkBytes` is. */
export type EarlierCut = { readonly chunkBytes: number; readonly average: number }

export type CutPlan = { readonly chunkBytes: number; readonly cut: CutSizes | null }

/** Kinds of large files that come back changed here and there: disks, databases, archives and drawings that are not compressed. */
const VERSIONED = new Set(
  (
    '.img .raw .iso .vhd .vhdx .vmdk .vdi .qcow2 .ova .tar ' +
    '.db .sqlite .sqlite3 .mdb .accdb .mdf .ibd .dbf .bak .dmp .dump .sql .gpkg ' +
    '.dwg .dgn .dxf .ifc .step .stp .psd .tif .tiff .las .shp'
  ).split(' '),
)

/** Faults: `TRANSFER_TOO_LARGE`. */
export function planCut(options: {
  readonly size: number
  readonly name: string
  /** It is compressed already: a change in it changes all that follows. */
  readonly isPacked: boolean
  readonly wish: CutWish
  readonly earlier: EarlierCut | null
}): CutPlan {
  const { size, earlier } = options
  const fixed = chunkBytesFor(size, earlier?.chunkBytes)
  const cut = isByContent(options) ? cutSizesFor(size, earlier?.average) : null
  return { chunkBytes: cut === null ? fixed : 0, cut }
}

function isByContent({ size, name, isPacked, wish, earlier }: Parameters<typeof planCut>[0]): boolean {
  if (wish !== 'auto') return wish === 'content'
  if (earlier !== null) return earlier.average > 0
  if (isPacked || size < CUT_BYTES_MIN) return false
  return size <= CUT_ALWAYS_BYTES_MAX || VERSIONED.has(extname(name).toLowerCase())
}
