// Messages as the items that channels work on, and back. A message with a JSON object as body is a row. Any other is a document: its
// body, or the one large content it refers to, with a row that says its name, size, media type and topic. Large content that no channel
// puts another document in the place of stays where it is, and is referred to again.

import { posix } from 'node:path'
import { formatJsonRecord, parseJsonBody } from '#agent/components/formats/mod.ts'
import { componentFault, type HubContent, type Item, type Row } from '#agent/components/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import {
  HEADER_CONTENT,
  HEADER_CONTENT_TYPE,
  HEADER_DELAY_MS,
  HEADER_DELIVER_AT_MS,
  HEADER_FILE,
  HEADER_FILE_CHANGED_MS,
  HEADER_TTL_MS,
  type Headers,
  type HeaderValue,
  type MessageView,
} from '#protocol/codec/mod.ts'
import type { Known } from './documents.ts'

const JSON_TYPE = 'application/json'
const BINARY_TYPE = 'application/octet-stream'
/** Said anew of what is made, or done already. */
const REPLACED: ReadonlySet<string> = new Set([
  HEADER_CONTENT,
  HEADER_CONTENT_TYPE,
  HEADER_DELAY_MS,
  HEADER_DELIVER_AT_MS,
  HEADER_FILE,
  HEADER_FILE_CHANGED_MS,
  HEADER_TTL_MS,
])

/** What a message is made of. */
export type MadeMessage = {
  readonly topic: string
  readonly headers: Headers
  readonly key: Uint8Array | null
  readonly body: Uint8Array | string
}

/** What a made message has of the one it comes of. */
export type Original = { readonly message: MessageView; readonly expiresAtMs: number }

/** Large content as channels see it, and what is known of it. */
export type ContentOf = (id: string) => { readonly content: HubContent; readonly known: Known | null }

/** The id of the one content that a message with these headers stands for; `null` when it refers to none, or to several. */
export function contentIn(headers: Headers): string | null {
  const content = headers[HEADER_CONTENT]
  return typeof content === 'string' && /^[0-9a-f]{32}$/.test(content) ? content : null
}

/**
 * The item of a message; a fault when its body is not what its headers say. The item shares the body's memory. Without `contentOf`
 * nobody lends large content.
 */
export function itemOf({ envelope, body }: MessageView, ref: number, contentOf?: ContentOf): Item | Fault {
  const { headers, topic } = envelope
  const type = headers[HEADER_CONTENT_TYPE]
  const content = headers[HEADER_CONTENT]
  const name = headers[HEADER_FILE]
  if (isJson(type) && content === undefined && name === undefined) {
    const record = parseJsonBody(body)
    return record.ok
      ? { row: record.row, ref }
      : componentFault(record.code, { why: record.why, where: `topic ${topic}` })
  }
  const changedMs = headers[HEADER_FILE_CHANGED_MS]
  const row: Row = {
    name: typeof name === 'string' ? name : null,
    size: body.length,
    modified:
      typeof changedMs === 'number' && Math.abs(changedMs) <= 8.64e15 ? new Date(changedMs).toISOString() : null,
    mediaType: typeof type === 'string' ? type : null,
    topic,
  }
  const id = contentIn(headers)
  if (id !== null && contentOf !== undefined) {
    const { content: lent, known } = contentOf(id)
    const { size, mediaType } = known ?? { size: 0, mediaType: '' }
    const named = row.name ?? (known === null || known.name === '' ? null : known.name)
    return { row: { ...row, name: named, size, mediaType: mediaType === '' ? null : mediaType }, ref, content: lent }
  }
  if (typeof content === 'string') {
    const download = () => Promise.reject(componentFault('DOCUMENT_AT_HUB', { where: `content ${content}` }))
    return { row, ref, content: { kind: 'hub', id: content, size: 0, download } }
  }
  return { row, ref, content: { kind: 'bytes', bytes: body } }
}

/** `topic`: where it goes; `original`: `null` for an item made of several messages. */
export function messageOf(
  { row, content }: Item,
  { topic, original, nowMs }: { readonly topic: string; readonly original: Original | null; readonly nowMs: number },
): MadeMessage {
  const key = original === null || original.message.key.length === 0 ? null : original.message.key
  if (content?.kind === 'hub' && original?.message.envelope.headers[HEADER_CONTENT] === content.id) {
    // As it came: its body says what the content is.
    const { envelope, body } = original.message
    return { topic, headers: envelope.headers, key, body }
  }
  const headers: Record<string, HeaderValue> = {}
  for (const [name, value] of Object.entries(original?.message.envelope.headers ?? {})) {
    if (!REPLACED.has(name)) headers[name] = value
  }
  const expiresAtMs = original?.expiresAtMs ?? 0
  if (expiresAtMs > 0) headers[HEADER_TTL_MS] = Math.max(1, expiresAtMs - nowMs)
  if (content === undefined) {
    headers[HEADER_CONTENT_TYPE] = JSON_TYPE
    return { topic, headers, key, body: formatJsonRecord(row) }
  }
  if (content.kind === 'local') throw new Error('a pipeline has no files')
  const mediaType = typeof row.mediaType === 'string' ? row.mediaType : null
  if (typeof row.name === 'string' && row.name !== '') headers[HEADER_FILE] = row.name
  if (typeof row.modified === 'string' && headers[HEADER_FILE] !== undefined) {
    const changedMs = Date.parse(row.modified)
    if (!Number.isNaN(changedMs)) headers[HEADER_FILE_CHANGED_MS] = changedMs
  }
  if (content.kind === 'bytes') {
    headers[HEADER_CONTENT_TYPE] = mediaType ?? BINARY_TYPE
    return { topic, headers, key, body: content.bytes }
  }
  headers[HEADER_CONTENT_TYPE] = JSON_TYPE
  headers[HEADER_CONTENT] = content.id
  const name = typeof row.name === 'string' ? posix.basename(row.name) : ''
  return { topic, headers, key, body: formatJsonRecord({ name, size: content.size, mediaType: mediaType ?? '' }) }
}

const isJson = (type: HeaderValue | undefined): boolean =>
  typeof type === 'string' && /^application\/json(?:\s*;.*)?$/i.test(type)
