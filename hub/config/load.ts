// hub.yaml from disk: read within bounds, parsed, and checked as a whole.

import { constants, open } from 'node:fs/promises'
import { hostname } from 'node:os'
import { asFault, type Fault, type Result } from '#protocol/base/mod.ts'
import { decodeText, nearest, parseFields, TEXT_BYTES_MAX, type Where } from '#protocol/fields/mod.ts'
import { addressProblem, isLoopback, isWildcard, joinAddress } from './address.ts'
import { configFault } from './faults.ts'
import { type HubSettings, hubSpec, QUEUE_DEAD } from './spec.ts'

/** Queues of a ring that a fault names. */
const RING_SHOWN_MAX = 5

/** The settings, with defaults. `advertise` is empty only when nothing was written and the TCP port is 0: see `advertised`. */
export type HubConfig = Omit<HubSettings, 'advertise'> & { advertise: string[] }

/**
 * Reads the file. Codes: `CONFIG_…`, `FIELD_…`, `YAML_…`; all faults of the file at once, each with file, line, column and
 * setting.
 */
export async function loadHubConfig(path: string): Promise<Result<HubConfig, Fault[]>> {
  const read = await readFile(path)
  if (!read.ok) return read
  const decoded = decodeText(read.value, { file: path })
  return decoded.ok ? parseHubConfig(decoded.value, { file: path }) : decoded
}

/** The same for a text that is already here; `file` names it in faults. */
export function parseHubConfig(text: string, options: { readonly file: string }): Result<HubConfig, Fault[]> {
  const parsed = parseFields(hubSpec, text, { file: options.file, inspect })
  if (!parsed.ok) return parsed
  const { advertise, ...settings } = parsed.value
  const { port } = settings.listen.tcp
  return { ok: true, value: { ...settings, advertise: advertise ?? advertised(settings.listen.tcp.host, port) } }
}

/** Addresses for invitations when the file names none: the listener's own host, or this machine's name for all addresses. */
export function advertised(host: string, port: number): string[] {
  const address = joinAddress(isWildcard(host) ? hostname() : host, port)
  // A machine's name may be none that DNS allows; port 0 is known only once the listener is open.
  return addressProblem(address) === null ? [address] : []
}

/** What no setting can tell alone. */
function inspect(settings: HubSettings, where: Where): Fault[] {
  return [
    ...plainListeners(settings, where),
    ...portClashes(settings, where),
    ...halfCertificates(settings, where),
    ...queueDuplicates(settings, where),
    ...partitionsWithoutOrder(settings, where),
    ...deadLetters(settings, where),
  ]
}

function plainListeners({ listen }: HubSettings, where: Where): Fault[] {
  const faults: Fault[] = []
  const plain = (name: 'tcp' | 'websocket' | 'http', host: string): void => {
    const why = `tls is false and host is ${host}, which other machines can reach`
    faults.push(configFault('CONFIG_PLAIN_NOT_LOOPBACK', { where: where(`listen.${name}.tls`), why }))
  }
  const { tcp, websocket, http } = listen
  if (!tcp.tls && !isLoopback(tcp.host)) plain('tcp', tcp.host)
  if (websocket.enabled && !websocket.tls && !isLoopback(websocket.host)) plain('websocket', websocket.host)
  if (http.enabled && !http.tls && !isLoopback(http.host)) plain('http', http.host)
  return faults
}

function portClashes({ listen, management }: HubSettings, where: Where): Fault[] {
  const listeners = [
    { setting: 'listen.tcp.port', ...listen.tcp },
    ...(listen.websocket.enabled ? [{ setting: 'listen.websocket.port', ...listen.websocket }] : []),
    ...(listen.http.enabled ? [{ setting: 'listen.http.port', ...listen.http }] : []),
    { setting: 'management.port', ...management },
  ]
  const faults: Fault[] = []
  for (const [index, later] of listeners.entries()) {
    const clash = listeners.slice(0, index).find((earlier) => {
      const sameHost = earlier.host === later.host || isWildcard(earlier.host) || isWildcard(later.host)
      return sameHost && earlier.port === later.port && later.port !== 0
    })
    if (clash === undefined) continue
    const why = `${later.port} is also ${clash.setting}`
    faults.push(configFault('CONFIG_PORT_CLASH', { where: where(later.setting), why }))
  }
  return faults
}

function halfCertificates({ listen }: HubSettings, where: Where): Fault[] {
  const { certificate, key } = listen.http
  if ((certificate === '') === (key === '')) return []
  const missing = certificate === '' ? 'certificate' : 'key'
  return [
    configFault('CONFIG_CERTIFICATE_HALF', { where: where(`listen.http.${missing}`), why: `${missing} is empty` }),
  ]
}

function queueDuplicates({ queues }: HubSettings, where: Where): Fault[] {
  const faults: Fault[] = []
  const seen = new Map<string, number>()
  for (const [index, { name }] of queues.entries()) {
    const first = seen.get(name)
    if (first === undefined) seen.set(name, index)
    else {
      const why = `${JSON.stringify(name)} also stands at ${where(`queues[${first}].name`)}`
      faults.push(configFault('CONFIG_QUEUE_DUPLICATE', { where: where(`queues[${index}].name`), why }))
    }
  }
  return faults
}

function partitionsWithoutOrder({ queues }: HubSettings, where: Where): Fault[] {
  return queues.flatMap(({ name, order, partitions }, index) => {
    if (order !== 'none' || partitions === undefined) return []
    const why = `queue ${name} has order: none`
    return [configFault('CONFIG_PARTITIONS_UNORDERED', { where: where(`queues[${index}].partitions`), why })]
  })
}

/** They end in a queue of the file or in the hub's own, and never where they came from. */
function deadLetters({ queues }: HubSettings, where: Where): Fault[] {
  const next = new Map(queues.map(({ name, deadLetter }) => [name, deadLetter]))
  const rings = ringsOf(next)
  const faults: Fault[] = []
  for (const [index, { name, deadLetter }] of queues.entries()) {
    const place = where(`queues[${index}].deadLetter`)
    if (deadLetter !== QUEUE_DEAD && !next.has(deadLetter)) {
      const near = nearest(deadLetter, [...next.keys(), QUEUE_DEAD])
      const todo = near === null ? {} : { todo: `Did you mean ${near}? Name a queue of this file, or ${QUEUE_DEAD}` }
      faults.push(configFault('CONFIG_DEAD_LETTER_UNKNOWN', { where: place, why: deadLetter, ...todo }))
      continue
    }
    const ring = rings.get(name)
    if (ring === undefined) continue
    const shown = [...ring.slice(0, RING_SHOWN_MAX), ...(ring.length > RING_SHOWN_MAX ? ['…'] : []), ring[0]]
    faults.push(configFault('CONFIG_DEAD_LETTER_LOOP', { where: place, why: shown.join(' → ') }))
  }
  return faults
}

/** Names that come back to themselves, each with the way round. Every name is walked over once. */
function ringsOf(next: ReadonlyMap<string, string>): Map<string, readonly string[]> {
  const rings = new Map<string, readonly string[]>()
  const done = new Set<string>()
  for (const start of next.keys()) {
    const way: string[] = []
    const places = new Map<string, number>()
    let at: string | undefined = start
    while (at !== undefined && next.has(at) && !done.has(at) && !places.has(at)) {
      places.set(at, way.length)
      way.push(at)
      at = next.get(at)
    }
    const from = at === undefined ? undefined : places.get(at)
    const ring = from === undefined ? [] : way.slice(from)
    for (const name of ring) rings.set(name, ring)
    for (const name of way) done.add(name)
  }
  return rings
}

/** At most one byte more than allowed is read: the parser then says that it is too much. */
async function readFile(path: string): Promise<Result<Uint8Array, Fault[]>> {
  try {
    // Without O_NONBLOCK opening a pipe waits for its writer.
    await using file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const stat = await file.stat()
    if (!stat.isFile()) return unreadable(path, 'it is not a regular file')
    const bytes = Buffer.alloc(Math.min(stat.size, TEXT_BYTES_MAX) + 1)
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return { ok: true, value: bytes.subarray(0, length) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return { ok: false, fault: [configFault('CONFIG_FILE_MISSING', { where: path })] }
    }
    return unreadable(path, code === '' ? 'unexpected failure' : code, asFault(error))
  }
}

function unreadable(path: string, why: string, cause?: Fault): Result<never, Fault[]> {
  const details = { where: path, why, ...(cause === undefined ? {} : { cause }) }
  return { ok: false, fault: [configFault('CONFIG_FILE_UNREADABLE', details)] }
}
