// The records of the security folder: JSON ↔ values, checked once here.

import { NAME_PATTERN } from '#protocol/handshake/mod.ts'
import { securityFault } from './faults.ts'
import { GROUP_NAME_LENGTH_MAX, GROUPS_PER_AGENT_MAX, PATTERN_LENGTH_MAX, PATTERNS_MAX, SERIALS_MAX } from './limits.ts'

/** Topic patterns an agent may publish to and consume from. Empty means nothing. */
export type Rights = { readonly publish: readonly string[]; readonly consume: readonly string[] }

export type AgentRecord = Rights & {
  readonly name: string
  /** SHA-256 of the present key's SPKI, hexadecimal. */
  readonly keyFingerprint: string
  /** Upper-case hexadecimal serial numbers of the certificates that count; the newest is last. */
  readonly serials: readonly string[]
  readonly enrolledAtMs: number
  /** When the invitation was made that led here: an older one can change nothing any more. */
  readonly invitedAtMs: number
  readonly revokedAtMs: number | null
  /** Groups it belongs to, sorted: it gets what is published to `group/NAME/#`. */
  readonly groups: readonly string[]
}

export type InvitationRecord = Rights & {
  readonly agent: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
}

export const textOf = (record: AgentRecord | InvitationRecord): string => `${JSON.stringify(record, null, 2)}\n`

/** Faults: AGENT_RECORD_INVALID. */
export function parseAgent(text: string, where: string): AgentRecord {
  const read = reader(text, where)
  return {
    name: read.name('name'),
    keyFingerprint: read.hex('keyFingerprint'),
    serials: read.list('serials', { max: SERIALS_MAX, form: /^[0-9A-F]{2,40}$/ }),
    publish: read.list('publish', patternList),
    consume: read.list('consume', patternList),
    enrolledAtMs: read.time('enrolledAtMs'),
    invitedAtMs: read.time('invitedAtMs'),
    revokedAtMs: read.isNull('revokedAtMs') ? null : read.time('revokedAtMs'),
    // Records of hubs that knew no groups have none.
    groups: read.has('groups') ? read.list('groups', { max: GROUPS_PER_AGENT_MAX, form: GROUP_FORM }) : [],
  }
}

/** Faults: AGENT_RECORD_INVALID. */
export function parseInvitation(text: string, where: string): InvitationRecord {
  const read = reader(text, where)
  return {
    agent: read.name('agent'),
    publish: read.list('publish', patternList),
    consume: read.list('consume', patternList),
    createdAtMs: read.time('createdAtMs'),
    expiresAtMs: read.time('expiresAtMs'),
  }
}

/** A topic pattern as far as this folder cares: printable and bounded; the router knows what it means. */
export const PATTERN_FORM = new RegExp(`^[^\\p{Cc}\\p{Cf}\\s]{1,${PATTERN_LENGTH_MAX}}$`, 'u')

/** One level of a topic: letters and digits of any script, no capitals, so that no two names differ by case alone. */
export const GROUP_FORM = new RegExp(`^[\\p{Ll}\\p{Lo}\\p{Lm}\\p{M}\\p{N}_.-]{1,${GROUP_NAME_LENGTH_MAX}}$`, 'u')

type ListRule = { readonly max: number; readonly form: RegExp }

const patternList: ListRule = { max: PATTERNS_MAX, form: PATTERN_FORM }

function reader(text: string, where: string) {
  const refuse = (why: string, cause?: unknown) => securityFault('AGENT_RECORD_INVALID', { where, why, cause })
  const fields = objectOf(text, refuse)
  const get = (field: string): unknown => fields[field]
  const matching = (field: string, form: RegExp): string => {
    const value = get(field)
    if (typeof value !== 'string' || !form.test(value)) throw refuse(`${field} is missing or not valid`)
    return value
  }
  return {
    has: (field: string): boolean => get(field) !== undefined,
    isNull: (field: string): boolean => get(field) === null,
    name: (field: string): string => matching(field, NAME_PATTERN),
    hex: (field: string): string => matching(field, /^[0-9a-f]{64}$/),
    time(field: string): number {
      const value = get(field)
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw refuse(`${field} is not a time`)
      return value
    },
    list(field: string, rule: ListRule): readonly string[] {
      const value = get(field)
      const sound =
        Array.isArray(value) &&
        value.length <= rule.max &&
        value.every((item) => typeof item === 'string' && rule.form.test(item))
      if (!sound) throw refuse(`${field} is not a valid list`)
      return value as string[]
    },
  }
}

function objectOf(text: string, refuse: (why: string, cause?: unknown) => Error): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw refuse('not JSON', error)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('not a JSON object')
  return value as Record<string, unknown>
}
