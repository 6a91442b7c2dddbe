// Large contents as documents. A message that refers to one content is, to rules and pipelines, the document itself: its bytes are read
// from the store, chunk by chunk, each verified. What a pipeline makes that is too large for a message becomes a content of the hub's
// own, signed with its key, and the message refers to it.
//
// The id of a made content follows from what it is, and from a secret of the hub: what is made again, after a crash or because a queue was
// full, is the same content, and nothing is stored twice. Until a message on the disk refers to it, who made it holds it; after a crash
// between the two nothing does, and it goes as any content that nobody asks for.

import { createHmac, hash, sign } from 'node:crypto'
import { posix } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { LargeDocuments } from '#agent/components/chain/types.ts'
import { componentFault, type HubContent, type Item, type Lent } from '#agent/components/mod.ts'
import { type Contents, hubTransferFault, type LiveContent } from '#hub/transfer/mod.ts'
import type { SigningKey } from '#protocol/crypto/mod.ts'
import { BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import {
  ChunkList,
  CONTENT_ID_BYTES,
  chunkBytesFor,
  encodeChunk,
  MEDIA_TYPE_LENGTH_MAX,
  nameProblem,
  sealManifest,
} from '#protocol/transfer/mod.ts'
import { transformFault } from './faults.ts'
import { ADDED_AT_ONCE_BYTES, LATE_MAX } from './limits.ts'
import { Memory } from './memory.ts'

export type DocumentsOptions = {
  readonly contents: Contents
  readonly identity: { readonly name: string; readonly key: SigningKey }
  /** Of documents in memory at once. */
  readonly bytesMax: number
  /** A content that is not whole is waited for as long as something comes of it, and so long after. */
  readonly stallMs: number
  readonly nowMs: () => number
}

export type SessionOptions = {
  /** The largest document that is read. */
  readonly bytesMax: number
  /** For whose messages content that is not whole is waited for; `null`: it is late at once. */
  readonly waitsFor: string | null
  readonly signal: AbortSignal
}

/** What is known of a content. */
export type Known = { readonly name: string; readonly mediaType: string; readonly size: number }

/** Large content whose bytes can be had. */
export type LentContent = HubContent & { read(): Promise<Lent> }

type Label = { readonly name: string; readonly mediaType: string }
/** How much was here when it was asked for, and since when. */
type Late = { readonly bytes: number; readonly sinceMs: number }

const CONTEXT = Buffer.from('causeway made contents v1\0')
const noop = (): void => undefined

export class Documents {
  readonly memory: Memory
  /** Made since the start, and bytes of them. */
  made = { contents: 0, bytes: 0 }
  private readonly options: DocumentsOptions
  private readonly secret: Buffer
  /** By their ids: what two make at once is made once. */
  private readonly making = new Map<string, Promise<void>>()
  private readonly late = new Map<string, Late>()

  constructor(options: DocumentsOptions) {
    this.options = options
    this.memory = new Memory(options.bytesMax)
    // Signatures of Ed25519 are always the same, and only the hub can make them.
    this.secret = hash('sha256', sign(null, CONTEXT, options.identity.key.privateKey), 'buffer')
  }

  /** To be disposed of when what came of it is on the disk. */
  session(options: SessionOptions): DocumentSession {
    return new DocumentSession(this, options)
  }

  /** `null` for one that is not there. */
  known(id: string): Known | null {
    const view = this.options.contents.store.get(id)
    return view === null ? null : { name: view.name, mediaType: view.mediaType, size: view.size }
  }

  /** Told when a content that was not whole is. */
  whenWhole(id: string, told: () => void): Disposable {
    const { contents } = this.options
    try {
      const content = contents.find(Buffer.from(id, 'hex'))
      const look = () => {
        if (content.manifest !== null || content.expired !== null) told()
      }
      return holding(contents, content, look)
    } catch {
      return { [Symbol.dispose]: noop }
    }
  }

  /**
   * Waits until there is room for it in memory. Faults: `DOCUMENT_TOO_LARGE`, `CONTENT_ABSENT`, `CONTENT_EXPIRED`, `DOCUMENT_LATE`;
   * with `retry`: `DOCUMENT_NOT_WHOLE`, `CONTENT_DAMAGED`, those of the store.
   */
  async read(id: string, { bytesMax, waitsFor, signal }: SessionOptions): Promise<Lent> {
    const { contents } = this.options
    using open = new DisposableStack()
    let content = contents.find(Buffer.from(id, 'hex'))
    const { size } = content.view
    if (size > bytesMax) {
      const todo =
        'Raise `documentBytesMax` of the rules if the memory is there, send it by rules that ask only for headers, or split it at its source'
      throw componentFault('DOCUMENT_TOO_LARGE', {
        where: `content ${id}`,
        why: `${size} bytes`,
        limitBytes: bytesMax,
        todo,
      })
    }
    open.use(holding(contents, content))
    this.checkWhole(content, waitsFor)
    const leave = await this.memory.enter(size, signal)
    try {
      // It may have lost a chunk meanwhile.
      content = contents.find(Buffer.from(id, 'hex'))
      this.checkWhole(content, waitsFor)
      const bytes = await this.bytesOf(content, { signal, waitsFor })
      this.late.delete(id)
      return { bytes, release: leave }
    } catch (error) {
      leave()
      throw error
    }
  }

  /** Gives its id; it is held until `held` is disposed of. `bytes` must not change. Faults: those of the store. */
  async make(bytes: Buffer, label: Label, held: DisposableStack): Promise<string> {
    const leave = this.memory.take(bytes.length)
    try {
      const list = await chunksOf(bytes)
      const { name, mediaType } = label
      const id = this.idOf(list, label)
      for (;;) {
        const others = this.making.get(id)
        if (others === undefined) break
        await others.catch(noop)
      }
      const { contents, identity } = this.options
      const plan = { size: list.size, chunkBytes: list.chunkBytes }
      const making = contents.own({ id, name, mediaType, ...plan }, identity.name).then(async (content) => {
        held.use(holding(contents, content))
        if (content.manifest === null) await this.fill(content, list, bytes)
      })
      this.making.set(id, making)
      try {
        await making
      } finally {
        this.making.delete(id)
      }
      return id
    } finally {
      leave()
    }
  }

  private async fill(content: LiveContent, list: ChunkList, bytes: Buffer): Promise<void> {
    const { contents, identity, nowMs } = this.options
    const { store } = contents
    let adding: Promise<void>[] = []
    let addingBytes = 0
    const settle = async () => {
      const settled = await Promise.allSettled(adding)
      adding = []
      addingBytes = 0
      for (const each of settled) if (each.status === 'rejected') throw each.reason
    }
    for (let i = 0; i < list.count; i++) {
      const at = list.offsetAt(i)
      const chunk = bytes.subarray(at, at + list.lengthAt(i))
      const digest = Buffer.from(list.digestAt(i))
      if (i >= content.list.count) content.list.add(digest, chunk.length)
      if (content.durable.has(i)) continue
      const added = store.add(content.id, i, chunkToAdd(digest, chunk)).then(() => {
        content.durable.add(i, i + 1)
        content.tell()
      })
      added.catch(noop)
      adding.push(added)
      addingBytes += chunk.length
      if (addingBytes >= ADDED_AT_ONCE_BYTES) await settle()
      // Encoding takes a while.
      await setImmediate()
    }
    await settle()
    // One that was sealed before, and had lost a chunk, is so again.
    const sealed = store.get(content.id)?.manifest ?? null
    const about = { contentId: Buffer.from(content.id, 'hex'), sealedAtMs: nowMs(), origin: identity.name }
    const { name, mediaType } = content.view
    const manifest = sealed ?? sealManifest({ ...about, name, mediaType }, list, identity.key)
    await store.seal(content.id, manifest)
    content.manifest = manifest
    content.tell()
    this.made.contents++
    this.made.bytes += bytes.length
  }

  private idOf(list: ChunkList, label: Label): string {
    const about = [list.size, list.chunkBytes, label.name, label.mediaType]
    const digest = createHmac('sha256', this.secret).update(list.root()).update(JSON.stringify(about)).digest()
    return digest.toString('hex', 0, CONTENT_ID_BYTES)
  }

  private checkWhole(content: LiveContent, waitsFor: string | null): void {
    const { id, list, manifest } = content
    if (manifest !== null && list.complete && content.durable.floor === list.count) return
    const { contents, nowMs, stallMs } = this.options
    const bytes = contents.store.get(id)?.bytes ?? 0
    const before = this.late.get(id)
    const late = before?.bytes === bytes ? before : { bytes, sinceMs: nowMs() }
    // Also of one that is late: all who ask are told so.
    this.late.delete(id)
    this.late.set(id, late)
    for (const oldest of this.late.keys()) {
      if (this.late.size <= LATE_MAX) break
      this.late.delete(oldest)
    }
    const about = { where: `content ${id}`, why: `${bytes} of ${list.size} bytes are here` }
    if (waitsFor === null || nowMs() - late.sinceMs >= stallMs) throw transformFault('DOCUMENT_LATE', about)
    throw transformFault('DOCUMENT_NOT_WHOLE', { ...about, retry: true, content: id, origin: waitsFor })
  }

  private async bytesOf(
    content: LiveContent,
    { signal, waitsFor }: Pick<SessionOptions, 'signal' | 'waitsFor'>,
  ): Promise<Buffer> {
    const { contents } = this.options
    const { list } = content
    const bytes = Buffer.allocUnsafeSlow(list.size)
    let chunkBytesMax = 0
    for (let i = 0; i < list.count; i++) chunkBytesMax = Math.max(chunkBytesMax, list.lengthAt(i))
    const buffer = contents.buffers.take(chunkBytesMax)
    try {
      for (let i = 0; i < list.count; i++) {
        signal.throwIfAborted()
        if (content.expired !== null) throw content.expired
        const chunk = await this.chunkOf(content, i, { into: buffer, waitsFor })
        chunk.copy(bytes, list.offsetAt(i))
      }
    } finally {
      contents.buffers.release(buffer)
    }
    return bytes
  }

  /** Verified. */
  private async chunkOf(
    content: LiveContent,
    chunk: number,
    { into, waitsFor }: { readonly into: Buffer; readonly waitsFor: string | null },
  ): Promise<Buffer> {
    const { contents } = this.options
    const digest = Buffer.from(content.list.digestAt(chunk))
    const bytes = await contents.read(digest, into)
    if (!('damage' in bytes)) return bytes
    // What could not be noted is found again by the next who reads it.
    await contents.lost(content, digest).catch(noop)
    const where = `content ${content.id}, chunk ${chunk}`
    throw hubTransferFault('CONTENT_DAMAGED', {
      where,
      why: bytes.damage,
      retry: true,
      content: content.id,
      origin: waitsFor,
    })
  }
}

/** What one conveyance reads, and what it makes. */
export class DocumentSession implements LargeDocuments, Disposable {
  readonly inlineBytesMax = BODY_BYTES_MAX
  private readonly documents: Documents
  private readonly options: SessionOptions
  private readonly held = new DisposableStack()

  constructor(documents: Documents, options: SessionOptions) {
    this.documents = documents
    this.options = options
  }

  /** See `Documents.read`. */
  lend(id: string): Promise<Lent> {
    return this.documents.read(id, this.options)
  }

  /** A content as channels see it, and what is known of it. */
  content(id: string): { readonly content: LentContent; readonly known: Known | null } {
    const known = this.documents.known(id)
    const download = () => Promise.reject(componentFault('DOCUMENT_AT_HUB', { where: `content ${id}` }))
    return { known, content: { kind: 'hub', id, size: known?.size ?? 0, download, read: () => this.lend(id) } }
  }

  async put(bytes: Uint8Array, item: Item): Promise<LentContent> {
    const { buffer, byteOffset, byteLength } = bytes
    const id = await this.documents.make(Buffer.from(buffer, byteOffset, byteLength), labelOf(item), this.held)
    // Who makes it bounds it: the next step may ask for it, however large it is.
    const read = () => this.documents.read(id, { ...this.options, bytesMax: byteLength })
    return { ...this.content(id).content, read }
  }

  [Symbol.dispose](): void {
    this.held.dispose()
  }
}

/** As manifests have it: what no file could be named is not named, what no header could say is not said. */
function labelOf({ row }: Item): Label {
  const name = typeof row.name === 'string' ? posix.basename(row.name) : ''
  const mediaType = typeof row.mediaType === 'string' ? row.mediaType : ''
  return {
    name: name !== '' && nameProblem(name) === null ? name : '',
    mediaType: mediaType.length <= MEDIA_TYPE_LENGTH_MAX && /^[\x20-\x7e]*$/.test(mediaType) ? mediaType : '',
  }
}

/** Hashed, with turns for others in between. */
async function chunksOf(bytes: Buffer): Promise<ChunkList> {
  const size = bytes.length
  const list = new ChunkList({ size, chunkBytes: chunkBytesFor(size) })
  while (!list.complete) {
    const chunk = bytes.subarray(list.bytes, list.bytes + list.nextLength)
    list.add(hash('sha256', chunk, 'buffer'), chunk.length)
    await setImmediate()
  }
  return list
}

function chunkToAdd(digest: Buffer, chunk: Buffer) {
  const encoded = encodeChunk(chunk, chunk.length - 1)
  if (encoded === null) return { digest, length: chunk.length, bytes: chunk }
  return { digest, length: chunk.length, bytes: encoded, isEncoded: true }
}

/** It is in use: nobody removes it, and it is looked at anew when nobody uses it any more. */
function holding(contents: Contents, content: LiveContent, more: () => void = noop): Disposable {
  const following = content.follow(more)
  return {
    [Symbol.dispose]: () => {
      following[Symbol.dispose]()
      contents.leave(content)
    },
  }
}
