// A content goes to a browser: whole or a range of it, chunk by chunk, each read into one of two buffers and checked against its
// digest before its first byte is sent, the next one while the one before travels. What is damaged is never sent: the answer
// ends early, and a client that counts bytes notices.

import { type Contents, hubTransferFault, type LiveContent } from '#hub/transfer/mod.ts'
import { parseManifest } from '#protocol/transfer/mod.ts'
import type { Exchange } from '../exchange.ts'
import { PIECE_BYTES } from '../limits.ts'
import { attachment, type ByteRange, isSameVersion, rangeOf } from './range.ts'

export type ServeOptions = {
  readonly contents: Contents
  /** 32 hexadecimal digits. */
  readonly content: string
  /** Still allowed? Throws when not. */
  readonly check: () => void
}

/** Faults: `CONTENT_ABSENT`, `CONTENT_EXPIRED`, `CONTENT_DAMAGED`, `LINK_*`, those of the store. After the headers they end the connection. */
export async function serve(exchange: Exchange, { contents, content: id, check }: ServeOptions): Promise<void> {
  if (contents.store.get(id)?.state !== 'sealed') throw hubTransferFault('CONTENT_ABSENT', { where: `content ${id}` })
  const content = contents.find(Buffer.from(id, 'hex'))
  const inUse = content.follow(() => undefined)
  using movement = contents.move(id, { direction: 'out', by: exchange.by })
  exchange.movement = movement
  try {
    const { manifest, list } = content
    if (manifest === null || !list.complete) throw hubTransferFault('CONTENT_ABSENT', { where: `content ${id}` })
    const { request, response } = exchange
    const etag = `"${parseManifest(manifest).root.toString('hex')}"`
    const asked = isSameVersion(request.headersDistinct['if-range']?.[0], etag)
      ? rangeOf(request.headers.range, list.size)
      : null
    if (asked === 'unsatisfiable') {
      response.writeHead(416, { 'content-range': `bytes */${list.size}`, etag }).end()
      return
    }
    const range = asked ?? { from: 0, to: list.size }
    const sender = new Sender(exchange, { contents, content, check })
    const head = () => {
      const { name, mediaType } = content.view
      response.writeHead(asked === null ? 200 : 206, {
        'content-type': mediaType === '' ? 'application/octet-stream' : mediaType,
        'content-disposition': attachment(name === '' ? id : name),
        'content-length': range.to - range.from,
        'accept-ranges': 'bytes',
        etag,
        ...(asked === null ? {} : { 'content-range': `bytes ${range.from}-${range.to - 1}/${list.size}` }),
      })
    }
    if (request.method === 'HEAD' || range.from === range.to) head()
    else await sender.send(range, head).finally(() => sender.close())
    response.end()
  } finally {
    inUse[Symbol.dispose]()
    contents.leave(content)
  }
}

type SenderOptions = Pick<ServeOptions, 'contents' | 'check'> & { readonly content: LiveContent }

class Sender {
  private readonly exchange: Exchange
  private readonly options: SenderOptions
  private readonly taken: Buffer[] = []
  private loading: Promise<unknown> = Promise.resolve()
  private gone = false

  constructor(exchange: Exchange, options: SenderOptions) {
    this.exchange = exchange
    this.options = options
    void exchange.closed.then(() => {
      this.gone = true
    })
  }

  /** `head` is called when the first chunk is found right. */
  async send(range: ByteRange, head: () => void): Promise<void> {
    const { list } = this.options.content
    const first = this.chunkAt(range.from)
    const last = this.chunkAt(range.to - 1)
    let bytesMax = 0
    for (let chunk = first; chunk <= last; chunk++) bytesMax = Math.max(bytesMax, list.lengthAt(chunk))
    let next = this.load(first, bytesMax)
    for (let chunk = first; chunk <= last; chunk++) {
      const bytes = await next
      if (chunk === first) head()
      if (chunk < last) next = this.load(chunk + 1, bytesMax)
      const at = list.offsetAt(chunk)
      await this.write(bytes.subarray(Math.max(0, range.from - at), Math.min(bytes.length, range.to - at)))
      if (this.gone) return
      if (this.options.content.expired !== null) throw this.options.content.expired
      this.options.check()
    }
  }

  /** Gives its memory back when nobody writes to it any more. */
  async close(): Promise<void> {
    await this.loading
    for (const buffer of this.taken) if (buffer !== undefined) this.options.contents.buffers.release(buffer)
  }

  private chunkAt(offset: number): number {
    const { list } = this.options.content
    if (list.chunkBytes > 0) return Math.floor(offset / list.chunkBytes)
    let [low, high] = [0, list.count]
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (list.offsetAt(middle) <= offset) low = middle
      else high = middle
    }
    return low
  }

  /** Into the buffer that is not being sent: chunks take turns. */
  private load(chunk: number, bytesMax: number): Promise<Buffer> {
    this.taken[chunk % 2] ??= this.options.contents.buffers.take(bytesMax)
    const loading = this.read(chunk, this.taken[chunk % 2] as Buffer)
    // It is awaited when the chunk before it is sent, or only by the end.
    this.loading = loading.catch(() => undefined)
    return loading
  }

  private async read(chunk: number, into: Buffer): Promise<Buffer> {
    const { contents, content } = this.options
    const digest = Buffer.from(content.list.digestAt(chunk))
    const bytes = await contents.read(digest, into)
    if (!('damage' in bytes)) return bytes
    // It takes a while: all contents that consist of it are looked for. Closing the store meanwhile is no fault.
    contents.lost(content, digest).catch(() => undefined)
    throw hubTransferFault('CONTENT_DAMAGED', { where: `content ${content.id}, chunk ${chunk}`, why: bytes.damage })
  }

  /** Resolves when the system has taken all of it, so the buffer is free, or the peer has gone. */
  private async write(bytes: Buffer): Promise<void> {
    const { exchange } = this
    for (let at = 0; at < bytes.length && !this.gone; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES)
      exchange.waitForPeer()
      await Promise.race([
        exchange.closed,
        new Promise<void>((resolve) => {
          exchange.response.write(piece, () => resolve())
        }),
      ])
      exchange.peerDone()
      exchange.moved(piece.length)
    }
  }
}
