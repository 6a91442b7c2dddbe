// A stopped hub's folder that was put back to an older copy, or moved from a backup: it gets a new store id, so that nobody
// takes its positions for those that were given out after the copy.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { OFFLINE_BYTES_MAX } from './check.ts'
import { Engine } from './engine.ts'
import { storeFault } from './faults.ts'
import { versionOf } from './migrate.ts'
import { STORE_ID_BYTES } from './store.ts'

export type RestoredResult = {
  readonly folder: string
  readonly storeIdBefore: string
  readonly storeId: string
}

/**
 * Draws a new store id; resolves when it is on disk. Doing it once more than needed costs only that consumers begin anew.
 * Works on a copy of an older version of the store too, which the next start migrates. Faults: `STORE_MISSING`,
 * `STORE_IN_USE`, `STORE_VERSION`, `STORE_DAMAGED`, `STORE_IO`.
 */
export async function markRestored(dataDir: string): Promise<RestoredResult> {
  const folder = join(dataDir, 'store')
  if (!existsSync(join(folder, 'store.mdb'))) throw storeFault('STORE_MISSING', { where: folder })
  const engine = Engine.open(folder, OFFLINE_BYTES_MAX, { freeBytesMin: 0 })
  try {
    const meta = engine.table('meta')
    const before = meta.get('id')
    // A hub that was killed while it made the store: the next start makes it, with an id of its own.
    if (versionOf(engine) === null || before === undefined) {
      throw storeFault('STORE_MISSING', { where: folder, why: 'nothing was ever stored in it' })
    }
    const storeIdBefore = before.toString('hex')
    const id = randomBytes(STORE_ID_BYTES)
    await engine.append(0, { write: () => meta.put('id', id), done: () => undefined })
    return { folder: dataDir, storeIdBefore, storeId: id.toString('hex') }
  } finally {
    await engine.close()
  }
}
