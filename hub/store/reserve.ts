// Disk space held back. LMDB copies pages before it frees them, so on a full disk even settling can fail, and the store
// could never empty itself. Then this file is given up, upkeep goes through, and the file is made again when there is
// space.

import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { DISK_RESERVE_BYTES } from './limits.ts'

const { ENOSPC, EDQUOT, EIO } = constants.errno
const MDB_MAP_FULL = -30792
/** Where it cannot be made although there is space, it is not tried before every transaction. */
const TRIES_MAX = 8

/**
 * Does this error number of a commit say that there is no space? A write cut short by a full disk reaches us as `EIO`.
 */
export function meansNoSpace(errno: number, folder: string, neededBytes: number): boolean {
  if (errno === ENOSPC || errno === EDQUOT || errno === MDB_MAP_FULL) return true
  return errno === EIO && freeBytes(folder) < neededBytes
}

export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

/** Bytes of the whole file system. */
export function diskBytes(folder: string): number {
  const { blocks, bsize } = statfsSync(folder)
  return blocks * bsize
}

export class Reserve {
  private readonly folder: string
  private readonly file: string
  private held_: boolean
  private tries = 0

  constructor(folder: string) {
    this.folder = folder
    this.file = join(folder, 'reserve')
    this.held_ = (statSync(this.file, { throwIfNoEntry: false })?.size ?? 0) === DISK_RESERVE_BYTES
  }

  get held(): boolean {
    return this.held_
  }

  /** Makes the file when it is missing and there is ample space; a disk without space is no error here. */
  ensure(): void {
    if (this.held_ || this.tries >= TRIES_MAX || freeBytes(this.folder) < 4 * DISK_RESERVE_BYTES) return
    this.tries++
    const file = openSync(this.file, 'w', 0o600)
    try {
      // Random bytes: a file system that compresses or detects holes would reserve nothing for zeros.
      const written = writeSync(file, randomBytes(DISK_RESERVE_BYTES))
      fsyncSync(file)
      this.held_ = written === DISK_RESERVE_BYTES
      if (this.held_) this.tries = 0
    } catch (error) {
      const errno = -((error as NodeJS.ErrnoException).errno ?? 0)
      if (!meansNoSpace(errno, this.folder, DISK_RESERVE_BYTES)) throw error
      rmSync(this.file, { force: true })
    } finally {
      closeSync(file)
    }
  }

  /** Gives the space back to the disk. */
  giveUp(): void {
    rmSync(this.file, { force: true })
    this.held_ = false
  }
}
