// The versions of the rules, in the folder `routes` of the data folder. Each has a folder of its own, with the rule file as it was
// deployed, the files beside it that its pipelines may read, and the set as it was read (`.rules`). history.json names them all, and
// the one that counts; a version's folder is whole and on the disk before it does. A rollback is a new version with an older one's files, so
// that numbers never go back, and the trace says for ever what counted when.

import { hash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { copyFile, cp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { flushFolder, makeFolder, replaceFile, writeFlushed } from '#agent/components/support/mod.ts'
import { assert, Fault } from '#protocol/base/mod.ts'
import { f, type Infer, parseValue } from '#protocol/fields/mod.ts'
import { routerFault } from './faults.ts'
import { DEPLOYED_BYTES_MAX, DEPLOYED_FILES_MAX, VERSIONS_KEPT_MAX } from './limits.ts'

const TEXT_MAX = 1_000
const SET_FILE = '.rules'
const STAGED = 'staged-'
const BROUGHT = 'brought-'
const BROUGHT_NAME = /^brought-[0-9a-f]{12}$/
const FOLDER_DEPTH_MAX = 16

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

  /** Takes over what `bringFiles` has brought; gives its folder. Faults: `RULES_FILES_INVALID`. */
  async stage(brought: string, file: string): Promise<string> {
    if (!BROUGHT_NAME.test(brought)) throw routerFault('RULES_FILES_INVALID', { why: JSON.stringify(brought) })
    const folder = join(this.folder, STAGED + randomBytes(6).toString('hex'))
    try {
      await rename(join(this.folder, brought), folder)
    } catch (cause) {
      throw routerFault('RULES_FILES_INVALID', { where: brought, cause })
    }
    try {
      const names = await filesIn(folder)
      if (!names.includes(file))
        throw routerFault('RULES_FILES_INVALID', { why: `there is no ${JSON.stringify(file)} among them` })
      return folder
    } catch (error) {
      await this.discard(folder)
      throw error
    }
  }

  /** The same with the files of a version. */
  async stageAgain(version: number): Promise<string> {
    this.named(version)
    const folder = join(this.folder, STAGED + randomBytes(6).toString('hex'))
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
    await flushAll(folder)
    // A crash may have left one that was never named.
    await rm(this.folderOf(version), { recursive: true, force: true })
    await rename(folder, this.folderOf(version))
    await flushFolder(this.folder)
    await this.write(version, kept)
    for (const { version: old } of versions.slice(0, -VERSIONS_KEPT_MAX)) await this.discard(this.folderOf(old))
    return added
  }

  /** Forgets one that does not count; resolves when that is on the disk. One at a time. Faults: `RULES_VERSION_UNKNOWN`. */
  async forget(version: number): Promise<void> {
    this.named(version)
    assert(version !== this.current_, 'the version that counts is kept')
    await this.write(
      this.current_,
      this.versions_.filter((one) => one.version !== version),
    )
    await this.discard(this.folderOf(version))
  }

  /** Removes what a crash left. */
  async clean(): Promise<void> {
    const names = this.versions_.length === 0 ? [] : await readdir(this.folder)
    for (const name of names)
      if (name.startsWith(STAGED) || name.startsWith(BROUGHT)) await this.discard(join(this.folder, name))
  }

  private async write(current: number, versions: readonly RulesVersion[]): Promise<void> {
    await replaceFile(join(this.folder, 'history.json'), `${JSON.stringify({ current, versions }, null, 1)}\n`)
    this.versions_ = versions
    this.current_ = current
  }
}

/**
 * Brings a rule file, and what lies beside it, into the folder `routes` of a data folder, to be deployed from there; gives the name it
 * has there. Hidden files stay behind. Faults: `RULES_FILES_INVALID`.
 */
export async function bringFiles(routes: string, path: string): Promise<{ brought: string; file: string }> {
  const from = dirname(resolve(path))
  const file = basename(path)
  const isFile = await stat(join(from, file)).then(
    (found) => found.isFile(),
    // Whatever keeps it from being looked at keeps it from being deployed.
    () => false,
  )
  if (!isFile) throw routerFault('RULES_FILES_INVALID', { where: path, why: 'there is no such file' })
  const names = await filesIn(from)
  if (!names.includes(file)) throw routerFault('RULES_FILES_INVALID', { where: path, why: 'it is hidden, or a link' })
  const brought = BROUGHT + randomBytes(6).toString('hex')
  for (const name of names) {
    const target = join(routes, brought, name)
    await makeFolder(dirname(target))
    await copyFile(join(from, name), target)
  }
  return { brought, file }
}

/** Paths of a folder's files, with `/`, below it; links and hidden ones are none. Faults: `RULES_FILES_INVALID`. */
async function filesIn(folder: string): Promise<string[]> {
  const names: string[] = []
  let bytes = 0
  const look = async (below: string, depth: number): Promise<void> => {
    for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
      const name = below === '' ? entry.name : `${below}/${entry.name}`
      if (entry.name.startsWith('.')) continue
      if (entry.isDirectory() && depth < FOLDER_DEPTH_MAX) await look(name, depth + 1)
      if (!entry.isFile()) continue
      names.push(name)
      bytes += (await stat(join(folder, name))).size
      const tooMany = names.length > DEPLOYED_FILES_MAX
      if (!tooMany && bytes <= DEPLOYED_BYTES_MAX) continue
      const why = tooMany ? `more than ${DEPLOYED_FILES_MAX} files` : `more than ${DEPLOYED_BYTES_MAX} bytes`
      throw routerFault('RULES_FILES_INVALID', { where: folder, why })
    }
  }
  try {
    await look('', 0)
  } catch (cause) {
    throw cause instanceof Fault ? cause : routerFault('RULES_FILES_INVALID', { where: folder, cause })
  }
  return names
}

const digestOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex')

/** Makes a folder's files durable, whoever wrote them. */
async function flushAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await flushFolder(path)
    else if (entry.isFile()) await flushFile(path)
  }
  await flushFolder(folder)
}

async function flushFile(path: string): Promise<void> {
  await using file = await open(path, 'r+')
  await file.sync()
}
