// The rules of a hub from the outside: deployed, listed, gone back from, explained; and kept at work. What takes long (reading a file of
// ten thousand rules, compiling expressions) happens in threads or in slices, so that messages flow on meanwhile.

import { join } from 'node:path'
import { configurationOf, IsolatedPool, type PoolLimits, unpackFault } from '#agent/components/isolation/mod.ts'
import type { ComponentContext } from '#agent/components/mod.ts'
import { compilePredicates } from '#agent/components/predicates/mod.ts'
import type { HubStore, Queue } from '#hub/store/mod.ts'
import { contentIn, type Documents, type Pipeline, PipelineBook, type PipelineWanted } from '#hub/transform/mod.ts'
import { asFault, assert, type Clock, type Fault } from '#protocol/base/mod.ts'
import type { SigningKey } from '#protocol/crypto/mod.ts'
import { Conductor } from './conductor.ts'
import { Deployments, type RulesVersion } from './deployments.ts'
import { routerFault } from './faults.ts'
import { PREPARE_MEMORY_BYTES, PREPARE_MS, VERSIONS_OPEN_MAX } from './limits.ts'
import { notedIn } from './noted.ts'
import type { Preparation, Prepared } from './prepare-work.ts'
import { Retiring } from './retiring.ts'
import type { Router } from './router.ts'
import { type CompiledRules, type Explanation, explain, inSlices, loadingRules, type Sample } from './rules/mod.ts'
import { pipelineKey, RulesInUse } from './rules-in-use.ts'
import type { RuleWay } from './ways.ts'

export type RoutesOptions = {
  readonly dataDir: string
  readonly store: HubStore
  readonly router: Router
  /** The router's queue. */
  readonly queue: Queue
  readonly identity: { readonly name: string; readonly key: SigningKey }
  readonly documents: Documents
  readonly limits: PoolLimits
  readonly clock: Clock
  readonly log: ComponentContext['log']
}

/** What is deployed, by whom, why. */
export type Deployment = {
  /** As `bringFiles` gives it. */
  readonly brought: string
  readonly file: string
  readonly by: string
  readonly note: string
}

export type { RulesVersion } from './deployments.ts'

export type UnreadableVersion = {
  readonly version: number
  readonly code: string
  readonly where: string | null
  readonly message: string
  readonly remedy: string
}

export type RoutesView = {
  readonly current: RulesVersion | null
  readonly versions: readonly RulesVersion[]
  /** Versions that messages wait for and that cannot be read, and why. */
  readonly unreadable: readonly UnreadableVersion[]
  readonly pipelines: readonly string[]
  /** Messages that wait to be routed. */
  readonly waiting: number
  /** Leases of them that are worked on, until what comes of them is on the disk. */
  readonly underWay: number
  readonly conveyed: number
  /** Of large contents, in memory for conditions and pipelines. */
  readonly documentBytes: number
}

/** Several faults of one rule file. */
export class RulesRefused extends Error {
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    super(faults[0]?.message ?? 'the rules are not right')
    this.faults = faults
  }
}

const UNENDING = new AbortController().signal
const EMPTY_CONFIGURATION = configurationOf('')
const PREPARE = new URL('./prepare-work.ts', import.meta.url).href
/** What the state of a pipeline is kept with: the version that has its steps. */
type KeptState = {
  readonly version: number
  readonly state: string
  /** Nothing waits in it: it need not be opened to find out. */
  readonly isEmpty?: boolean
}

export class Routes {
  private readonly options: RoutesOptions
  private readonly deployments: Deployments
  private readonly pool: IsolatedPool
  private readonly book: PipelineBook
  private readonly conductor: Conductor
  private readonly retiring: Retiring
  /** Versions at work: the one that counts, and those that messages in the queue came in under. */
  private readonly open_ = new Map<number, Promise<RulesInUse>>()
  private current: RulesInUse | null = null
  private readonly unreadable = new Map<number, Fault>()
  /** Names of the pipelines that it uses. */
  private wantedNames: ReadonlySet<string> = new Set()
  /** Deployments take turns. */
  private turn: Promise<unknown> = Promise.resolve()

  private constructor(options: RoutesOptions) {
    this.options = options
    const { dataDir, store, queue, identity, documents, clock, log } = options
    const onFault = (fault: Fault) => log('warn', 'routing waits and tries again', { fault: fault.toJSON() })
    this.deployments = Deployments.open(join(dataDir, 'routes'))
    this.pool = new IsolatedPool(options.limits)
    this.book = new PipelineBook({
      dataDir: join(dataDir, 'pipelines'),
      pool: this.pool,
      stored: (name) => this.keptState(name)?.state ?? null,
      clock,
      log,
      onFault,
      onDue: async (pipeline) => (await this.give(pipeline, { flush: false })) !== null,
    })
    this.retiring = new Retiring({ queue, empty: (name) => this.empty(name) })
    this.conductor = new Conductor({
      store,
      queue,
      identity,
      documents,
      onFault,
      deciding: (noted) => this.inUse(noted?.version ?? null),
      pipeline: (version, key) => this.pipelineAt(version, key),
      onConveyed: () => this.retiring.look(),
      stateText: (version, state, isEmpty) =>
        JSON.stringify({ version, state, ...(isEmpty ? { isEmpty } : {}) } satisfies KeptState),
    })
  }

  /** With the rules that count at work. Faults: `RULES_UNREADABLE`. */
  static async open(options: RoutesOptions): Promise<Routes> {
    const routes = new Routes(options)
    await routes.deployments.clean()
    const { current } = routes.deployments
    if (current !== null) {
      await routes.activate(await routes.version(current.version))
      await routes.reopenKept()
      routes.retire()
    }
    routes.conductor.start()
    routes.retiring.look()
    return routes
  }

  async close(): Promise<void> {
    // Whoever asked for it is told.
    await this.turn.catch(() => undefined)
    const retired = this.retiring.close()
    await this.conductor.stop()
    await retired
    await this.book.close()
    await this.pool.close()
  }

  get view(): RoutesView {
    const { current, versions } = this.deployments
    const { depth: waiting } = this.options.queue
    const { underWay, conveyed } = this.conductor
    const documentBytes = this.options.documents.memory.usedBytes
    const unreadable = Array.from(this.unreadable, ([version, fault]): UnreadableVersion => {
      const { code, where, message, remedy } = fault
      return { version, code, where, message, remedy }
    })
    return { current, versions, unreadable, pipelines: this.book.names, waiting, underWay, conveyed, documentBytes }
  }

  /** Resolves when the rules count, and that is on the disk. Throws `RulesRefused`, with all that is wrong. */
  deploy(deployment: Deployment): Promise<RulesVersion> {
    return this.inTurn(async () => {
      const folder = await this.deployments.stage(deployment.brought, deployment.file)
      return this.deployStaged(folder, deployment)
    })
  }

  /** Deploys what a version had. Faults: `RULES_VERSION_UNKNOWN`; `RulesRefused` when that is not right any more. */
  rollback(version: number, about: { readonly by: string; readonly note: string }): Promise<RulesVersion> {
    return this.inTurn(async () => {
      const { file } = this.deployments.named(version)
      const folder = await this.deployments.stageAgain(version)
      const note = about.note === '' ? `back to ${version}` : about.note
      return this.deployStaged(folder, { file, by: about.by, note })
    })
  }

  /**
   * Has the rules in force decide what came in under a version that cannot be read, all of it: what that version sent on at once, by
   * topic and headers, may come a second time. Faults: `RULES_VERSION_UNKNOWN`, `RULES_VERSION_READABLE`.
   */
  forget(version: number): Promise<void> {
    return this.inTurn(async () => {
      this.deployments.named(version)
      const isReadable = await this.version(version).then(
        () => true,
        () => false,
      )
      // It was read when the hub started.
      if (isReadable || version === this.current?.version.version)
        throw routerFault('RULES_VERSION_READABLE', { where: `version ${version}` })
      await this.deployments.forget(version)
      this.unreadable.delete(version)
      this.options.log('warn', 'a version of the rules is forgotten', { version })
      this.conductor.wake()
    })
  }

  /**
   * What the rules that count say of a message, and why; nothing is sent. One without a body that refers to a content is that. Faults:
   * `RULES_NONE`, those of reading a content.
   */
  async explain(sample: Sample, only: string | null = null): Promise<Explanation> {
    const { current } = this
    if (current === null) throw routerFault('RULES_NONE')
    const id = sample.body === null ? contentIn(sample.envelope.headers) : null
    using documents = this.options.documents.session({
      bytesMax: current.documentBytesMax,
      waitsFor: null,
      signal: UNENDING,
    })
    const lent = id === null ? null : await documents.lend(id)
    const predicates = compilePredicates(current.rules.predicates, { lazily: true })
    try {
      const contentType = id === null ? '' : (documents.content(id).known?.mediaType ?? '')
      const seen = lent === null ? sample : { ...sample, body: lent.bytes, contentType }
      return await explain(current.rules, seen, { predicates, only })
    } finally {
      predicates.dispose()
      lent?.release()
    }
  }

  /** How the rules in force decide what is sent back with this note, as far as that is not all of it; `null`: as it came in. */
  remark(backNote: string): string | null {
    const left = notedIn(backNote)?.left ?? null
    return left === null || this.current === null ? null : this.current.remark(left)
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    // What became of the one before is its caller's business.
    const mine = this.turn.catch(() => undefined).then(work)
    this.turn = mine
    return mine
  }

  private async deployStaged(
    folder: string,
    { file, by, note }: { readonly file: string; readonly by: string; readonly note: string },
  ): Promise<RulesVersion> {
    const { clock, log } = this.options
    let version: RulesVersion
    let rules: CompiledRules
    try {
      const { prepared, set } = await this.prepare(folder, file)
      if (prepared.faults.length > 0) throw new RulesRefused(prepared.faults.map(unpackFault))
      rules = await this.compile(set)
      const { rules: count, files } = prepared
      version = await this.deployments.add(folder, set, { atMs: clock.wallMs(), by, note, file, rules: count, files })
    } catch (error) {
      await this.deployments.discard(folder)
      throw error
    }
    const inUse = new RulesInUse(rules, version, this.pool)
    this.open_.set(version.version, Promise.resolve(inUse))
    await this.activate(inUse)
    this.retire()
    this.retiring.look()
    log('info', 'rules deployed', { ...version })
    await this.closeOld()
    return version
  }

  private async prepare(folder: string, file: string): Promise<{ prepared: Prepared; set: Buffer }> {
    const queues = Array.from(this.options.store.queues.all(), ({ info }) => info.name)
    const input = Buffer.from(JSON.stringify({ folder, file, queues } satisfies Preparation))
    const pool = new IsolatedPool({ threads: 1, timeMs: PREPARE_MS, memoryBytes: PREPARE_MEMORY_BYTES })
    try {
      const configuration = EMPTY_CONFIGURATION
      const [outcome] = await pool.run({ module: PREPARE, configuration, count: 1, inputOf: () => input })
      assert(outcome !== undefined, 'one input gives one outcome')
      if ('fault' in outcome) throw outcome.fault
      const end = outcome.indexOf(0x0a)
      return { prepared: JSON.parse(outcome.toString('utf8', 0, end)) as Prepared, set: outcome.subarray(end + 1) }
    } finally {
      await pool.close()
    }
  }

  private compile(set: Buffer): Promise<CompiledRules> {
    return inSlices(loadingRules(set), {
      nowMs: () => this.options.clock.nowMs(),
      breathe: () => new Promise((resolve) => setImmediate(resolve)),
    })
  }

  /** From now on it is what new messages are routed by. */
  private async activate(rules: RulesInUse): Promise<void> {
    const { router, queue, store } = this.options
    const names = new Set<string>()
    for (const key of wantedKeys(rules)) {
      names.add(PipelineBook.nameOf(this.wanted(rules, key)))
      await this.takeIfPossible(rules, key)
    }
    router.use({ rules, queue, named: (name) => store.queues.get(name) })
    this.current = rules
    this.wantedNames = names
    this.conductor.wake()
  }

  /** What cannot be opened now (a file is away) holds up nobody: it is tried again with each message. */
  private async takeIfPossible(rules: RulesInUse, key: string): Promise<void> {
    try {
      await this.book.take(this.wanted(rules, key))
    } catch (error) {
      this.options.log('error', 'a pipeline is not open', { fault: asFault(error, `pipeline ${key}`).toJSON() })
    }
  }

  /** A version at work; `null`: the one that counts. Throws, with `retry`, while there is none. */
  private async inUse(version: number | null): Promise<RulesInUse> {
    const known = version === null || this.deployments.versions.some((one) => one.version === version)
    if (known && version !== null) return this.version(version)
    if (this.current === null) throw routerFault('RULES_NONE', { retry: true })
    return this.current
  }

  private version(version: number): Promise<RulesInUse> {
    const open = this.open_.get(version)
    if (open !== undefined) return open
    const opening = this.load(version)
    this.open_.set(version, opening)
    opening.catch(() => {
      if (this.open_.get(version) === opening) this.open_.delete(version)
    })
    return opening
  }

  private async load(version: number): Promise<RulesInUse> {
    try {
      const rules = await this.compile(await this.deployments.set(version))
      this.unreadable.delete(version)
      return new RulesInUse(rules, this.deployments.named(version), this.pool)
    } catch (error) {
      // It may have been forgotten meanwhile.
      if (!this.deployments.versions.some((one) => one.version === version)) throw error
      const fault = unreadableOf(error, version)
      if (!this.unreadable.has(version))
        this.options.log('error', 'what waits for a version of the rules is held up: it cannot be read', {
          version,
          fault: fault.toJSON(),
        })
      this.unreadable.set(version, fault)
      throw fault
    }
  }

  /** Versions nobody asks for any more, the oldest beyond some, and pipelines of none: what is asked for again is opened again. */
  private async closeOld(): Promise<void> {
    for (const [version, opening] of this.open_) {
      if (this.open_.size <= VERSIONS_OPEN_MAX) break
      if (version === this.current?.version.version) continue
      this.open_.delete(version)
      // Whoever asked for one that cannot be read is told.
      opening.then((rules) => rules.close()).catch(() => undefined)
    }
    const used = new Set<string>()
    for (const opened of await Promise.allSettled(this.open_.values())) {
      if (opened.status === 'rejected') continue
      const rules = opened.value
      for (const key of wantedKeys(rules)) used.add(PipelineBook.nameOf(this.wanted(rules, key)))
    }
    await this.book.dropOthers(used)
  }

  private wanted({ rules, version }: RulesInUse, key: string): PipelineWanted {
    const name = key.split(' → ')[0] as string
    const steps = rules.pipelines[name]?.steps ?? []
    return { label: key, steps, folder: this.deployments.folderOf(version.version), files: version.files }
  }

  private async pipelineAt(version: number, key: string): Promise<Pipeline> {
    const wanted = this.wanted(await this.inUse(version), key)
    const name = PipelineBook.nameOf(wanted)
    const pipeline = this.book.get(name) ?? (await this.book.take(wanted))
    if (pipeline.keeps && version !== this.current?.version.version && !this.wantedNames.has(name))
      this.retiring.add(name)
    return pipeline
  }

  /** Pipelines that the rules in force do not use: see `Retiring`. */
  private retire(): void {
    for (const name of this.wantedNames) this.retiring.remove(name)
    for (const name of this.book.keepingBeside(this.wantedNames)) this.retiring.add(name)
  }

  /** Gives out all that waits in a pipeline, and ends it. */
  private async empty(name: string): Promise<boolean> {
    if (this.wantedNames.has(name)) return true
    try {
      // It may have been ended while somebody was waiting for it.
      const pipeline = this.book.get(name) ?? (await this.reopen(name))
      if (pipeline === null) return true
      await pipeline.prepare()
      for (let waits = true; waits; ) {
        const given = await this.give(pipeline, { flush: true })
        if (given === null) return false
        waits = given.waits
      }
      // Who has it in hand is told to take it again.
      await this.book.drop(name)
      return true
    } catch (error) {
      this.options.log('warn', 'what waits in a pipeline cannot go out now', { fault: asFault(error, name).toJSON() })
      return false
    }
  }

  private keptState(name: string): KeptState | null {
    const text = this.options.store.conveying.state(name)
    return text === null ? null : (JSON.parse(text) as KeptState)
  }

  /** Pipelines in which something may wait, of versions that do not count any more. */
  private async reopenKept(): Promise<void> {
    for (const name of this.options.store.conveying.stateNames) {
      try {
        if (this.book.get(name) === null) await this.reopen(name)
      } catch (error) {
        this.options.log('error', 'a pipeline is not open', { fault: asFault(error, `pipeline ${name}`).toJSON() })
      }
    }
  }

  /** `null` when nothing waits in it. */
  private async reopen(name: string): Promise<Pipeline | null> {
    const kept = this.keptState(name)
    if (kept === null || kept.isEmpty === true) return null
    const isKnown = this.deployments.versions.some(({ version }) => version === kept.version)
    if (!isKnown) {
      this.options.log('error', 'what a pipeline kept is of a version that is forgotten', { pipeline: name, ...kept })
      return null
    }
    const rules = await this.version(kept.version)
    const key = wantedKeys(rules).find((each) => PipelineBook.nameOf(this.wanted(rules, each)) === name)
    return key === undefined ? null : this.book.take(this.wanted(rules, key))
  }

  /** What a pipeline gives of itself: to the queues of all rules that use it, of the version that last did. */
  private async give(
    pipeline: Pipeline,
    { flush }: { readonly flush: boolean },
  ): Promise<{ readonly waits: boolean } | null> {
    const kept = this.keptState(pipeline.name)
    const rules = await this.inUse(kept?.version ?? null)
    const key = pipeline.name.slice(0, pipeline.name.lastIndexOf('#'))
    const ways = rules.rules.rules.filter(({ rule }) => pipelineKey(wayOf(rule)) === key)
    const [first] = ways
    const topic = first?.rule.topic
    const way: RuleWay = {
      rules: ways.map(({ rule }) => rule.name),
      pipeline: key,
      // There is no message whose topic or headers it could take.
      topic: topic === undefined || topic.includes('{') ? `pipeline/${first?.rule.pipeline ?? key}` : topic,
      queues: [...new Set(ways.flatMap(({ rule }) => rule.to))],
    }
    const { version, by } = rules.version
    return this.conductor.due(pipeline, { way, about: { version, by }, flush })
  }
}

/** Whatever is wrong with it: it is damaged, or of a newer program. */
function unreadableOf(error: unknown, version: number): Fault {
  const fault = asFault(error)
  if (fault.code === 'RULES_UNREADABLE') return fault
  return routerFault('RULES_UNREADABLE', { where: `version ${version}`, why: fault.message, cause: error })
}

const wayOf = (rule: { readonly pipeline?: string | undefined; readonly topic?: string | undefined }) => ({
  pipeline: rule.pipeline ?? null,
  topic: rule.topic ?? null,
})

/** Keys of the pipelines that the rules use: see `RuleWay`. */
function wantedKeys({ rules }: RulesInUse): string[] {
  const keys = new Set<string>()
  for (const { rule } of rules.rules) {
    const key = pipelineKey(wayOf(rule))
    if (key !== null) keys.add(key)
  }
  return [...keys]
}
