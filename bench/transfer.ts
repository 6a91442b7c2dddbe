// One large file on its way from one agent through the hub to another, by the commands an operator uses: three real
// processes over loopback TCP. The receiver waits before the sender starts, and the sender announces the file before the
// hub has all of it, so that both halves of the way run at once.

import type { ChildProcess } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { hasEnded, startProgram, stop } from './children.ts'
import type { Content } from './content.ts'
import { freePort } from './peers/server.ts'
import { cpuSeconds, rssBytesMax, Stage } from './stage.ts'

export const FILE_QUEUE = { name: 'work', topics: ['bench/file'] } as const

export const transferConditions = {
  processes: 'causeway-agent send file --early, hub, causeway-agent receive file; loopback TCP, no TLS, no compression',
  'from and to':
    'from starting the sender, while the receiver waits, until the receiver has exited 0: whole file, flushed, settled',
} as const

export const PARTS = ['sender', 'hub', 'receiver'] as const
export type Part = (typeof PARTS)[number]
export type OfParts = Readonly<Record<Part, number>>

const POLL_MS = 20
const SAMPLE_MS = 100
const SAID_CHARS_MAX = 4096
const START_MS_MAX = 30_000
/** A transfer may take so long, and this much for each GB: by far slower than any disk. */
const DONE_MS_MAX = 60_000
const DONE_MS_MAX_PER_GB = 120_000

/** A command of causeway-agent that ends by itself. */
class Command {
  readonly child: ChildProcess
  /** Rejects when it does not end with 0. */
  readonly done: Promise<void>
  /** As of a tenth of a second ago at most; of a process that is gone, of then. */
  cpuSeconds = 0
  rssBytesMax = 0
  private out = ''
  private said = ''

  constructor(args: readonly string[]) {
    const program = join(import.meta.dirname, '../agent/causeway-agent')
    this.child = startProgram(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.said = `${this.said}${text}`.slice(-SAID_CHARS_MAX)
    })
    const sampling = setInterval(() => this.sample(), SAMPLE_MS)
    this.done = new Promise((resolve, reject) => {
      this.child.once('error', reject)
      this.child.once('close', () => {
        clearInterval(sampling)
        const { exitCode, signalCode } = this.child
        if (exitCode === 0) resolve()
        else
          reject(new Error(`${args.slice(0, 2).join(' ')}: ${signalCode ?? `exit ${exitCode}`}: ${this.said.trim()}`))
      })
    })
    // Whoever waits for another command meanwhile hears of it later.
    this.done.catch(() => undefined)
  }

  /** What it printed for machines, one object a line. */
  get answers(): unknown[] {
    return this.out
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line) as unknown)
  }

  private sample(): void {
    const { pid } = this.child
    if (pid === undefined || hasEnded(this.child)) return
    try {
      this.cpuSeconds = cpuSeconds(pid)
      this.rssBytesMax = Math.max(this.rssBytesMax, rssBytesMax(pid))
    } catch {
      // It is gone, and nobody has told yet.
    }
  }
}

export class Transfer {
  private sender: Command | null = null
  private receiver: Command | null = null
  private cpuSecondsStart = { hub: 0, receiver: 0 }
  /** Of commands that were killed, in the order of their ends. */
  private readonly earlier: { readonly part: Part; readonly command: Command }[] = []
  private readonly stage: Stage
  private readonly source: Content
  private readonly folders: Readonly<Record<'sender' | 'receiver', string>>
  private readonly into: string

  private constructor(stage: Stage, source: Content, folders: Readonly<Record<'sender' | 'receiver', string>>) {
    this.stage = stage
    this.source = source
    this.folders = folders
    this.into = join(stage.dir, 'received')
  }

  /** Enrols the two agents and has the receiver wait. The hub has FILE_QUEUE. */
  static async prepare(stage: Stage, source: Content): Promise<Transfer> {
    const folder = async (agent: string) => dirname(await stage.enroll(agent, false))
    const transfer = new Transfer(stage, source, { sender: await folder('sender'), receiver: await folder('receiver') })
    mkdirSync(transfer.into)
    transfer.startReceiver()
    await transfer.receiverWaits()
    return transfer
  }

  /** Has the receiver wait for the file once more, as it will be then. */
  async again(): Promise<void> {
    this.startReceiver()
    await this.receiverWaits()
  }

  /** Where the receiver puts the file. */
  get path(): string {
    return join(this.into, basename(this.source.path))
  }

  /** Starts the sender. */
  begin(): void {
    const receiver = cpuSeconds(this.running('receiver').child.pid as number)
    this.cpuSecondsStart = { hub: cpuSeconds(this.stage.hubPid), receiver }
    this.startSender()
  }

  /** Resolves when the receiver has the whole file; the sender must be through as well. `ms` of performance.now(). */
  async end(): Promise<{ readonly atMs: number }> {
    const within = DONE_MS_MAX + (DONE_MS_MAX_PER_GB * this.source.bytes) / 1e9
    const [sender, receiver] = [this.running('sender'), this.running('receiver')]
    let timer: NodeJS.Timeout | null = null
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`the file did not arrive in ${within / 1000} s`)), within)
    })
    const received = receiver.done.then(() => performance.now())
    try {
      const [atMs] = await Promise.race([Promise.all([received, sender.done]), late])
      return { atMs }
    } finally {
      if (timer !== null) clearTimeout(timer)
    }
  }

  /** The receiver is through, or the sender has failed. */
  get isOver(): boolean {
    const sender = this.running('sender').child
    return hasEnded(this.running('receiver').child) || (hasEnded(sender) && sender.exitCode !== 0)
  }

  /** Bytes on the hub's sockets since it started, without what the waiting took: a little more than the file's. */
  async onWire(): Promise<{ readonly bytesIn: number; readonly bytesOut: number }> {
    return (await this.stage.status()).wire
  }

  /** Since the sender started. */
  cpuSeconds(): OfParts {
    const { hub, receiver } = this.cpuSecondsStart
    return {
      sender: this.running('sender').cpuSeconds,
      hub: cpuSeconds(this.stage.hubPid) - hub,
      receiver: this.running('receiver').cpuSeconds - receiver,
    }
  }

  rssBytesMax(): OfParts {
    const hub = rssBytesMax(this.stage.hubPid)
    return { sender: this.running('sender').rssBytesMax, hub, receiver: this.running('receiver').rssBytesMax }
  }

  /** Kills one of the three and starts it again as it was started. */
  async killAndRestart(part: Part): Promise<void> {
    if (part === 'hub') {
      await this.stage.killHub()
      await this.stage.launchHub()
      return
    }
    const killed = this.running(part)
    await stop(killed.child, 'SIGKILL')
    this.earlier.push({ part, command: killed })
    if (part === 'sender') this.startSender()
    else this.startReceiver()
  }

  /** What the commands of a part printed for machines; those that were killed first. */
  answersOf(part: 'sender' | 'receiver'): unknown[] {
    const commands = [...this.earlier.filter((one) => one.part === part).map((one) => one.command), this.running(part)]
    return commands.flatMap(({ answers }) => answers)
  }

  async stop(): Promise<void> {
    for (const command of [this.sender, this.receiver]) if (command !== null) await stop(command.child, 'SIGKILL')
  }

  private startSender(): void {
    const topic = FILE_QUEUE.topics[0]
    const args = [
      'send',
      'file',
      this.source.path,
      '--data',
      this.folders.sender,
      '--topic',
      topic,
      '--early',
      '--json',
    ]
    this.sender = new Command(args)
  }

  private startReceiver(): void {
    const to = ['--queue', FILE_QUEUE.name, '--to', this.into, '--count', '1', '--json']
    this.receiver = new Command(['receive', 'file', '--data', this.folders.receiver, ...to])
  }

  private running(part: 'sender' | 'receiver'): Command {
    const command = this[part]
    if (command === null) throw new Error(`the ${part} has not been started`)
    return command
  }

  private async receiverWaits(): Promise<void> {
    const receiver = this.running('receiver')
    for (const deadline = performance.now() + START_MS_MAX; ; await elapsed(POLL_MS)) {
      if (hasEnded(receiver.child)) await receiver.done
      const { sessions } = await this.stage.status()
      if (sessions.some(({ agent, consumers }) => agent === 'receiver' && consumers > 0)) return
      if (hasEnded(receiver.child)) throw new Error('the receiver ended before anything was sent')
      if (performance.now() > deadline) throw new Error(`the receiver did not subscribe in ${START_MS_MAX / 1000} s`)
    }
  }
}

/** A hub for one transfer, on a port it can come back to. */
export async function withTransfer<T>(
  source: Content,
  use: (transfer: Transfer, stage: Stage) => Promise<T>,
): Promise<T> {
  const stage = new Stage()
  let transfer: Transfer | null = null
  try {
    await stage.startHub({ queues: [FILE_QUEUE], tls: false, port: await freePort() })
    transfer = await Transfer.prepare(stage, source)
    return await use(transfer, stage)
  } finally {
    await transfer?.stop()
    await stage.end()
  }
}

/** Waits until a share of the file has come into the hub, or out of it. False when the transfer ended before. */
export async function reaches(
  transfer: Transfer,
  { bytes, way }: { bytes: number; way: 'bytesIn' | 'bytesOut' },
): Promise<boolean> {
  while (!transfer.isOver) {
    if ((await transfer.onWire())[way] >= bytes) return true
    await elapsed(POLL_MS)
  }
  return false
}

export const elapsed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
