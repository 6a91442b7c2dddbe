// Equal chunks of one content, as the zeros of a sparse file are: one of them is asked for, the others are taken from it when it
// is here.

import type { ChunkList } from '#protocol/transfer/mod.ts'

export class Twins {
  /** By the beginning of their digest: chunks that were asked for and are not here. */
  private readonly asked = new Map<number, number>()
  /** Behind the one that was asked for. */
  private readonly waiting = new Map<number, number[]>()

  /** Whether an equal one was asked for. If not, take it that this one is. */
  waits(chunk: number, list: ChunkList): boolean {
    const digest = list.digestAt(chunk)
    const first = this.asked.get(keyOf(digest))
    if (first === undefined || !list.digestAt(first).equals(digest)) {
      this.asked.set(keyOf(digest), chunk)
      return false
    }
    const others = this.waiting.get(first)
    if (others === undefined) this.waiting.set(first, [chunk])
    else others.push(chunk)
    return true
  }

  /** It is here; gives those that waited for it. */
  arrived(chunk: number, digest: Buffer): readonly number[] {
    if (this.asked.get(keyOf(digest)) === chunk) this.asked.delete(keyOf(digest))
    const others = this.waiting.get(chunk) ?? []
    this.waiting.delete(chunk)
    return others
  }
}

const keyOf = (digest: Buffer): number => digest.readUIntLE(0, 6)
