// Small files that must survive a power cut: temp file, write, fsync, rename, fsync of the folder. Readable by the
// owner only.

import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { identityFault } from './faults.ts'

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

/** Keys, certificates and the identity are below 16 KiB each; more is not ours. */
const FILE_BYTES_MAX = 64 * 1024

/** Windows can neither open nor flush a folder; its file system journals renames. */
const flushesFolders = process.platform !== 'win32'

/**
 * Creates `path` for the owner alone; existing folders stay as they are. One call of `mkdir` a name: Node's own way through missing parents
 * has no end where a file system makes no folders (/proc).
 */
export function makeFolder(path: string, tries = 2): void {
  try {
    mkdirSync(path, { mode: FOLDER_MODE })
  } catch (error) {
    if (isFolder(path)) return
    const parent = dirname(path)
    if (!isMissing(error)) throw error
    if (!isFolder(parent)) makeFolder(parent)
    // Another process may have made it meanwhile: once more.
    else if (tries <= 1) throw error
    makeFolder(path, tries - 1)
    return
  }
  flushFolder(dirname(path))
}

/** Either the old content or the new one, whatever happens; durable on return. */
export function writeDurably(path: string, text: string): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const file = openSync(temporary, 'wx', FILE_MODE)
    try {
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  flushFolder(dirname(path))
}

/** The text, or `null` when there is no such file. Faults: IDENTITY_INVALID. */
export function readIfThere(path: string): string | null {
  try {
    if (statSync(path).size > FILE_BYTES_MAX)
      throw identityFault('IDENTITY_INVALID', { where: path, why: 'it is too long' })
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/**
 * Refuses a private key that others may read, as ssh does. Windows has no such bits: the folder's rights count there.
 */
export function refuseExposed(path: string): void {
  if (process.platform === 'win32') return
  const mode = statSync(path).mode & 0o777
  if ((mode & 0o077) !== 0)
    throw identityFault('IDENTITY_KEY_EXPOSED', { where: path, why: `its mode is ${mode.toString(8)}` })
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

function flushFolder(path: string): void {
  if (!flushesFolders) return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
