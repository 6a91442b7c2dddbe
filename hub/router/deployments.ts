// The versions of the rules, in the folder `routes` of the data folder. Each has a folder of its own, with the rule file as it was
// deployed, the files beside it that its pipelines may read, and the set as it was read (`.rules`). history.json names them all, and
// the one that counts; a version's folder is whole and on the disk before it does. A rollback is a new version with an older one's files, so
// that numbers never go back, and the trace says for ever what counted when.

import { hash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { cp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { flushFolder, makeFolder, replaceFile, writeFlushed } from '#agent/components/support/mod.ts'
import { f, type Infer, parseValue } from '#protocol/fields/mod.ts'
import { routerFault } from './faults.ts'
import { VERSIONS_KEPT_MAX } from './limits.ts'

const TEXT_MAX = 1_000
const SET_FILE = '.rules'
const STAGED = 'staged-'

const versionSpec = f.object({
  version: f.integer({ doc: 'number', min: 1, max: Number.MAX_SAFE_INTEGER }),
  atMs: f.integer({ doc: 'when it was deployed', min: 0, max: Number.MAX_SAFE_INTEGER }),
  by: f.text({ doc: 'who deployed it', minLength: 0, maxLength: TEXT_MAX }),
  note: f.text({ doc: 'why', minLength: 0, maxLength: TEXT_MAX, default: '' }),
  file: f.text({ doc: 'name of the rule file', maxLength: TEXT_MAX }),
  rules: f.integer({ doc: 'rules', min: 0, max: Number.MAX_SAFE_INTEGER }),
  digest: f.text({ doc: 'SHA-256 of the set as it was read', maxLength: 64 }),
  files: f.text({ doc: 'SHA-256 of the files beside it', maxLength: 64 }),
})

const historySpec = f.object({
  current: f.integer({ doc: 'the version that counts; 0: none', min: 0, max: Number.MAX_SAFE_INTEGER }),
  versions: f.list(versionSpec, { doc: 'oldest first', max: VERSIONS_KEPT_MAX }),
})

export type RulesVersion = Infer<typeof versionSpec>

/** A rule file with what lies beside it: paths with `/`, relative to its folder. */
export type RuleFiles = { readonly file: string; readonly files: ReadonlyMap<string, Uint8Array> }

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

  /** Faults: `RULES_VERSION_UNKNOWN`. */
  named(version: number): RulesVersion {
    const known = this.versions_.find((each) => each.version === version)
    if (known === undefined) throw routerFault('RULES_VERSION_UNKNOWN', { where: `version ${version}` })
    return known
  }

  /** The folder of a version's files. */
  folderOf(version: number): string {
    return join(this.folder, String(version).padStart(6, '0'))
  }

  /** The set of a version, as it was read. Faults: `RULES_VERSION_UNKNOWN`, `RULES_UNREADABLE` when it is not what was deployed. */
  async set(version: number): Promise<Buffer> {
    const { digest } = this.named(version)
    const path = join(this.folderOf(version), SET_FILE)
    let bytes: Buffer
    try {
      bytes = await readFile(path)
    } catch (cause) {
      throw routerFault('RULES_UNREADABLE', { where: path, cause })
    }
    if (digestOf(bytes) !== digest) throw routerFault('RULES_UNREADABLE', { where: path, why: 'it was changed' })
    return bytes
  }

  /** Puts files where they can become a version; gives their folder. */
  async stage({ files }: RuleFiles): Promise<string> {
    const folder = await this.newFolder()
    for (const [name, bytes] of files) {
      const path = join(folder, name)
      await makeFolder(dirname(path))
      await writeFlushed(path, bytes)
      await flushFolder(dirname(path))
    }
    return folder
  }

  /** The same with the files of a version. */
  async stageAgain(version: number): Promise<string> {
    this.named(version)
    const folder = await this.newFolder()
    await cp(this.folderOf(version), folder, { recursive: true })
    return folder
  }

  /** What was staged is not wanted. */
  async discard(folder: string): Promise<void> {
    await rm(folder, { recursive: true, force: true })
  }

  /** Makes what was staged, and read as `set`, the version that counts; resolves when that is on the disk. One at a time. */
  async add(folder: string, set: Uint8Array, about: Omit<RulesVersion, 'version' | 'digest'>): Promise<RulesVersion> {
    const version = (this.versions_.at(-1)?.version ?? 0) + 1
    const { by, note } = about
    const digest = digestOf(set)
    const added = { ...about, version, by: by.slice(0, TEXT_MAX), note: note.slice(0, TEXT_MAX), digest }
    const versions = [...this.versions_, added]
    const kept = versions.slice(-VERSIONS_KEPT_MAX)
    await writeFlushed(join(folder, SET_FILE), set)
    await flushFolder(folder)
    // A crash may have left one that was never named.
    await rm(this.folderOf(version), { recursive: true, force: true })
    await rename(folder, this.folderOf(version))
    await flushFolder(this.folder)
    const history = JSON.stringify({ current: version, versions: kept }, null, 1)
    await replaceFile(join(this.folder, 'history.json'), `${history}\n`)
    this.versions_ = kept
    this.current_ = version
    for (const { version: old } of versions.slice(0, -VERSIONS_KEPT_MAX)) await this.discard(this.folderOf(old))
    return added
  }

  /** Removes what a crash left. */
  async clean(): Promise<void> {
    const names = this.versions_.length === 0 ? [] : await readdir(this.folder)
    for (const name of names) if (name.startsWith(STAGED)) await this.discard(join(this.folder, name))
  }

  private async newFolder(): Promise<string> {
    const folder = join(this.folder, STAGED + randomBytes(6).toString('hex'))
    await makeFolder(folder)
    return folder
  }
}

const digestOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex')
