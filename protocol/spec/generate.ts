// Fills the generated parts of causeway-protocol.md from the code: node protocol/spec/generate.ts [--check]
// A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; what is around it is written by hand.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { declaredFaults } from '#protocol/base/mod.ts'
import * as codec from '#protocol/codec/mod.ts'
import * as frame from '#protocol/frame/mod.ts'
import * as handshake from '#protocol/handshake/limits.ts'
import '#protocol/session/mod.ts'
import * as transfer from '#protocol/transfer/limits.ts'
import '#protocol/transfer/mod.ts'

const target = fileURLToPath(new URL('./causeway-protocol.md', import.meta.url))
const WIDTH = 118

/** Who sends a kind, what its body is and when it may come: what the code says in many places and the table in one. */
const KINDS: Readonly<Record<string, readonly [from: string, body: string, when: string]>> = {
  HELLO: ['both', 'Hello', 'first frame of each side, agent first'],
  PROOF: ['both', 'Proof', 'hub: with its HELLO; agent: answers it'],
  READY: ['hub', 'Ready', "answers the agent's PROOF"],
  ENROLL: ['agent', 'Enroll', 'in place of PROOF, for a certificate'],
  ENROLLED: ['hub', 'Enrolled', 'answers ENROLL; the connection ends'],
  PING: ['both', 'up to 8 bytes', 'any time after READY'],
  PONG: ['both', 'first 8 bytes of PING', 'answer to PING'],
  CLOSE: ['both', 'Close', "any time; its sender's last frame"],
  CREDIT: ['both', 'Credit', 'any time after READY'],
  FAILED: ['hub', 'Failed', 'answer to a request that failed'],
  OPEN_STREAM: ['agent', 'OpenStream', 'request; any time after READY'],
  STREAM_OPENED: ['hub', 'StreamOpened', 'answer to OPEN_STREAM'],
  BATCH: ['agent', 'prefix 8 B + batch', 'on an opened stream, within credit'],
  ACCEPTED: ['hub', 'Accepted', 'batches became durable'],
  REFUSED: ['hub', 'Refused', 'one batch was not stored'],
  SUBSCRIBE: ['agent', 'Subscribe', 'request; any time after READY'],
  SUBSCRIBED: ['hub', 'Subscribed', 'answer to SUBSCRIBE'],
  UNSUBSCRIBE: ['agent', 'Unsubscribe', 'ends a consumer; no answer'],
  DELIVER: ['hub', 'prefix 32 B + content', 'to a consumer, within its credit'],
  SETTLE: ['agent', 'Settle', 'for messages that were delivered'],
  SETTLED: ['hub', 'Settled', 'a SETTLE became durable'],
  ORIGIN: ['hub', 'Origin', 'before DELIVER or SEAL of a new key id'],
  REPLAY: ['agent', 'Replay', 'request; for a subscription of its own'],
  REPLAYED: ['hub', 'Replayed', 'answer to REPLAY; a new turn begins'],
  OPEN_TRANSFER: ['agent', 'OpenTransfer', 'request; needs feature 0'],
  TRANSFER_OPENED: ['hub', 'TransferOpened', 'answer to OPEN_TRANSFER'],
  FETCH: ['agent', 'Fetch', 'request'],
  FETCHED: ['hub', 'Fetched', 'answer to FETCH'],
  CHUNKS: ['both', 'Chunks', 'source: as it learns the digests'],
  WANT: ['both', 'Want', 'sink: for chunks that were named'],
  CHUNK_DATA: ['both', 'prefix 16 B + bytes', 'source: of chunks wanted, within credit'],
  STORED: ['both', 'Stored', 'sink: chunks became durable; credit'],
  SEAL: ['both', 'Seal', 'source: after the last CHUNKS'],
  SEALED: ['both', 'Sealed', 'sink: all is durable; the last frame'],
  END_TRANSFER: ['both', 'EndTransfer', 'source or sink: it does not go on'],
}

const byte = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`

function kinds(): string {
  const rows = frame.frameRules.map(([kind, rule]) => {
    const known = KINDS[rule.name]
    if (known === undefined) throw new Error(`say in generate.ts who sends ${rule.name}`)
    const [from, body, when] = known
    return [byte(kind), rule.name, from, rule.channels.join(' '), rule.size, body, when]
  })
  if (rows.length !== Object.keys(KINDS).length) throw new Error('generate.ts knows a kind that is gone')
  return table(['kind', 'name', 'from', 'channels', 'size', 'body', 'when'], rows)
}

function limits(): string {
  const grouped = (value: number): string => value.toLocaleString('en-US')
  const rows: [string, number, string][] = [
    ['frame body: handshake', frame.HANDSHAKE_FRAME_BYTES_MAX, 'two certificates of 8 KiB, names, limits'],
    ['frame body: control', frame.CONTROL_FRAME_BYTES_MAX, 'SETTLE with 2,048 ranges of about 30 bytes'],
    ['frame body: batch', frame.BATCH_FRAME_BYTES_MAX, 'payload 2 MiB + index 512 KiB + head, prefix, hashes 2 MiB'],
    ['frame body: bulk', frame.BULK_FRAME_BYTES_MAX, '256 KiB of a chunk and 16 bytes before it'],
    ['message body', frame.BODY_BYTES_MAX, 'larger content travels as a transfer'],
    ['raw payload of a batch', frame.PAYLOAD_RAW_BYTES_MAX, 'one body of the maximum with its key, or many small ones'],
    ['index of a batch', frame.INDEX_BYTES_MAX, 'distinct topics and headers, runs'],
    ['messages in a batch', codec.BATCH_MESSAGES_MAX, 'offsets 256 KiB, leaf hashes 2 MiB'],
    ['envelopes in a batch', codec.ENVELOPES_MAX, ''],
    ['topic, bytes of UTF-8', codec.TOPIC_BYTES_MAX, 'patterns too'],
    ['headers of an envelope, bytes', codec.HEADERS_BYTES_MAX, ''],
    ['headers of an envelope, entries', codec.HEADERS_MAX, ''],
    ['contents a message refers to', codec.CONTENTS_PER_MESSAGE_MAX, ''],
    ['message key', codec.KEY_BYTES_MAX, ''],
    ['origin and stream name in a head', codec.NAME_BYTES_MAX, 'bytes of UTF-8, each'],
    ['zstd window log, batch', codec.ZSTD_WINDOW_LOG_MAX, '2^21 covers the largest payload'],
    ['content', transfer.CONTENT_BYTES_MAX, '131,072 chunks of 8 MiB'],
    ['chunk of a content', transfer.CHUNK_BYTES_MAX, 'both sides hold it in memory'],
    ['chunks of a content', transfer.CHUNKS_MAX, '16 GiB in chunks of 64 KiB'],
    ['digests in a CHUNKS', transfer.CHUNKS_PER_FRAME_MAX, '32 KiB'],
    ['ranges in a WANT or STORED', transfer.RANGES_MAX, ''],
    ['name of a content, bytes of UTF-8', transfer.CONTENT_NAME_BYTES_MAX, ''],
    ['media type of a content', transfer.MEDIA_TYPE_LENGTH_MAX, 'characters'],
    ['manifest', transfer.MANIFEST_BYTES_MAX, ''],
    ['certificate, DER', handshake.CERTIFICATE_BYTES_MAX, 'about 450 bytes with Ed25519'],
    ['name of an agent or hub', handshake.NAME_LENGTH_MAX, 'characters'],
    ['clock skew for certificates, ms', handshake.CLOCK_SKEW_MS, 'one day either way'],
    ['keepalive, ms', handshake.KEEPALIVE_MS_MAX, 'at most, as READY says it'],
    ['frame_bytes_max of HELLO', handshake.FRAME_BYTES_FLOOR, 'at least: control frames must fit'],
    [
      'token, characters',
      handshake.TOKEN_TEXT_LENGTH_MAX,
      `payload ${grouped(handshake.TOKEN_PAYLOAD_BYTES_MAX)} bytes, in base64url 4/3 of it`,
    ],
  ]
  return table(
    ['what', 'at most', 'arithmetic'],
    rows.map(([what, value, why]) => [what, grouped(value), why]),
  )
}

/** Areas whose faults are about a peer's bytes. */
const AREAS = ['frame', 'bytes', 'schema', 'handshake', 'crypto', 'codec', 'session', 'transfer', 'base']

function faults(): string {
  const declared = [...declaredFaults()]
  const lines: string[] = []
  for (const area of AREAS) {
    const own = declared.filter(([, entry]) => entry.area === area)
    if (own.length === 0) throw new Error(`no faults of area ${area}`)
    lines.push('', `**${area}**`, '')
    for (const [code, { meaning, remedy }] of own) lines.push(...wrapped(`- \`${code}\` ${meaning}. *${remedy}.*`))
  }
  return lines.slice(1).join('\n')
}

function wrapped(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = `  ${word}`
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => (row[i] as string).length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] as number)).join(' | ')} |`
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n')
}

const PARTS: Readonly<Record<string, () => string>> = { kinds, limits, faults }

/** The document with its generated parts as the code says them now. */
export function filled(text: string): string {
  const missing = new Set(Object.keys(PARTS))
  const out = text.replace(
    /(<!-- generated: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, name: string, end: string) => {
      const make = PARTS[name]
      if (make === undefined) throw new Error(`no part ${name}`)
      missing.delete(name)
      return `${start}\n${make()}\n\n${end}`
    },
  )
  if (missing.size > 0) throw new Error(`the document has no part ${[...missing].join(', ')}`)
  return out
}

export const documentText = (): string => readFileSync(target, 'utf8')

if (import.meta.main) {
  const text = documentText()
  if (!process.argv.includes('--check')) writeFileSync(target, filled(text))
  else if (filled(text) !== text) {
    console.error('protocol/spec/causeway-protocol.md is stale: node protocol/spec/generate.ts')
    process.exitCode = 1
  }
}
