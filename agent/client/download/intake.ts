// Where each chunk of one content comes from, and what is done with it: found durable, copied from a file here, or asked for;
// hashed, then handed to the store. It outlives connections: a chunk that has arrived whole is not asked for again.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import { type Arrived, transferFault } from '#protocol/transfer/mod.ts'
import type { HashPool } from '../hashing/mod.ts'
import type { ChunkArena } from './arena.ts'
import { COPY_BYTES_MAX, ZERO_DIGESTS_MAX } from './limits.ts'
import { isZeros } from './part-file.ts'
import type { ChunkPlace, ChunkRecords } from './records.ts'
import type { ReuseFiles } from './reuse.ts'
import type { Session } from './session.ts'
import type { ChunkStore, Verified } from './store.ts'

export type IntakeHooks = {
  /** Durable now, on which the hub is to be told. */
  onKept(session: Session, chunks: readonly number[]): void
  onDamaged(session: Session, chunk: number): void
  onFailed(fault: Fault): void
}

export class Intake {
  reusedBytes = 0
  hashedAgainBytes = 0
  private readonly records: ChunkRecords
  private readonly store: ChunkStore | null
  private readonly arena: ChunkArena
  private readonly reuse: ReuseFiles
  private readonly hashes: HashPool
  private readonly hooks: IntakeHooks
  private session: Session | null = null
  private sorting = false
  /** Arrived or being copied, and not durable. */
  private readonly busy = new Map<number, ChunkPlace>()
  /** Copied ones among them. */
  private readonly copied = new Set<number>()
  /** By the beginning of their digest: chunks that are on their way, or asked for. */
  private readonly coming = new Map<number, number>()
  /** Chunks equal to one that is coming: they are copied when it is there. */
  private readonly followers = new Map<number, number[]>()
  /** Of chunks that turned out to be nothing but zeros: any more of them need neither be read nor hashed. */
  private readonly zeros = new Set<string>()
  /** To be copied, in this order; those before `nextCopy` are begun. */
  private copies: ChunkPlace[] = []
  private nextCopy = 0
  private copyingBytes = 0
  private stopped = false

  /** `store` is `null` when the complete file is here and only compared with what the hub names. */
  constructor(parts: {
    records: ChunkRecords
    store: ChunkStore | null
    arena: ChunkArena
    reuse: ReuseFiles
    hashes: HashPool
    hooks: IntakeHooks
  }) {
    this.records = parts.records
    this.store = parts.store
    this.arena = parts.arena
    this.reuse = parts.reuse
    this.hashes = parts.hashes
    this.hooks = parts.hooks
  }

  /** From now on chunks come from there. */
  attach(session: Session): void {
    this.session = session
    this.coming.clear()
    this.followers.clear()
    for (const { index, digest } of this.busy.values()) this.coming.set(keyOf(digest), index)
  }

  detach(): void {
    this.session = null
  }

  /** Decides on what the hub has named meanwhile. */
  async sort(): Promise<void> {
    if (this.sorting) return
    this.sorting = true
    try {
      // While a record is dropped more may be named, or the connection be another.
      while (this.session !== null && this.session.sorted < this.session.list.count && !this.stopped) {
        await this.sortSome(this.session)
      }
    } finally {
      this.sorting = false
    }
    this.pumpCopies()
  }

  /** A chunk has come whole; its buffer is the intake's now. */
  async arrived(session: Session, { chunk: index, bytes, encodedBytes }: Arrived): Promise<void> {
    const place = session.placeOf(index)
    this.busy.set(index, place)
    try {
      if (await this.isChunk(place, bytes, encodedBytes)) {
        this.keep(place, bytes)
        return
      }
      this.arena.free(bytes)
      this.busy.delete(index)
      if (this.session === session) this.hooks.onDamaged(session, index)
      else this.lacks(place)
    } catch (error) {
      this.hooks.onFailed(asFault(error))
    }
  }

  /** Called by the store. */
  durable(chunks: readonly Verified[]): void {
    const { session } = this
    const kept: number[] = []
    for (const chunk of chunks) {
      const { index, digest } = chunk
      this.busy.delete(index)
      if (this.copied.delete(index)) this.reusedBytes += chunk.length
      if (this.coming.get(keyOf(digest)) === index) this.coming.delete(keyOf(digest))
      for (const follower of this.followers.get(index) ?? []) if (session !== null) this.copy(session.placeOf(follower))
      this.followers.delete(index)
      if (session !== null && index < session.sorted && session.names(chunk)) kept.push(index)
    }
    if (session !== null && kept.length > 0) this.hooks.onKept(session, kept)
    this.pumpCopies()
  }

  /** Nothing is begun any more. */
  stop(): void {
    this.stopped = true
    this.session = null
    this.copies = []
    this.nextCopy = 0
  }

  private async sortSome(session: Session): Promise<void> {
    const { list } = session
    const kept: number[] = []
    const wanted: number[] = []
    let stale = -1
    for (; session.sorted < list.count && stale < 0; session.sorted++) {
      const index = session.sorted
      const known = this.records.at(index)
      if (known !== null && session.names(known)) kept.push(index)
      else if (known !== null) stale = index
      else if (!this.comesAnyway(session, index)) wanted.push(index)
    }
    if (kept.length > 0) this.hooks.onKept(session, kept)
    if (wanted.length > 0) session.want(wanted)
    if (stale < 0) return
    if (this.store === null) throw transferFault('TRANSFER_MALFORMED', { why: 'its chunks are others than before' })
    await this.store.drop(stale)
    session.sorted = Math.min(session.sorted, stale)
  }

  /** Whether a chunk that is not here need not be asked for. */
  private comesAnyway(session: Session, index: number): boolean {
    const chunk = session.placeOf(index)
    const busy = this.busy.get(index)
    if (busy !== undefined && !session.names(busy)) {
      throw transferFault('TRANSFER_MALFORMED', { where: `chunk ${index}`, why: 'it is another one than before' })
    }
    if (busy !== undefined) return true
    const key = keyOf(chunk.digest)
    const leader = this.coming.get(key)
    if (leader !== undefined && session.list.digestAt(leader).equals(chunk.digest)) {
      const followers = this.followers.get(leader)
      if (followers === undefined) this.followers.set(leader, [index])
      else followers.push(index)
      return true
    }
    this.coming.set(key, index)
    if (this.records.find(chunk.digest) === null && !this.reuse.mayHave(chunk)) return false
    this.copy(chunk)
    return true
  }

  private copy(chunk: ChunkPlace): void {
    this.busy.set(chunk.index, chunk)
    if (this.zeros.has(chunk.digest.toString('latin1')) && this.store !== null) {
      this.copied.add(chunk.index)
      this.store.put({ ...chunk, bytes: null })
    } else this.copies.push(chunk)
  }

  private pumpCopies(): void {
    while (this.nextCopy < this.copies.length) {
      const chunk = this.copies[this.nextCopy] as ChunkPlace
      if (this.copyingBytes > 0 && this.copyingBytes + chunk.length > COPY_BYTES_MAX) return
      const bytes = this.arena.tryAllocate(chunk.length)
      if (bytes === null) return
      this.nextCopy++
      this.copyingBytes += chunk.length
      void this.copyFromHere(chunk, bytes)
    }
    this.copies = []
    this.nextCopy = 0
  }

  private async copyFromHere(chunk: ChunkPlace, bytes: Buffer): Promise<void> {
    try {
      const isIt = () => this.isChunk(chunk, bytes)
      const twin = this.records.find(chunk.digest)
      const inPart = twin !== null && (await this.store?.part.read(bytes, twin.offset)) === true && (await isIt())
      if (inPart || (await this.reuse.find(chunk, bytes, isIt))) {
        this.copied.add(chunk.index)
        this.keep(chunk, bytes)
      } else {
        this.arena.free(bytes)
        this.busy.delete(chunk.index)
        this.lacks(chunk)
      }
    } catch (error) {
      this.hooks.onFailed(asFault(error))
    }
    this.copyingBytes -= chunk.length
    this.pumpCopies()
  }

  /** Where its first bytes are its encoded form it is decoded. */
  private async isChunk({ index, digest }: ChunkPlace, bytes: Buffer, encodedBytes = 0): Promise<boolean> {
    if (this.records.at(index) !== null) this.hashedAgainBytes += bytes.length
    const { hashes } = this
    const found = await (encodedBytes > 0 ? hashes.decode(bytes, encodedBytes) : hashes.digest(bytes))
    return found !== null && digest.equals(found)
  }

  private keep(chunk: ChunkPlace, bytes: Buffer): void {
    const isHole = isZeros(bytes)
    if (isHole && this.zeros.size < ZERO_DIGESTS_MAX) this.zeros.add(chunk.digest.toString('latin1'))
    if (isHole || this.stopped || this.store === null) this.arena.free(bytes)
    if (!this.stopped) this.store?.put({ ...chunk, bytes: isHole ? null : bytes })
  }

  /** It did not come from where it was expected: the hub has to send it. */
  private lacks({ index }: ChunkPlace): void {
    const { session } = this
    if (session !== null && index < session.sorted) session.want([index])
  }
}

const keyOf = (digest: Buffer): number => digest.readUIntLE(0, 6)
