// The versions of the rules, in the folder `routes` of the data folder: NUMBER.rules is the text of one as it was deployed, history.json
// names them all and the one that counts. The text is on the disk before history.json names it. A rollback is a new version with an
// older one's text, so that numbers never go back and the trace says for ever what counted when.

import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, replaceFile } from '#agent/components/support/mod.ts'
import { f, type Infer, parseValue } from '#protocol/fields/mod.ts'
import { routerFault } from './faults.ts'
import { VERSIONS_KEPT_MAX } from './limits.ts'

const TEXT_MAX = 1_000

const versionSpec = f.object({
  version: f.integer({ doc: 'number', min: 1, max: Number.MAX_SAFE_INTEGER }),
  atMs: f.integer({ doc: 'when it was deployed', min: 0, max: Number.MAX_SAFE_INTEGER }),
  by: f.text({ doc: 'who deployed it', maxLength: TEXT_MAX }),
  note: f.text({ doc: 'why', maxLength: TEXT_MAX, default: '' }),
  rules: f.integer({ doc: 'rules', min: 0, max: Number.MAX_SAFE_INTEGER }),
  digest: f.text({ doc: 'SHA-256 of the text', maxLength: 64 }),
})

const historySpec = f.object({
  current: f.integer({ doc: 'the version that counts; 0: none', min: 0, max: Number.MAX_SAFE_INTEGER }),
  versions: f.list(versionSpec, { doc: 'oldest first', max: VERSIONS_KEPT_MAX }),
})

export type RulesVersion = Infer<typeof versionSpec>

export class Deployments {
  private readonly folder: string
  private current_: number
  private versions_: readonly RulesVersion[]

  private constructor(folder: string, { current, versions }: Infer<typeof historySpec>) {
    this.folder = folder
    this.current_ = current
    this.versions_ = versions
  }

  /** Faults: `RULES_UNREADABLE`. */
  static open(folder: string): Deployments {
    const path = join(folder, 'history.json')
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        return new Deployments(folder, { current: 0, versions: [] })
      throw routerFault('RULES_UNREADABLE', { where: path, cause: error })
    }
    try {
      const parsed = parseValue(historySpec, JSON.parse(text), { where: path })
      if (!parsed.ok) throw parsed.fault[0]
      return new Deployments(folder, parsed.value)
    } catch (cause) {
      throw routerFault('RULES_UNREADABLE', { where: path, cause })
    }
  }

  /** The version that counts; `null` before the first. */
  get current(): RulesVersion | null {
    return this.versions_.find(({ version }) => version === this.current_) ?? null
  }

  /** Oldest first. */
  get versions(): readonly RulesVersion[] {
    return this.versions_
  }

  /** Faults: `RULES_VERSION_UNKNOWN`, `RULES_UNREADABLE` when it is not what was deployed. */
  async text(version: number): Promise<string> {
    const known = this.versions_.find((each) => each.version === version)
    if (known === undefined) throw routerFault('RULES_VERSION_UNKNOWN', { where: `version ${version}` })
    const path = this.path(version)
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (cause) {
      throw routerFault('RULES_UNREADABLE', { where: path, cause })
    }
    if (digestOf(text) !== known.digest) throw routerFault('RULES_UNREADABLE', { where: path, why: 'it was changed' })
    return text
  }

  /** Makes `text` the version that counts; resolves when that is on the disk. One at a time. */
  async add(text: string, about: Pick<RulesVersion, 'atMs' | 'by' | 'note' | 'rules'>): Promise<RulesVersion> {
    const version = (this.versions_.at(-1)?.version ?? 0) + 1
    const added: RulesVersion = {
      version,
      ...about,
      by: about.by.slice(0, TEXT_MAX),
      note: about.note.slice(0, TEXT_MAX),
      digest: digestOf(text),
    }
    const versions = [...this.versions_, added]
    const kept = versions.slice(-VERSIONS_KEPT_MAX)
    await makeFolder(this.folder)
    await replaceFile(this.path(version), text)
    await replaceFile(
      join(this.folder, 'history.json'),
      `${JSON.stringify({ current: version, versions: kept }, null, 1)}\n`,
    )
    this.versions_ = kept
    this.current_ = version
    for (const { version: old } of versions.slice(0, -VERSIONS_KEPT_MAX)) await rm(this.path(old), { force: true })
    return added
  }

  private path(version: number): string {
    return join(this.folder, `${String(version).padStart(6, '0')}.rules`)
  }
}

const digestOf = (text: string): string => hash('sha256', text, 'hex')
