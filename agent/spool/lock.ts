// One process per spool. LMDB would let a second one in, and the two would hand out the same sequence numbers.
//
// The lock is SQLite's exclusive lock on an empty file: a lock the kernel holds for the process. Unlike a file with a
// process id in it, it cannot outlive a killed process nor be mistaken when ids are reused (in a container the id is
// always 1).

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { spoolFault } from './faults.ts'

const SQLITE_BUSY = 5

/** Takes the lock of a folder or throws `SPOOL_IN_USE`. Returns the function that gives it back. */
export function lockFolder(folder: string): () => void {
  const file = join(folder, 'owner.lock')
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(file, { timeout: 0 })
    // A journal on the disk would need a block of it: a full one must not keep us out.
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) throw spoolFault('SPOOL_IN_USE', { where: folder })
    throw spoolFault('SPOOL_IO', { where: file, why: (error as Error).message, cause: error })
  }
  const held = database
  return () => held.close()
}
