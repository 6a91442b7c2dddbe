// Files on their way into messages. A small one is the body of its message; a large one is brought to the hub first, and the message
// refers to it. Both messages say by the same headers what file they are.
//
//   :file          its path below the folder it comes from, with `/`
//   :file-changed  when it was last changed
//   body           the file; or, with `:content`, {"name", "size", "mediaType"} as JSON
//
// The id of a large content follows from the file as it was claimed and from a secret of the flow: after a crash the same file goes on
// under the same id. Until the hub has the message, it is known which file that was (contents.json), should the hub lose it.

import { createHmac, randomBytes } from 'node:crypto'
import { join, posix } from 'node:path'
import { Fault } from '#protocol/base/mod.ts'
import {
  HEADER_CONTENT,
  HEADER_CONTENT_TYPE,
  HEADER_FILE,
  HEADER_FILE_CHANGED_MS,
  type Headers,
} from '#protocol/codec/mod.ts'
import { CONTENT_ID_BYTES, checkName } from '#protocol/transfer/mod.ts'
import type { Item, LocalFile } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { JOURNAL_FILE_BYTES_MIN, UPLOADS_AT_ONCE } from '../../limits.ts'
import { atOnce, checkLocal, fileFault, readIfThere, readSmall, replaceFile, stillWritten } from '../../support/mod.ts'
import type { HubOutlet } from './destination.ts'
import type { HubDestinationSettings } from './settings.ts'

/** What a file adds to a message. */
export type FileMessage = { readonly headers: Headers; readonly body: Uint8Array }

/** A content at the hub that a message in the spool refers to, and the file it was made of. */
type Sent = { readonly id: string; readonly path: string; readonly name: string; readonly mediaType: string }

/** What the row says of its file. */
type Named = { readonly path: string; readonly name: string; readonly mediaType: string; readonly headers: Headers }

/** What is wrong on the way, not with the file: it is tried again. */
const PASSING = /^(?:CLIENT_CLOSED|TRANSFERS_UNSUPPORTED|TRANSFER_LEFT|INTERNAL)$/
const BINARY = 'application/octet-stream'
/** Ids of one file, should the hub have other content under the first. */
const TURNS_MAX = 3
const NONE: readonly never[] = []

export class FileMessages {
  readonly #settings: Pick<HubDestinationSettings, 'inlineBytes' | 'priority'>
  readonly #outlet: Pick<HubOutlet, 'upload' | 'transferSettled'>
  readonly #dataDir: string
  #secret: Buffer | null = null
  /** Given up as somebody wished, and not told so yet. */
  #cancelled: string[] = []

  constructor(
    settings: Pick<HubDestinationSettings, 'inlineBytes' | 'priority'>,
    outlet: Pick<HubOutlet, 'upload' | 'transferSettled'>,
    dataDir: string,
  ) {
    this.#settings = settings
    this.#outlet = outlet
    this.#dataDir = dataDir
  }

  /**
   * Makes messages of the items that are files, by their places; large contents are sealed at the hub then. A fault instead: the item
   * is refused. Throws what may pass.
   */
  async prepare(items: readonly Item[], signal: AbortSignal): Promise<readonly (FileMessage | Fault | undefined)[]> {
    if (items.every(({ content }) => content === undefined)) return NONE
    const results: (FileMessage | Fault | undefined)[] = new Array(items.length).fill(undefined)
    const sent: Sent[] = []
    try {
      this.#secret ??= await secretOf(join(this.#dataDir, 'content-key'))
      const prepare = async (place: number): Promise<void> => {
        results[place] = await this.#prepareOne(items[place] as Item, sent, signal)
      }
      const places = [...items.keys()].filter((place) => items[place]?.content !== undefined)
      await atOnce(
        places.filter((place) => !this.#isLarge(items[place] as Item)),
        prepare,
      )
      await atOnce(
        places.filter((place) => this.#isLarge(items[place] as Item)),
        prepare,
        UPLOADS_AT_ONCE,
      )
      if (sent.length > 0) await replaceFile(this.#sentPath, `${JSON.stringify(sent)}\n`)
    } catch (error) {
      signal.throwIfAborted()
      throw fileFault(error, this.#dataDir)
    }
    return results
  }

  /** The fate of the items prepared last is on disk. */
  settled(): void {
    for (const id of this.#cancelled.splice(0)) this.#outlet.transferSettled(id)
  }

  /** The hub has lost contents it had: brings them again, under their ids. False when there are none. */
  async sendAgain(signal: AbortSignal): Promise<boolean> {
    const sent = JSON.parse((await readIfThere(this.#sentPath)) ?? '[]') as readonly Sent[]
    try {
      await atOnce(sent, (each) => this.#upload(each, { keepJournal: true, where: each.path, signal }), UPLOADS_AT_ONCE)
    } catch (error) {
      signal.throwIfAborted()
      // The message that refers to it is on its way, and is not taken back.
      this.settled()
      const why = error instanceof Fault ? `${error.code}: ${error.message}` : String(error)
      throw componentFault('FILE_NOT_SENT', { where: this.#sentPath, why, retry: true, cause: error })
    }
    return sent.length > 0
  }

  get #sentPath(): string {
    return join(this.#dataDir, 'contents.json')
  }

  #isLarge({ content }: Item): boolean {
    return content?.kind === 'local' && content.size > this.#settings.inlineBytes
  }

  async #prepareOne(item: Item, sent: Sent[], signal: AbortSignal): Promise<FileMessage | Fault> {
    const { row, ref, content } = item
    const where = typeof row.name === 'string' ? JSON.stringify(row.name).slice(0, 300) : `item ${ref}`
    try {
      switch (content?.kind) {
        case 'bytes':
          return inline(namedBy(item, where), content.bytes)
        case 'hub':
          return referring(row.name === null || row.name === undefined ? null : namedBy(item, where), {
            id: content.id,
            size: content.size,
          })
        case 'local': {
          const named = namedBy(item, where)
          if (!this.#isLarge(item)) return inline(named, await readSmall(content, where))
          const id = await this.#bring(content, { named, sent, where, signal })
          await checkLocal(content, where)
          return referring(named, { id, size: content.size })
        }
        default:
          throw componentFault('FILE_WITHOUT_CONTENT', { where })
      }
    } catch (error) {
      signal.throwIfAborted()
      return refusal(error, where)
    }
  }

  /** Brings a large file to the hub; gives its id there. */
  async #bring(
    content: LocalFile,
    { named, sent, where, signal }: { named: Named; sent: Sent[]; where: string; signal: AbortSignal },
  ): Promise<string> {
    const { path, size } = content
    const { name, mediaType } = named
    for (let turn = 0; ; turn += 1) {
      const upload = { id: this.#idOf(content, turn), path, name, mediaType }
      try {
        await this.#upload(upload, { keepJournal: size >= JOURNAL_FILE_BYTES_MIN, where, signal })
        sent.push(upload)
        return upload.id
      } catch (error) {
        // Cut in another way than the last time, it has to be another content.
        const isForeign = error instanceof Fault && error.details.hubCode === 'CONTENT_FOREIGN'
        if (!isForeign || turn === TURNS_MAX) throw error
      }
    }
  }

  /** Resolves when it is sealed. Ended by `signal` it goes on another time. */
  async #upload(
    { id, path, name, mediaType }: Sent,
    { keepJournal, where, signal }: { keepJournal: boolean; where: string; signal: AbortSignal },
  ): Promise<void> {
    let changed: Fault | null = null
    const upload = this.#outlet.upload({
      id,
      path,
      name,
      mediaType,
      priority: this.#settings.priority,
      ...(keepJournal ? { journalDir: join(this.#dataDir, 'transfers') } : {}),
      // Its source says when it rests.
      onRestart: (_id, reason) => {
        changed = reason
        void upload.cancel()
      },
    })
    const leave = (): void => void upload.leave()
    signal.addEventListener('abort', leave, { once: true })
    try {
      if (signal.aborted) leave()
      await upload.sealed
    } catch (error) {
      if (error instanceof Fault && error.code === 'TRANSFER_CANCELLED' && changed === null) this.#cancelled.push(id)
      if (changed !== null) throw stillWritten(where, (changed as Fault).message)
      throw error
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  #idOf({ path, size, changedMs, inode }: LocalFile, turn: number): string {
    if (this.#secret === null) throw new Error('nothing was prepared')
    const digest = createHmac('sha256', this.#secret)
      .update(JSON.stringify([path, size, changedMs, inode, turn]))
      .digest()
    return digest.toString('hex', 0, CONTENT_ID_BYTES)
  }
}

/** Knowing an id is the right to fetch the content: nobody may guess it from a path. */
async function secretOf(path: string): Promise<Buffer> {
  const kept = (await readIfThere(path))?.trim() ?? ''
  if (/^[0-9a-f]{64}$/.test(kept)) return Buffer.from(kept, 'hex')
  const secret = randomBytes(32)
  await replaceFile(path, `${secret.toString('hex')}\n`)
  return secret
}

/** Faults: `FILE_NAMELESS`, `CONTENT_NAME_INVALID`. */
function namedBy({ row }: Item, where: string): Named {
  const { name: path, modified, mediaType } = row
  if (typeof path !== 'string' || path === '') throw componentFault('FILE_NAMELESS', { where })
  for (const each of path.split('/')) checkName(each)
  const changedMs = typeof modified === 'string' ? Math.floor(Date.parse(modified)) : Number.NaN
  return {
    path,
    name: posix.basename(path),
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    headers: { [HEADER_FILE]: path, ...(changedMs >= 0 ? { [HEADER_FILE_CHANGED_MS]: changedMs } : {}) },
  }
}

const inline = ({ headers, mediaType }: Named, body: Uint8Array): FileMessage => ({
  headers: { ...headers, [HEADER_CONTENT_TYPE]: mediaType === '' ? BINARY : mediaType },
  body,
})

/** Without a name it is the content's own. */
function referring(named: Named | null, { id, size }: { id: string; size: number }): FileMessage {
  const { name = '', mediaType = '', headers = {} } = named ?? {}
  return {
    headers: { ...headers, [HEADER_CONTENT_TYPE]: 'application/json', [HEADER_CONTENT]: id },
    body: Buffer.from(JSON.stringify({ name, size, mediaType })),
  }
}

/** The fault for which an item is refused; anything else is thrown on. */
function refusal(error: unknown, where: string): Fault {
  if (!(error instanceof Fault)) throw error
  const why = `${error.code}: ${error.message}`
  if (PASSING.test(error.code))
    throw componentFault('FILE_NOT_SENT', { where, why, todo: error.remedy, retry: true, cause: error })
  if (error.details.retry === true) throw error
  // Between its last look and the first of the upload somebody took it.
  return error.code === 'CONTENT_CHANGED' ? stillWritten(where, error.message) : error
}
