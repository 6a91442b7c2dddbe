// The agent's way out: producer streams in the spool, each with a sender that empties it through the client. Knows which of
// them the hub refuses, and when one is empty.

import type { Client, StreamSender, Upload, UploadOptions } from '#agent/client/mod.ts'
import type { Spool, SpoolStream } from '#agent/spool/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import type { SigningKey } from '#protocol/crypto/mod.ts'
import type { ComponentContext } from '../../contract.ts'
import type { HubOutlet } from './destination.ts'

type Line = {
  readonly stream: SpoolStream
  readonly sender: StreamSender
  /** Why the hub does not take the next batch; `null` since it took one. */
  refused: Fault | null
  /** What the hub had acknowledged and lost, since the agent started; the newest. */
  lost: Fault | null
  /** Called when something was acknowledged or refused. */
  moved: (() => void)[]
}

export class Outbox implements HubOutlet {
  readonly agent: string
  readonly key: SigningKey
  rawBytes = 0
  readonly #spool: Spool
  readonly #client: Client
  readonly #wallMs: () => number
  readonly #log: ComponentContext['log']
  readonly #lines = new Map<string, Line>()

  constructor(options: { spool: Spool; client: Client; wallMs: () => number; log: ComponentContext['log'] }) {
    this.#spool = options.spool
    this.#client = options.client
    this.#wallMs = options.wallMs
    this.#log = options.log
    this.agent = options.client.name
    this.key = options.client.sealingKey
    // What an earlier run left in the spool goes out, whether or not its flow still exists.
    for (const name of this.#spool.streams()) this.openStream(name)
  }

  wallMs(): number {
    return this.#wallMs()
  }

  openStream(name: string): SpoolStream {
    return (this.#lines.get(name) ?? this.#open(name)).stream
  }

  onSealed(rawBytes: number): void {
    this.rawBytes += rawBytes
  }

  upload(options: UploadOptions): Upload {
    return this.#client.upload(options)
  }

  transferSettled(id: string): void {
    this.#client.transferSettled(id)
  }

  /** Streams the hub refuses at present, with its reason. */
  refused(): ReadonlyMap<string, Fault> {
    const found = new Map<string, Fault>()
    for (const [name, { refused }] of this.#lines) if (refused !== null) found.set(name, refused)
    return found
  }

  /** Streams of which the hub has lost what it had acknowledged, with the numbers: it was restored from an older copy. */
  lost(): ReadonlyMap<string, Fault> {
    const found = new Map<string, Fault>()
    for (const [name, { lost }] of this.#lines) if (lost !== null) found.set(name, lost)
    return found
  }

  /**
   * Resolves with `null` when the hub has acknowledged everything of the stream, or with the fault when it refuses it for a
   * reason that waiting does not cure (it stays in the spool and is offered again). Stops waiting when `signal` aborts.
   */
  async drained(name: string, signal: AbortSignal): Promise<Fault | null> {
    const line = this.#lines.get(name)
    while (line !== undefined && !signal.aborted) {
      if (isDrained(line)) return null
      if (line.refused !== null && line.refused.details.retry !== true) return line.refused
      await nextMove(line, signal)
    }
    return null
  }

  /** As `drained`, but also resolves with the next refusal that may pass. */
  async acknowledged(name: string, signal: AbortSignal): Promise<Fault | null> {
    const line = this.#lines.get(name)
    while (line !== undefined && !signal.aborted && !isDrained(line)) {
      await nextMove(line, signal)
      if (line.refused !== null) return line.refused
    }
    return null
  }

  #open(name: string): Line {
    const stream = this.#spool.stream(name)
    const sender = this.#client.sendFrom(stream, {
      onAccepted: () => this.#moved(name, null),
      onRefused: (fault) => {
        // A full queue refuses again and again: one line of log says it.
        const known = this.#lines.get(name)?.refused?.details.hubCode === fault.details.hubCode
        this.#log(known ? 'debug' : 'warn', 'the hub refuses messages', { stream: name, fault: fault.toJSON() })
        this.#moved(name, fault)
      },
      onUnrouted: (messages) =>
        this.#log('warn', 'no queue at the hub wants these messages', { stream: name, messages }),
      onError: (fault) => this.#log('error', 'sending failed', { stream: name, fault: fault.toJSON() }),
      onLost: (fault) => {
        this.#log('error', 'the hub has lost messages', { stream: name, fault: fault.toJSON() })
        const line = this.#lines.get(name)
        if (line !== undefined) line.lost = fault
      },
    })
    const line: Line = { stream, sender, refused: null, lost: null, moved: [] }
    this.#lines.set(name, line)
    stream.onAppend(() => sender.pump())
    return line
  }

  #moved(name: string, refused: Fault | null): void {
    const line = this.#lines.get(name)
    if (line === undefined) return
    line.refused = refused
    const waiting = line.moved
    line.moved = []
    for (const resolve of waiting) resolve()
  }
}

const isDrained = ({ stream }: Line): boolean => stream.releasedSeq === stream.nextSeq - 1

/** Resolves when something was acknowledged or refused, or `signal` aborts. */
function nextMove(line: Line, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
    line.moved.push(done)
  })
}
