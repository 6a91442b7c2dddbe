// Reading the files that items carry. A file must be what its source saw: one that was written since is refused, so that nobody
// gets a half of this state and a half of that.

import { type FileHandle, open } from 'node:fs/promises'
import type { Fault } from '#protocol/base/mod.ts'
import type { LocalFile } from '../contract.ts'
import { componentFault } from '../faults.ts'
import { COPY_BYTES } from '../limits.ts'
import { errorCode } from './files.ts'

/** All of a small file. Faults: `FILE_STILL_WRITTEN`, `FILE_UNREADABLE`. */
export async function readSmall(file: LocalFile, where: string): Promise<Buffer> {
  const handle = await openLocal(file, where)
  try {
    // One byte more than there is to be: a longer file is not taken for its beginning.
    const bytes = Buffer.allocUnsafe(file.size + 1)
    let filled = 0
    for (let got = -1; got !== 0 && filled < bytes.length; filled += got) {
      got = await readInto(handle, bytes.subarray(filled), { at: filled, where })
    }
    if (filled !== file.size) throw stillWritten(where, `it had ${file.size} bytes and has another number`)
    await checkSame(handle, file, where)
    return bytes.subarray(0, filled)
  } finally {
    await handle.close()
  }
}

/**
 * Copies a file of any size in constant memory; holes stay holes. Faults: `FILE_STILL_WRITTEN`, `FILE_UNREADABLE`, the reason of
 * `signal`; errors of the system are those of `target`.
 */
export async function copyLocal(
  file: LocalFile,
  target: string,
  { where, signal }: { readonly where: string; readonly signal: AbortSignal },
): Promise<void> {
  await using source = await openLocal(file, where)
  await using copy = await open(target, 'w')
  const bytes = Buffer.allocUnsafe(Math.min(COPY_BYTES, file.size + 1))
  const nothing = Buffer.alloc(bytes.length)
  let at = 0
  for (;;) {
    signal.throwIfAborted()
    const got = await readInto(source, bytes, { at, where })
    if (got === 0) break
    const piece = bytes.subarray(0, got)
    if (!piece.equals(nothing.subarray(0, got))) await writeAll(copy, piece, at)
    at += got
    if (at > file.size) break
  }
  if (at !== file.size) throw stillWritten(where, `it had ${file.size} bytes and has another number`)
  await copy.truncate(at)
  await copy.sync()
  await checkSame(source, file, where)
}

/** Whether it is what its source saw. Faults: as above. */
export async function checkLocal(file: LocalFile, where: string): Promise<void> {
  const handle = await openLocal(file, where)
  try {
    await checkSame(handle, file, where)
  } finally {
    await handle.close()
  }
}

async function openLocal(file: LocalFile, where: string): Promise<FileHandle> {
  try {
    return await open(file.path, 'r')
  } catch (error) {
    throw unreadable(error, where)
  }
}

async function readInto(
  handle: FileHandle,
  bytes: Buffer,
  { at, where }: { at: number; where: string },
): Promise<number> {
  try {
    return (await handle.read(bytes, 0, bytes.length, at)).bytesRead
  } catch (error) {
    throw unreadable(error, where)
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten
  }
}

async function checkSame(handle: FileHandle, file: LocalFile, where: string): Promise<void> {
  const { size, mtimeMs, ino } = await handle.stat()
  if (ino !== file.inode) throw stillWritten(where, 'another file has taken its place')
  if (size !== file.size) throw stillWritten(where, `it had ${file.size} bytes and has ${size}`)
  if (mtimeMs !== file.changedMs) throw stillWritten(where, 'it was written')
}

export const stillWritten = (where: string, why: string): Fault => componentFault('FILE_STILL_WRITTEN', { where, why })

/** What concerns this file alone; the rest (too many open files, a share that is away) is thrown on, and may pass. */
const OF_THE_FILE: ReadonlySet<string> = new Set(['EACCES', 'EIO', 'EISDIR', 'ELOOP', 'ENOENT', 'ENOTDIR', 'EPERM'])

function unreadable(error: unknown, where: string): unknown {
  if (!OF_THE_FILE.has(errorCode(error))) return error
  return componentFault('FILE_UNREADABLE', { where, why: (error as Error).message, cause: error })
}
