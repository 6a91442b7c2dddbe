// The only file that names every part of an agent: identity, client, spool, components, flows.

import { mkdirSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Client, type TransferLimits, type TransferWishes } from '#agent/client/mod.ts'
import {
  builtinComponents,
  type Carries,
  type CaseOutcome,
  type ComponentContext,
  type ComponentEntry,
  chainOf,
  type Destination,
  defineComponent,
  HubDestination,
  type HubOutlet,
  HubSource,
  hubDestinationSettings,
  hubSourceSettings,
  IsolatedPool,
  Outbox,
  runCases,
  type Source,
  wantsThread,
} from '#agent/components/mod.ts'
import { loadAgentConfig, transferLimitsOf } from '#agent/config/mod.ts'
import { type Identity, loadIdentity } from '#agent/identity/mod.ts'
import {
  type FlowComponents,
  FlowDocuments,
  type FlowFile,
  type FlowRegistry,
  parseFlowFile,
  rejectOwn,
  Supervisor,
} from '#agent/runtime/mod.ts'
import { openSpool } from '#agent/spool/mod.ts'
import { asFault, type Fault, faultIn, systemClock } from '#protocol/base/mod.ts'
import { decodeText } from '#protocol/fields/mod.ts'
import { type AgentStatus, agentFault, type Log, StatusFile, statusOf, WishFolder } from './telemetry/mod.ts'

/** The agent's folder: identity, spool, flows' own files, status.json. */
export type AgentPaths = { readonly dataDir: string; readonly flowsDir: string }

type Entries = readonly ComponentEntry[]

/** Components that need the agent's own services. `null` services serve `flow lint`, which only reads settings. */
function hubComponents(services: { client: Client; outlet: HubOutlet } | null): Entries {
  const needed = <T>(value: T | undefined): T => {
    if (value === undefined) throw agentFault('AGENT_NOT_ENROLLED')
    return value
  }
  return [
    defineComponent({
      kind: 'source',
      type: 'hub',
      doc: 'Messages of a queue or subscription at the hub, as rows or files; each takes effect once',
      settings: hubSourceSettings,
      carries: ({ format }) => (format === 'file' ? 'files' : 'rows'),
      create: (settings, context) => new HubSource(settings, needed(services?.client), context),
    }),
    defineComponent({
      kind: 'destination',
      type: 'hub',
      doc: 'Rows and files become signed messages at the hub, by way of the spool: rows also while the hub is away',
      settings: hubDestinationSettings,
      carries: () => 'both',
      create: (settings, context) => new HubDestination(settings, needed(services?.outlet), context),
    }),
  ]
}

/** The registry as flow files are read by it. */
export function registryOf(entries: Entries): FlowRegistry {
  const of = (kind: string) =>
    Object.fromEntries(entries.filter((entry) => entry.kind === kind).map((entry) => [entry.type, entry]))
  return { source: of('source'), channel: of('channel'), destination: of('destination') }
}

export const lintEntries: Entries = [...builtinComponents, ...hubComponents(null)]

/** A flow file from disk. Faults: `FLOW_FILE_UNREADABLE`, `FIELD_*`, `YAML_*`. */
export async function readFlow(path: string): Promise<{ flow: FlowFile | null; faults: readonly Fault[] }> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? 'unknown'
    return { flow: null, faults: [agentFault('FLOW_FILE_UNREADABLE', { where: path, why, cause })] }
  }
  const decoded = decodeText(bytes, { file: path })
  if (!decoded.ok) return { flow: null, faults: decoded.fault }
  const parsed = parseFlowFile(decoded.value, { file: path, registry: registryOf(lintEntries) })
  return parsed.ok ? { flow: parsed.value, faults: [] } : { flow: null, faults: parsed.fault }
}

export type Agent = {
  readonly supervisor: Supervisor
  status(): AgentStatus
  /** See `Outbox.drained`: everything a flow has sent is at the hub, or why not. */
  drained(flow: string, signal: AbortSignal): Promise<Fault | null>
  stop(): Promise<void>
}

/** Starts an agent with the flows given. What is started before a fault is taken down again. */
export async function startAgent(options: {
  readonly paths: AgentPaths
  readonly flows: readonly { readonly path: string; readonly flow: FlowFile }[]
  readonly spoolBytesMax: number
  readonly log: Log
}): Promise<Agent> {
  const { paths, flows, log } = options
  const identity = loadIdentity(join(paths.dataDir, 'identity'))
  await using undo = new AsyncDisposableStack()
  const spool = await openSpool({ path: join(paths.dataDir, 'spool'), bytesMax: options.spoolBytesMax })
  undo.defer(() => spool.close())
  const config = loadAgentConfig(paths.dataDir)
  const limits = { transfers: transferLimitsOf(config), wishes: new WishFolder(paths.dataDir) }
  const client = startClient(identity, limits, log)
  undo.defer(() => client.close())
  const outbox = new Outbox({ spool, client, wallMs: () => systemClock.wallMs(), log })
  const entries: Entries = [...builtinComponents, ...hubComponents({ client, outlet: outbox })]
  const pool = new IsolatedPool(config.channels)
  undo.defer(() => pool.close())
  const supervisor = new Supervisor({ clock: systemClock, random: Math.random, log })
  undo.defer(() => supervisor.close())
  for (const { path, flow } of flows) {
    const dataDir = join(paths.dataDir, 'state', flow.name)
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    const context: ComponentContext = {
      flow: flow.name,
      dataDir,
      clock: systemClock,
      resolvePath: (file) => resolve(dirname(path), file),
      log: (level, message, details) => log(level, message, { flow: flow.name, ...details }),
    }
    const tested = passCases(flow, path, pool)
    // Met when the flow is opened.
    tested.catch(() => undefined)
    const components = async () => {
      await tested
      return componentsOf(flow, { entries, context, pool })
    }
    supervisor.startFlow({ flow, components })
  }
  const startedAtMs = systemClock.wallMs()
  const status = () => statusOf({ identity, client, spool, supervisor, outbox, startedAtMs })
  const file = new StatusFile(join(paths.dataDir, 'status.json'), status, (fault) => {
    if (fault === null) log('info', 'status is written again')
    else log('error', 'status not written', { fault: fault.toJSON() })
  })
  undo.defer(() => file.stop())
  const resources = undo.move()
  const drained = (name: string, signal: AbortSignal) => outbox.drained(name, signal)
  return { supervisor, status, drained, stop: () => resources.disposeAsync() }
}

/** The flow files of a folder, by name. */
export function flowPaths(flowsDir: string): string[] {
  return readdirSync(flowsDir)
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(flowsDir, name))
}

function startClient(
  identity: Identity,
  limits: { transfers: TransferLimits; wishes: TransferWishes },
  log: Log,
): Client {
  return Client.start({
    identity,
    ...limits,
    onConnected: () => log('info', 'connected', { hub: identity.hubName }),
    onDisconnected: (fault) => log('warn', 'not connected', { fault: fault.toJSON() }),
    onUnproven: (fault) => log('error', 'not what its origin sealed', { fault: fault.toJSON() }),
  })
}

function componentsOf(
  flow: FlowFile,
  { entries, context, pool }: { entries: Entries; context: ComponentContext; pool: IsolatedPool | null },
): FlowComponents {
  const entryOf = (kind: string, type: string): ComponentEntry => {
    const entry = entries.find((candidate) => candidate.kind === kind && candidate.type === type)
    if (entry === undefined) throw agentFault('COMPONENT_UNKNOWN', { where: `${basename(flow.name)}: ${kind} ${type}` })
    return entry
  }
  const make = (kind: string, { type, settings }: FlowFile['source']) => {
    try {
      return entryOf(kind, type).create(settings, context)
    } catch (error) {
      throw asFault(error, `${flow.name}: ${kind} ${type}`)
    }
  }
  const carries = (kind: string, { type, settings }: FlowFile['source']) =>
    entryOf(kind, type).carries?.(settings) ?? 'rows'
  const turned = (given: Carries, { type, settings }: FlowFile['source']) => {
    const entry = entryOf('channel', type)
    return entry.kind === 'channel' ? (entry.turns?.(settings, given) ?? given) : given
  }
  const begins = carries('source', flow.source)
  const given = flow.channels.reduce(turned, begins)
  const taken = carries('destination', flow.destination)
  if (given !== taken && given !== 'both' && taken !== 'both') {
    const giver = given === begins ? `source ${flow.source.type} gives` : 'channels give'
    const why = `${giver} ${given}, destination ${flow.destination.type} takes ${taken}`
    throw agentFault('FLOW_ROWS_OR_FILES', { where: flow.name, why })
  }
  return {
    source: make('source', flow.source) as Source,
    chain: chainOf(flow.channels, {
      context,
      entries,
      pool: wantsThread(flow.channels, entries) ? pool : null,
      record: false,
    }),
    destination: make('destination', flow.destination) as Destination,
    documents: new FlowDocuments({ folder: join(context.dataDir, 'documents'), bytesMax: flow.documentBytesMax }),
    rejectOwn: (rejects) => rejectOwn(context.dataDir, rejects),
  }
}

/** What became of each case of a flow. The channels run alone, with neither source nor destination. */
export function runFlowCases(flow: FlowFile, path: string, pool: IsolatedPool): Promise<CaseOutcome[]> {
  return runCases(flow.cases, {
    specs: flow.channels,
    name: flow.name,
    resolvePath: (file) => resolve(dirname(path), file),
    entries: lintEntries,
    pool: wantsThread(flow.channels, lintEntries) ? pool : null,
  })
}

/** Throws `FLOW_CASES_FAILED`. */
async function passCases(flow: FlowFile, path: string, pool: IsolatedPool): Promise<void> {
  const failed = (await runFlowCases(flow, path, pool)).filter(({ differences }) => differences.length > 0)
  const [first] = failed
  if (first === undefined) return
  const why = `${failed.length} of ${flow.cases.length}, the first: ${first.name}`
  throw agentFault('FLOW_CASES_FAILED', { where: path, why, cases: failed.map(({ name }) => name).slice(0, 10) })
}

/** Makes every component of a flow without opening any: what `flow lint` checks beyond the settings' form. */
export function tryComponents(flow: FlowFile, path: string): Fault | null {
  const context: ComponentContext = {
    flow: flow.name,
    dataDir: dirname(path),
    clock: systemClock,
    resolvePath: (file) => resolve(dirname(path), file),
    log: () => undefined,
  }
  try {
    componentsOf(flow, { entries: lintEntries.map(withoutServices), context, pool: null })
    return null
  } catch (error) {
    return faultIn(path, error)
  }
}

/** The hub's components need a connection to be made; their settings are all there is to check. */
function withoutServices(entry: ComponentEntry): ComponentEntry {
  return entry.type === 'hub' ? ({ ...entry, create: () => null } as unknown as ComponentEntry) : entry
}
