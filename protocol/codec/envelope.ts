// An envelope is what many messages share: topic and headers. A batch holds each distinct one once.

import { Packr } from 'msgpackr'
import { codecFault } from './faults.ts'
import { type Headers, isHeaderName, readHeaders } from './headers.ts'
import { HEADERS_BYTES_MAX, HEADERS_MAX, TOPIC_BYTES_MAX } from './limits.ts'

export type Envelope = { readonly topic: string; readonly headers: Headers }

/** Headers with a meaning of their own begin with a colon; applications choose any other name. */
export const HEADER_CONTENT_TYPE = ':content-type'
export const HEADER_REPLY_TO = ':reply-to'
export const HEADER_CORRELATION = ':correlation'
export const HEADER_DEADLINE_MS = ':deadline'
/** The message is a file: its path below some folder, with `/`. Its content is the body, or what the message refers to. */
export const HEADER_FILE = ':file'
/** When the file was last changed, by its sender's clock: milliseconds since 1970. */
export const HEADER_FILE_CHANGED_MS = ':file-changed'

// Plain MessagePack: no record extension, so that any implementation reads it.
const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true })
const EMPTY = Buffer.alloc(0)

/** Headers as MessagePack map; no headers take no bytes. Faults: `HEADERS_INVALID`. */
export function encodeHeaders(headers: Headers): Buffer {
  checkHeaders(headers)
  for (const _ in headers) {
    const bytes = packr.encode(headers)
    if (bytes.length > HEADERS_BYTES_MAX) throw codecFault('HEADERS_INVALID', { why: `${bytes.length} bytes` })
    return bytes
  }
  return EMPTY
}

/** Faults: `HEADERS_INVALID` for anything but a flat map of simple values. */
export function decodeHeaders(bytes: Buffer): Headers {
  return readHeaders(bytes, 0, bytes.length)
}

function checkHeaders(value: unknown): asserts value is Headers {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    throw codecFault('HEADERS_INVALID', { why: 'not a map' })
  }
  let count = 0
  for (const [name, item] of Object.entries(value)) {
    if (++count > HEADERS_MAX) throw codecFault('HEADERS_INVALID', { why: `more than ${HEADERS_MAX}` })
    if (!isSimple(item) || !isHeaderName(name) || !name.isWellFormed())
      throw codecFault('HEADERS_INVALID', { why: `header "${name.slice(0, 40)}"` })
  }
}

function isSimple(item: unknown): boolean {
  if (typeof item === 'string') return item.isWellFormed()
  return typeof item === 'number' || typeof item === 'boolean' || item === null
}

/** Faults: `TOPIC_INVALID`. */
export function checkTopic(topic: string): void {
  const why = topicProblem(topic)
  if (why !== null) throw codecFault('TOPIC_INVALID', { where: `topic "${topic.slice(0, 80)}"`, why })
}

/** Why `topic` is no name of a topic, or `null` when it is one. */
export function topicProblem(topic: string): string | null {
  if (topic.length === 0) return 'it is empty'
  if (!topic.isWellFormed()) return 'it is not well-formed Unicode'
  if (topic.length > TOPIC_BYTES_MAX || Buffer.byteLength(topic) > TOPIC_BYTES_MAX) return 'it is too long'
  let previous = 0x2f
  for (let i = 0; i < topic.length; i++) {
    const char = topic.charCodeAt(i)
    if (char === 0x2f && previous === 0x2f) return 'a level is empty'
    if (char < 0x20 || char === 0x7f || char === 0x23 || char === 0x2b) return 'it has a + # or control character'
    previous = char
  }
  return previous === 0x2f ? 'a level is empty' : null
}
