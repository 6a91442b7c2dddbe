// The links that were made, for people who look after them: links.made, a JSON line each, appended before a link is given to
// anybody. What allows something is a link's token, which is not here. When the list is full those that have expired are left out.

import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { securityFault } from './faults.ts'
import { isMissing, writeDurably } from './files.ts'
import { LINKS_MADE_BYTES_MAX, LINKS_MADE_MAX } from './limits.ts'
import type { Link } from './links.ts'

export type LinkRecord = {
  readonly id: string
  readonly kind: 'upload' | 'download'
  readonly madeAtMs: number
  /** The user of the hub's machine who made it; empty: not known. */
  readonly madeBy: string
  readonly expiresAtMs: number
  /** Of an upload link. */
  readonly topic: string | null
  /** Bytes of one file, and files in all; 0: what the hub's settings say, any number. */
  readonly bytesMax: number
  readonly uses: number
  /** Of a download link. */
  readonly content: string | null
}

export class LinkLedger {
  private readonly path: string
  private stamp = ''
  private known: LinkRecord[] = []

  constructor(path: string) {
    this.path = path
  }

  /** On the disk when it returns. Faults: `LINKS_FULL`. */
  add(link: Link, { nowMs, by }: { nowMs: number; by: string }): void {
    const record = recordOf(link, { nowMs, by })
    const known = this.all()
    if (known.length >= LINKS_MADE_MAX) {
      const kept = known.filter(({ expiresAtMs }) => expiresAtMs >= nowMs)
      if (kept.length >= LINKS_MADE_MAX) throw securityFault('LINKS_FULL', { where: this.path, limit: LINKS_MADE_MAX })
      writeDurably(this.path, kept.map(lineOf).join(''))
    }
    const file = openSync(this.path, 'a', 0o600)
    try {
      writeSync(file, lineOf(record))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  }

  /** As they were made. A line that a kill has cut is left out. Faults: `AGENT_RECORD_INVALID` when it is absurdly long. */
  all(): LinkRecord[] {
    try {
      const { size, mtimeNs, ino } = statSync(this.path, { bigint: true })
      if (size > LINKS_MADE_BYTES_MAX) {
        throw securityFault('AGENT_RECORD_INVALID', { where: this.path, why: `${size} bytes` })
      }
      // Asked for by every look of a monitor; other processes add to it.
      const stamp = `${mtimeNs} ${size} ${ino}`
      if (stamp === this.stamp) return [...this.known]
      const text = readFileSync(this.path, 'utf8')
      this.known = text.split('\n').flatMap((line) => parse(line) ?? [])
      this.stamp = stamp
      return [...this.known]
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }
}

function recordOf(link: Link, { nowMs, by }: { nowMs: number; by: string }): LinkRecord {
  const { id, expiresAtMs } = link
  const common = { id, madeAtMs: nowMs, madeBy: by, expiresAtMs }
  if (link.kind === 'upload') {
    const { kind, topic, bytesMax, uses } = link
    return { ...common, kind, topic, bytesMax, uses, content: null }
  }
  return { ...common, kind: 'download', topic: null, bytesMax: 0, uses: 0, content: link.content }
}

/** A line of its own, also behind one that a kill has cut. */
const lineOf = (record: LinkRecord): string => `\n${JSON.stringify(record)}\n`

function parse(line: string): LinkRecord | null {
  if (!line.startsWith('{') || !line.endsWith('}')) return null
  try {
    return JSON.parse(line) as LinkRecord
  } catch {
    // Cut by a kill, with a brace at its end.
    return null
  }
}
