// What is left to do when all bytes of an upload are on the disk: seal the content in the hub's name, store its message, forget
// the upload. Each step finds out whether it was done before, so the hub may be killed between any two: what is left to do
// follows from the record and the content, now and at the next start.

import type { Links } from '#hub/security/mod.ts'
import type { HubIdentity, OwnMessages } from '#hub/session/mod.ts'
import type { Log } from '#hub/telemetry/mod.ts'
import type { Contents } from '#hub/transfer/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { HEADER_CONTENT } from '#protocol/codec/mod.ts'
import { sealManifest } from '#protocol/transfer/mod.ts'
import { FINISH_RETRY_MS, FORGET_MS } from '../limits.ts'
import type { UploadBook, UploadRecord } from './book.ts'

export type FinisherOptions = {
  readonly book: UploadBook
  readonly contents: Contents
  readonly links: Links
  readonly messages: OwnMessages
  readonly identity: HubIdentity
  readonly nowMs: () => number
  readonly log: Log
}

/** The stream that holds the one message of an upload. */
export const streamOf = (content: string): string => `http/${content}`

export class Finisher {
  private readonly options: FinisherOptions
  private readonly running = new Map<string, Promise<void>>()
  private timer: NodeJS.Timeout | null = null

  constructor(options: FinisherOptions) {
    this.options = options
  }

  /** Does what the last life of the hub left, and tries again what fails, until `stop`. */
  start(): void {
    const look = () => {
      for (const record of this.options.book.all()) this.look(record)
    }
    look()
    this.timer = setInterval(look, FINISH_RETRY_MS)
    this.timer.unref()
  }

  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer)
    await Promise.allSettled(this.running.values())
  }

  /** Resolves when its message is stored. Nothing when that was done. Faults: those of the store, `LINK_REVOKED`. */
  finish(content: string): Promise<void> {
    const running = this.running.get(content) ?? this.run(content).finally(() => this.running.delete(content))
    this.running.set(content, running)
    return running
  }

  private look(record: UploadRecord): void {
    const { contents, book, nowMs, log } = this.options
    const { content: id, createdAtMs } = record
    try {
      const view = contents.store.get(id)
      if (view !== null && view.bytes < view.size) return
      if (view === null && nowMs() - createdAtMs < FORGET_MS) return
      // It expired, or all of it is here.
      const work = view === null ? book.drop(id) : this.finish(id)
      work.catch((error: unknown) => this.tell(id, asFault(error)))
    } catch (error) {
      log('warn', 'upload not looked at', { content: id, fault: asFault(error).toJSON() })
    }
  }

  private tell(content: string, fault: Fault): void {
    this.options.log('warn', 'upload not finished yet', { content, fault: fault.toJSON() })
  }

  private async run(id: string): Promise<void> {
    const { book, messages, nowMs, log } = this.options
    const record = book.get(id)
    if (record === null || !(await this.seal(record))) return
    const view = this.options.contents.store.get(id)
    const { name = '', size = 0, mediaType = '' } = view ?? {}
    await messages.publish({
      stream: streamOf(id),
      topic: record.topic,
      headers: { ...record.headers, [HEADER_CONTENT]: id },
      body: JSON.stringify({ name, size, mediaType }),
      nowMs: nowMs(),
    })
    await book.finished(record)
    log('info', 'upload finished', { content: id, link: record.link, bytes: size })
  }

  /** False when there is nothing to seal: a part of it is missing, or all of it. */
  private async seal({ content: id, link }: UploadRecord): Promise<boolean> {
    const { contents, identity, links, nowMs, book } = this.options
    const contentId = Buffer.from(id, 'hex')
    const content = contents.find(contentId)
    try {
      if (content.manifest !== null) return true
      if (content.durable.floor < content.list.count || !content.list.complete) return false
      try {
        links.check({ id: link, expiresAtMs: Number.MAX_SAFE_INTEGER }, nowMs())
      } catch (error) {
        await contents.cancel(content)
        await book.drop(id)
        throw error
      }
      const { name, mediaType } = content.view
      const about = { contentId, sealedAtMs: nowMs(), origin: identity.name, name, mediaType }
      // Sealed before, and a chunk was lost since: it is the same content again.
      const manifest = content.view.manifest ?? sealManifest(about, content.list, identity.key)
      await contents.store.seal(id, manifest)
      content.manifest = manifest
      content.tell()
      return true
    } finally {
      contents.leave(content)
    }
  }
}
