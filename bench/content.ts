// Large files of content that nothing can shorten, and the machine in the same state before each measurement with one.

import { createCipheriv, createHash } from 'node:crypto'
import { createReadStream, statfsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { basename, dirname } from 'node:path'
import { complete } from './children.ts'

export type Content = { readonly path: string; readonly bytes: number; readonly sha256: string }

/** What the targets speak of. */
const TARGET_BYTES = 10e9
const SMALLER_BYTES = 4e9
/** Below it is a trial. */
const SMALLEST_BYTES = 1e9
/** On the disk at once: the source, the hub's copy, the result, and one more for what the file system needs. */
const COPIES = 4
const BLOCK_BYTES = 4 * 2 ** 20

/** A file of `bytes` that is new in every 16 bytes, and by its name: the same at each making. Flushed. */
export async function makeContent(path: string, bytes: number): Promise<Content> {
  const seed = createHash('sha256').update(basename(path)).digest()
  const stream = createCipheriv('aes-128-ctr', seed.subarray(0, 16), seed.subarray(16))
  const zeros = Buffer.alloc(BLOCK_BYTES)
  const hash = createHash('sha256')
  const file = await open(path, 'wx')
  try {
    for (let at = 0; at < bytes; at += BLOCK_BYTES) {
      const block = stream.update(zeros.subarray(0, Math.min(BLOCK_BYTES, bytes - at)))
      const written = file.writeFile(block)
      hash.update(block)
      await written
    }
    await file.datasync()
  } finally {
    await file.close()
  }
  return { path, bytes, sha256: hash.digest('hex') }
}

export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const block of createReadStream(path, { highWaterMark: BLOCK_BYTES })) hash.update(block as Buffer)
  return hash.digest('hex')
}

/** Nothing waits to be written any more, and the source has just been read. */
export async function settleDisk({ path }: Content): Promise<void> {
  await flushDisk(dirname(path))
  for await (const _block of createReadStream(path, { highWaterMark: BLOCK_BYTES })) {
    // Only to have it in the page cache.
  }
}

/** Nothing waits to be written any more on the disk this folder is on. */
export async function flushDisk(dir: string): Promise<void> {
  await complete('sync', ['-f', dir])
}

export const settledText = (): string =>
  'the same before each run: earlier results deleted, the file system flushed (sync -f), the source read once: it is in ' +
  `the page cache as far as the ${Math.round(totalmem() / 1e9)} GB of memory hold it`

/**
 * How much a scenario sends: BYTES=; or `alone` (10 GB) when the scenario was asked for by its name, `inAll` when it is one of
 * all; less where the disk has too little room for so many `copies`.
 */
export function bytesToSend(
  scenario: string,
  dir: string,
  { inAll, alone = TARGET_BYTES, copies = COPIES }: { inAll: number; alone?: number; copies?: number },
): number {
  const { BYTES, ONLY = '' } = process.env
  const { bavail, bsize } = statfsSync(dir)
  const freeBytes = bavail * bsize
  const roomFor = (bytes: number) => freeBytes >= bytes * copies
  const wanted = BYTES === undefined ? (ONLY.split(',').includes(scenario) ? alone : inAll) : Number(BYTES)
  if (!Number.isSafeInteger(wanted) || wanted < 1) throw new Error(`BYTES=${BYTES} is no number of bytes`)
  const sizes = BYTES === undefined ? [wanted, SMALLER_BYTES, SMALLEST_BYTES] : [wanted]
  const bytes = sizes.find((size) => size <= wanted && roomFor(size))
  if (bytes !== undefined) return bytes
  const least = Math.min(...sizes)
  throw new Error(
    `${dir} has ${sizeText(freeBytes)} free; ${copies} × ${sizeText(least)} are needed: free some, or give BYTES=`,
  )
}

export const isShortContent = ({ bytes }: { bytes: number }): boolean => bytes < SMALLEST_BYTES

export function scaleText({ bytes }: { bytes: number }): string {
  if (bytes === TARGET_BYTES) return sizeText(bytes)
  return `${sizeText(bytes)}, scaled to ${bytes / TARGET_BYTES} of ${sizeText(TARGET_BYTES)} (BYTES= sets it)`
}

export const sizeText = (bytes: number): string =>
  bytes >= 1e9 ? `${Number((bytes / 1e9).toPrecision(3))} GB` : `${Number((bytes / 1e6).toPrecision(3))} MB`
