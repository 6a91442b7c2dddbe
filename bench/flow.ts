// One measurement: a producer's process sends through a server to a consumer's process as fast as it goes; then the
// producer stops, what is still under way drains, and nothing may be missing. Product, peers and ceiling are measured by
// this same code.
//
// Roles talk through their IPC channel. Consumer: a `Sample` at its start and then periodically. Producer: takes 'stop' and
// `{ received }` (how far the consumer has come), answers 'stop' with `{ sent }` when everything is acknowledged.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { hasEnded, release, stop, tellRole } from './children.ts'
import { cpuSeconds } from './stage.ts'

export type Sample = {
  readonly received: number
  /** Messages whose counter was not the next one. */
  readonly outOfOrder: number
  readonly atMs: number
}

export type Flow = {
  /** Messages settled by the consumer per second of its own clock. */
  readonly perSecond: number
  /** Cores used, by process. */
  readonly cores: Readonly<Record<'producer' | 'server' | 'consumer', number>>
  readonly lost: number
  readonly outOfOrder: number
  /** They are gone; profiles bear their names. */
  readonly pids: Readonly<Record<'producer' | 'server' | 'consumer', number>>
}

export type FlowOptions = {
  readonly startConsumer: () => ChildProcess
  readonly startProducer: () => ChildProcess
  readonly server: ChildProcess
  readonly times: Times
  /** Lets producer and consumer end by themselves: they have a profile to write. */
  readonly gently?: boolean
  /** Called when the measured time begins and when it ends. */
  readonly atStart?: () => Promise<void>
  readonly atEnd?: () => Promise<void>
}

export type Times = { readonly warmUpMs: number; readonly measuredMs: number }

/** Draining is given up when nothing arrives for so long. */
const STALL_MS_MAX = 30_000
const STOP_MS_MAX = 90_000

export async function measureFlow(options: FlowOptions): Promise<Flow> {
  const children: ChildProcess[] = []
  try {
    return await measure(options, children)
  } finally {
    for (const child of children) await (options.gently === true ? release(child) : stop(child, 'SIGKILL'))
  }
}

async function measure(options: FlowOptions, children: ChildProcess[]): Promise<Flow> {
  const { server, times } = options
  const consumer = options.startConsumer()
  children.push(consumer)
  let producer: ChildProcess | null = null
  let latest = await firstMessage<Sample>(consumer, 'consumer')
  consumer.on('message', (sample) => {
    latest = sample as Sample
    if (producer !== null) tellRole(producer, { received: latest.received })
  })
  producer = options.startProducer()
  children.push(producer)
  const trio = { producer, server, consumer }
  await elapsed(times.warmUpMs, trio)
  await options.atStart?.()
  checkAlive(trio)
  const start = latest
  const cpuStart = cpuOf(trio)
  await elapsed(times.measuredMs, trio)
  const end = latest
  const cpuEnd = cpuOf(trio)
  await options.atEnd?.()
  checkAlive(trio)
  const stopped = firstMessage<{ sent: number }>(producer, 'producer')
  producer.send('stop')
  const { sent } = await stopped
  for (let seen = -1; latest.received < sent && latest.received > seen; ) {
    seen = latest.received
    for (let ms = 0; ms < STALL_MS_MAX && latest.received === seen; ms += 50) await elapsed(50, { server, consumer })
  }
  const seconds = (end.atMs - start.atMs) / 1000
  const cores = (of: 'producer' | 'server' | 'consumer') => (cpuEnd[of] - cpuStart[of]) / (times.measuredMs / 1000)
  return {
    perSecond: seconds > 0 ? (end.received - start.received) / seconds : 0,
    cores: { producer: cores('producer'), server: cores('server'), consumer: cores('consumer') },
    lost: sent - latest.received,
    outOfOrder: latest.outOfOrder,
    pids: { producer: producer.pid as number, server: server.pid as number, consumer: consumer.pid as number },
  }
}

type Processes = Readonly<Record<string, ChildProcess>>

function cpuOf({
  producer,
  server,
  consumer,
}: {
  producer: ChildProcess
  server: ChildProcess
  consumer: ChildProcess
}) {
  return {
    producer: cpuSeconds(producer.pid as number),
    server: cpuSeconds(server.pid as number),
    consumer: cpuSeconds(consumer.pid as number),
  }
}

/** The next thing a role says. */
export async function firstMessage<T>(child: ChildProcess, name: string, withinMs = STOP_MS_MAX): Promise<T> {
  const abort = new AbortController()
  const { signal } = abort
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message as T),
      once(child, 'exit', { signal }).then(() => Promise.reject(ended(name, child))),
      new Promise<never>((_resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`the ${name} says nothing`)), withinMs)
        signal.addEventListener('abort', () => clearTimeout(timer))
      }),
    ])
  } finally {
    abort.abort()
  }
}

/** The time that is measured; all processes must live through it. */
async function elapsed(ms: number, processes: Processes): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
  checkAlive(processes)
}

function checkAlive(processes: Processes): void {
  for (const [name, child] of Object.entries(processes)) if (hasEnded(child)) throw ended(name, child)
}

function ended(name: string, { exitCode, signalCode }: ChildProcess): Error {
  return new Error(`the ${name} ended by itself (${signalCode ?? `exit ${exitCode}`})`)
}
