// A large file and two later versions of it: one with places replaced, one with bytes put in. The same at each making.

import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, renameSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { type Content, digestOf, makeContent } from './content.ts'

const MB = 1e6
/** In 1 GB; in proportion otherwise. */
const PLACES_PER_GB = 100
const PLACE_BYTES = 105_000
const INSERTIONS_PER_GB = 10
const INSERTION_BYTES = MB

export const versionsText = `of version 2 ${PLACES_PER_GB} places of ${PLACE_BYTES / 1000} kB in 1 GB are replaced; into version 3 ${INSERTIONS_PER_GB} times ${INSERTION_BYTES / MB} MB are inserted`

/** Makes the first one at `path`. */
export const firstVersion = (path: string, bytes: number): Promise<Content> => makeContent(path, bytes)

/** Turns it into the second one. */
export async function replacePlaces({ path, bytes }: Content): Promise<Content> {
  const file = await open(path, 'r+')
  try {
    for (const at of spread('replaced', countIn(bytes, PLACES_PER_GB), bytes - PLACE_BYTES)) {
      await file.write(noise(`replaced ${at}`, PLACE_BYTES), 0, PLACE_BYTES, at)
    }
    await file.datasync()
  } finally {
    await file.close()
  }
  return { path, bytes, sha256: await digestOf(path) }
}

/** And the third one. */
export async function insertBytes({ path, bytes }: Content): Promise<Content> {
  const places = spread('inserted', countIn(bytes, INSERTIONS_PER_GB), bytes)
  const fresh = `${path}.new`
  const out = createWriteStream(fresh)
  let from = 0
  for (const at of [...places, bytes]) {
    const part = at > from ? createReadStream(path, { start: from, end: at - 1, highWaterMark: 2 ** 20 }) : []
    for await (const block of part) if (!out.write(block)) await once(out, 'drain')
    if (at < bytes) out.write(noise(`inserted ${at}`, INSERTION_BYTES))
    from = at
  }
  out.end()
  await finished(out)
  renameSync(fresh, path)
  return { path, bytes: bytes + places.length * INSERTION_BYTES, sha256: await digestOf(path) }
}

const countIn = (bytes: number, perGb: number): number => Math.max(1, Math.round((bytes / 1e9) * perGb))

/** Places below `end`, one in each of `count` equal parts. */
function spread(name: string, count: number, end: number): number[] {
  const digits = noise(name, 4 * count)
  return Array.from({ length: count }, (_, i) =>
    Math.floor(((i + 0.1 + 0.8 * (digits.readUInt32LE(4 * i) / 2 ** 32)) * end) / count),
  )
}

function noise(name: string, bytes: number): Buffer {
  const seed = createHash('sha256').update(name).digest()
  return createCipheriv('aes-128-ctr', seed.subarray(0, 16), seed.subarray(16)).update(Buffer.alloc(bytes))
}
