// Destination `hub`: rows and files become messages, sealed into batches and put into the spool together with the source's cursor.
// From there a sender brings them to the hub, now or when it is back. The source is done with rows as soon as the spool has them on
// disk, with files when the hub has acknowledged them.

import type { Upload, UploadOptions } from '#agent/client/mod.ts'
import type { SpoolStream } from '#agent/spool/mod.ts'
import { asFault, Fault } from '#protocol/base/mod.ts'
import {
  attributesOf,
  BatchBuilder,
  HEADER_CONTENT,
  HEADER_CONTENT_TYPE,
  HEADER_DELAY_MS,
  HEADER_DELIVER_AT_MS,
  HEADER_PRIORITY,
  HEADER_TTL_MS,
  type Headers,
  type HeaderValue,
  NO_HEADERS,
} from '#protocol/codec/mod.ts'
import type { SigningKey } from '#protocol/crypto/mod.ts'
import type { ComponentContext, Cursor, Destination, Item, Portion, Reject, Row, Value } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { valueIn } from '../../field.ts'
import { formatJsonRecord } from '../../formats/mod.ts'
import { reportAll } from '../../support/rejecting.ts'
import { type FileMessage, FileMessages } from './files.ts'
import type { HubDestinationSettings } from './settings.ts'
import { compileTemplate, type Template } from './template.ts'

/** What the destination needs of its agent. */
export type HubOutlet = {
  readonly agent: string
  readonly key: SigningKey
  /** The flow's producer stream, with a sender that empties it. */
  openStream(name: string): SpoolStream
  wallMs(): number
  onSealed(rawBytes: number): void
  /** See `Client.upload`. */
  upload(options: UploadOptions): Pick<Upload, 'sealed' | 'leave' | 'cancel'>
  /** See `Client.transferSettled`. */
  transferSettled(id: string): void
  /** Resolves with `null` when the hub has acknowledged all of a stream, with the fault when it refuses it, at the latest when `signal` aborts. */
  acknowledged(stream: string, signal: AbortSignal): Promise<Fault | null>
}

/** Headers the hub reads: a row without a value for one leaves it out. */
const ATTRIBUTE_HEADERS: readonly string[] = [
  HEADER_PRIORITY,
  HEADER_TTL_MS,
  HEADER_DELAY_MS,
  HEADER_DELIVER_AT_MS,
  HEADER_CONTENT,
]

/** Distinct header sets remembered, so that equal ones are one object and encoded once. */
const HEADER_SETS_MAX = 4096

export class HubDestination implements Destination {
  readonly #settings: HubDestinationSettings
  readonly #outlet: HubOutlet
  readonly #name: string
  readonly #topic: Template
  readonly #headerFields: readonly (readonly [header: string, field: string])[]
  /** What every message of the flow has. */
  readonly #commonHeaders: Headers
  readonly #headerSets = new Map<string, Headers>()
  readonly #builder = new BatchBuilder()
  readonly #files: FileMessages
  #lastRow: Row | null = null
  #lastHeaders: Headers = NO_HEADERS
  #stream: SpoolStream | null = null

  constructor(
    settings: HubDestinationSettings,
    outlet: HubOutlet,
    context: Pick<ComponentContext, 'flow' | 'dataDir'>,
  ) {
    this.#settings = settings
    this.#outlet = outlet
    this.#name = context.flow
    this.#files = new FileMessages(settings, outlet, context.dataDir)
    this.#topic = compileTemplate(settings.topic)
    this.#headerFields = Object.entries(settings.headers)
    this.#commonHeaders = {
      [HEADER_CONTENT_TYPE]: 'application/json',
      ...(settings.priority === 'normal' ? {} : { [HEADER_PRIORITY]: settings.priority }),
      ...(settings.ttlMs === 0 ? {} : { [HEADER_TTL_MS]: settings.ttlMs }),
      ...(settings.delayMs === 0 ? {} : { [HEADER_DELAY_MS]: settings.delayMs }),
    }
  }

  async open(): Promise<void> {
    this.#stream = this.#outlet.openStream(this.#name)
  }

  async position(): Promise<Cursor | null> {
    return this.#opened().cursor
  }

  async write(portion: Portion, reject: (reject: Reject) => unknown, signal: AbortSignal): Promise<void> {
    const stream = this.#opened()
    const files = await this.#files.prepare(portion.items, signal)
    const batches: { bytes: Buffer; count: number }[] = []
    const rejects: Reject[] = []
    let seq = stream.nextSeq
    const seal = (): void => {
      const count = this.#builder.count
      this.#outlet.onSealed(this.#builder.rawBytes)
      batches.push({ bytes: this.#seal(stream, seq), count })
      seq += count
    }
    for (const [i, item] of portion.items.entries()) {
      const file = files[i] ?? null
      const fault = file instanceof Fault ? file : this.#add(item, file, seal)
      if (fault !== null) rejects.push({ item, fault })
    }
    if (this.#builder.count > 0) seal()
    if (rejects.length > 0) await reportAll(rejects, reject)
    await stream.append({ batches, cursor: portion.cursor })
    this.#files.settled()
  }

  async arrived(signal: AbortSignal): Promise<void> {
    for (;;) {
      const refused = await this.#outlet.acknowledged(this.#name, signal)
      signal.throwIfAborted()
      if (refused === null) return
      if (refused.details.hubCode === 'CONTENT_MISSING' && (await this.#files.sendAgain(signal))) continue
      throw componentFault('HUB_REFUSES', { why: refused.message, todo: refused.remedy, retry: true, cause: refused })
    }
  }

  async close(): Promise<void> {
    this.#stream = null
  }

  /** Adds one row, or a file; gives why it cannot become a message. */
  #add({ row }: Item, file: FileMessage | null, seal: () => void): Fault | null {
    try {
      const body = file === null ? formatJsonRecord(row) : file.body
      const { key: keyField, batchBytes } = this.#settings
      const keyValue = keyField === undefined ? null : valueIn(row, keyField)
      const key = keyValue === null ? null : String(keyValue)
      // A character is at most three bytes in UTF-8.
      const bodyBytes = typeof body === 'string' ? 3 * body.length : body.length
      const full = this.#builder.rawBytes >= batchBytes || !this.#builder.fits(bodyBytes, 3 * (key?.length ?? 0))
      if (full && this.#builder.count > 0) seal()
      const headers = this.#headersOf(row)
      this.#builder.add(this.#topic(row), file === null ? headers : { ...headers, ...file.headers }, key, body)
      return null
    } catch (error) {
      return asFault(error)
    }
  }

  #headersOf(row: Row): Headers {
    // Neighbours mostly agree.
    const last = this.#lastRow
    if (last !== null && this.#headerFields.every(([, field]) => valueIn(row, field) === valueIn(last, field)))
      return this.#lastHeaders
    // First: a row whose headers cannot be must not pass for one whose headers are those of the row before.
    const headers = this.#knownHeaders(row)
    this.#lastRow = row
    this.#lastHeaders = headers
    return headers
  }

  #knownHeaders(row: Row): Headers {
    let name = ''
    for (const [, field] of this.#headerFields) {
      const value = valueIn(row, field)
      name += `${typeof value} ${String(value ?? '')}\0`
    }
    const known = this.#headerSets.get(name)
    if (known !== undefined) return known
    const headers: Record<string, HeaderValue> = { ...this.#commonHeaders }
    for (const [header, field] of this.#headerFields) {
      const value = headerValue(valueIn(row, field))
      if (value !== null || !ATTRIBUTE_HEADERS.includes(header)) headers[header] = value
    }
    // What the hub would refuse must not get into a batch: the batch would be refused, and all that follows.
    attributesOf(headers)
    if (this.#headerSets.size >= HEADER_SETS_MAX) this.#headerSets.clear()
    this.#headerSets.set(name, headers)
    return headers
  }

  #seal(stream: SpoolStream, firstSeq: number): Buffer {
    return this.#builder.seal({
      origin: this.#outlet.agent,
      stream: stream.name,
      epoch: stream.epoch,
      firstSeq,
      sealedAtMs: this.#outlet.wallMs(),
      key: this.#outlet.key,
      compression: this.#settings.compression,
      tree: this.#settings.proof === 'message',
    })
  }

  #opened(): SpoolStream {
    if (this.#stream === null) throw new Error('the destination is not open')
    return this.#stream
  }
}

function headerValue(value: Value): HeaderValue {
  if (value === null) return null
  if (typeof value === 'string' || typeof value === 'boolean') return value
  return typeof value === 'number' ? value : String(value)
}
