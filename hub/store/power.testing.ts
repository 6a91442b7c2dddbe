// Power loss: what was written and not flushed may be on the disk, in part, or not at all. A layer below the segments
// knows what each flush covered; images of a crash are what is durable for certain and a random choice of the pages
// written since. LMDB's file is taken after each commit; of a commit under way any pages may be there, but its meta
// pages only when all others are (it flushes in between).

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '#protocol/bytes/testing.ts'
import type { SegmentFiles } from './segment-files.ts'

const PAGE = 4096
const META_PAGES = 2

/** What the disk under segment files has for certain, and what was written to them since. */
export class CrashDisk {
  readonly durable = new Map<number, Buffer>()
  private readonly unflushed: { number: number; offset: number; bytes: Buffer }[] = []

  constructor(files: SegmentFiles) {
    const [write, flush, remove] = [files.write, files.flush, files.remove].map((method) =>
      (method as (...given: unknown[]) => unknown).bind(files),
    ) as [SegmentFiles['write'], SegmentFiles['flush'], SegmentFiles['remove']]
    files.write = async (owner, buffers, offset) => {
      const written = await write(owner, buffers, offset)
      const bytes = Buffer.concat(buffers).subarray(0, written)
      this.unflushed.push({ number: owner.number, offset, bytes })
      return written
    }
    files.flush = async (owner) => {
      const covered = this.unflushed.filter((other) => other.number === owner.number)
      await flush(owner)
      for (const write of covered) {
        this.apply(this.durable, write.number, write.offset, write.bytes)
        this.unflushed.splice(this.unflushed.indexOf(write), 1)
      }
    }
    files.remove = (number) => {
      this.durable.delete(number)
      for (let i = this.unflushed.length; i-- > 0; ) {
        if (this.unflushed[i]?.number === number) this.unflushed.splice(i, 1)
      }
      return remove(number)
    }
  }

  /** The segment files after a crash now. */
  crash(random: Random): Map<number, Buffer> {
    const image = new Map([...this.durable].map(([number, bytes]) => [number, Buffer.from(bytes)]))
    for (const { number, offset, bytes } of this.unflushed) {
      const kept = 1 + random.below(4)
      // Page by page, as a page cache writes back; pages of a later write may be there without those of an earlier one.
      for (let at = 0; at < bytes.length; ) {
        const length = Math.min(bytes.length - at, PAGE - ((offset + at) % PAGE))
        if (random.below(4) < kept - 1) this.apply(image, number, offset + at, bytes.subarray(at, at + length))
        at += length
      }
    }
    return image
  }

  private apply(image: Map<number, Buffer>, number: number, offset: number, bytes: Buffer): void {
    let file = image.get(number) ?? Buffer.alloc(0)
    if (file.length < offset + bytes.length) {
      file = Buffer.concat([file, Buffer.alloc(offset + bytes.length - file.length)])
    }
    bytes.copy(file, offset)
    image.set(number, file)
  }
}

/** LMDB's file when the power goes while it becomes `after`. */
export function cutCommit(random: Random, before: Buffer, after: Buffer): Buffer {
  const image = Buffer.alloc(Math.max(before.length, after.length))
  before.copy(image)
  for (let at = META_PAGES * PAGE; at < after.length; at += PAGE) {
    if (random.oneIn(2)) after.copy(image, at, at, at + PAGE)
  }
  return image
}

/** Makes a store's folder as a crash left it. */
export function layOut(folder: string, rows: Buffer, segments: ReadonlyMap<number, Buffer>): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'segments'), { recursive: true })
  writeFileSync(join(folder, 'store.mdb'), rows)
  writeFileSync(join(folder, 'store.mdb-made'), '')
  for (const [number, bytes] of segments) {
    writeFileSync(join(folder, 'segments', `${String(number).padStart(8, '0')}.seg`), bytes)
  }
}
