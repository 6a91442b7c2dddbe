// Runs in the reading thread: one file, read once from front to back, chunk by chunk into shared memory, cut, hashed and encoded
// there. After every read the file must still be the one that was opened: the same under its path, of the same size, not written
// since.

import { hash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { type CutSizes, Cutter } from '#protocol/transfer/mod.ts'
import { ChunkEncoder } from './encoder.ts'
import { READ_STEP_BYTES } from './limits.ts'
import { isPacked, MAGIC_BYTES } from './packed.ts'

/** What tells whether a file is as it was. */
export type Stamp = { readonly size: number; readonly mtimeNs: bigint; readonly inode: bigint }

/** What was done with a chunk that is wanted. */
export type Prepared = {
  /** What lies in memory is its encoded form, so long; 0: it is the chunk. */
  readonly encodedBytes: number
  /** For reading it, and for encoding it. */
  readonly readMs: number
  readonly encodeMs: number
}

/** A chunk that was read and hashed; of no length at the end of the file. */
export type HashedChunk = {
  readonly offset: number
  readonly length: number
  readonly digest: Uint8Array
  /** For reading and hashing it. */
  readonly readMs: number
}

/** Why a file cannot be sent as it is; becomes a fault of the client. */
export class FileProblem extends Error {
  readonly code: 'CONTENT_CHANGED' | 'CONTENT_UNREADABLE'

  constructor(code: FileProblem['code'], why: string) {
    super(why)
    this.code = code
  }
}

export class ContentFile {
  readonly stamp: Stamp
  /** It begins as compressed files do. */
  readonly isPacked: boolean
  private readonly path: string
  private readonly fd: number
  private offset = 0
  private chunkBytes = 0
  private cutter: Cutter | null = null
  /** Bytes behind the last cut, read already. */
  private readonly rest: Buffer = Buffer.alloc(READ_STEP_BYTES)
  private restBytes = 0
  private encoder: ChunkEncoder | null = null

  constructor(path: string) {
    this.path = path
    // Asked before: opening a pipe would wait for whoever writes into it.
    const stat = statSync(path)
    if (stat.isDirectory()) {
      throw new FileProblem(
        'CONTENT_UNREADABLE',
        'it is a folder: send file --recursive sends what is in it, and a flow with `format: file` what comes into it',
      )
    }
    if (!stat.isFile()) throw new FileProblem('CONTENT_UNREADABLE', 'it is not a file')
    this.fd = openSync(path, 'r')
    this.stamp = stampOf(fstatSync(this.fd, { bigint: true }))
    const head = Buffer.alloc(MAGIC_BYTES)
    this.isPacked = isPacked(head.subarray(0, readSync(this.fd, head, 0, head.length, 0)))
  }

  /** From where `next` goes on, and how it cuts: by content, or in chunks of `chunkBytes`. */
  plan({ offset, chunkBytes, cut }: { offset: number; chunkBytes: number; cut: CutSizes | null }): void {
    this.offset = offset
    this.chunkBytes = chunkBytes
    this.cutter = cut === null ? null : new Cutter(cut)
    this.restBytes = 0
  }

  /** The next chunk, into the front of `memory`. */
  next(memory: Buffer): HashedChunk {
    const { offset } = this
    const startMs = performance.now()
    const length = this.cutter === null ? this.fixed(memory) : this.byContent(memory, this.cutter)
    const digest = hash('sha256', memory.subarray(0, length), 'buffer')
    this.offset += length
    this.check()
    // Its own 32 bytes: a small buffer shares a slab, all of which would be copied.
    return { offset, length, digest: new Uint8Array(digest), readMs: performance.now() - startMs }
  }

  /** A chunk that lies in memory: its encoded form of that level takes its place, if it gains. */
  encode(memory: Buffer, { length, level }: { length: number; level: number }): Prepared {
    return { ...this.prepare(memory.subarray(0, length), level, performance.now()), readMs: 0 }
  }

  /** A chunk that was hashed before, encoded at that level if it gains; 0: as it is. */
  read(memory: Buffer, { offset, length, level }: { offset: number; length: number; level: number }): Prepared {
    const startMs = performance.now()
    this.fill(memory, 0, { offset, length })
    this.check()
    return this.prepare(memory.subarray(0, length), level, startMs)
  }

  /** Is it still what was opened? */
  check(): void {
    let now: Stamp
    try {
      now = stampOf(statSync(this.path, { bigint: true }))
    } catch (error) {
      throw new FileProblem('CONTENT_CHANGED', (error as Error).message)
    }
    const { size, mtimeNs, inode } = this.stamp
    if (now.inode !== inode) throw new FileProblem('CONTENT_CHANGED', 'another file has taken its place')
    if (now.size !== size) throw new FileProblem('CONTENT_CHANGED', `it had ${size} bytes and has ${now.size}`)
    if (now.mtimeNs !== mtimeNs) throw new FileProblem('CONTENT_CHANGED', 'it was written')
  }

  close(): void {
    closeSync(this.fd)
  }

  private prepare(chunk: Buffer, level: number, startMs: number): Prepared {
    const readMs = performance.now() - startMs
    if (level === 0) return { encodedBytes: 0, readMs, encodeMs: 0 }
    this.encoder ??= new ChunkEncoder({ isPacked: this.isPacked })
    const encodedBytes = this.encoder.encode(chunk, level)
    return { encodedBytes, readMs, encodeMs: performance.now() - startMs - readMs }
  }

  private fixed(memory: Buffer): number {
    const length = Math.min(this.chunkBytes, this.stamp.size - this.offset)
    this.fill(memory, 0, { offset: this.offset, length })
    return length
  }

  private byContent(memory: Buffer, cutter: Cutter): number {
    const left = this.stamp.size - this.offset
    let filled = this.rest.copy(memory, 0, 0, this.restBytes)
    let looked = 0
    for (;;) {
      const end = looked < filled ? cutter.cut(memory.subarray(0, filled), looked) : -1
      if (end >= 0) {
        this.restBytes = memory.copy(this.rest, 0, end, filled)
        return end
      }
      looked = filled
      if (filled === left) break
      const length = Math.min(READ_STEP_BYTES, left - filled, memory.length - filled)
      this.fill(memory, filled, { offset: this.offset + filled, length })
      filled += length
    }
    this.restBytes = 0
    return filled
  }

  private fill(memory: Buffer, at: number, { offset, length }: { offset: number; length: number }): void {
    for (let done = 0; done < length; ) {
      const got = readSync(this.fd, memory, at + done, length - done, offset + done)
      if (got === 0) throw new FileProblem('CONTENT_CHANGED', `it ends after ${offset + done} bytes`)
      done += got
    }
  }
}

function stampOf({ size, mtimeNs, ino }: { size: bigint; mtimeNs: bigint; ino: bigint }): Stamp {
  return { size: Number(size), mtimeNs, inode: ino }
}
