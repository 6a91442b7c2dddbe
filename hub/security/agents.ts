// The registry of agents: one file each. What stands here decides, at every connection, whether a certificate still
// counts.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { NAME_PATTERN, type Peer } from '#protocol/handshake/mod.ts'
import { securityFault } from './faults.ts'
import { isMissing, makeFolder, readIfThere, writeDurably } from './files.ts'
import { AGENTS_MAX, SERIALS_MAX } from './limits.ts'
import { type AgentRecord, parseAgent, type Rights, textOf } from './parse.ts'

export type AgentRegistry = {
  /**
   * The record, or `null`. Reads the file again when it changed, so an administrator's command takes effect at once.
   * Faults: AGENT_RECORD_INVALID.
   */
  get(name: string): AgentRecord | null
  /** All of them by name. */
  list(): readonly AgentRecord[]
  /** Shuts an agent out; `Authority.revoke` also withdraws its invitations. Faults: AGENT_UNKNOWN. */
  revoke(name: string, nowMs: number): AgentRecord
  /** Gives the agent these rights instead of the ones it has. Faults: AGENT_UNKNOWN, AGENT_REVOKED. It counts from its next session on. */
  grant(name: string, rights: Rights): AgentRecord
  /** Throws unless the agent's certificate still counts. Faults: AGENT_UNKNOWN, AGENT_REVOKED, AGENT_SUPERSEDED. */
  admit(agent: Pick<Peer, 'name' | 'serial'>): AgentRecord
  /**
   * Enters what an enrolment issued. The same key keeps its former certificates; another key, or a return after
   * revocation, replaces them.
   */
  enter(entry: AgentEntry): AgentRecord
}

export type AgentEntry = Rights & {
  readonly name: string
  readonly keyFingerprint: string
  readonly serial: string
  readonly invitedAtMs: number
  readonly nowMs: number
}

type Cached = { readonly stamp: string; readonly record: AgentRecord }

export function openAgents(folder: string): AgentRegistry {
  makeFolder(folder)
  const cache = new Map<string, Cached>()
  const pathOf = (name: string): string => join(folder, `${name}.json`)

  const get = (name: string): AgentRecord | null => {
    // The name comes from a peer and becomes a path.
    if (!NAME_PATTERN.test(name)) return null
    const path = pathOf(name)
    const stamp = stampOf(path)
    if (stamp === null) {
      cache.delete(name)
      return null
    }
    const cached = cache.get(name)
    if (cached?.stamp === stamp) return cached.record
    const text = readIfThere(path)
    if (text === null) return null
    const record = parseAgent(text, path)
    if (record.name !== name)
      throw securityFault('AGENT_RECORD_INVALID', { where: path, why: `it names ${record.name}` })
    if (cache.size >= AGENTS_MAX) cache.clear()
    // Stamped before reading: a change in between is seen next time.
    cache.set(name, { stamp, record })
    return record
  }

  const names = (): string[] =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.json') && NAME_PATTERN.test(file.slice(0, -5)))
      .map((file) => file.slice(0, -5))
      .sort()

  const known = (name: string): AgentRecord => {
    const record = get(name)
    if (record === null) throw securityFault('AGENT_UNKNOWN', { where: name })
    return record
  }

  return {
    get,
    list: () => names().flatMap((name) => get(name) ?? []),
    revoke(name, nowMs) {
      const former = known(name)
      // Not before the invitation it takes back, whatever the clock says.
      const record = { ...former, revokedAtMs: Math.max(nowMs, former.invitedAtMs) }
      writeDurably(pathOf(name), textOf(record))
      return record
    },
    grant(name, { publish, consume }) {
      const former = known(name)
      if (former.revokedAtMs !== null) throw securityFault('AGENT_REVOKED', { where: name })
      const record = { ...former, publish, consume }
      writeDurably(pathOf(name), textOf(record))
      return record
    },
    admit({ name, serial }) {
      const record = known(name)
      if (record.revokedAtMs !== null) throw securityFault('AGENT_REVOKED', { where: name })
      if (!record.serials.includes(serial)) throw securityFault('AGENT_SUPERSEDED', { where: name })
      return record
    },
    enter(entry) {
      const former = get(entry.name)
      if (former === null && names().length >= AGENTS_MAX) throw securityFault('AGENTS_FULL', { limit: AGENTS_MAX })
      const same = former?.keyFingerprint === entry.keyFingerprint && former.revokedAtMs === null
      const kept = same ? former.serials : []
      const record: AgentRecord = {
        name: entry.name,
        keyFingerprint: entry.keyFingerprint,
        serials: [...kept, entry.serial].slice(-SERIALS_MAX),
        publish: entry.publish,
        consume: entry.consume,
        enrolledAtMs: entry.nowMs,
        invitedAtMs: entry.invitedAtMs,
        revokedAtMs: null,
      }
      writeDurably(pathOf(entry.name), textOf(record))
      return record
    },
  }
}

/** Every write is a rename, so a change shows as another inode even within one tick of the file system's clock. */
function stampOf(path: string): string | null {
  try {
    const { ino, mtimeNs, size } = statSync(path, { bigint: true })
    return `${ino}.${mtimeNs}.${size}`
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}
