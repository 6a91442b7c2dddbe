// What the tests of the contents' store share.

import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import { Random } from '#protocol/bytes/testing.ts'
import { decodeChunk, encodeChunk } from '#protocol/transfer/mod.ts'
import type { Chunk } from './adding.ts'
import { checkContents } from './check.ts'
import type { StoredChunk } from './chunks.ts'
import { ContentStore, type ContentStoreOptions } from './content-store.ts'
import type { ContentInfo, ContentView } from './info.ts'

export const KIB = 1024
export const MIB = 1024 * KIB

export const digestOf = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()

export const infoOf = (given: Partial<ContentInfo> & { id: string; size: number }): ContentInfo => ({
  origin: 'agent',
  name: 'scan.tif',
  mediaType: 'image/tiff',
  chunkBytes: 0,
  createdAtMs: 1000,
  keepMs: 60_000,
  ...given,
})

export function randomBytes(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  // Enough to make each chunk another one.
  for (let at = 0; at + 4 <= length; at += 1024) bytes.writeUInt32LE(random.below(2 ** 32), at)
  return bytes
}

export const idOf = (number: number): string => number.toString(16).padStart(32, '0')

/** Begins a content and adds all its chunks at once. */
export async function send(
  store: ContentStore,
  chunks: readonly Buffer[],
  given: Partial<ContentInfo> & { id: string },
): Promise<ContentView> {
  const size = chunks.reduce((sum, { length }) => sum + length, 0)
  await store.begin(infoOf({ size, ...given }))
  await Promise.all(chunks.map((bytes, index) => store.add(given.id, index, chunkOf(bytes))))
  return store.get(given.id) as ContentView
}

/** A store of small segments whose faults fail the test, as long as it runs: the folder is gone when its store is closed at last. */
export function opened(t: Test, folder: string, options: Partial<ContentStoreOptions> = {}): ContentStore {
  let ended = false
  const store = ContentStore.open({
    folder,
    bytesMax: 256 * MIB,
    freeBytesMin: 0,
    segmentBytes: MIB,
    onFault: (fault) => {
      if (!ended) t.fail(fault.message)
    },
    ...options,
  })
  t.teardown(() => {
    ended = true
    return store.close()
  })
  return store
}

export const chunkOf = (bytes: Buffer): Chunk => ({ digest: digestOf(bytes), length: bytes.length, bytes })

/** The same in its encoded form. */
export function encodedChunkOf(bytes: Buffer): Chunk & { bytes: Buffer } {
  const encoded = encodeChunk(bytes, bytes.length - 1)
  if (encoded === null) throw new Error('it does not compress')
  return { ...chunkOf(bytes), bytes: encoded, isEncoded: true }
}

/** A chunk as its sender had it. */
export const plainOf = ({ bytes, length }: StoredChunk): Buffer =>
  bytes.length < length ? decodeChunk(bytes, length) : bytes

/** What a check finds wrong, in words. */
export async function wrongIn(folder: string): Promise<string[]> {
  const { damaged, problems } = await checkContents(folder)
  return [...problems, ...damaged.map(({ id, index, why }) => `content ${id}, chunk ${index}: ${why}`)]
}

/** The same bytes for the same number, 1 to 100 KiB. */
export function numberedChunk(number: number): Buffer {
  const random = new Random(number)
  return randomBytes(random, KIB + random.below(99 * KIB))
}

/** That chunk as it is added: every other one is encoded. */
export function numberedAdd(number: number): Chunk {
  const bytes = numberedChunk(number)
  return number % 2 === 1 ? encodedChunkOf(bytes) : chunkOf(bytes)
}
