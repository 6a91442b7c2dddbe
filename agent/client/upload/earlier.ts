// How files were cut when they were sent, by their names: a later version is cut alike, though it may have grown. Kept beside the
// journals; what is lost costs bytes on the line.

import { mkdir, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ed25519 } from '#protocol/crypto/mod.ts'
import type { EarlierCut } from './cutting.ts'
import { EARLIER_CUTS_MAX } from './limits.ts'

const ENDING = '.cut'

/** `null` when it is not known. */
export async function earlierCut(folder: string, name: string): Promise<EarlierCut | null> {
  try {
    const found = JSON.parse(await readFile(pathOf(folder, name), 'utf8')) as Record<string, unknown>
    const { chunkBytes, average } = found
    if (found.name !== name || !isLength(chunkBytes) || !isLength(average)) return null
    return chunkBytes > 0 === average > 0 ? null : { chunkBytes, average }
  } catch {
    return null
  }
}

/** The oldest of very many are forgotten. */
export async function noteCut(folder: string, name: string, { chunkBytes, average }: EarlierCut): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(pathOf(folder, name), JSON.stringify({ name, chunkBytes, average }), { mode: 0o600 })
  const noted = (await readdir(folder)).filter((entry) => entry.endsWith(ENDING)).map((entry) => join(folder, entry))
  if (noted.length <= EARLIER_CUTS_MAX) return
  const dated = await Promise.all(noted.map(async (path) => ({ path, atMs: (await stat(path)).mtimeMs })))
  // A tenth at once, so that this is not done for every file.
  const old = dated.sort((a, b) => a.atMs - b.atMs).slice(0, noted.length - EARLIER_CUTS_MAX * 0.9)
  for (const { path } of old) await unlink(path)
}

const pathOf = (folder: string, name: string): string =>
  join(folder, `${ed25519.digest(Buffer.from(name)).toString('hex', 0, 16)}${ENDING}`)

const isLength = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
