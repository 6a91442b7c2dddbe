// Links for people with a browser: whoever has one may put files under a topic, or take one content. A link is a token:
// what it allows and HMAC-SHA-256 over it, under a key that lies in security/ (links.key, made when first needed). The hub
// keeps nothing of a link but that it was made (links.made) and, when it was revoked, its number (links.revoked).
//
// Token: base64url of payload ‖ 32 bytes HMAC. Payload: JSON `[version, kind, id, expiresAtMs, …]`. It is parsed only after
// its HMAC was found right, so whoever could write a strange one has the key.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { securityFault } from './faults.ts'
import { isMissing, makeFolder, readIfThere, refuseExposed, writeDurably } from './files.ts'
import { LINK_MS_MAX, LINK_TOKEN_LENGTH_MAX, LINKS_REVOKED_MAX } from './limits.ts'
import { LinkLedger, type LinkRecord } from './link-ledger.ts'

const VERSION = 1
const KEY_BYTES = 32
const MAC_BYTES = 32
const ID_BYTES = 12
/** What the HMAC is made over begins with this, so that it can never be taken for one of something else. */
const CONTEXT = Buffer.from('causeway link v1\0')
const ID_FORM = /^[A-Za-z0-9_-]{16}$/
const CONTENT_FORM = /^[0-9a-f]{32}$/

/** May begin uploads: each becomes a message on `topic` with `headers`. */
export type UploadLink = {
  readonly kind: 'upload'
  readonly id: string
  readonly expiresAtMs: number
  readonly topic: string
  readonly headers: Readonly<Record<string, string>>
  /** Bytes of one file; 0: what the hub's settings say. */
  readonly bytesMax: number
  /** Files in all; 0: any number. */
  readonly uses: number
}

/** May read one content. */
export type DownloadLink = {
  readonly kind: 'download'
  readonly id: string
  readonly expiresAtMs: number
  readonly content: string
}

/** May go on with one upload. The hub makes it from an upload link, whose id it has: revoking that one ends this. */
export type PartLink = {
  readonly kind: 'part'
  readonly id: string
  readonly expiresAtMs: number
  readonly content: string
}

export type Link = UploadLink | DownloadLink | PartLink
export type NewLink = Omit<UploadLink, 'id'> | Omit<DownloadLink, 'id'>

export type Links = {
  /** `by`: the person who makes it, for the list. Faults: LINK_SETTING, LINKS_FULL, KEY_EXPOSED. */
  make(link: NewLink, nowMs: number, by?: string): { token: string; id: string }
  /** Those that were made, in their order. */
  made(): LinkRecord[]
  isRevoked(id: string): boolean
  /** How many of them are good. */
  goodCount(nowMs: number): number
  /** The token for one upload of an upload link. */
  part(of: UploadLink, content: string, expiresAtMs: number): string
  /** What a token allows. Faults: LINK_INVALID, LINK_EXPIRED, LINK_REVOKED, KEY_EXPOSED. */
  read(token: string, nowMs: number): Link
  /** Whether it still allows it. Faults: LINK_EXPIRED, LINK_REVOKED. */
  check(link: Pick<Link, 'id' | 'expiresAtMs'>, nowMs: number): void
  /** From now on nobody may use it, in this process and every other. Again is harmless. Faults: LINK_SETTING. */
  revoke(id: string, nowMs: number): void
}

/** `folder`: the hub's security folder. Nothing is read or made before it is needed. */
export function openLinks(folder: string): Links {
  const key = keyIn(join(folder, 'links.key'))
  const ledger = new LinkLedger(join(folder, 'links.made'))
  const revocations = new Revocations(join(folder, 'links.revoked'))
  const check: Links['check'] = ({ id, expiresAtMs }, nowMs) => {
    if (revocations.has(id)) throw securityFault('LINK_REVOKED', { where: `link ${id}` })
    if (nowMs <= expiresAtMs) return
    throw securityFault('LINK_EXPIRED', { where: `link ${id}`, why: `at ${new Date(expiresAtMs).toISOString()}` })
  }
  return {
    made: () => ledger.all(),
    isRevoked: (id) => revocations.has(id),
    goodCount(nowMs) {
      const { revoked } = revocations
      return ledger.all().filter(({ id, expiresAtMs }) => expiresAtMs >= nowMs && !revoked.has(id)).length
    },
    make(link, nowMs, by = '') {
      checkNew(link, nowMs)
      makeFolder(folder)
      const id = randomBytes(ID_BYTES).toString('base64url')
      const whole: Link = { ...link, id }
      const token = seal(key.made(), whole)
      if (token.length > LINK_TOKEN_LENGTH_MAX) throw setting('link', 'topic and headers are too long for an address')
      ledger.add(whole, { nowMs, by })
      return { token, id }
    },
    part: ({ id }, content, expiresAtMs) => seal(key.made(), { kind: 'part', id, content, expiresAtMs }),
    read(token, nowMs) {
      const link = open(key.found(), token)
      check(link, nowMs)
      return link
    },
    check,
    revoke(id, nowMs) {
      if (!ID_FORM.test(id))
        throw setting('id', 'it has 16 letters, digits, "-" and "_", as the command that made the link printed')
      revocations.add(id, nowMs)
    },
  }
}

function seal(key: Buffer, link: Link): string {
  const common = [VERSION, link.kind, link.id, link.expiresAtMs]
  const own = link.kind === 'upload' ? [link.topic, link.headers, link.bytesMax, link.uses] : [link.content]
  const payload = Buffer.from(JSON.stringify([...common, ...own]))
  return Buffer.concat([payload, macOf(key, payload)]).toString('base64url')
}

function open(key: Buffer | null, token: string): Link {
  if (key === null || token.length > LINK_TOKEN_LENGTH_MAX || !/^[A-Za-z0-9_-]+$/.test(token)) throw invalid()
  const bytes = Buffer.from(token, 'base64url')
  // The last character of base64url may have bits that mean nothing: each link has one spelling.
  if (bytes.length <= MAC_BYTES || bytes.toString('base64url') !== token) throw invalid()
  const payload = bytes.subarray(0, bytes.length - MAC_BYTES)
  if (!timingSafeEqual(bytes.subarray(bytes.length - MAC_BYTES), macOf(key, payload))) throw invalid()
  return parse(payload)
}

function parse(payload: Buffer): Link {
  const [version, kind, id, expiresAtMs, ...own] = JSON.parse(payload.toString()) as unknown[]
  const common = { id: String(id), expiresAtMs: Number(expiresAtMs) }
  // Made by a later version, which had more to say.
  if (version !== VERSION) throw invalid()
  if (kind === 'upload') {
    const [topic, headers, bytesMax, uses] = own
    const limits = { bytesMax: Number(bytesMax), uses: Number(uses) }
    return { kind, ...common, topic: String(topic), headers: headers as Record<string, string>, ...limits }
  }
  if (kind === 'download' || kind === 'part') return { kind, ...common, content: String(own[0]) }
  throw invalid()
}

const macOf = (key: Buffer, payload: Buffer): Buffer =>
  createHmac('sha256', key).update(CONTEXT).update(payload).digest()

function checkNew(link: NewLink, nowMs: number): void {
  const lifeMs = link.expiresAtMs - nowMs
  if (!(lifeMs > 0 && lifeMs <= LINK_MS_MAX)) throw setting('expiry', `1 to ${LINK_MS_MAX} ms, not ${lifeMs}`)
  if (link.kind === 'download' && !CONTENT_FORM.test(link.content)) {
    throw setting('content', 'a content has 32 hexadecimal digits, as header :content of its message says')
  }
}

const invalid = () => securityFault('LINK_INVALID')
const setting = (where: string, why: string) => securityFault('LINK_SETTING', { where, why })

/** Read once, when first needed; two processes that make it at the same time get the same one. */
function keyIn(path: string): { found(): Buffer | null; made(): Buffer } {
  let key: Buffer | null = null
  const found = (): Buffer | null => {
    if (key !== null || !existsSync(path)) return key
    refuseExposed(path)
    const bytes = readFileSync(path)
    if (bytes.length !== KEY_BYTES)
      throw securityFault('AUTHORITY_INVALID', { where: path, why: `${bytes.length} bytes` })
    key = bytes
    return key
  }
  const made = (): Buffer => {
    const known = found()
    if (known !== null) return known
    const fresh = `${path}.${randomBytes(6).toString('hex')}.new`
    writeDurably(fresh, randomBytes(KEY_BYTES))
    try {
      // Unlike a rename this fails when another process was faster.
      linkSync(fresh, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      rmSync(fresh, { force: true })
    }
    return found() as Buffer
  }
  return { found, made }
}

/**
 * Lines `id revokedAtMs`, appended. A link that was revoked longer ago than a link can last has expired: when the list is
 * full, such lines are left out.
 */
class Revocations {
  private readonly path: string
  private stamp = ''
  private ids: ReadonlyMap<string, number> = new Map()

  constructor(path: string) {
    this.path = path
  }

  /** Looks at the file's stamp each time: it is another process that revokes. */
  has(id: string): boolean {
    this.refresh()
    return this.ids.has(id)
  }

  /** All of them, with when. */
  get revoked(): ReadonlyMap<string, number> {
    this.refresh()
    return this.ids
  }

  add(id: string, nowMs: number): void {
    if (this.has(id)) return
    if (this.ids.size >= LINKS_REVOKED_MAX) {
      const kept = [...this.ids].filter(([, revokedAtMs]) => revokedAtMs > nowMs - LINK_MS_MAX)
      if (kept.length >= LINKS_REVOKED_MAX) {
        throw securityFault('LINKS_REVOKED_FULL', { where: this.path, limit: LINKS_REVOKED_MAX })
      }
      writeDurably(this.path, kept.map(([one, atMs]) => `${one} ${atMs}\n`).join(''))
    }
    const file = openSync(this.path, 'a', 0o600)
    try {
      writeSync(file, `${id} ${nowMs}\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  }

  private refresh(): void {
    const stamp = stampOf(this.path)
    if (stamp === this.stamp) return
    const ids = new Map<string, number>()
    for (const line of (readIfThere(this.path) ?? '').split('\n')) {
      const [id = '', revokedAtMs] = line.split(' ')
      if (ID_FORM.test(id)) ids.set(id, Number(revokedAtMs) || 0)
    }
    this.ids = ids
    this.stamp = stamp
  }
}

function stampOf(path: string): string {
  try {
    const { mtimeNs, size, ino } = statSync(path, { bigint: true })
    return `${mtimeNs} ${size} ${ino}`
  } catch (error) {
    if (isMissing(error)) return ''
    throw error
  }
}
