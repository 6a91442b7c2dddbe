// One large transfer through a hub while sender, hub and receiver are killed with SIGKILL again and again, each started again with
// the command it had. At the end the file is what it was; what travelled twice was counted on the lines, kill by kill.

import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, createReadStream, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { noteCut } from '#agent/client/upload/earlier.ts'
import type { Random } from '#protocol/bytes/testing.ts'
import { encodeChunk } from '#protocol/transfer/mod.ts'
import { startTestHub } from '../fixtures/hub.ts'
import { CountingLine } from './counting-line.ts'

const AGENT = join(import.meta.dirname, '../../agent/main.ts')
const FILE = 'drawing.bin'
const BLOCK_BYTES = 1024 * 1024
/** Longest time without a byte on the lines: a restart takes two seconds on a busy machine. */
const STUCK_MS = 150_000
const POLL_MS = 2
/** A command that could not reach the hub that was just killed is given again, as its user would. */
const AGAIN_MS = 300
const AGAIN_MAX = 50

const VICTIMS = ['sender', 'hub', 'receiver'] as const
type Victim = (typeof VICTIMS)[number]

export type TransferKills = {
  readonly digestIsRight: boolean
  /** Nothing but the file is left in the receivers' folders that a user would see. */
  readonly files: readonly string[]
  readonly kills: Readonly<Record<Victim, number>>
  /** Content bytes that travelled again on either line, after each kill. */
  readonly againBytes: readonly number[]
  /** Bytes of chunks that travelled on each line. */
  readonly lineBytes: { readonly up: number; readonly down: number }
  /** Bytes that the last lives of sender and receiver hashed although their journals had them. */
  readonly hashedAgainBytes: number
}

export type TransferOptions = {
  readonly size: number
  /** `text` travels encoded, in some half of its size. */
  readonly content: 'random' | 'text'
  /** Length of its chunks; what suits its size when it is not said. */
  readonly chunkBytes?: number
  /** Of each. */
  readonly kills: number
  /** Who receive it, each on a line of its own; the first one is killed. */
  readonly receivers?: number
  /** The hub is killed before others are: while all lines carry something. */
  readonly hubFirst?: boolean
  readonly random: Random
  say(what: string): void
}

export async function killDuringTransfer({
  size,
  content,
  chunkBytes,
  kills,
  receivers = 1,
  hubFirst = false,
  random,
  say,
}: TransferOptions): Promise<TransferKills> {
  await using undo = new AsyncDisposableStack()
  const names = Array.from({ length: receivers }, (_, i) => `files-${i}`)
  const hub = await startTestHub({ queues: names.map((name) => ({ name, topics: ['files/#'] })) })
  undo.defer(() => hub.stop())
  const hubPort = Number(hub.tcpAddress.split(':').at(-1))
  const up = await CountingLine.open(hubPort)
  undo.defer(() => up.close())
  const source = join(hub.dir, FILE)
  const { digest, wireBytes } = writeFile(source, size, content)
  const enroll = async (name: string, { port }: CountingLine, rights: { publish: string[]; consume: string[] }) =>
    join(await hub.enroll(name, { ...rights, address: `tcp://127.0.0.1:${port}` }), '..')
  const from = await enroll('sender', up, { publish: ['files/#'], consume: [] })
  // As an earlier version of the file was cut.
  if (chunkBytes !== undefined) await noteCut(join(from, 'transfers'), FILE, { chunkBytes, average: 0 })
  const encoded = content === 'text' ? ['--compress', 'on'] : []
  const send = ['send', 'file', source, '--data', from, '--topic', 'files/x', '--early', '--json', ...encoded]
  const sender = new Program(send)
  undo.defer(() => sender.end())
  const takers: Taker[] = []
  for (const [i, queue] of names.entries()) {
    const line = await CountingLine.open(hubPort)
    undo.defer(() => line.close())
    const data = await enroll(`receiver-${i}`, line, { publish: [], consume: [queue] })
    const inbox = join(hub.dir, `inbox-${i}`)
    mkdirSync(inbox)
    const what = ['receive', 'file', '--data', data, '--queue', queue, '--to', inbox, '--count', '1', '--json']
    const program = new Program(what)
    undo.defer(() => program.end())
    takers.push({ line, program, inbox })
    program.start()
  }
  const [{ line: down, program: receiver }] = takers as [Taker]
  sender.start()

  const victims = shuffled(
    VICTIMS.flatMap((victim) => new Array<Victim>(kills).fill(victim)),
    random,
  )
  if (hubFirst) victims.sort((a, b) => Number(b === 'hub') - Number(a === 'hub'))
  const done: Record<Victim, number> = { sender: 0, hub: 0, receiver: 0 }
  const fresh = (line: CountingLine) => line.bytes - line.againBytes
  const lines = [up, ...takers.map(({ line }) => line)]
  const sumOf = (count: (line: CountingLine) => number) => lines.reduce((sum, line) => sum + count(line), 0)
  const again = () => sumOf(({ againBytes }) => againBytes)
  const moved = () => sumOf(({ bytes }) => bytes)
  const againBytes: number[] = []
  for (const [i, victim] of victims.entries()) {
    // Spread over the transfer, by what is new on the line the victim is at.
    const at = Math.floor((wireBytes * (i + 0.2 + random.below(60) / 100)) / victims.length)
    const line = victim === 'receiver' ? down : up
    await until(() => fresh(line) >= at || (sender.over && receiver.over), moved, `${victim} at ${at} bytes`)
    const before = again()
    if (victim === 'hub') await hub.kill()
    else await (victim === 'sender' ? sender : receiver).kill()
    // What was on its way is lost, and was counted.
    const hit = victim === 'hub' ? lines : [line]
    await until(() => hit.every(({ open }) => open === 0), moved, `${victim}'s connections to end`)
    const sides = [{ line: up, program: sender }, ...takers]
      .filter((side) => hit.includes(side.line))
      .map((side) => ({ ...side, freshBytes: fresh(side.line) }))
    done[victim]++
    if (victim === 'hub') await hub.restart()
    else (victim === 'sender' ? sender : receiver).start()
    // What travels again does so before anything new: then it is known what this kill has cost.
    const isBack = (side: (typeof sides)[number]) => side.program.over || fresh(side.line) > side.freshBytes
    await until(() => sides.every(isBack), moved, `what comes after ${victim} was killed`)
    againBytes.push(again() - before)
    say(
      `${victim} killed with ${mib(fresh(up))} of ${mib(wireBytes)} sent, ${takers.map((taker) => mib(fresh(taker.line))).join(' and ')} received, ${againBytes.at(-1)} bytes again`,
    )
  }
  const said = await Promise.all([sender, ...takers.map(({ program }) => program)].map((program) => program.said()))
  const files = takers.flatMap(({ inbox }) => readdirSync(inbox).filter((name) => !name.startsWith('.')))
  const digests = await Promise.all(takers.map(({ inbox }) => digestOf(join(inbox, FILE)).catch(() => '')))
  return {
    digestIsRight: digests.every((found) => found === digest),
    files,
    kills: done,
    againBytes,
    lineBytes: { up: up.bytes, down: down.bytes },
    hashedAgainBytes: said.reduce((sum, { hashedAgainBytes }) => sum + hashedAgainBytes, 0),
  }
}

type Taker = { readonly line: CountingLine; readonly program: Program; readonly inbox: string }

/** A command of the agent that is given again until it has done its work. */
class Program {
  over = false
  private readonly args: readonly string[]
  private child: ChildProcess | null = null
  private readonly finished = Promise.withResolvers<{ hashedAgainBytes: number }>()
  private failures = 0

  constructor(args: readonly string[]) {
    this.args = args
  }

  start(): void {
    if (this.over) return
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', AGENT, ...this.args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child = child
    let out = ''
    let err = ''
    child.stdout.on('data', (bytes) => {
      out += bytes
    })
    child.stderr.on('data', (bytes) => {
      err = `${err}${bytes}`.slice(-2000)
    })
    child.once('close', (code, signal) => {
      if (this.child !== child || signal === 'SIGKILL') return
      if (code === 0) this.finish(out)
      else if (++this.failures > AGAIN_MAX) this.finished.reject(new Error(`it failed with ${code}: ${err}`))
      else setTimeout(() => this.child === child && this.start(), AGAIN_MS)
    })
  }

  async kill(): Promise<void> {
    const { child } = this
    this.child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'close')
  }

  async end(): Promise<void> {
    this.over = true
    await this.kill()
  }

  /** What it said when it had done its work. */
  said(): Promise<{ hashedAgainBytes: number }> {
    return this.finished.promise
  }

  private finish(out: string): void {
    this.over = true
    this.finished.resolve(JSON.parse(out.trim().split('\n').at(-1) ?? '') as { hashedAgainBytes: number })
  }
}

/** Resolves when `ready`; fails when `moved` stands still for long. */
async function until(ready: () => boolean, moved: () => number, what: string): Promise<void> {
  let last = -1
  let sinceMs = performance.now()
  while (!ready()) {
    const now = moved()
    if (now !== last) sinceMs = performance.now()
    last = now
    if (performance.now() - sinceMs > STUCK_MS) throw new Error(`nothing moves while waiting for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Gives its SHA-256 and what travels of it. No two chunks are alike: one that is known would not travel. */
function writeFile(path: string, size: number, content: TransferOptions['content']) {
  const hash = createHash('sha256')
  const file = openSync(path, 'w')
  let wireBytes = 0
  try {
    for (let at = 0; at < size; at += BLOCK_BYTES) {
      const bytes = Math.min(BLOCK_BYTES, size - at)
      const part =
        content === 'random' ? randomBytes(bytes) : Buffer.from(randomBytes(bytes).toString('hex', 0, bytes >> 1))
      writeSync(file, part)
      hash.update(part)
      wireBytes += encodeChunk(part, part.length)?.length ?? part.length
    }
  } finally {
    closeSync(file)
  }
  return { digest: hash.digest('hex'), wireBytes }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: BLOCK_BYTES }), hash)
  return hash.digest('hex')
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = [...items]
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    ;[out[i], out[j]] = [out[j] as T, out[i] as T]
  }
  return out
}

const mib = (bytes: number): string => `${Math.round(bytes / BLOCK_BYTES)} MiB`
