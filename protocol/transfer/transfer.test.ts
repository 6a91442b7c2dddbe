// A source and a sink of this folder against each other over a line that is slow, damages and breaks: everything arrives, what the
// sink has is never sent, credit is kept, memory is bounded.

import { createHash } from 'node:crypto'
import t from 'tap'
import { assert, Fault } from '#protocol/base/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { FRAME_HEADER_BYTES } from '#protocol/frame/mod.ts'
import { decodeChunks, decodeStored, decodeWant, encodeChunks, encodeStored, encodeWant } from '#protocol/schema/mod.ts'
import {
  type Arrived,
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  ChunkList,
  DAMAGED_TRIES_MAX,
  dataFrameStart,
  decodeChunk,
  encodeChunk,
  Incoming,
  Outgoing,
  type Part,
  parseChunkData,
  runsOf,
} from './mod.ts'

const STEPS_MAX = 200_000
const sha = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

type Content = { readonly list: ChunkList; readonly chunks: readonly Buffer[] }

/** Chunks of one byte each, over and over: quick to make, and different ones for different bytes. */
function contentOf(random: Random): Content {
  const variable = random.oneIn(3)
  const large = random.oneIn(12)
  const count = large ? 1 + random.below(4) : random.oneIn(10) ? random.below(2) : random.below(40)
  const chunkBytes = large ? CHUNK_BYTES_MAX : CHUNK_BYTES_MIN * (1 + random.below(2))
  const chunks = Array.from({ length: count }, (_, i) => {
    const last = i === count - 1
    const length = last
      ? 1 + random.below(chunkBytes)
      : variable
        ? CHUNK_BYTES_MIN + random.below(chunkBytes)
        : chunkBytes
    // Now and then the same chunk stands at several places.
    return Buffer.alloc(Math.min(length, CHUNK_BYTES_MAX), random.oneIn(8) ? 0 : 1 + i)
  })
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  const list = new ChunkList({ size, chunkBytes: variable ? 0 : chunkBytes })
  for (const chunk of chunks) list.add(sha(chunk), chunk.length)
  return { list, chunks }
}

/** What outlives connections: the sink's disk, and what it counted. */
type Disk = {
  readonly stored: Map<number, Buffer>
  damages: number
  sessions: number
  sent: number
  encoded: number
  resumed: number
  /** Of the last session: what had not become whole, and which chunks were damaged on the line. */
  left: readonly Part[]
  harmed: ReadonlyMap<number, number>
}

type Frame = { readonly kind: 'chunks' | 'want' | 'stored' | 'data'; readonly body: Buffer }

class Session {
  private readonly random: Random
  private readonly content: Content
  private readonly disk: Disk
  private readonly outgoing: Outgoing
  private readonly incoming: Incoming
  /** Encoded chunks were agreed on. */
  private readonly encoded: boolean
  /** What the source sends of the chunk that is on its way. */
  private sending: { readonly chunk: number; readonly bytes: Buffer; readonly isEncoded: boolean } | null = null
  private readonly toSink: Frame[] = []
  private readonly toSource: Frame[] = []
  private named = 0
  private creditSaid: number
  /** Arrived and not yet on the disk, or found to be damaged. */
  private readonly arriving: Arrived[] = []
  private readonly storedNow: number[] = []
  private readonly tries = new Map<number, number>()
  private askedAgain = false
  private heldBytes = 0
  private heldBytesMax: number

  constructor(random: Random, content: Content, disk: Disk) {
    this.random = random
    this.content = content
    this.disk = disk
    const { size, chunkBytes } = content.list
    this.encoded = random.oneIn(2)
    const windowBytes = random.pick([1, CHUNK_BYTES_MIN, 3 * CHUNK_BYTES_MIN, 15 * 1024 * 1024])
    this.incoming = new Incoming({
      list: new ChunkList({ size, chunkBytes }),
      windowBytes,
      encoded: this.encoded,
      // As a sink that decodes a chunk in its place.
      allocate: (bytes) => {
        this.hold(bytes)
        return Buffer.alloc(bytes)
      },
    })
    this.creditSaid = this.incoming.creditBytes
    this.heldBytesMax = this.creditSaid + CHUNK_BYTES_MAX
    this.outgoing = new Outgoing(content.list, this.creditSaid)
    disk.sessions++
  }

  get done(): boolean {
    return this.incoming.complete && this.outgoing.delivered && this.toSource.length === 0 && this.toSink.length === 0
  }

  get comingBytes(): number {
    return this.incoming.comingBytes
  }

  /** Something happens at one of the two ends, or on the line. */
  step(): void {
    const { random } = this
    const work = random.below(8)
    if (work === 0) this.name()
    else if (work <= 2) this.sendData()
    else if (work <= 4) this.sinkTakes()
    else if (work === 5) this.sourceTakes()
    else if (work === 6) this.finishArrival()
    else this.sinkActs(random.below(80))
    const { next } = this.outgoing
    const { comingBytes } = this.incoming
    assert(comingBytes >= 0, 'no more came than was asked for')
    assert(next < 0 || comingBytes > 0 || this.incoming.isStored(next), 'what is to be sent is still to come')
  }

  private sinkActs(what: number): void {
    if (what === 0) this.askAgain()
    else if (what === 1) this.learn()
    else this.acknowledge()
  }

  /** The line is gone. What had arrived may still become durable. */
  break(): void {
    for (const { chunk, bytes, encodedBytes } of this.arriving)
      if (this.random.oneIn(2) && this.isRight(chunk, bytes, encodedBytes)) this.store(chunk, bytes)
    const { disk } = this
    disk.left = this.incoming.abandon().filter(({ chunk, filled }) => filled > 0 && !disk.stored.has(chunk))
    disk.harmed = this.tries
  }

  private name(): void {
    const { list } = this.content
    const to = Math.min(list.count, this.named + 1 + this.random.below(10))
    if (to === this.named) return
    const indexes = Array.from({ length: to - this.named }, (_, i) => this.named + i)
    const digests = Buffer.concat(indexes.map((i) => list.digestAt(i)))
    const lengths = list.chunkBytes === 0 ? indexes.map((i) => list.lengthAt(i)) : []
    this.toSink.push({ kind: 'chunks', body: encodeChunks({ transfer: 1, first: this.named, digests, lengths }) })
    this.named = to
  }

  private sendData(): void {
    const { outgoing, random, disk } = this
    const { next } = outgoing
    if (next < 0) return
    if (this.sending?.chunk !== next) this.sending = this.formOf(next)
    const { bytes: form, isEncoded } = this.sending
    const encodedBytes = isEncoded ? form.length : 0
    const piece = outgoing.take(random.oneIn(3) ? 1 + random.below(100_000) : undefined, encodedBytes)
    if (piece === null) return
    if (piece.offset + piece.bytes === form.length) this.sending = null
    assert(piece.chunk === next, 'what is needed next is what is sent next')
    if (piece.isFirst && piece.offset > 0) disk.resumed++
    assert(!outgoing.has(piece.chunk), 'what the sink has is never sent')
    assert(outgoing.sentBytes <= this.creditSaid, 'credit is kept')
    disk.sent += piece.bytes
    if (isEncoded) disk.encoded++
    const bytes = Buffer.from(form.subarray(piece.offset, piece.offset + piece.bytes))
    const { tries } = this
    const harmed = (tries.get(piece.chunk) ?? 0) + 1
    if (random.oneIn(15) && harmed < DAMAGED_TRIES_MAX) {
      const at = random.below(bytes.length)
      bytes[at] = (bytes[at] as number) ^ 0xff
      tries.set(piece.chunk, harmed)
    }
    const { chunk, offset } = piece
    const start = dataFrameStart({ transfer: 1, chunk, offset, encodedBytes, bytes: bytes.length })
    this.toSink.push({ kind: 'data', body: Buffer.concat([start.subarray(FRAME_HEADER_BYTES), bytes]) })
  }

  private formOf(chunk: number): { chunk: number; bytes: Buffer; isEncoded: boolean } {
    const plain = this.content.chunks[chunk] as Buffer
    const encoded = this.encoded && this.random.oneIn(2) ? encodeChunk(plain, plain.length - 1) : null
    return { chunk, bytes: encoded ?? plain, isEncoded: encoded !== null }
  }

  private sinkTakes(): void {
    const frame = this.toSink.shift()
    if (frame?.kind === 'chunks') this.takeNames(frame.body)
    if (frame?.kind !== 'data') return
    const arrived = this.incoming.data(parseChunkData(frame.body))
    if (arrived !== null) this.arriving.push(arrived)
  }

  private takeNames(body: Buffer): void {
    const [from, to] = this.incoming.named(decodeChunks(body))
    const lacking: number[] = []
    for (let chunk = from; chunk < to; chunk++) {
      assert(this.incoming.list.digestAt(chunk).equals(this.content.list.digestAt(chunk)), 'the digest that was named')
      if (this.disk.stored.has(chunk)) this.keep(chunk, false)
      else lacking.push(chunk)
    }
    // In any order.
    for (let i = lacking.length - 1; i > 0 && this.random.oneIn(2); i--) {
      const j = this.random.below(i + 1)
      const moved = lacking[i] as number
      lacking[i] = lacking[j] as number
      lacking[j] = moved
    }
    this.want(lacking)
    this.acknowledge()
  }

  private want(chunks: readonly number[]): void {
    for (const chunk of chunks) this.incoming.wanted(chunk)
    if (chunks.length > 0)
      this.toSource.push({
        kind: 'want',
        body: encodeWant({ transfer: 1, ranges: runsOf(chunks), part: this.resume(chunks), priority: 0 }),
      })
  }

  /** One of them may go on where the last session ended. */
  private resume(chunks: readonly number[]) {
    const { disk, incoming, tries } = this
    const left = disk.left.find(
      ({ chunk, encodedBytes }) => chunks.includes(chunk) && (this.encoded || encodedBytes === 0),
    )
    if (left === undefined) return null
    disk.left = []
    const { chunk, bytes, filled, encodedBytes } = left
    incoming.resume(left)
    this.heldBytesMax += bytes.length
    this.hold(bytes.length)
    tries.set(chunk, disk.harmed.get(chunk) ?? 0)
    return { chunk, bytes: filled, encodedBytes }
  }

  private sourceTakes(): void {
    const frame = this.toSource.shift()
    if (frame?.kind === 'want') {
      const { ranges, part } = decodeWant(frame.body)
      this.outgoing.want(ranges, part)
    }
    if (frame?.kind !== 'stored') return
    const { ranges, creditBytes } = decodeStored(frame.body)
    this.outgoing.acknowledge(ranges, creditBytes)
  }

  private finishArrival(): void {
    if (this.arriving.length === 0) return
    const at = this.random.below(this.arriving.length)
    const [{ chunk, bytes, encodedBytes }] = this.arriving.splice(at, 1) as [Arrived]
    if (this.isRight(chunk, bytes, encodedBytes)) {
      this.store(chunk, bytes)
      this.keep(chunk, true)
    } else {
      this.incoming.damaged(chunk)
      this.disk.damages++
      this.want([chunk])
      // The room it took is said even when nothing was stored, or the source might have none to send it again.
      this.acknowledge()
    }
    this.release(bytes)
  }

  /** A chunk that is lacking comes to the sink by another way. */
  private learn(): void {
    const { list } = this.incoming
    if (list.count === 0) return
    const chunk = this.random.below(list.count)
    if (this.incoming.isStored(chunk)) return
    this.store(chunk, this.content.chunks[chunk] as Buffer)
    this.keep(chunk, false)
    this.acknowledge()
  }

  private askAgain(): void {
    const { list } = this.incoming
    if (list.count === 0 || this.askedAgain) return
    this.askedAgain = true
    this.want([this.random.below(list.count)])
  }

  private keep(chunk: number, received: boolean): void {
    if (!this.incoming.isStored(chunk)) this.storedNow.push(chunk)
    this.release(this.incoming.keep(chunk, { received }))
  }

  private acknowledge(): void {
    if (this.storedNow.length === 0 && this.incoming.creditBytes === this.creditSaid) return
    this.creditSaid = this.incoming.creditBytes
    const ranges = runsOf(this.storedNow.splice(0).sort((a, b) => a - b))
    this.toSource.push({ kind: 'stored', body: encodeStored({ transfer: 1, ranges, creditBytes: this.creditSaid }) })
  }

  private store(chunk: number, bytes: Buffer): void {
    this.disk.stored.set(chunk, Buffer.from(bytes))
  }

  /** Decodes it in its place. */
  private isRight(chunk: number, bytes: Buffer, encodedBytes: number): boolean {
    try {
      if (encodedBytes > 0) decodeChunk(bytes.subarray(0, encodedBytes), bytes.length).copy(bytes)
    } catch (error) {
      assert(error instanceof Fault && error.code === 'CHUNK_DAMAGED', 'what does not decode is damaged')
      return false
    }
    return sha(bytes).equals(this.content.list.digestAt(chunk))
  }

  private hold(bytes: number): void {
    this.heldBytes += bytes
    assert(this.heldBytes <= this.heldBytesMax, 'no more memory than a window, a chunk and what was left')
  }

  private release(buffer: Buffer | null): void {
    this.heldBytes -= buffer?.length ?? 0
  }
}

function play(random: Random): Disk {
  const content = contentOf(random)
  const disk: Disk = {
    stored: new Map(),
    damages: 0,
    sessions: 0,
    sent: 0,
    encoded: 0,
    resumed: 0,
    left: [],
    harmed: new Map(),
  }
  let steps = 0
  for (let breaks = random.below(5); ; breaks--) {
    const session = new Session(random, content, disk)
    const last = breaks <= 0
    for (let left = last ? STEPS_MAX : random.below(random.pick([200, 2000])); left > 0 && !session.done; left--) {
      session.step()
      steps++
    }
    if (session.done) assert(session.comingBytes === 0, 'nothing is to come any more')
    if (session.done) break
    assert(!last, `it came to a standstill after ${steps} steps`)
    session.break()
  }
  assert(disk.stored.size === content.list.count, 'everything arrived')
  for (const [chunk, bytes] of disk.stored) assert(bytes.equals(content.chunks[chunk] as Buffer), 'as it was')
  return disk
}

t.test('it all arrives, whatever happens', async (t) => {
  const seed = testSeed()
  const rounds = Number(process.env.ROUNDS ?? 100)
  t.comment(`SEED=${seed} ROUNDS=${rounds}`)
  let [sessions, damages, sent, encoded, resumed] = [0, 0, 0, 0, 0]
  for (let round = 0; round < rounds; round++) {
    try {
      const disk = play(new Random(seed + round))
      sessions += disk.sessions
      damages += disk.damages
      sent += disk.sent
      encoded += disk.encoded
      resumed += disk.resumed
    } catch (error) {
      const text = error instanceof Fault ? error.describe() : (error as Error).stack
      return t.fail(`SEED=${seed + round} ROUNDS=1: ${text}`)
    }
  }
  t.pass(
    `${rounds} transfers in ${sessions} sessions, ${damages} chunks came damaged, ${sent} bytes were sent, ${encoded} pieces encoded, ${resumed} chunks resumed`,
  )
  t.ok(rounds < 100 || (sessions > rounds && damages > 0 && encoded > 0 && resumed > 0), 'with breaks and damage')
})
