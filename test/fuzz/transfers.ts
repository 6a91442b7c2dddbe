// Large content: a part of a chunk, manifests, and both state machines of a transfer under frames that decode and are hostile.

import { constants, zstdCompressSync } from 'node:zlib'
import { assert } from '#protocol/base/mod.ts'
import { Random } from '#protocol/bytes/testing.ts'
import { KEY, testKey } from '#protocol/codec/testing.ts'
import { ed25519, SUITE_ED25519 } from '#protocol/crypto/mod.ts'
import { BULK_FRAME_BYTES_MAX, CHUNK_DATA_BYTES_MAX, FRAME_HEADER_BYTES } from '#protocol/frame/mod.ts'
import { decodeChunks, decodeStored, decodeWant, encodeChunks, encodeStored, encodeWant } from '#protocol/schema/mod.ts'
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  CHUNKS_MAX,
  ChunkList,
  CONTENT_BYTES_MAX,
  CUT_CHUNK_BYTES_MIN,
  checkAgainst,
  dataFrameStart,
  decodeChunk,
  encodeChunk,
  Incoming,
  MENTIONS_PER_CHUNK_MAX,
  nameProblem,
  Outgoing,
  parseChunkData,
  parseManifest,
  sealManifest,
  verifyManifest,
} from '#protocol/transfer/mod.ts'
import { mutated } from './mutate.ts'
import type { Target } from './target.ts'

const PREFIX_BYTES = 16

const dataPrefix = (chunk: number, offset: number, encodedBytes = 0): Buffer =>
  dataFrameStart({ transfer: 1, chunk, offset, encodedBytes, bytes: 1 }).subarray(FRAME_HEADER_BYTES)

export const chunkData: Target = {
  name: 'chunk data',
  share: 0.005,
  layers: { accepted: 0.3 },
  make: (random) => {
    const encodedBytes = random.pick([0, 0, 262_154, 300_000])
    return mutated(random, Buffer.concat([dataPrefix(5, 262_144, encodedBytes), Buffer.from('some bytes')]))
  },
  run(input, reach) {
    const { bytes, ...numbers } = parseChunkData(input)
    const start = dataFrameStart({ ...numbers, bytes: bytes.length }).subarray(FRAME_HEADER_BYTES)
    assert(Buffer.concat([start, bytes]).equals(input), 'a body is nothing but its parts')
    const { offset, encodedBytes } = numbers
    assert(encodedBytes === 0 || offset + bytes.length <= encodedBytes, 'a part of the encoded chunk')
    reach('accepted')
    return input.length
  },
}

const CHUNK = Buffer.concat(Array.from({ length: 1500 }, (_, i) => Buffer.from(`{"name":"户籍","number":${i % 97}}\n`)))
const ENCODED = [
  encodeChunk(CHUNK, CHUNK.length),
  encodeChunk(Buffer.alloc(CHUNK.length, 1), CHUNK.length),
  zstdCompressSync(CHUNK, { params: { [constants.ZSTD_c_checksumFlag]: 1 }, pledgedSrcSize: CHUNK.length }),
  // Bombs, and one that does not say its size.
  zstdCompressSync(Buffer.alloc(CHUNK_BYTES_MAX), { pledgedSrcSize: CHUNK_BYTES_MAX }),
  zstdCompressSync(CHUNK),
] as Buffer[]

export const encodedChunks: Target = {
  name: 'encoded chunks',
  share: 0.005,
  layers: { accepted: 0.2 },
  make: (random) => {
    const one = random.pick(ENCODED)
    return random.oneIn(3) ? one : mutated(random, one, random.pick(ENCODED))
  },
  run(input, reach) {
    const chunk = decodeChunk(input, CHUNK.length)
    assert(chunk.length === CHUNK.length, 'a chunk of its length')
    reach('accepted')
    return input.length + chunk.length
  },
}

/** Signs the samples and nothing else. `KEY` is the sender who cheats. */
const HONEST = testKey('an honest source')
const setup = new Random(0xc0de)

function listOf(random: Random): ChunkList {
  const variable = random.oneIn(2)
  const count = random.below(6)
  const least = variable ? CUT_CHUNK_BYTES_MIN : CHUNK_BYTES_MIN
  const list = new ChunkList({ size: count * least, chunkBytes: variable ? 0 : least })
  for (let i = 0; i < count; i++) list.add(random.bytes(32), least)
  return list
}

const SAMPLES = Array.from({ length: 20 }, (_, i) => {
  const list = listOf(setup)
  const contentId = setup.bytes(16)
  const texts = { origin: 'civil-affairs', name: i % 3 === 0 ? '' : `户籍 ${i}.zip`, mediaType: 'application/zip' }
  const bytes = sealManifest({ contentId, sealedAtMs: 1.78e12 + i, ...texts }, list, HONEST)
  return { bytes, list, contentId }
})

/** As the cheating sender seals it. */
function sealedAgain(bytes: Buffer): Buffer {
  if (bytes.length < 90) return bytes
  const copy = Buffer.from(bytes)
  KEY.keyId.copy(copy, 80)
  copy[4] = SUITE_ED25519
  const signedBytes = Math.min(copy.readUInt16LE(6), copy.length)
  const context = Buffer.from('causeway content v1\0')
  const signature = ed25519.sign(KEY.privateKey, Buffer.concat([context, copy.subarray(0, signedBytes)]))
  const length = Buffer.from([signature.length, 0])
  return Buffer.concat([copy.subarray(0, signedBytes), length, signature])
}

export const manifests: Target = {
  name: 'manifests',
  share: 0.01,
  layers: { form: 0.3, signature: 0.15 },
  make(random) {
    const { bytes } = random.pick(SAMPLES)
    const other = random.pick(SAMPLES).bytes
    if (random.oneIn(20)) return random.bytes(random.below(200))
    const damaged = random.oneIn(10) ? bytes : mutated(random, bytes, other)
    return random.oneIn(3) ? damaged : sealedAgain(damaged)
  },
  run(input, reach) {
    const manifest = parseManifest(input)
    const { size, chunkBytes, chunks, name, mediaType, keyId, signed } = manifest
    assert(size <= CONTENT_BYTES_MAX && chunkBytes <= CHUNK_BYTES_MAX, 'a plan within the limits')
    assert(chunkBytes === 0 || chunks <= CHUNKS_MAX, 'as many chunks as may be')
    assert(name === '' || nameProblem(name) === null, 'a name a file may have')
    assert(/^[ -~]*$/.test(mediaType), 'a media type that can be shown')
    reach('form')
    const isHonest = keyId.equals(HONEST.keyId)
    verifyManifest(manifest, isHonest ? HONEST.publicKey : KEY.publicKey)
    const sample = SAMPLES.find(({ bytes }) => bytes.equals(input))
    assert(!isHonest || sample !== undefined, 'only samples verify')
    reach('signature')
    if (sample !== undefined) checkAgainst(manifest, sample.contentId, sample.list)
    return input.length + signed.length
  },
}

// A session: size, chunk length and window (u32 each), then steps: kind, length of what follows (u16), that.
const STEP_CHUNKS = 0
const STEP_DATA = 1
const STEP_WANT = 2
const STEP_STORED = 3
const START_BYTES = 12

function step(kind: number, body: Buffer): Buffer {
  const start = Buffer.alloc(3)
  start[0] = kind
  start.writeUInt16LE(body.length, 1)
  return Buffer.concat([start, body])
}

/** CHUNK_DATA as its prefix and how many bytes follow: what they are does not matter here. */
function dataStep(chunk: number, { offset, encodedBytes, bytes }: Record<'offset' | 'encodedBytes' | 'bytes', number>) {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes)
  return step(STEP_DATA, Buffer.concat([dataPrefix(chunk, offset, encodedBytes), length]))
}

/** A number that is right mostly. */
const near = (random: Random, value: number): number =>
  random.oneIn(60) ? random.pick([value + 1, Math.max(0, value - 1), 0, 0xffff_ffff, 0x8000_0000]) : value

function rangesOf(random: Random, count: number): { from: number; count: number }[] {
  if (count === 0) return []
  if (random.oneIn(3)) return [{ from: 0, count }]
  return Array.from({ length: random.below(4) }, () => {
    const from = random.below(count)
    return { from: near(random, from), count: near(random, 1 + random.below(count - from)) }
  })
}

/** The sink may say that it has the beginning of a chunk. */
function wantOf(random: Random, count: number, lengthAt: (chunk: number) => number): Buffer {
  const ranges = rangesOf(random, count)
  const chunk = ranges[0]?.from ?? random.below(9)
  const length = Math.max(1, lengthAt(chunk))
  const encodedBytes = chunk % 3 === 2 ? near(random, Math.floor(length / 7)) : 0
  const part = random.oneIn(2) ? null : { chunk, bytes: near(random, random.below(length)), encodedBytes }
  return encodeWant({ transfer: 1, ranges, part, priority: random.below(5) })
}

function sessionOf(random: Random): Buffer {
  const count = random.below(9)
  const variable = random.oneIn(2)
  const chunkBytes = variable ? CUT_CHUNK_BYTES_MIN : CHUNK_BYTES_MIN
  const size = Math.max(0, count * chunkBytes - random.below(100))
  const start = Buffer.alloc(START_BYTES)
  start.writeUInt32LE(near(random, size), 0)
  start.writeUInt32LE(variable ? 0 : near(random, chunkBytes), 4)
  start.writeUInt32LE(random.pick([0, chunkBytes, 5 * chunkBytes, 0xffff_ffff]), 8)
  const lengthAt = (chunk: number): number => Math.min(chunkBytes, size - chunk * chunkBytes)
  const steps: Buffer[] = [start]
  const order = Array.from({ length: count }, (_, i) => i).sort(() => random.below(3) - 1)
  for (let named = 0; named < count; ) {
    const more = 1 + random.below(count - named)
    const lengths = variable ? Array.from({ length: more }, (_, i) => near(random, lengthAt(named + i))) : []
    const digests = random.bytes(near(random, 32 * more) % 300)
    steps.push(step(STEP_CHUNKS, encodeChunks({ transfer: 1, first: near(random, named), digests, lengths })))
    named += more
  }
  const word = (): Buffer =>
    random.oneIn(2)
      ? step(STEP_WANT, wantOf(random, count, lengthAt))
      : step(
          STEP_STORED,
          encodeStored({ transfer: 1, ranges: rangesOf(random, count), creditBytes: random.below(3 * size + 1) }),
        )
  for (const chunk of order) {
    while (random.oneIn(2)) steps.push(word())
    const encoded = random.oneIn(3) ? 1 + random.below(lengthAt(chunk) - 1) : 0
    const all = encoded === 0 ? lengthAt(chunk) : encoded
    const cut = random.oneIn(2) ? 1 + random.below(all) : all
    const part = (offset: number, bytes: number) =>
      dataStep(near(random, chunk), {
        offset: near(random, offset),
        encodedBytes: near(random, encoded),
        bytes: near(random, bytes),
      })
    // Where an earlier session ended, for those of which there is a part.
    const resumed = isResumed(chunk) && encoded === 0 && random.oneIn(2)
    steps.push(resumed ? part(all >>> 1, all - (all >>> 1)) : part(0, cut))
    if (resumed) continue
    if (cut < all) steps.push(part(cut, all - cut))
  }
  return Buffer.concat(steps)
}

/** The sink of this test has the first half of these, one at a time. */
const isResumed = (chunk: number): boolean => chunk % 4 === 1

const BODY = Buffer.alloc(BULK_FRAME_BYTES_MAX)

/** Both ends at once: the same names for both, what the peer of each says from the input. */
class Ends {
  readonly incoming: Incoming
  readonly outgoing: Outgoing
  /** Pieces, chunks and frames: what it cost. */
  work = 0
  private readonly list: ChunkList
  private readonly largestBytes: number
  private creditSaid: number
  private creditHeard = 0
  private heldBytes = 0
  private hasPart = false
  private expected = { chunk: -1, offset: 0 }

  constructor(start: Buffer) {
    const plan = { size: start.readUInt32LE(0), chunkBytes: start.readUInt32LE(4) }
    this.list = new ChunkList(plan)
    this.largestBytes = Math.min(plan.size, plan.chunkBytes === 0 ? CHUNK_BYTES_MAX : plan.chunkBytes)
    this.incoming = new Incoming({
      list: this.list,
      windowBytes: start.readUInt32LE(8),
      encoded: true,
      allocate: (bytes) => {
        this.heldBytes += bytes
        return Buffer.allocUnsafe(bytes)
      },
    })
    this.outgoing = new Outgoing(this.list, 0)
    this.creditSaid = this.incoming.creditBytes
  }

  named(body: Buffer): void {
    const [from, to] = this.incoming.named(decodeChunks(body))
    this.work += to - from
    for (let chunk = from; chunk < to; chunk++) this.incoming.wanted(chunk)
    for (let chunk = from; chunk < to && !this.hasPart; chunk++) {
      const length = this.list.lengthAt(chunk)
      if (!isResumed(chunk) || length < 2) continue
      this.hasPart = true
      this.heldBytes += length
      this.incoming.resume({ chunk, bytes: Buffer.allocUnsafe(length), filled: length >>> 1, encodedBytes: 0 })
    }
  }

  data(body: Buffer): void {
    if (body.length !== PREFIX_BYTES + 4) return
    const bytes = Math.min(body.readUInt32LE(PREFIX_BYTES), CHUNK_DATA_BYTES_MAX + 1)
    body.copy(BODY, 0, 0, PREFIX_BYTES)
    const { incoming, list } = this
    const arrived = incoming.data(parseChunkData(BODY.subarray(0, PREFIX_BYTES + bytes)))
    this.work++
    assert(incoming.receivedBytes <= this.creditSaid, 'no more than was granted')
    const mostBytes = this.creditSaid + (this.hasPart ? 2 : 1) * this.largestBytes
    assert(this.heldBytes <= mostBytes, 'no more memory than was granted, a chunk, and the one that came in part')
    if (arrived === null) return
    assert(arrived.bytes.length === list.lengthAt(arrived.chunk), 'a whole chunk')
    assert(arrived.encodedBytes < arrived.bytes.length, 'encoded in less than its length')
    if (arrived.chunk % 5 === 4 && body.readUInt32LE(PREFIX_BYTES) % 2 === 1) incoming.damaged(arrived.chunk)
    else incoming.keep(arrived.chunk, { received: true })
    this.creditSaid = incoming.creditBytes
    if (incoming.complete) assert(incoming.storedChunks === list.count && list.complete, 'complete is complete')
  }

  want(body: Buffer): void {
    const { ranges, part } = decodeWant(body)
    this.outgoing.want(ranges, part)
    this.send()
  }

  stored(body: Buffer): void {
    const { ranges, creditBytes } = decodeStored(body)
    this.outgoing.acknowledge(ranges, creditBytes)
    this.creditHeard = Math.max(this.creditHeard, creditBytes)
    // Chunks this end's peer has may as well have come here by another way.
    if (creditBytes % 7 === 0) for (const { from } of ranges) this.incoming.keep(from, { received: false })
    this.send()
  }

  private send(): void {
    const { outgoing, list } = this
    assert(outgoing.wantedChunks <= list.count && outgoing.storedChunks <= list.count, 'no more than there are')
    for (;;) {
      const [next = -1] = outgoing.upcoming(3)
      assert(next === outgoing.next, 'what is read ahead first is what is needed next')
      // Every third one is encoded, in a seventh of its length.
      const encodedBytes = next % 3 === 2 ? Math.floor(list.lengthAt(next) / 7) : 0
      const piece = outgoing.take(undefined, encodedBytes)
      if (piece === null) break
      const { chunk, offset, bytes, contentBytes, isFirst } = piece
      const { expected } = this
      assert(chunk === next && !outgoing.has(chunk), 'what the sink lacks')
      assert(isFirst || (expected.chunk === chunk && expected.offset === offset), 'in its order')
      assert(bytes > 0 && bytes <= CHUNK_DATA_BYTES_MAX && offset + bytes <= list.lengthAt(chunk), 'a part of a chunk')
      assert(contentBytes >= bytes && offset + bytes <= (encodedBytes || list.lengthAt(chunk)), 'of what is sent of it')
      this.expected = { chunk, offset: offset + bytes }
      this.work++
    }
    assert(outgoing.sentBytes <= this.creditHeard, 'no more than credit')
    assert(outgoing.sentBytes <= MENTIONS_PER_CHUNK_MAX * list.size, 'the content a few times at most')
  }
}

export const transfers: Target = {
  name: 'transfers',
  share: 0.02,
  // Far below what comes: 12.7 % send, 1.9 % deliver; of some thousand inputs never so much fewer by chance.
  layers: { begun: 0.7, named: 0.5, arrived: 0.3, sent: 0.08, delivered: 0.005, complete: 0.02 },
  make(random) {
    const session = sessionOf(random)
    return random.oneIn(4) ? mutated(random, session, sessionOf(random)) : session
  },
  run(input, reach) {
    if (input.length < START_BYTES) return 0
    const ends = new Ends(input)
    reach('begun')
    const takers = [ends.named, ends.data, ends.want, ends.stored] as const
    for (let at = START_BYTES; at + 3 <= input.length; ) {
      const kind = (input[at] as number) % takers.length
      const length = Math.min(input.readUInt16LE(at + 1), input.length - at - 3)
      const body = input.subarray(at + 3, at + 3 + length)
      takers[kind]?.call(ends, body)
      at += 3 + length
      if (kind === STEP_CHUNKS) reach('named')
      if (ends.incoming.storedChunks > 0) reach('arrived')
      if (ends.outgoing.sentBytes > 0) reach('sent')
    }
    if (ends.outgoing.delivered && ends.outgoing.sentBytes > 0) reach('delivered')
    if (ends.incoming.complete && ends.incoming.receivedBytes > 0) reach('complete')
    return ends.work
  },
}
