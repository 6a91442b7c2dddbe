// Makes a stopped hub's folder small: copies poorly filled segments together, removes spares, and writes LMDB's file anew
// without its free pages. The new file takes the old one's place by a rename when it is complete and flushed.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Batches } from './batches.ts'
import { openOffline } from './check.ts'
import { syncFolder } from './header.ts'

export type CompactResult = {
  readonly folder: string
  readonly rowsBytesBefore: number
  readonly rowsBytesAfter: number
  readonly segmentBytesBefore: number
  readonly segmentBytesAfter: number
}

/** Faults: as `checkStore`, `STORE_FULL`: the folder is as it was, as far as it did not get. */
export async function compactStore(
  dataDir: string,
  options: { onProgress?: (what: { phase: 'segments' | 'rows' }) => void } = {},
): Promise<CompactResult> {
  const tell = options.onProgress ?? (() => undefined)
  const folder = join(dataDir, 'store')
  const file = join(folder, 'store.mdb')
  const copy = `${file}-compact`
  const sizeOf = () => statSync(file).size
  const engine = openOffline(dataDir)
  const rowsBytesBefore = sizeOf()
  const segmentBytesBefore = engine.segments.fileBytes
  let segmentBytesAfter = segmentBytesBefore
  try {
    tell({ phase: 'segments' })
    const { compaction } = new Batches(engine, 0)
    await compaction.all()
    engine.segments.removeSpares()
    segmentBytesAfter = engine.segments.fileBytes
    tell({ phase: 'rows' })
    rmSync(copy, { force: true })
    await engine.copyRows(copy)
  } catch (error) {
    rmSync(copy, { force: true })
    throw error
  } finally {
    // Holding the lock until the file is in its place.
    await engine.close(() => {
      if (statSync(copy, { throwIfNoEntry: false }) !== undefined) replace(folder, copy, file)
    })
  }
  return { folder: dataDir, rowsBytesBefore, rowsBytesAfter: sizeOf(), segmentBytesBefore, segmentBytesAfter }
}

function replace(folder: string, copy: string, file: string): void {
  const handle = openSync(copy, 'r+')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  rmSync(`${file}-lock`, { force: true })
  renameSync(copy, file)
  syncFolder(folder)
}
