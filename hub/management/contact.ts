// How a local command finds the running hub and asks it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HubStatus } from '#hub/telemetry/mod.ts'
import { Fault } from '#protocol/base/mod.ts'
import type { AdminRequest } from './admin.ts'
import { managementFault } from './faults.ts'
import { checkDataFolder } from './folder.ts'
import { LINE_LENGTH_MAX, SILENCE_MS_MAX } from './limits.ts'

const STATUS_TIMEOUT_MS = 5000

/** Written by the hub when it listens, removed when it ends in order. */
export type Contact = { readonly url: string; readonly token: string; readonly processId: number }

export const contactPath = (dataDir: string): string => join(dataDir, 'run', 'management.json')

/** Told while an operation goes on, about each second. */
export type OnProgress = (progress: { readonly messages: number; readonly seconds: number }) => void

/** Faults that the hub gave as its answer. */
export class HubFaults extends Error {
  readonly faults: readonly Fault[]
  /** Whether it was the request that was wrong. */
  readonly usage: boolean

  constructor(faults: readonly Fault[], usage: boolean) {
    super(faults.map((fault) => fault.message).join('; '))
    this.faults = faults
    this.usage = usage
  }
}

/** Asks the hub that runs on `dataDir`. Faults: `HUB_NOT_RUNNING`, `DATA_FOLDER_MISSING`. */
export async function fetchStatus(dataDir: string): Promise<HubStatus> {
  const { url, token } = readContact(dataDir)
  try {
    const response = await fetch(`${url}/status`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(STATUS_TIMEOUT_MS),
    })
    if (response.ok) return (await response.json()) as HubStatus
    throw managementFault('HUB_NOT_RUNNING', { where: dataDir, why: `it answered ${response.status}` })
  } catch (cause) {
    throw managementFault('HUB_NOT_RUNNING', { where: dataDir, cause })
  }
}

/**
 * Has the hub do something and gives its result; `T` is what the hub of the same version answers to that command.
 * Throws `HubFaults`; faults: `HUB_NOT_RUNNING`, `DATA_FOLDER_MISSING`, `HUB_ANSWER_BROKEN`.
 */
export async function askHub<T>(dataDir: string, request: AdminRequest, onProgress?: OnProgress): Promise<T> {
  const { url, token } = readContact(dataDir)
  const silence = new AbortController()
  const giveUp = () => silence.abort(managementFault('HUB_ANSWER_BROKEN', { where: dataDir, why: 'it is silent' }))
  const timer = setTimeout(giveUp, SILENCE_MS_MAX)
  try {
    const response = await fetch(`${url}/admin`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(request),
      signal: silence.signal,
    }).catch((cause: unknown) => {
      throw cause instanceof Fault ? cause : managementFault('HUB_NOT_RUNNING', { where: dataDir, cause })
    })
    if (!response.ok) throw await refusalOf(response, dataDir)
    return (await resultOf(response, { dataDir, onProgress, alive: () => timer.refresh() })) as T
  } finally {
    clearTimeout(timer)
  }
}

function readContact(dataDir: string): Contact {
  let contact: unknown
  try {
    contact = JSON.parse(readFileSync(contactPath(dataDir), 'utf8'))
  } catch (cause) {
    // Not there, or not to be seen: the folder may be none of a hub, or not ours.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') checkDataFolder(dataDir)
    else if (!(cause instanceof SyntaxError)) throw cause
    throw managementFault('HUB_NOT_RUNNING', { where: dataDir, cause })
  }
  const { url, token, processId } = objectOf(contact)
  if (typeof url !== 'string' || !url.startsWith('http://') || typeof token !== 'string') {
    throw managementFault('HUB_NOT_RUNNING', { where: contactPath(dataDir), why: 'what it left there is damaged' })
  }
  return { url, token, processId: Number(processId) }
}

type Line = { readonly progress?: unknown; readonly result?: unknown; readonly fault?: unknown }

/** Reads lines until the one that ends the answer. */
async function resultOf(
  response: Response,
  options: { dataDir: string; onProgress: OnProgress | undefined; alive: () => void },
): Promise<unknown> {
  const broken = (why: string, cause?: unknown) => {
    return managementFault('HUB_ANSWER_BROKEN', { where: options.dataDir, why, cause })
  }
  try {
    for await (const text of linesOf(response)) {
      options.alive()
      const line = objectOf(JSON.parse(text)) as Line
      if (line.fault !== undefined) throw new HubFaults([faultOf(line.fault)], false)
      if (Object.hasOwn(line, 'result')) return line.result
      const { messages, seconds } = objectOf(line.progress)
      options.onProgress?.({ messages: Number(messages), seconds: Number(seconds) })
    }
  } catch (cause) {
    if (cause instanceof Fault || cause instanceof HubFaults) throw cause
    throw broken('the connection broke', cause)
  }
  throw broken('it ended without a result')
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  /** Pieces of a line that has not ended yet. */
  let pieces: string[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    const lines = decoder.decode(chunk, { stream: true }).split('\n')
    const rest = lines.pop() ?? ''
    for (const line of lines) {
      yield [...pieces, line].join('')
      pieces = []
      length = 0
    }
    pieces.push(rest)
    length += rest.length
    if (length > LINE_LENGTH_MAX) throw new Error('a line is too long')
  }
}

async function refusalOf(response: Response, dataDir: string): Promise<Error> {
  const text = await response.text()
  try {
    const { faults } = objectOf(JSON.parse(text))
    if (Array.isArray(faults) && faults.length > 0) return new HubFaults(faults.map(faultOf), response.status === 400)
  } catch {
    // Not ours: a hub of another version, or another program on its port.
  }
  return managementFault('HUB_ANSWER_BROKEN', { where: dataDir, why: `it answered ${response.status}` })
}

/** A fault of the hub's process, as it was there. */
function faultOf(value: unknown): Fault {
  const { code, message, remedy, where, cause, ...details } = objectOf(value)
  const text = (given: unknown): string => (typeof given === 'string' ? given : '')
  const entry = { meaning: text(message), remedy: text(remedy) }
  return new Fault(text(code) || 'INTERNAL', entry, {
    ...details,
    ...(typeof where === 'string' ? { where } : {}),
    ...(typeof cause === 'string' ? { cause: new Error(cause) } : {}),
  })
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
