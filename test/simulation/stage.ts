// Everything a simulation plays on: a world, its network and disk, a hub, and agents with their identities. Keys and
// certificates are made once for all simulations of a test run; nothing that happens depends on them.

import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type ClientOptions, clientFault, type Dial } from '#agent/client/mod.ts'
import type { Identity } from '#agent/identity/mod.ts'
import { type Authority, initAuthority, openAuthority } from '#hub/security/mod.ts'
import { type Clock, type Fault, millis } from '#protocol/base/mod.ts'
import type { Random } from '#protocol/bytes/testing.ts'
import { parseToken } from '#protocol/handshake/mod.ts'
import { install, Process, START_MS, World } from './clock.ts'
import { type DiskManners, installDisk } from './disk.ts'
import { SimHub, type SimHubOptions } from './hub.ts'
import { type Line, Network } from './network.ts'

const ADDRESS = 'tcp://127.0.0.1:7710'
/** In memory where the system offers that: the store's files are real, and flushed thousands of times. */
const FOLDERS = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

const STILL: Clock = { wallMs: () => millis(START_MS), nowMs: () => millis(0) }

export type Cast = { readonly authority: Authority; readonly identities: ReadonlyMap<string, Identity> }

/** Makes an authority and enrols agents that may do everything, in folders that `end` removes. */
export function makeCast(agents: Readonly<Record<string, { readonly groups?: readonly string[] }>>): {
  cast: Cast
  end(): void
} {
  const folder = mkdtempSync(join(FOLDERS, 'causeway-cast-'))
  initAuthority(folder, { hubName: 'hub', hostNames: [], clock: STILL })
  const authority = openAuthority(folder, { clock: STILL })
  const identities = new Map<string, Identity>()
  for (const [name, { groups = [] }] of Object.entries(agents)) {
    identities.set(name, enrol(authority, name))
    for (const group of groups) authority.agents.join(name, group)
  }
  return { cast: { authority, identities }, end: () => rmSync(folder, { recursive: true }) }
}

function enrol(authority: Authority, name: string): Identity {
  const { privateKey: key } = generateKeyPairSync('ed25519')
  const order = { agent: name, addresses: [ADDRESS], publish: ['#'], consume: ['#'], expiresInMs: 60_000 }
  const secret = Buffer.from(parseToken(authority.invite(order).token).secret)
  const publicKeySpki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const { certificate, caCertificate } = authority.enrol({ name, secret, publicKeySpki })
  return {
    name,
    hubName: authority.hubName,
    addresses: [ADDRESS],
    key,
    certificate: Buffer.from(certificate),
    caCertificate: new X509Certificate(caCertificate),
    enrolledAtMs: START_MS,
    storePaths: { key: '', certificate: '', caCertificate: '', identity: '' },
  }
}

export type StageOptions = Pick<SimHubOptions, 'queues' | 'cacheBytes' | 'contents'> & {
  readonly cast: Cast
  readonly seed: number
  readonly disk?: Partial<DiskManners>
}

/** One program of an agent: its client and all it waits for end together. */
export class SimAgent {
  readonly name: string
  readonly process: Process
  readonly client: Client
  private readonly stage: Stage

  constructor(stage: Stage, name: string, options: Partial<ClientOptions> = {}) {
    this.name = name
    this.stage = stage
    this.process = new Process(name)
    const identity = stage.cast.identities.get(name)
    if (identity === undefined) throw new Error(`no agent ${name}`)
    const { network, world } = stage
    const dial: Dial = async ({ timeoutMs }) => {
      const stream = await network.dial(name, timeoutMs)
      if (stream === null) throw clientFault('HUB_UNREACHABLE', { where: ADDRESS, why: 'simulated', retry: true })
      // As with a socket: until the connection listens, an error must not end the program.
      stream.on('error', () => undefined)
      return { stream, channelBinding: null }
    }
    const onDisconnected = ({ code, details }: Fault) =>
      world.log(`agent ${name} is disconnected: ${String(details.peerCode ?? code)}`)
    world.log(`agent ${name} starts`)
    this.client = this.within(() =>
      Client.start({ identity, dial, onDisconnected, reconnectMsFirst: 100, reconnectMsMax: 2000, ...options }),
    )
  }

  within<T>(work: () => T): T {
    return this.stage.world.within(this.process, work)
  }

  get alive(): boolean {
    return this.process.alive
  }

  /** Ends it as a kill does. */
  kill(): void {
    this.stage.world.log(`agent ${this.name} is killed`)
    this.stage.world.kill(this.process)
    this.stage.network.agentGone(this.process)
  }
}

export class Stage implements AsyncDisposable {
  readonly cast: Cast
  readonly world: World
  readonly network: Network
  readonly hub: SimHub
  readonly disk: DiskManners
  readonly agents: SimAgent[] = []
  readonly dataDir = mkdtempSync(join(FOLDERS, 'causeway-sim-'))
  private readonly undo = new DisposableStack()

  constructor(options: StageOptions) {
    const { cast, seed, queues, cacheBytes, contents = false } = options
    this.cast = cast
    this.world = new World(seed)
    this.network = new Network(this.world)
    this.disk = { latencyMsMax: 3, failsOneIn: 0, ...options.disk }
    this.undo.use(install(this.world))
    this.undo.use(installDisk(this.world, this.disk))
    this.hub = new SimHub({
      world: this.world,
      network: this.network,
      authority: cast.authority,
      dataDir: this.dataDir,
      queues,
      contents,
      ...(cacheBytes === undefined ? {} : { cacheBytes }),
    })
  }

  /** The generator a world of that seed has for a purpose, before there is one. */
  static randomOf(seed: number, purpose: string): Random {
    return new World(seed).random(purpose)
  }

  set onLine(told: (line: Line) => void) {
    this.network.onLine = told
  }

  agent(name: string, options: Partial<ClientOptions> = {}): SimAgent {
    const agent = new SimAgent(this, name, options)
    this.agents.push(agent)
    return agent
  }

  /** Ends everything, without grace. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const { process } of this.agents) this.world.kill(process)
      await this.hub.kill('silent')
      await this.world.settle()
    } finally {
      this.undo.dispose()
      rmSync(this.dataDir, { recursive: true, force: true })
    }
  }
}
