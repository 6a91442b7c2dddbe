// One-time tokens. The hub keeps only SHA-256(secret): invitations/<hash>.json, moved by one rename to
// used/<hash>/<key fingerprint>.json when redeemed. The rename is the decision: it can succeed once, it survives a
// crash, and it names the key, so the same key may come again when the answer was lost on the way.

import { hash, timingSafeEqual } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { NAME_PATTERN } from '#protocol/handshake/mod.ts'
import { securityFault } from './faults.ts'
import { isMissing, makeFolder, moveDurably, readIfThere, writeDurably } from './files.ts'
import { INVITATION_KEPT_MS, INVITATION_MS_MAX, INVITATIONS_MAX, PATTERNS_MAX } from './limits.ts'
import { type InvitationRecord, PATTERN_FORM, parseInvitation, type Rights, textOf } from './parse.ts'

export type NewInvitation = Rights & {
  readonly agent: string
  readonly secret: Uint8Array
  readonly expiresInMs: number
  /** Orders what is decided about an agent; at least `nowMs`. */
  readonly createdAtMs: number
  readonly nowMs: number
}

export type Invitations = {
  /** Stores an invitation durably. Faults: INVITATION_SETTING, INVITATIONS_FULL. */
  create(entry: NewInvitation): InvitationRecord
  /**
   * Claims it for a key (SHA-256 of its SPKI, hexadecimal), at most one key ever.
   * Faults: TOKEN_UNKNOWN, TOKEN_USED, TOKEN_EXPIRED, TOKEN_WRONG_AGENT; the last two do not spend the token.
   */
  redeem(claim: { agent: string; secret: Uint8Array; keyFingerprint: string; nowMs: number }): InvitationRecord
  /** Invitations that nobody has used, expired ones included. */
  open(): readonly InvitationRecord[]
  /** Forgets all invitations of an agent, used ones too: they cannot be used again either. */
  withdraw(agent: string): void
}

/** Looking up by digest is no comparison with a secret: what timing tells of the digest does not lead back to it. */
const nameOf = (secret: Uint8Array): string => hash('sha256', secret, 'hex')

export function openInvitations(folder: string): Invitations {
  const used = join(folder, 'used')
  makeFolder(used)
  const pathOf = (name: string): string => join(folder, `${name}.json`)

  const redeemAgain = (name: string, claim: Parameters<Invitations['redeem']>[0]): InvitationRecord => {
    const file = filesIn(join(used, name))[0]
    if (file === undefined) throw securityFault('TOKEN_UNKNOWN')
    const path = join(used, name, file)
    const text = readIfThere(path)
    if (text === null) throw securityFault('TOKEN_UNKNOWN')
    const record = parseInvitation(text, path)
    check(record, claim)
    if (!equalText(file, `${claim.keyFingerprint}.json`)) throw securityFault('TOKEN_USED')
    return record
  }

  return {
    create(entry) {
      checkEntry(entry)
      const forgottenMs = entry.nowMs - INVITATION_KEPT_MS
      forget(folder, (record) => record.expiresAtMs < forgottenMs)
      if (filesIn(folder).length >= INVITATIONS_MAX) throw securityFault('INVITATIONS_FULL', { limit: INVITATIONS_MAX })
      const { agent, publish, consume, createdAtMs } = entry
      const expiresAtMs = entry.nowMs + entry.expiresInMs
      const record: InvitationRecord = { agent, publish, consume, createdAtMs, expiresAtMs }
      writeDurably(pathOf(nameOf(entry.secret)), textOf(record))
      return record
    },
    redeem(claim) {
      const name = nameOf(claim.secret)
      const path = pathOf(name)
      const text = readIfThere(path)
      if (text === null) return redeemAgain(name, claim)
      const record = parseInvitation(text, path)
      check(record, claim)
      makeFolder(join(used, name))
      // Someone else was faster between reading and here: then it is used, unless it was this very key.
      if (!moveDurably(path, join(used, name, `${claim.keyFingerprint}.json`))) return redeemAgain(name, claim)
      return record
    },
    open: () =>
      filesIn(folder).flatMap((file) => {
        const text = readIfThere(join(folder, file))
        return text === null ? [] : parseInvitation(text, join(folder, file))
      }),
    withdraw: (agent) => forget(folder, (record) => record.agent === agent),
  }
}

function check(record: InvitationRecord, claim: { agent: string; nowMs: number }): void {
  if (record.agent !== claim.agent) throw securityFault('TOKEN_WRONG_AGENT')
  if (claim.nowMs > record.expiresAtMs) {
    throw securityFault('TOKEN_EXPIRED', { why: `at ${new Date(record.expiresAtMs).toISOString()}` })
  }
}

function checkEntry(entry: Rights & { agent: string; expiresInMs: number }): void {
  if (!NAME_PATTERN.test(entry.agent)) {
    throw securityFault('INVITATION_SETTING', {
      where: 'agent',
      why: `"${entry.agent}" is not a valid name`,
      todo: 'Use 1 to 63 lower-case letters, digits, dots, hyphens or underscores, a letter or digit first and last',
    })
  }
  const { expiresInMs } = entry
  if (!Number.isSafeInteger(expiresInMs) || expiresInMs < 1 || expiresInMs > INVITATION_MS_MAX) {
    throw securityFault('INVITATION_SETTING', {
      where: 'expiry',
      why: `1 to ${INVITATION_MS_MAX} ms, not ${expiresInMs}`,
    })
  }
  for (const kind of ['publish', 'consume'] as const) {
    const patterns = entry[kind]
    const bad = patterns.find((pattern) => !PATTERN_FORM.test(pattern))
    if (bad !== undefined)
      throw securityFault('INVITATION_SETTING', { where: kind, why: `${JSON.stringify(bad)} is no pattern` })
    if (patterns.length > PATTERNS_MAX) {
      throw securityFault('INVITATION_SETTING', {
        where: kind,
        why: `${patterns.length} patterns, at most ${PATTERNS_MAX}`,
      })
    }
  }
}

function forget(folder: string, which: (record: InvitationRecord) => boolean): void {
  const chosen = (path: string): boolean => {
    const text = readIfThere(path)
    return text !== null && which(parseInvitation(text, path))
  }
  for (const file of filesIn(folder)) {
    if (chosen(join(folder, file))) rmSync(join(folder, file), { force: true })
  }
  const used = join(folder, 'used')
  for (const name of readdirSync(used)) {
    const file = filesIn(join(used, name))[0]
    if (file !== undefined && chosen(join(used, name, file))) rmSync(join(used, name), { recursive: true, force: true })
  }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((file) => /^[0-9a-f]{64}\.json$/.test(file))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

function equalText(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}
