// For tests: the contents of a hub with a real store and a clock that the test moves, and the desk of one session there.

import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ContentStore } from '#hub/store/mod.ts'
import { testKey } from '#protocol/codec/testing.ts'
import type { OpenTransfer } from '#protocol/schema/mod.ts'
import { CHUNK_BYTES_MIN } from '#protocol/transfer/mod.ts'
import { Contents } from './contents.ts'
import { type DeskOptions, TransferDesk } from './desk.ts'

export const KEEP_MS = 1000
export const SIZE = 2 * CHUNK_BYTES_MIN

export const idOf = (number: number): Buffer => Buffer.alloc(16, number)
export const hex = (id: Buffer): string => id.toString('hex')

export class Stage {
  nowMs = 1_000_000
  /** Messages that refer to a content, by its id. */
  readonly holds = new Map<string, number>()
  readonly contents: Contents

  constructor(t: Test) {
    const folder = mkdtempSync(join(tmpdir(), 'causeway-contents-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    this.contents = new Contents({
      store: ContentStore.open({
        folder,
        bytesMax: 2 ** 28,
        freeBytesMin: 0,
        onFault: (fault) => t.fail(fault.message),
      }),
      holds: (id) => this.holds.get(id) ?? 0,
      keepMs: KEEP_MS,
      nowMs: () => this.nowMs,
      onFault: (fault) => t.fail(fault.message),
    })
    t.teardown(() => this.contents.close())
  }

  /** Begins to send one, and is gone. */
  async abandon(number: number, wishes: Partial<OpenTransfer> = {}): Promise<void> {
    this.contents.leave(await this.contents.open(requestOf(number, wishes), 'desk'))
  }

  async part(number: number, index = 0): Promise<void> {
    const bytes = Buffer.alloc(CHUNK_BYTES_MIN, number)
    bytes.writeUInt32LE(index)
    const digest = createHash('sha256').update(bytes).digest()
    await this.contents.store.add(hex(idOf(number)), index, { digest, length: bytes.length, bytes })
  }

  desk(t: Test, options: Partial<DeskOptions>): TransferDesk {
    const desk = new TransferDesk({
      agent: 'desk',
      checkMaySend: () => undefined,
      mayRead: () => true,
      publicKey: () => testKey('desk').publicKey,
      contents: this.contents,
      encoded: false,
      bulkWritable: () => true,
      send: () => undefined,
      sendParts: (_first, _second, done) => done(),
      introduce: () => undefined,
      failed: (_request, fault) => t.fail(fault.message),
      reportOf: ({ code, message, remedy, details }) => ({ code, message, remedy, retry: details.retry === true }),
      log: () => undefined,
      ...options,
    })
    t.teardown(() => desk.close())
    return desk
  }

  isThere(number: number): boolean {
    return this.contents.store.get(hex(idOf(number))) !== null
  }
}

export const requestOf = (number: number, wishes: Partial<OpenTransfer> = {}): OpenTransfer => ({
  request: 1,
  content: idOf(number),
  name: 'scan.tif',
  mediaType: '',
  size: SIZE,
  chunkBytes: CHUNK_BYTES_MIN,
  keepMs: 0,
  expiresMs: 0,
  ...wishes,
})
