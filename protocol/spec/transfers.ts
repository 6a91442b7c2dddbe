// The part of the vectors that is about transfers: control messages, a part of a chunk, chunk lists and their roots, manifests,
// names, and what must be refused of them.

import { createHash } from 'node:crypto'
import { signingKey } from '#protocol/crypto/mod.ts'
import {
  FRAME_CHUNKS,
  FRAME_END_TRANSFER,
  FRAME_FETCH,
  FRAME_FETCHED,
  FRAME_HEADER_BYTES,
  FRAME_OPEN_TRANSFER,
  FRAME_SEAL,
  FRAME_SEALED,
  FRAME_STORED,
  FRAME_TRANSFER_OPENED,
  FRAME_WANT,
} from '#protocol/frame/mod.ts'
import * as schema from '#protocol/schema/mod.ts'
import { ChunkList, dataFrameStart, nameProblem, parseManifest, sealManifest } from '#protocol/transfer/mod.ts'
import { AGENT_NAME, actorKey, NOW_MS } from './actors.ts'
import { sample } from './sample.ts'

const CONTENT_ID = Buffer.from('0123456789abcdef0123456789abcdef', 'hex')
const FILE_NAME = '户籍 2026年06月.zip'
const MEDIA_TYPE = 'application/zip'
const CHUNK_BYTES = 65_536
const KEY = signingKey(actorKey('agent'))

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** The digest of a chunk of so many bytes, all of them its number: anybody can make it again. */
const digestOf = (number: number, length: number): Buffer =>
  createHash('sha256').update(Buffer.alloc(length, number)).digest()

function listOf(lengths: readonly number[], chunkBytes: number): ChunkList {
  const list = new ChunkList({ size: lengths.reduce((sum, length) => sum + length, 0), chunkBytes })
  for (const [i, length] of lengths.entries()) list.add(digestOf(i, length), length)
  return list
}

const FIXED = listOf([CHUNK_BYTES, CHUNK_BYTES, 18_928], CHUNK_BYTES)
const CUT = listOf([20_000, 16_384, 100_000, 70_000, 7], 0)
const EMPTY = listOf([], CHUNK_BYTES)

const digestsOf = (list: ChunkList): Buffer =>
  Buffer.concat(Array.from({ length: list.count }, (_, i) => list.digestAt(i)))
const lengthsOf = (list: ChunkList): number[] => Array.from({ length: list.count }, (_, i) => list.lengthAt(i))

const manifestOf = (list: ChunkList, name = FILE_NAME, mediaType = MEDIA_TYPE): Buffer =>
  sealManifest({ contentId: CONTENT_ID, sealedAtMs: NOW_MS, origin: AGENT_NAME, name, mediaType }, list, KEY)

export const transferSamples = {
  OPEN_TRANSFER: sample(FRAME_OPEN_TRANSFER, 'OpenTransfer', schema.encodeOpenTransfer, {
    request: 6,
    content: CONTENT_ID,
    name: FILE_NAME,
    mediaType: MEDIA_TYPE,
    size: FIXED.size,
    chunkBytes: CHUNK_BYTES,
    keepMs: 604_800_000,
    expiresMs: 0,
  }),
  'OPEN_TRANSFER, that expires': sample(FRAME_OPEN_TRANSFER, 'OpenTransfer', schema.encodeOpenTransfer, {
    request: 9,
    content: CONTENT_ID,
    name: FILE_NAME,
    mediaType: MEDIA_TYPE,
    size: FIXED.size,
    chunkBytes: CHUNK_BYTES,
    keepMs: 0,
    expiresMs: 86_400_000,
  }),
  TRANSFER_OPENED: sample(FRAME_TRANSFER_OPENED, 'TransferOpened', schema.encodeTransferOpened, {
    request: 6,
    transfer: 1,
    creditBytes: 15_728_640,
    sealed: false,
  }),
  FETCH: sample(FRAME_FETCH, 'Fetch', schema.encodeFetch, {
    request: 7,
    content: CONTENT_ID,
    creditBytes: 15_728_640,
    priority: 0,
  }),
  'FETCH, urgent': sample(FRAME_FETCH, 'Fetch', schema.encodeFetch, {
    request: 10,
    content: CONTENT_ID,
    creditBytes: 15_728_640,
    priority: 1,
  }),
  FETCHED: sample(FRAME_FETCHED, 'Fetched', schema.encodeFetched, {
    request: 7,
    transfer: 2,
    origin: AGENT_NAME,
    name: FILE_NAME,
    mediaType: MEDIA_TYPE,
    size: FIXED.size,
    chunkBytes: CHUNK_BYTES,
  }),
  CHUNKS: sample(FRAME_CHUNKS, 'Chunks', schema.encodeChunks, {
    transfer: 1,
    first: 0,
    digests: digestsOf(FIXED),
    lengths: [],
  }),
  'CHUNKS, cut by content': sample(FRAME_CHUNKS, 'Chunks', schema.encodeChunks, {
    transfer: 3,
    first: 0,
    digests: digestsOf(CUT),
    lengths: lengthsOf(CUT),
  }),
  WANT: sample(FRAME_WANT, 'Want', schema.encodeWant, {
    transfer: 1,
    ranges: [
      { from: 2, count: 1 },
      { from: 0, count: 1 },
    ],
    part: null,
    priority: 0,
  }),
  'WANT, of a chunk that came in part': sample(FRAME_WANT, 'Want', schema.encodeWant, {
    transfer: 2,
    ranges: [{ from: 1, count: 1 }],
    part: { chunk: 1, bytes: 4, encodedBytes: 12 },
    priority: 0,
  }),
  'WANT, only urgency': sample(FRAME_WANT, 'Want', schema.encodeWant, {
    transfer: 2,
    ranges: [],
    part: null,
    priority: 2,
  }),
  STORED: sample(FRAME_STORED, 'Stored', schema.encodeStored, {
    transfer: 1,
    ranges: [{ from: 1, count: 1 }],
    creditBytes: 15_794_176,
  }),
  'STORED, only credit': sample(FRAME_STORED, 'Stored', schema.encodeStored, {
    transfer: 1,
    ranges: [],
    creditBytes: 15_859_712,
  }),
  SEAL: sample(FRAME_SEAL, 'Seal', schema.encodeSeal, { transfer: 1, manifest: manifestOf(FIXED) }),
  SEALED: sample(FRAME_SEALED, 'Sealed', schema.encodeSealed, { transfer: 1 }),
  END_TRANSFER: sample(FRAME_END_TRANSFER, 'EndTransfer', schema.encodeEndTransfer, {
    transfer: 1,
    fault: {
      code: 'CHUNK_DAMAGED',
      message: 'a chunk is not what its digest says, however often it is sent',
      remedy: 'Check the disk and memory of the machine it came from, then send the content again',
      retry: false,
    },
    cancel: false,
  }),
} as const

/** CHUNK_DATA with the last bytes of a chunk. */
const DATA = { transfer: 1, chunk: 2, offset: 18_925 }

function dataFrame(bytes: Buffer): Buffer {
  return Buffer.concat([dataFrameStart({ ...DATA, bytes: bytes.length }), bytes])
}

/**
 * The second chunk of `FIXED` as one zstd frame: magic, a descriptor (one segment, content size in two bytes), the size less 256,
 * the head of a last block of one byte again and again, that byte. Made by hand, since no two libraries make the same.
 */
const ENCODED = Buffer.from('28b52ffd60' + '00ff' + '030008' + '01', 'hex')
const ENCODED_DATA = { transfer: 1, chunk: 1, offset: 0, encodedBytes: ENCODED.length }

const FINE_NAMES = [
  FILE_NAME,
  'a',
  'a..b',
  'console.txt',
  'com10',
  ' a',
  '\u0645\u06cc\u200c\u062e',
  'u\u0308',
  '\u00fc',
]
const BAD_NAMES = ['', '.', '..', '.a', 'a.', 'a ', 'a/b', 'a\\b', 'a:b', 'a\nb', 'a\u0085', 'a\u202eb', 'a\u2028b']
const DEVICE_NAMES = ['con', 'NUL.txt', 'aux .c', 'com1', 'LPT\u00b9.log', 'CONIN$', 'x'.repeat(256)]

export function transferVectors(): object {
  return {
    data: { ...DATA, content: '020202', frame: hex(dataFrame(Buffer.alloc(3, 2))) },
    encoded: {
      ...ENCODED_DATA,
      length: CHUNK_BYTES,
      content: hex(ENCODED),
      frame: hex(Buffer.concat([dataFrameStart({ ...ENCODED_DATA, bytes: ENCODED.length }), ENCODED])),
    },
    lists: [
      { name: 'chunks of one size', list: FIXED },
      { name: 'chunks cut by content', list: CUT },
      { name: 'content of no bytes', list: EMPTY },
    ].map(({ name, list }) => ({
      name,
      size: list.size,
      chunkBytes: list.chunkBytes,
      lengths: lengthsOf(list),
      digests: Array.from({ length: list.count }, (_, i) => hex(list.digestAt(i))),
      root: hex(list.root()),
    })),
    manifests: [
      { of: 'chunks of one size', bytes: manifestOf(FIXED) },
      { of: 'chunks cut by content', bytes: manifestOf(CUT, '公文.pdf', '') },
      { of: 'content of no bytes', bytes: manifestOf(EMPTY, '', '') },
    ].map(({ of, bytes }) => {
      const { contentId, sealedAtMs, keyId, origin, name, mediaType, signed, signature } = parseManifest(bytes)
      const texts = { origin, name, mediaType, signed: hex(signed), signature: hex(signature) }
      return { of, bytes: hex(bytes), contentId: hex(contentId), sealedAtMs, keyId: hex(keyId), ...texts }
    }),
    // As bytes of UTF-8: some cannot be seen, or turn round what is beside them.
    names: [...FINE_NAMES, ...BAD_NAMES, ...DEVICE_NAMES].map((name) => ({
      utf8: hex(Buffer.from(name)),
      fine: nameProblem(name) === null,
    })),
  }
}

type Refused = { readonly what: string; readonly why: string; readonly bytes: string; readonly code: string }

export function transferRefused(): Refused[] {
  const manifest = manifestOf(FIXED)
  const changed = (change: (copy: Buffer) => void): string => {
    const copy = Buffer.from(manifest)
    change(copy)
    return hex(copy)
  }
  const data = dataFrame(Buffer.alloc(3, 2)).subarray(FRAME_HEADER_BYTES)
  const refused = (what: string, code: string, cases: readonly (readonly [string, string])[]): Refused[] =>
    cases.map(([why, bytes]) => ({ what, why, bytes, code }))
  return [
    ...refused('chunk data', 'TRANSFER_MALFORMED', [
      ['no bytes', hex(data.subarray(0, 16))],
      ['cut', hex(data.subarray(0, 9))],
      ['beyond the end of the encoded chunk', `${hex(data.subarray(0, 12))}01000000020202`],
    ]),
    ...refused('encoded chunk', 'CHUNK_DAMAGED', [
      ['no frame', hex(Buffer.alloc(11))],
      ['cut', hex(ENCODED.subarray(0, -1))],
      ['a byte too many', `${hex(ENCODED)}00`],
      ['another frame behind it', `${hex(ENCODED)}${hex(ENCODED)}`],
      ['a content size of a byte more', '28b52ffd60' + '01ff' + '030008' + '01'],
      ['no content size', '28b52ffd0038' + '030008' + '01'],
      ['less than its content size', '28b52ffd60' + '00ff' + 'fbff07' + '01'],
      ['more than its content size', '28b52ffd60' + '00ff' + '020008' + '01' + '030008' + '01'],
    ]),
    ...refused('manifest', 'MANIFEST_SIGNATURE_INVALID', [
      ['another content id', changed((copy) => copy.writeUInt8(0xff, 8))],
      ['another root', changed((copy) => copy.writeUInt8((copy[40] as number) ^ 1, 40))],
      ['another origin', changed((copy) => copy.write('d', 89))],
    ]),
    ...refused('manifest', 'MANIFEST_INVALID', [
      ['another magic', changed((copy) => copy.write('CWM2'))],
      ['a reserved byte', changed((copy) => copy.writeUInt8(1, 5))],
      ['a number of chunks that does not fit', changed((copy) => copy.writeUInt32LE(4, 36))],
      ['a folder in its name', changed((copy) => copy.write('/', copy.indexOf('.zip')))],
      ['cut', hex(manifest.subarray(0, -1))],
      ['a byte too many', `${hex(manifest)}00`],
    ]),
    ...refused('manifest', 'SUITE_UNKNOWN', [['an unknown suite', changed((copy) => copy.writeUInt8(7, 4))]]),
  ]
}
