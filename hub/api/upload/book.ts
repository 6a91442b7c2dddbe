// Uploads that were begun and whose message is not stored yet, in DATA/http: what the hub must know to go on with each after
// any end, and to end it. The content itself lies in the contents' store.
//
//   ID.json     topic and headers of its message, its link; written before the content is begun, removed behind its message
//   ID.rest     what came behind the last whole chunk: u53 where it begins in the content · SHA-256 · bytes
//   uses/LINK   ids of the contents that came by a link with a bounded number of files, a line each
//
// An upload counts as a use of its link from its beginning. One that is cancelled or expires is given back.

import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  isMissing,
  makeFolder,
  recordedContent,
  type UploadLink,
  usesIn,
  usesPath,
  writeDurably,
} from '#hub/security/mod.ts'
import { ByteReader, writeU53 } from '#protocol/bytes/mod.ts'
import { DIGEST_BYTES } from '#protocol/crypto/mod.ts'
import { httpFault } from '../faults.ts'
import { OPEN_UPLOADS_MAX, OPEN_UPLOADS_PER_LINK_MAX } from '../limits.ts'

const REST_HEAD_BYTES = 8 + DIGEST_BYTES
/** Uses of a link are forgotten when nothing was added for so long: every link has expired by then. */
const USES_KEPT_MS = 180 * 86_400_000

export type UploadRecord = {
  /** 32 hexadecimal digits. */
  readonly content: string
  readonly link: string
  readonly uses: number
  readonly topic: string
  readonly headers: Readonly<Record<string, string>>
  readonly createdAtMs: number
}

export class UploadBook {
  private readonly folder: string
  private readonly digest: (bytes: Buffer) => Promise<Buffer>
  private readonly records = new Map<string, UploadRecord>()

  /** What a process left half written is removed. */
  constructor(folder: string, options: { digest: (bytes: Buffer) => Promise<Buffer>; nowMs: number }) {
    this.folder = folder
    this.digest = options.digest
    makeFolder(join(folder, 'uses'))
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile())
    for (const { name } of files) {
      const content = recordedContent(name)
      if (content === null) continue
      this.records.set(content, JSON.parse(readFileSync(join(folder, name), 'utf8')) as UploadRecord)
    }
    for (const { name } of files) {
      const isRest = name.endsWith('.rest') && this.records.has(name.slice(0, -'.rest'.length))
      if (recordedContent(name) === null && !isRest) rmSync(join(folder, name), { force: true })
    }
    for (const name of readdirSync(join(folder, 'uses'))) {
      const path = join(folder, 'uses', name)
      if (options.nowMs - statSync(path).mtimeMs > USES_KEPT_MS) rmSync(path, { force: true })
    }
  }

  all(): readonly UploadRecord[] {
    return [...this.records.values()]
  }

  get(content: string): UploadRecord | null {
    return this.records.get(content) ?? null
  }

  /** On the disk when it returns. Faults: `UPLOADS_TOO_MANY`, `UPLOAD_LINK_USED`. */
  begin(content: string, { id, uses, topic, headers }: UploadLink, createdAtMs: number): void {
    const open = this.all().filter(({ link }) => link === id)
    if (uses > 0) {
      const counted = usesIn(this.folder, id)
      for (const record of open) counted.add(record.content)
      if (counted.size >= uses) throw httpFault('UPLOAD_LINK_USED', { where: `link ${id}` })
    }
    if (this.records.size >= OPEN_UPLOADS_MAX || open.length >= OPEN_UPLOADS_PER_LINK_MAX) {
      throw httpFault('UPLOADS_TOO_MANY', { where: `link ${id}`, retry: true })
    }
    const record = { content, link: id, uses, topic, headers, createdAtMs }
    writeDurably(this.pathOf(content, 'json'), `${JSON.stringify(record)}\n`)
    this.records.set(content, record)
  }

  /** Its message is stored. */
  async finished({ content, link, uses }: UploadRecord): Promise<void> {
    if (uses > 0) {
      const ids = usesIn(this.folder, link).add(content)
      writeDurably(usesPath(this.folder, link), [...ids].map((id) => `${id}\n`).join(''))
    }
    await this.drop(content)
  }

  async drop(content: string): Promise<void> {
    this.records.delete(content)
    await rm(this.pathOf(content, 'json'), { force: true })
    await this.forgetRest(content)
  }

  /** Bytes that follow `at`, the end of the last chunk; a rest from elsewhere is one that became a chunk. */
  async restBytes(content: string, at: number): Promise<number> {
    try {
      await using file = await open(this.pathOf(content, 'rest'), 'r')
      const head = Buffer.alloc(REST_HEAD_BYTES)
      const { bytesRead } = await file.read(head, 0, head.length, 0)
      if (bytesRead < head.length || new ByteReader(head, 'rest').u53() !== at) return 0
      return (await file.stat()).size - REST_HEAD_BYTES
    } catch (error) {
      if (isMissing(error)) return 0
      throw error
    }
  }

  /** Gives the rest that begins at `at`, with nothing in it when there is none, or it is damaged: then it is removed. */
  async rest(content: string, at: number): Promise<Buffer> {
    const length = await this.restBytes(content, at)
    if (length === 0) return Buffer.alloc(0)
    await using file = await open(this.pathOf(content, 'rest'), 'r')
    const bytes = await file.readFile()
    const rest = bytes.subarray(REST_HEAD_BYTES)
    if ((await this.digest(rest)).equals(bytes.subarray(8, REST_HEAD_BYTES))) return rest
    await this.forgetRest(content)
    return Buffer.alloc(0)
  }

  /** On the disk when it resolves. */
  async keepRest(content: string, at: number, bytes: Buffer): Promise<void> {
    const path = this.pathOf(content, 'rest')
    const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
    const head = Buffer.alloc(REST_HEAD_BYTES)
    writeU53(head, 0, at)
    const digest = await this.digest(bytes)
    digest.copy(head, 8)
    try {
      await using file = await open(temporary, 'wx', 0o600)
      await file.writev([head, bytes])
      await file.sync()
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    await rename(temporary, path)
    await flushFolder(this.folder)
  }

  async forgetRest(content: string): Promise<void> {
    await rm(this.pathOf(content, 'rest'), { force: true })
  }

  private pathOf(content: string, kind: 'json' | 'rest'): string {
    return join(this.folder, `${content}.${kind}`)
  }
}

/** Windows can neither open nor flush a folder; its file system journals renames. */
async function flushFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  await using folder = await open(path, 'r')
  await folder.sync()
}
