// What @tus/server asks of a store, on the hub's contents: an upload is a content with the hub as its origin, and its offset is
// what of it is on the disk. Whoever calls has proved by a link that it may.

import { DataStore, Upload } from '@tus/server'
import type { UploadLink } from '#hub/security/mod.ts'
import { type Contents, hubTransferFault, type LiveContent } from '#hub/transfer/mod.ts'
import { assert, type Fault } from '#protocol/base/mod.ts'
import { checkName, chunkBytesFor, MEDIA_TYPE_LENGTH_MAX } from '#protocol/transfer/mod.ts'
import { currentExchange, type Exchange } from '../exchange.ts'
import { httpFault } from '../faults.ts'
import { WRITERS_MAX } from '../limits.ts'
import type { UploadBook } from './book.ts'
import { Receiver } from './receiver.ts'

export type UploadStoreOptions = {
  readonly contents: Contents
  readonly book: UploadBook
  /** The hub's name: the contents' origin. */
  readonly origin: string
  readonly keepMs: number
  readonly nowMs: () => number
  /** All bytes are on the disk. */
  readonly onComplete: (content: string) => void
  /** Still allowed? Throws when not. */
  readonly check: (exchange: Exchange) => void
}

/** RFC 9110, section 8.3.1, with parameters as they come. */
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:\s*;[\x20-\x7e]*)?$/

export class UploadStore extends DataStore {
  override extensions = ['creation', 'creation-with-upload', 'termination', 'expiration']
  private readonly options: UploadStoreOptions
  /** Writes that end: @tus/server lets go of an upload before its last bytes are on the disk when a connection breaks. */
  private readonly ending = new Map<string, Promise<unknown>>()
  private writers = 0

  constructor(options: UploadStoreOptions) {
    super()
    this.options = options
  }

  /** Faults: `CONTENT_NAME_INVALID`, `UPLOAD_MEDIA_TYPE`, `UPLOAD_LINK_USED`, `UPLOADS_TOO_MANY`, those of `Contents.open`. */
  override async create(upload: Upload): Promise<Upload> {
    const { contents, book, origin, nowMs } = this.options
    const { id, size, metadata = {} } = upload
    assert(size !== undefined, 'without creation-defer-length each upload has a size')
    const name = metadata.filename ?? metadata.name ?? ''
    if (name !== '') checkName(name)
    const mediaType = mediaTypeOf(metadata.filetype ?? metadata.type ?? '')
    const content = Buffer.from(id, 'hex')
    const chunkBytes = chunkBytesFor(size)
    book.begin(id, currentExchange().link as UploadLink, nowMs())
    try {
      const request = { request: 0, content, name, mediaType, size, chunkBytes, keepMs: 0, expiresMs: 0 }
      contents.leave(await contents.open(request, origin))
      return upload
    } catch (error) {
      await book.drop(id)
      throw error
    }
  }

  /** Faults: `UPLOAD_UNKNOWN`. */
  override async getUpload(id: string): Promise<Upload> {
    await this.ending.get(id)
    const { contents, book } = this.options
    const view = contents.store.get(id)
    if (view === null || (view.state !== 'sealed' && book.get(id) === null)) {
      throw httpFault('UPLOAD_UNKNOWN', { where: `content ${id}` })
    }
    const { name, mediaType, size, touchedAtMs } = view
    const offset = view.state === 'sealed' ? size : await this.within(id, (content) => this.offsetOf(content))
    const metadata = { ...(name === '' ? {} : { filename: name }), filetype: mediaType }
    return new Upload({ id, size, offset, metadata, creation_date: new Date(touchedAtMs).toISOString() })
  }

  /** Gives the new offset. Faults: `UPLOAD_UNKNOWN`, `UPLOAD_BUSY`, `TRANSFERS_TOO_MANY`, those of the store. */
  override async write(stream: AsyncIterable<Buffer>, id: string, offset: number): Promise<number> {
    await this.ending.get(id)
    const writing = this.receive(stream, id, offset)
    const ended = writing.catch(() => {
      // Who called is told; who waits for the end only wants the end.
    })
    this.ending.set(id, ended)
    try {
      return await writing
    } finally {
      if (this.ending.get(id) === ended) this.ending.delete(id)
    }
  }

  override async remove(id: string): Promise<void> {
    await this.ending.get(id)
    const { contents, book } = this.options
    if (book.get(id) === null) throw httpFault('UPLOAD_UNKNOWN', { where: `content ${id}` })
    await this.within(id, (content) => contents.cancel(content))
    await book.drop(id)
  }

  override getExpiration(): number {
    return this.options.keepMs
  }

  /** Resolves when nothing is being written any more. */
  async idle(): Promise<void> {
    while (this.ending.size > 0) await Promise.all(this.ending.values())
  }

  private async receive(stream: AsyncIterable<Buffer>, id: string, offset: number): Promise<number> {
    const { contents } = this.options
    const exchange = currentExchange()
    const place = this.writers < WRITERS_MAX ? contents.windows.enter() : null
    if (place === null) throw hubTransferFault('TRANSFERS_TOO_MANY', { retry: true })
    this.writers++
    try {
      return await this.within(id, async (content) => {
        if (content.uploader !== null) throw httpFault('UPLOAD_BUSY', { where: `content ${id}`, retry: true })
        if (content.manifest !== null) return content.list.size
        content.uploader = exchange
        using movement = contents.move(id, { direction: 'in', by: exchange.by })
        exchange.movement = movement
        try {
          return await this.receiveInto(content, stream, exchange, offset)
        } finally {
          content.uploader = null
        }
      })
    } finally {
      this.writers--
      place[Symbol.dispose]()
    }
  }

  private async receiveInto(
    content: LiveContent,
    stream: AsyncIterable<Buffer>,
    exchange: Exchange,
    offset: number,
  ): Promise<number> {
    const { contents, book, check, onComplete } = this.options
    const rest = await book.rest(content.id, durableBytes(content))
    if (durableBytes(content) + rest.length !== offset) {
      // The rest was damaged: the sender asks again where to go on.
      throw httpFault('UPLOAD_REFUSED', { where: `content ${content.id}`, why: 'it goes on elsewhere', retry: true })
    }
    const receiver = new Receiver({ contents, content, rest })
    try {
      exchange.waitForPeer()
      for await (const bytes of stream) {
        exchange.peerDone()
        exchange.moved(bytes.length)
        check(exchange)
        await receiver.take(bytes)
        exchange.waitForPeer()
      }
    } finally {
      exchange.peerDone()
      // However it ends: what came stays.
      const fault = await receiver.settle()
      try {
        if (fault === null) await this.keepRest(content, receiver.rest())
      } finally {
        receiver.close()
      }
      if (content.list.complete && content.durable.floor === content.list.count) onComplete(content.id)
      if (fault !== null) throwSettled(fault)
    }
    return await this.offsetOf(content)
  }

  private async keepRest(content: LiveContent, rest: Buffer): Promise<void> {
    const { book, contents } = this.options
    if (rest.length === 0) return book.forgetRest(content.id)
    const full = contents.roomFor(rest.length)
    if (full !== null) throw full
    await book.keepRest(content.id, durableBytes(content), rest)
  }

  private async offsetOf(content: LiveContent): Promise<number> {
    const bytes = durableBytes(content)
    return bytes + (await this.options.book.restBytes(content.id, bytes))
  }

  /** Faults: `UPLOAD_UNKNOWN`. */
  private async within<T>(id: string, work: (content: LiveContent) => T | Promise<T>): Promise<T> {
    const { contents, book } = this.options
    if (book.get(id) === null && contents.store.get(id)?.state !== 'sealed') {
      throw httpFault('UPLOAD_UNKNOWN', { where: `content ${id}` })
    }
    const content = contents.find(Buffer.from(id, 'hex'))
    try {
      return await work(content)
    } finally {
      contents.leave(content)
    }
  }
}

/** From a `finally`: what failed in the store counts more than how the stream ended. */
function throwSettled(fault: Fault): never {
  throw fault
}

/** Up to the first gap. */
function durableBytes({ durable, list }: LiveContent): number {
  return durable.floor < list.count ? list.offsetAt(durable.floor) : list.bytes
}

function mediaTypeOf(given: string): string {
  if (given === '') return 'application/octet-stream'
  if (given.length > MEDIA_TYPE_LENGTH_MAX || !MEDIA_TYPE.test(given)) {
    throw httpFault('UPLOAD_MEDIA_TYPE', { why: JSON.stringify(given.slice(0, 80)) })
  }
  return given
}
