// Very many small files out of one folder, through a hub, into another, while files appear and vanish and sender, hub and receiver
// are killed with SIGKILL again and again. At the end every file that stayed is there once and as it was, in the receiver's folder
// and in `done/`, and none that was taken back in time.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  opendirSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { AgentStatus } from '#agent/telemetry/mod.ts'
import type { Random } from '#protocol/bytes/testing.ts'
import { endWithUs, startTestHub, type TestHub } from '../fixtures/hub.ts'

/** As it is installed, with what its launcher says of memory. */
const AGENT = join(import.meta.dirname, '../../agent/causeway-agent')
const POLL_MS = 100
/** Longest time without a step: a restart takes two seconds on a busy machine. */
const STUCK_MS = 120_000
const SAY_MS = 10_000
const CONTENT_BYTES_MAX = 1_500
/** Of the files dropped while the agents run one in so many is taken back soon. */
const TAKEN_BACK_ONE_IN = 50
const STRAYS_SHOWN = 10

/** `flat`: all in one folder. `nested`: a hundred in each of many, three deep. */
export type Shape = 'flat' | 'nested'

export type SmallFiles = {
  readonly shape: Shape
  readonly files: number
  /** Of sender, hub and receiver together. */
  readonly kills: number
  readonly random: Random
  /** Of sender and receiver. */
  readonly batchRows?: number
  say(what: string): void
}

/** What a folder has of the files that are to be there. */
export type Seen = {
  readonly whole: number
  readonly lost: number
  readonly twice: number
  readonly damaged: number
  /** The first names that nobody gave, or of files that were taken back. */
  readonly strays: readonly string[]
}

export type SmallFilesResult = {
  readonly expected: number
  readonly takenBack: number
  readonly there: Seen
  readonly done: Seen
  /** Left in the folder they were dropped in, or set aside. */
  readonly left: number
  /** Messages the hub stored. */
  readonly stored: number
  readonly seconds: number
  /** Resident memory at its most, of any of their processes. */
  readonly rssBytesMax: { readonly sender: number; readonly hub: number; readonly receiver: number }
  /** The slowest `causeway-agent status`. */
  readonly statusMsMax: number
}

export async function carrySmallFiles(options: SmallFiles): Promise<SmallFilesResult> {
  const { files, kills, random, say } = options
  await using undo = new AsyncDisposableStack()
  const hub = await startTestHub({ queues: [{ name: 'files', topics: ['files/#'] }], launched: true })
  undo.defer(() => hub.stop())
  const [sender, receiver] = [await agentAt(hub, 'sender'), await agentAt(hub, 'receiver')]
  undo.defer(() => Promise.all([sender.kill(), receiver.kill()]).then(() => undefined))
  const drop = new Drop(join(sender.data, 'drop'), options)
  const inbox = join(receiver.data, 'in')
  const { batchRows } = options
  sender.writeFlow({
    source: { directory: { path: drop.path, format: 'file', subfolders: options.shape === 'nested', batchRows } },
    destination: { hub: { topic: 'files/x' } },
  })
  receiver.writeFlow({
    source: { hub: { queue: 'files', format: 'file' } },
    destination: { directory: { path: inbox, format: 'file' } },
  })
  const half = files >> 1
  await drop.put(half, { takeBack: false })
  say(`${half} files of ${files} dropped (${options.shape})`)

  const startMs = performance.now()
  const watch = new Watch({ hub, sender, receiver, say })
  sender.start()
  receiver.start()
  const dropping = drop.put(files, { takeBack: true })
  // It is awaited below; until then it may fail first.
  dropping.catch(() => undefined)
  const victims = Array.from({ length: kills }, () => random.pick(['sender', 'sender', 'receiver', 'hub'] as const))
  for (const [i, victim] of victims.entries()) {
    // Spread over the way, counted by what comes in and what goes out.
    const at = Math.floor((files * (i + 0.1 + random.below(80) / 100)) / kills)
    await watch.until(`${victim} is killed`, ({ stored, settled }) => (stored + settled) / 2 >= Math.min(at, half))
    await sleep(random.below(300))
    say(`${victim} is killed with ${watch.now.stored} stored and ${watch.now.settled} settled`)
    if (victim === 'hub') {
      await hub.kill()
      await hub.restart()
    } else {
      const agent = victim === 'sender' ? sender : receiver
      await agent.kill()
      agent.start()
    }
  }
  await dropping
  const expected = files - drop.takenBack
  await watch.until('all are settled', ({ stored, settled }) => settled >= expected && stored === settled)
  await watch.until('all are out of the way', () => isEmpty(join(drop.path, '.claimed')))
  const seconds = (performance.now() - startMs) / 1000
  const { stored } = watch.now
  say(
    `${expected} files in ${Math.round(seconds)} s, ${Math.round(expected / seconds)} a second; now each is looked at`,
  )
  await Promise.all([sender.kill(), receiver.kill()])
  const { rssBytesMax, statusMsMax } = watch
  const there = drop.look(inbox)
  const done = drop.look(join(drop.path, 'done'))
  const left = drop.left()
  // To remove them takes as long as to carry them.
  say(`whole: ${there.whole} where they were sent, ${done.whole} in done/, of ${expected}; now all are removed`)
  return { expected, takenBack: drop.takenBack, there, done, left, stored, seconds, rssBytesMax, statusMsMax }
}

/** A folder files are dropped in. Name and content of each follow from its number. */
class Drop {
  readonly path: string
  takenBack = 0
  readonly #options: SmallFiles
  readonly #aside: string
  /** Those that were taken back, by number. */
  readonly #gone: Uint8Array
  readonly #seed: number
  #next = 0

  constructor(path: string, options: SmallFiles) {
    this.path = path
    this.#options = options
    this.#aside = `${path}.aside`
    this.#gone = new Uint8Array(options.files)
    this.#seed = options.random.u32()
    mkdirSync(path, { recursive: true })
    mkdirSync(this.#aside)
  }

  /** Drops them up to a number; with `takeBack` some are taken back a little later, if they are still there. */
  async put(end: number, { takeBack }: { takeBack: boolean }): Promise<void> {
    const { random } = this.#options
    let soon: number[] = []
    let folder = ''
    for (; this.#next < end; this.#next += 1) {
      const number = this.#next
      const path = join(this.path, this.#nameOf(number))
      const part = join(this.#aside, String(number))
      writeFileSync(part, this.#contentOf(number))
      if (folder !== dirname(path)) mkdirSync(dirname(path), { recursive: true })
      folder = dirname(path)
      renameSync(part, path)
      if (takeBack && random.oneIn(TAKEN_BACK_ONE_IN)) soon.push(number)
      if (number % 200 !== 199) continue
      await nextTurn()
      for (const each of soon) this.#takeBack(each)
      soon = []
    }
  }

  /** Compares what is below a folder with what is to be there. */
  look(folder: string): Seen {
    const seen = new Uint8Array(this.#options.files)
    const counts = { whole: 0, lost: 0, twice: 0, damaged: 0 }
    const strays: string[] = []
    for (const name of namesBelow(folder)) {
      const number = numberOf(name)
      const known = number < this.#next && this.#gone[number] === 0
      if (known && name === this.#nameOf(number)) {
        seen[number] = 1
        if (readFileSync(join(folder, name)).equals(this.#contentOf(number))) counts.whole += 1
        else counts.damaged += 1
      } else {
        // A second one of a name has a number behind it.
        if (known) counts.twice += 1
        if (strays.length < STRAYS_SHOWN) strays.push(name)
      }
    }
    for (let number = 0; number < this.#next; number += 1) {
      if (seen[number] === 0 && this.#gone[number] === 0) counts.lost += 1
    }
    return { ...counts, strays }
  }

  left(): number {
    let left = 0
    for (const name of namesBelow(this.path)) if (!name.startsWith('done/')) left += 1
    return left
  }

  #takeBack(number: number): void {
    try {
      unlinkSync(join(this.path, this.#nameOf(number)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    this.#gone[number] = 1
    this.takenBack += 1
  }

  #nameOf(number: number): string {
    const name = `${number} 记录.txt`
    if (this.#options.shape === 'flat') return name
    const folder = Math.floor(number / 100)
    return `${folder % 7}/${folder % 53} 区/${folder}/${name}`
  }

  #contentOf(number: number): Buffer {
    const bytes = Buffer.alloc((number * 7_919) % CONTENT_BYTES_MAX)
    return bytes.fill(`${this.#seed} ${number} `)
  }
}

const numberOf = (name: string): number => Number.parseInt(name.slice(name.lastIndexOf('/') + 1), 10)

/** Paths of files below a folder, without hidden ones; never all of them at once. */
function* namesBelow(root: string, folder = ''): Generator<string> {
  const dir = opendirSync(join(root, folder), { bufferSize: 1024 })
  try {
    for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.name.startsWith('.')) continue
      if (entry.isDirectory()) yield* namesBelow(root, name)
      else yield name
    }
  } finally {
    dir.closeSync()
  }
}

/** Whether no claim is left of any owner. */
function isEmpty(claimed: string): boolean {
  return existsSync(claimed) && readdirSync(claimed).every((owner) => readdirSync(join(claimed, owner)).length === 0)
}

class Agent {
  readonly data: string
  #child: ChildProcess | null = null
  #said = ''
  /** Why it ended when nobody killed it. */
  failed: string | null = null

  constructor(data: string) {
    this.data = data
    endWithUs(() => this.#child?.kill('SIGKILL'))
  }

  writeFlow(flow: object): void {
    mkdirSync(join(this.data, 'flows'), { recursive: true })
    // JSON is YAML.
    writeFileSync(join(this.data, 'flows', 'files.yaml'), JSON.stringify({ flow: 'files', ...flow }))
  }

  start(): void {
    const child = this.run(['start', '--data', this.data, '--flows', join(this.data, 'flows')])
    this.#child = child
    child.once('exit', (code) => {
      if (this.#child === child) this.failed = `it ended with ${code}: ${this.#said}`
    })
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'close')
  }

  run(args: readonly string[]): ChildProcess {
    const child = spawn(AGENT, args)
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        this.#said = `${this.#said}${bytes}`.slice(-2_000)
      })
    }
    return child
  }

  /** `null` when it has not said anything yet. */
  status(): AgentStatus | null {
    const path = join(this.data, 'status.json')
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as AgentStatus) : null
  }
}

async function agentAt(hub: TestHub, name: string): Promise<Agent> {
  return new Agent(dirname(await hub.enroll(name)))
}

type Now = { readonly stored: number; readonly settled: number }

/** Looks at all three again and again, until something is so. */
class Watch {
  now: Now = { stored: 0, settled: 0 }
  statusMsMax = 0
  readonly rssBytesMax = { sender: 0, hub: 0, receiver: 0 }
  readonly #of: { hub: TestHub; sender: Agent; receiver: Agent; say: (what: string) => void }
  #saidMs = performance.now()

  constructor(of: { hub: TestHub; sender: Agent; receiver: Agent; say: (what: string) => void }) {
    this.#of = of
  }

  async until(what: string, isSo: (now: Now) => boolean): Promise<void> {
    let before = { ...this.now }
    let sinceMs = performance.now()
    for (;;) {
      await this.#look()
      if (isSo(this.now)) return
      const { stored, settled } = this.now
      if (stored !== before.stored || settled !== before.settled) sinceMs = performance.now()
      before = this.now
      if (performance.now() - sinceMs > STUCK_MS) {
        throw new Error(`nothing moves until ${what}: ${JSON.stringify(this.#states())}`)
      }
      await sleep(POLL_MS)
    }
  }

  async #look(): Promise<void> {
    const { hub, sender, receiver, say } = this.#of
    const { rssBytesMax } = this
    for (const [name, agent] of [['sender', sender] as const, ['receiver', receiver] as const]) {
      if (agent.failed !== null) throw new Error(`${name}: ${agent.failed}`)
      rssBytesMax[name] = Math.max(rssBytesMax[name], agent.status()?.rssBytesMax ?? 0)
    }
    const status = await hub.status()
    rssBytesMax.hub = Math.max(rssBytesMax.hub, status.rssBytes)
    const queue = status.queues.find(({ name }) => name === 'files')
    if (queue !== undefined) this.now = { stored: queue.tail, settled: queue.tail - queue.depth }
    if (performance.now() - this.#saidMs < SAY_MS) return
    this.#saidMs = performance.now()
    await this.#timeStatus()
    const mib = Object.entries(rssBytesMax).map(([name, bytes]) => `${name} ${Math.round(bytes / 2 ** 20)} MiB`)
    say(`${this.now.stored} stored, ${this.now.settled} settled; at most ${mib.join(', ')}`)
  }

  /** The command a person gives meanwhile. */
  async #timeStatus(): Promise<void> {
    const { sender } = this.#of
    const beganMs = performance.now()
    await once(sender.run(['status', '--data', sender.data]), 'close')
    this.statusMsMax = Math.max(this.statusMsMax, performance.now() - beganMs)
  }

  #states(): unknown {
    const { sender, receiver } = this.#of
    return [this.now, sender.status()?.flows, receiver.status()?.flows]
  }
}
