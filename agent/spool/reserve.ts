// A megabyte held back. LMDB copies pages before it frees them, so on a full disk even deleting can fail, and the spool
// could never empty itself. Then this file is given up, the deletion goes through, and the file is made again when
// there is space.

import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { RESERVE_BYTES } from './limits.ts'

const { ENOSPC, EDQUOT, EIO } = constants.errno

/**
 * Does this error number of a write say that there is no space? A write cut short by a full disk reaches us as `EIO`.
 */
export function meansNoSpace(errno: number, folder: string, neededBytes: number): boolean {
  if (errno === ENOSPC || errno === EDQUOT) return true
  return errno === EIO && freeBytes(folder) < neededBytes
}

export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

export class Reserve {
  readonly #folder: string
  readonly #file: string
  #held = false

  constructor(folder: string) {
    this.#folder = folder
    this.#file = join(folder, 'reserve')
    this.#held = (statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0) === RESERVE_BYTES
  }

  get held(): boolean {
    return this.#held
  }

  /** Makes the file when it is missing and there is ample space; a disk without space is no error here. */
  ensure(): void {
    if (this.#held || freeBytes(this.#folder) < 4 * RESERVE_BYTES) return
    const file = openSync(this.#file, 'w', 0o600)
    try {
      // Random bytes: a file system that compresses or detects holes would reserve nothing for zeros.
      writeSync(file, randomBytes(RESERVE_BYTES))
      fsyncSync(file)
      this.#held = true
    } catch (error) {
      const errno = -((error as NodeJS.ErrnoException).errno ?? 0)
      if (!meansNoSpace(errno, this.#folder, RESERVE_BYTES)) throw error
      rmSync(this.#file, { force: true })
    } finally {
      closeSync(file)
    }
  }

  /** Gives the space back to the disk. */
  giveUp(): void {
    rmSync(this.#file, { force: true })
    this.#held = false
  }
}
