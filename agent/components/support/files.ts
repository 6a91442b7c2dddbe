// Durable steps on files. The order is always: write, flush the file, rename, flush the folder.

import { link, lstat, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join, parse } from 'node:path'
import { Fault } from '#protocol/base/mod.ts'
import { componentFault } from '../faults.ts'
import { FILES_AT_ONCE, NAME_BYTES_MAX, NAME_TRIES_MAX } from '../limits.ts'

export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}

/** Whether the system does not allow it to us. */
export const isDenied = (error: unknown): boolean => ['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error))

/** A failure of the file system as a fault; `retry` marks those that may pass. Faults go through unchanged. */
export function fileFault(error: unknown, where: string): Fault {
  if (error instanceof Fault) return error
  const details = { where, why: error instanceof Error ? error.message : String(error), cause: error }
  switch (errorCode(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return componentFault('DIRECTORY_MISSING', details)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return componentFault('DIRECTORY_DENIED', details)
    case 'ENOSPC':
    case 'EDQUOT':
      return componentFault('DIRECTORY_FULL', { ...details, retry: true })
    default:
      return componentFault('DIRECTORY_IO', { ...details, retry: true })
  }
}

/** Makes renames and new names in a folder survive a power cut. Windows has no such call and needs none. */
export async function flushFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/**
 * Creates a folder and makes its name durable in its parent. One call of `mkdir` a name: Node's own way through missing
 * parents has no end where a file system makes no folders (/proc).
 */
export async function makeFolder(path: string, tries = 2): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if (await isFolder(path)) return
    const parent = dirname(path)
    if (errorCode(error) !== 'ENOENT') throw error
    if (!(await isFolder(parent))) await makeFolder(parent)
    // Somebody else may have made it meanwhile: once more.
    else if (tries <= 1) throw error
    return await makeFolder(path, tries - 1)
  }
  await flushFolder(dirname(path))
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/** Writes a file whole or not at all: readers see the old content or the new. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`
  await writeFlushed(temporary, content)
  await rename(temporary, path)
  await flushFolder(dirname(path))
}

/** Writes and flushes; the name itself is durable once the caller flushes the folder. */
export async function writeFlushed(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A file's content, or `null` when there is none. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

/**
 * Moves a file into a folder without ever replacing another: `nameOf(n)` is its name when n - 1 are taken. Nothing is flushed. When
 * it is repeated after a crash it finds what it did.
 */
export async function moveToFree(source: string, folder: string, nameOf: (n: number) => string): Promise<string> {
  const pathOf = (n: number): string => join(folder, nameOf(n))
  for (let n = 1; n < NAME_TRIES_MAX; n += 1) {
    if (await linkFree(source, pathOf(n))) {
      await removeIfThere(source)
      return nameOf(n)
    }
    // With a second name it may be there already, under any of them.
    if (n === 1 && (await lstat(source)).nlink === 1) n = await lastTaken(pathOf)
  }
  throw componentFault('DIRECTORY_IO', { where: pathOf(1), why: 'every name is taken', retry: true })
}

/** A number that is taken with a free one behind it; in few looks, as some senders have one name for all their files. */
async function lastTaken(pathOf: (n: number) => string): Promise<number> {
  let taken = 1
  let free = 2
  for (; free < NAME_TRIES_MAX && (await exists(pathOf(free))); free *= 2) taken = free
  while (free - taken > 1) {
    const middle = Math.floor((taken + free) / 2)
    if (await exists(pathOf(middle))) taken = middle
    else free = middle
  }
  return taken
}

/** Gives `to` to the same file, or the file to `to`; false when another file has that name. */
async function linkFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    switch (errorCode(error)) {
      case 'EEXIST':
        return await isSameFile(from, to)
      case 'ENOENT':
      case 'EACCES':
      case 'ENOSPC':
      case 'EXDEV':
        throw error
      default:
        // No second names on this file system: between the look and the move somebody else could come.
        if (await exists(to)) return false
        await rename(from, to)
        return true
    }
  }
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  // One that is gone is not the same.
  const [one, two] = await Promise.all([lstat(a), lstat(b).catch(() => null)])
  return two !== null && one.isFile() && one.ino === two.ino && one.dev === two.dev
}

/** `name.2.csv` when `name.csv` is taken, cut to what a file system can hold. */
export function pointedName(wanted: string, n: number): string {
  const { name: stem, ext } = parse(shortened(wanted))
  return n === 1 ? stem + ext : `${stem}.${n}${ext}`
}

/** Does the same with all of them, `limit` at a time; gives the results in their order. The first failure is thrown at the end. */
export async function atOnce<T, R>(
  items: readonly T[],
  act: (item: T, index: number) => Promise<R>,
  limit = FILES_AT_ONCE,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  let failed: { readonly error: unknown } | null = null
  const work = async (): Promise<void> => {
    while (next < items.length && failed === null) {
      const index = next
      next += 1
      try {
        results[index] = await act(items[index] as T, index)
      } catch (error) {
        failed ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work))
  if (failed !== null) throw (failed as { readonly error: unknown }).error
  return results
}

/** Cuts a name to what a file system can hold, its extension kept. */
function shortened(name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return name
  const { name: stem, ext } = parse(name)
  let cut = [...stem]
  while (cut.length > 1 && Buffer.byteLength(cut.join('') + ext) > NAME_BYTES_MAX) cut = cut.slice(0, -1)
  return (cut.join('') + ext).slice(-NAME_BYTES_MAX)
}

/** Removes a file that may not be there. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}
