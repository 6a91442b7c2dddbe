// Looks at the store's file before LMDB maps it into memory. LMDB ends the whole process with a signal when the file is
// not one of its own (SIGSEGV) or was cut short (SIGBUS on the first page that is missing); neither can be caught.
//
// Layout of a meta page, offsets from its start: 24 u32 magic · 28 u32 version · 48 u32 page size · 144 u64 last page ·
// 152 u64 transaction. The file begins with two of them; the one with the higher transaction counts.

import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { storeFault } from './faults.ts'

const META_BYTES = 168
const MAGIC = 0xbeefc0de
const VERSION = 2
const PAGE_BYTES_MIN = 4096
const PAGE_BYTES_MAX = 65_536

type Meta = { readonly pageBytes: number; readonly lastPage: number; readonly transaction: bigint }

/**
 * Throws `STORE_DAMAGED` unless LMDB can safely open `file`. A file without its two meta pages is fine until
 * `markMade` was called: the hub was killed while it made the file, and nothing can have been acknowledged yet. Later
 * it means that the file is lost; beginning anew in silence would take everything a second time.
 */
export function checkFile(file: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size < 2 * PAGE_BYTES_MIN) {
    if (existsSync(markerOf(file))) {
      throw storeFault('STORE_DAMAGED', { where: file, why: `the file was made before and has ${size} bytes now` })
    }
    rmSync(file, { force: true })
    return
  }
  const handle = openSync(file, 'r+')
  try {
    const first = readMeta(handle, 0, file)
    const second = readMeta(handle, first.pageBytes, file)
    const { lastPage } = first.transaction > second.transaction ? first : second
    const expected = (lastPage + 1) * first.pageBytes
    if (!Number.isSafeInteger(expected)) {
      throw storeFault('STORE_DAMAGED', { where: file, why: `it claims ${lastPage} pages` })
    }
    // LMDB may leave free pages at the end unwritten, so a shorter file can be sound. Made as long as it says, a page
    // that should have been there reads as zeros, which LMDB reports (or the batch's own digest does).
    if (size < expected) ftruncateSync(handle, expected)
  } finally {
    closeSync(handle)
  }
}

/** Notes beside the file that LMDB has made it. Durable once the folder is flushed. */
export function markMade(file: string): void {
  if (!existsSync(markerOf(file))) closeSync(openSync(markerOf(file), 'w', 0o600))
}

/** A new file's name is durable only when its folder is flushed. Windows cannot open folders and does not need it. */
export function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

const markerOf = (file: string): string => `${file}-made`

function readMeta(handle: number, offset: number, file: string): Meta {
  const meta = Buffer.alloc(META_BYTES)
  const read = readSync(handle, meta, 0, META_BYTES, offset)
  const pageBytes = meta.readUInt32LE(48)
  const sound =
    read === META_BYTES &&
    meta.readUInt32LE(24) === MAGIC &&
    (meta.readUInt32LE(28) & 0xffff) === VERSION &&
    pageBytes >= PAGE_BYTES_MIN &&
    pageBytes <= PAGE_BYTES_MAX
  if (!sound) throw storeFault('STORE_DAMAGED', { where: file, why: `there is no meta page at byte ${offset}` })
  return { pageBytes, lastPage: Number(meta.readBigUInt64LE(144)), transaction: meta.readBigUInt64LE(152) }
}
