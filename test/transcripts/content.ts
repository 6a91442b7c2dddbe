// Large content of a story, in memory: one agent sends it piece by piece, another fetches it. They speak through the client's
// transfers and the two sides of the protocol; files and threads are no part of a story. A content is a word, a chunk a letter.

import { hash } from 'node:crypto'
import type { Client } from '#agent/client/mod.ts'
import type { Transfer, TransferLink, TransferReport } from '#agent/client/transfers.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { PRIORITY_NORMAL } from '#protocol/codec/mod.ts'
import {
  CHANNEL_CONTROL,
  CHANNEL_RECEIPTS,
  FRAME_CHUNKS,
  FRAME_FETCH,
  FRAME_OPEN_TRANSFER,
  FRAME_SEAL,
  FRAME_SEALED,
  FRAME_STORED,
  FRAME_WANT,
} from '#protocol/frame/mod.ts'
import {
  type Chunks,
  decodeTransferOpened,
  type EndTransfer,
  encodeChunks,
  encodeFetch,
  encodeOpenTransfer,
  encodeSeal,
  encodeSealed,
  encodeStored,
  encodeWant,
  type Fetched,
  type Seal,
  type Stored,
  type Want,
} from '#protocol/schema/mod.ts'
import {
  CHUNK_BYTES_MIN,
  type ChunkData,
  ChunkList,
  checkAgainst,
  dataFrameStart,
  Incoming,
  Outgoing,
  parseManifest,
  runsOf,
  sealManifest,
  verifyManifest,
  WINDOW_BYTES,
} from '#protocol/transfer/mod.ts'

/** Half a chunk. */
const PIECE_BYTES = CHUNK_BYTES_MIN / 2

type Tell = (text: string) => void
type Ranges = readonly { readonly from: number; readonly count: number }[]

export const idOf = (name: string): Buffer => hash('sha256', name, 'buffer').subarray(0, 16)
const chunkOf = (letter: string): Buffer => Buffer.alloc(CHUNK_BYTES_MIN, letter)
const numbersIn = (ranges: Ranges): number[] =>
  ranges.flatMap(({ from, count }) => Array.from({ length: count }, (_, i) => from + i))

/** Nobody watches these. */
const reportOf = ({ direction }: Pick<Transfer, 'direction'>, name: string): TransferReport => ({
  direction,
  id: '',
  name,
  priority: 'normal',
  size: 0,
  doneBytes: 0,
  bytesPerSecond: 0,
  secondsLeft: null,
  state: 'waiting',
  fault: null,
})

export class StoryUpload implements Transfer {
  readonly direction = 'upload'
  readonly priority = PRIORITY_NORMAL
  private readonly client: Client
  private readonly name: string
  private readonly word: string
  private readonly paceMs: number
  private readonly tell: Tell
  private readonly list: ChunkList
  private session: { readonly link: TransferLink; readonly transfer: number; readonly outgoing: Outgoing } | null = null
  private timer: NodeJS.Timeout | null = null

  constructor(client: Client, what: { name: string; word: string; paceMs: number }, tell: Tell) {
    this.client = client
    this.name = what.name
    this.word = what.word
    this.paceMs = what.paceMs
    this.tell = (text) => tell(`${what.name}: ${text}`)
    this.list = new ChunkList({ size: this.word.length * CHUNK_BYTES_MIN, chunkBytes: CHUNK_BYTES_MIN })
    for (const letter of this.word) this.list.add(hash('sha256', chunkOf(letter), 'buffer'), CHUNK_BYTES_MIN)
  }

  /** It sends at its own pace. */
  step(): number {
    return 0
  }

  windowChanged(): void {}

  report(): TransferReport {
    return reportOf(this, this.name)
  }

  async attach(link: TransferLink): Promise<void> {
    const { size, chunkBytes, count } = this.list
    const content = idOf(this.name)
    const kept = { mediaType: '', keepMs: 0, expiresMs: 0 }
    const answer = await link.connection.request(FRAME_OPEN_TRANSFER, (request) =>
      encodeOpenTransfer({ ...kept, request, content, name: this.name, size, chunkBytes }),
    )
    const { transfer, creditBytes, sealed } = decodeTransferOpened(answer)
    if (sealed) {
      this.tell('the hub has all of it already')
      return this.sealed()
    }
    link.opened(transfer)
    this.session = { link, transfer, outgoing: new Outgoing(this.list, creditBytes) }
    const digests = Buffer.concat(Array.from({ length: count }, (_, i) => this.list.digestAt(i)))
    this.send(FRAME_CHUNKS, encodeChunks({ transfer, first: 0, digests, lengths: [] }))
    const about = { contentId: content, sealedAtMs: Date.now(), origin: this.client.name, name: this.name, mediaType: '' }
    const manifest = sealManifest(about, this.list, this.client.sealingKey)
    this.send(FRAME_SEAL, encodeSeal({ transfer, manifest }))
  }

  detach(): void {
    this.session = null
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  /** A piece now, the next one when it is time. */
  pump(): void {
    const { session } = this
    if (session === null || this.timer !== null) return
    const piece = session.outgoing.take(PIECE_BYTES)
    if (piece === null) return
    const letter = this.word[piece.chunk] as string
    this.tell(piece.offset === 0 ? `sends the first half of ${letter}` : `sends the rest of ${letter}`)
    const bytes = chunkOf(letter).subarray(piece.offset, piece.offset + piece.bytes)
    const { chunk, offset } = piece
    session.link.connection.sendParts(
      dataFrameStart({ transfer: session.transfer, chunk, offset, bytes: bytes.length }),
      bytes,
    )
    this.timer = setTimeout(() => {
      this.timer = null
      this.pump()
    }, this.paceMs)
  }

  want({ ranges, part }: Want): void {
    this.tell(`the hub wants ${lettersOf(this.word, ranges)}`)
    this.session?.outgoing.want(ranges, part)
    this.pump()
  }

  stored({ ranges, creditBytes }: Stored): void {
    this.tell(`the hub has ${lettersOf(this.word, ranges)}`)
    this.session?.outgoing.acknowledge(ranges, creditBytes)
    this.pump()
  }

  sealed(): void {
    this.tell('sealed')
    this.client.removeTransfer(this)
    this.detach()
  }

  ended({ fault }: EndTransfer): void {
    this.tell(`ended: ${fault?.code}`)
    this.detach()
  }

  fail(fault: Fault): void {
    this.tell(`failed: ${String(fault.details.hubCode ?? fault.code)}`)
    this.client.removeTransfer(this)
    this.detach()
  }

  private send(kind: number, body: Uint8Array): void {
    this.session?.link.connection.send(kind, CHANNEL_CONTROL, body)
  }
}

export class StoryDownload implements Transfer {
  readonly direction = 'download'
  readonly priority = PRIORITY_NORMAL
  private readonly client: Client
  private readonly name: string
  private readonly tell: Tell
  /** What was stored, by its place; it outlives connections. */
  private readonly stored_ = new Map<number, string>()
  private session: { readonly link: TransferLink; readonly transfer: number; readonly incoming: Incoming } | null = null
  private link: TransferLink | null = null
  private manifest: Buffer | null = null

  constructor(client: Client, name: string, tell: Tell) {
    this.client = client
    this.name = name
    this.tell = (text) => tell(`${name}: ${text}`)
  }

  step(): number {
    return 0
  }

  windowChanged(): void {}

  report(): TransferReport {
    return reportOf(this, this.name)
  }

  async attach(link: TransferLink): Promise<void> {
    this.link = link
    await link.connection.request(FRAME_FETCH, (request) => {
      link.asked(request)
      return encodeFetch({ request, content: idOf(this.name), creditBytes: WINDOW_BYTES, priority: 0 })
    })
  }

  fetched({ transfer, origin, size, chunkBytes }: Fetched): void {
    this.tell(`the hub says it is from ${origin}, ${size / CHUNK_BYTES_MIN} chunks`)
    const list = new ChunkList({ size, chunkBytes })
    const incoming = new Incoming({ list, allocate: (bytes) => Buffer.alloc(bytes) })
    if (this.link !== null) this.session = { link: this.link, transfer, incoming }
  }

  chunks(frame: Chunks): void {
    const { session } = this
    if (session === null) return
    const { incoming, transfer } = session
    const [from, to] = incoming.named(frame)
    const wanted: number[] = []
    for (let chunk = from; chunk < to; chunk++) {
      if (this.stored_.has(chunk)) incoming.keep(chunk, { received: false })
      else wanted.push(chunk)
    }
    const had = Array.from({ length: to - from }, (_, i) => from + i).filter((chunk) => this.stored_.has(chunk))
    this.tell(`${to - from} chunks are named, it has ${had.length} of them`)
    this.acknowledge(had)
    for (const chunk of wanted) incoming.wanted(chunk)
    if (wanted.length > 0) this.send(FRAME_WANT, encodeWant({ transfer, ranges: runsOf(wanted), part: null, priority: 0 }))
    this.finish()
  }

  data(data: ChunkData): void {
    const { session } = this
    const arrived = session?.incoming.data(data) ?? null
    if (session === null || arrived === null) return
    const { chunk, bytes } = arrived
    const letter = bytes.toString('latin1', 0, 1)
    const isRight = session.incoming.list.digestAt(chunk).equals(hash('sha256', bytes, 'buffer'))
    this.tell(isRight ? `takes ${letter}` : `${letter} is damaged`)
    this.stored_.set(chunk, letter)
    session.incoming.keep(chunk, { received: true })
    this.acknowledge([chunk])
    this.finish()
  }

  seal({ manifest }: Seal): void {
    this.manifest = Buffer.from(manifest)
    this.finish()
  }

  detach(): void {
    this.session?.incoming.abandon()
    this.session = null
    this.manifest = null
  }

  pump(): void {
    // A sink sends when it is sent something.
  }

  ended({ fault }: EndTransfer): void {
    this.tell(`ended: ${fault?.code}`)
    this.detach()
  }

  fail(fault: Fault): void {
    this.tell(`failed: ${String(fault.details.hubCode ?? fault.code)}`)
    this.client.removeTransfer(this)
    this.detach()
  }

  private finish(): void {
    const { session, manifest: bytes } = this
    if (session === null || bytes === null || !session.incoming.complete) return
    const manifest = parseManifest(bytes)
    checkAgainst(manifest, idOf(this.name), session.incoming.list)
    verifyManifest(manifest, session.link.origins.keyFor(manifest.origin, manifest.keyId))
    const word = Array.from(this.stored_.keys().toArray().sort((a, b) => a - b), (chunk) => this.stored_.get(chunk))
    this.tell(`is ${word.join('')}, signed by ${manifest.origin}`)
    this.send(FRAME_SEALED, encodeSealed({ transfer: session.transfer }))
    this.client.removeTransfer(this)
    this.detach()
  }

  private acknowledge(chunks: readonly number[]): void {
    const { session } = this
    if (session === null || chunks.length === 0) return
    const { creditBytes } = session.incoming
    this.send(FRAME_STORED, encodeStored({ transfer: session.transfer, ranges: runsOf(chunks), creditBytes }))
  }

  private send(kind: number, body: Uint8Array): void {
    this.session?.link.connection.send(kind, CHANNEL_RECEIPTS, body)
  }
}

const lettersOf = (word: string, ranges: Ranges): string => {
  const letters = numbersIn(ranges).map((chunk) => word[chunk])
  return letters.length === 0 ? 'room again' : letters.join(' ')
}
