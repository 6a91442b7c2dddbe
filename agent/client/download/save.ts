// A file that came in its message, put where a download would put it: under a name of its own, whole or not at all.

import { randomUUID } from 'node:crypto'
import { constants, open, readFile } from 'node:fs/promises'
import { checkName } from '#protocol/transfer/mod.ts'
import { NO_LINKS } from './journal.ts'
import { lstatIfThere, Place } from './place.ts'
import { targetFault } from './store.ts'

/**
 * Writes it into the folder `to`; a name that is taken gets a number. What lies there already under such a name is not written
 * again. Gives the path. Faults: `CONTENT_NAME_INVALID`, `DOWNLOAD_INVALID`, `TARGET_EXISTS`, `TARGET_FULL`, `TARGET_FAILED`.
 */
export async function saveFile({ to, name, bytes }: { to: string; name: string; bytes: Uint8Array }): Promise<string> {
  checkName(name)
  const place = await Place.find({ to, as: 'folder', name, id: randomUUID() })
  try {
    for (const path of await place.taken()) if (await holds(path, bytes)) return path
    await write(place.partPath, bytes)
    const path = await place.publish('number')
    await place.sync()
    return path
  } catch (error) {
    // They are found and removed the next time; what matters is why it failed.
    await place.removeLeftovers().catch(() => undefined)
    throw targetFault(place.partPath, error)
  }
}

async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
  const there = await lstatIfThere(path)
  if (there?.isFile() !== true || there.size !== bytes.length) return false
  return (await readFile(path)).equals(bytes)
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_LINKS, 0o666)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}
