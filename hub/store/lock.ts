// One process per store. LMDB would let a second hub in, and the two would give out the same positions.
//
// The lock is SQLite's exclusive lock on an empty file: a lock the kernel holds for the process. Unlike a file with a
// process id in it, it cannot outlive a killed hub nor be mistaken when ids are used again (in a container the hub's id
// is always the same).

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { storeFault } from './faults.ts'

const SQLITE_BUSY = 5

/** Takes the lock of a folder or throws `STORE_IN_USE`. Returns the function that gives it back. */
export function lockFolder(folder: string): () => void {
  const file = join(folder, 'owner.lock')
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(file, { timeout: 0 })
    // A journal on the disk would need a block of it: a full one must not keep us out.
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) throw storeFault('STORE_IN_USE', { where: folder })
    throw storeFault('STORE_IO', { where: file, why: (error as Error).message, cause: error })
  }
  const held = database
  return () => held.close()
}
