// The registry of agents: one file each. What stands here decides, at every connection, whether a certificate still
// counts.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { NAME_PATTERN, type Peer } from '#protocol/handshake/mod.ts'
import { securityFault } from './faults.ts'
import { isMissing, makeFolder, readIfThere, writeDurably } from './files.ts'
import { AGENTS_MAX, GROUPS_PER_AGENT_MAX, SERIALS_MAX } from './limits.ts'
import { type AgentRecord, GROUP_FORM, parseAgent, type Rights, textOf } from './parse.ts'

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
  /** The agent's groups; none when it is unknown or revoked. Faults: AGENT_RECORD_INVALID. */
  groupsOf(name: string): readonly string[]
  /**
   * Makes the agent a member of the group, or ends that; gives the record as it is then.
   * Faults: AGENT_UNKNOWN, AGENT_REVOKED, GROUP_NAME_INVALID, GROUPS_FULL.
   */
  join(name: string, group: string): AgentRecord
  leave(name: string, group: string): AgentRecord
  /**
   * Tells of every agent that counts, in this call; later, whenever the function given back is called, of every one
   * that is new, was revoked or has other groups, whoever changed it (other processes do). Without a change such a call
   * costs one look at the folder. What cannot be read is told to `failed`, once, and looked
   * at again every time.
   */
  follow(told: (record: AgentRecord) => void, failed: (fault: Fault) => void): () => void
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

  const regroup = (name: string, change: (groups: readonly string[]) => string[]): AgentRecord => {
    const former = known(name)
    if (former.revokedAtMs !== null) throw securityFault('AGENT_REVOKED', { where: name })
    const groups = change(former.groups)
    if (groups.length > GROUPS_PER_AGENT_MAX) {
      throw securityFault('GROUPS_FULL', { where: name, limit: GROUPS_PER_AGENT_MAX })
    }
    if (groups.length === former.groups.length) return former
    const record = { ...former, groups }
    writeDurably(pathOf(name), textOf(record))
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
    groupsOf(name) {
      const record = get(name)
      return record === null || record.revokedAtMs !== null ? [] : record.groups
    },
    join(name, group) {
      checkGroup(group)
      return regroup(name, (groups) => [...new Set([...groups, group])].sort())
    },
    leave(name, group) {
      checkGroup(group)
      return regroup(name, (groups) => groups.filter((one) => one !== group))
    },
    follow: (told, failed) => followFolder({ folder, names, get, told, failed }),
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
        // A new machine does not change what the agent is; one that was shut out starts again with nothing.
        groups: former === null || former.revokedAtMs !== null ? [] : former.groups,
      }
      writeDurably(pathOf(entry.name), textOf(record))
      return record
    },
  }
}

function checkGroup(group: string): void {
  if (!GROUP_FORM.test(group) || group.normalize('NFC') !== group) {
    throw securityFault('GROUP_NAME_INVALID', { where: `group ${JSON.stringify(group.slice(0, 100))}` })
  }
}

/** Every write is a rename, so whatever changes in the folder changes its time too. */
function followFolder(options: {
  folder: string
  names: () => readonly string[]
  get: (name: string) => AgentRecord | null
  told: (record: AgentRecord) => void
  failed: (fault: Fault) => void
}): () => void {
  const { folder, names, get, told, failed } = options
  const seen = new Map<string, string>()
  let stamp: string | null = null
  /** Two changes within one tick of the file system's clock look like one: a folder that changed is read twice. */
  let again = false
  /** What was told already: what stays wrong is told once. '' is the folder. */
  const failures = new Map<string, string>()
  const fail = (name: string, fault: Fault): void => {
    again = true
    if (failures.get(name) === fault.message) return
    failures.set(name, fault.message)
    failed(fault)
  }
  const readable = (name: string): AgentRecord | null => {
    try {
      const record = get(name)
      failures.delete(name)
      return record
    } catch (error) {
      fail(name, asFault(error, name))
      return null
    }
  }
  const look = (): void => {
    for (const name of names()) {
      const record = readable(name)
      if (record === null) continue
      const essence = record.revokedAtMs === null ? record.groups.join('/') : null
      const former = seen.get(name)
      if (essence === former || (essence === null && former === undefined)) continue
      if (essence === null) seen.delete(name)
      else seen.set(name, essence)
      told(record)
    }
  }
  const poll = (): void => {
    try {
      const now = stampOf(folder)
      if (now === stamp && !again) return
      again = now !== stamp
      look()
      stamp = now
      failures.delete('')
    } catch (error) {
      fail('', asFault(error, folder))
    }
  }
  poll()
  return poll
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
