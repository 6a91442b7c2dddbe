// For tests: a hub's end of uploads over a real connection on loopback, without handshake or store, which keeps to the order of the
// protocol and can be made slow, full or forgetful; and a client's end with the real connection and routing.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'
import { type Fault, systemClock } from '#protocol/base/mod.ts'
import { KEY } from '#protocol/codec/testing.ts'
import {
  BATCH_FRAME_BYTES_MAX,
  CHANNEL_CONTROL,
  CHANNEL_RECEIPTS,
  FRAME_CHUNK_DATA,
  FRAME_CHUNKS,
  FRAME_END_TRANSFER,
  FRAME_FAILED,
  FRAME_OPEN_TRANSFER,
  FRAME_READY,
  FRAME_SEAL,
  FRAME_SEALED,
  FRAME_STORED,
  FRAME_TRANSFER_OPENED,
  FRAME_WANT,
} from '#protocol/frame/mod.ts'
import { FEATURE_ENCODED_CHUNKS, FEATURE_TRANSFERS, featureWords, type SessionTerms } from '#protocol/handshake/mod.ts'
import {
  decodeChunks,
  decodeEndTransfer,
  decodeOpenTransfer,
  decodeSeal,
  encodeEndTransfer,
  encodeFailed,
  encodeSealed,
  encodeStored,
  encodeTransferOpened,
  encodeWant,
  type OpenTransfer,
} from '#protocol/schema/mod.ts'
import { CorkedWriter, type Handshake, Link } from '#protocol/session/mod.ts'
import {
  type Arrived,
  ChunkList,
  checkAgainst,
  decodeChunk,
  Incoming,
  parseChunkData,
  parseManifest,
  runsOf,
  verifyManifest,
  WINDOW_BYTES,
} from '#protocol/transfer/mod.ts'
import { HubConnection } from '../connection.ts'
import type { Line } from '../line.ts'
import type { Origins } from '../origins.ts'
import { type Direction, type Transfer, type TransferLimits, Transfers } from '../transfers.ts'
import type { UploadHost } from './mod.ts'

const AGREED = { keepaliveMs: 60_000, frameBytesMax: BATCH_FRAME_BYTES_MAX }
const termsOf = (features: readonly number[]) =>
  ({ ...AGREED, features: featureWords(features) }) as unknown as SessionTerms & typeof AGREED
const TERMS = termsOf([FEATURE_TRANSFERS, FEATURE_ENCODED_CHUNKS])

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** One frame says that there is nothing to agree. */
const noHandshake = (greets: boolean): Handshake<typeof TERMS> => ({
  start: () => (greets ? [[FRAME_READY, Buffer.alloc(0)]] : []),
  receive: () => ({ send: greets ? [] : [[FRAME_READY, Buffer.alloc(0)]], done: TERMS }),
})

export type Sealed = { readonly name: string; readonly mediaType: string; readonly bytes: Buffer }

/** What a hub says when it is full for the moment, or does not want a content. */
const report = (retry: boolean) => ({ code: 'TEST_FULL', message: 'no room', remedy: 'make room', retry })

export class TestHub {
  /** Chunks by digest: what is here is not asked for. */
  readonly chunks = new Map<string, Buffer>()
  readonly sealed = new Map<string, Sealed>()
  readonly cancelled: string[] = []
  readonly opened: string[] = []
  /** Of what was opened, in the same order: 0 where it is cut by its content. */
  readonly chunkBytes: number[] = []
  readonly faults: string[] = []
  /** Bytes of chunks received, as they travelled. */
  receivedBytes = 0
  dataFrames = 0
  /** Chunks that came encoded. */
  encodedChunks = 0
  /** Content bytes received of chunks that were stored and known to be. */
  uselessBytes = 0
  chunksFrames = 0
  windowBytes = WINDOW_BYTES
  /** Refuses so many times to open. */
  refuseOpen: { times: number; retry: boolean } = { times: 0, retry: true }
  /** Called before a chunk is stored; storing waits for it. */
  beforeStore: (chunk: number) => Promise<void> | void = () => undefined
  readonly sessions = new Set<TestSession>()
  private readonly server: Server

  constructor() {
    this.server = createServer((socket) => {
      const session = new TestSession(this, socket)
      this.sessions.add(session)
      socket.on('close', () => this.sessions.delete(session))
    })
  }

  async listen(): Promise<void> {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Ends the contents that are under way, with a fault. */
  endAll(retry: boolean): void {
    for (const session of this.sessions) session.endAll(retry)
  }

  cut(): void {
    for (const session of this.sessions) session.socket.destroy()
  }

  close(): void {
    this.cut()
    this.server.close()
  }
}

type Under = { readonly open: OpenTransfer; readonly incoming: Incoming; manifest: Buffer | null }

class TestSession {
  readonly socket: Socket
  private readonly hub: TestHub
  private readonly link: Link<typeof TERMS>
  private readonly under = new Map<number, Under>()
  private next = 1

  constructor(hub: TestHub, socket: Socket) {
    this.hub = hub
    this.socket = socket
    this.link = linkOver(socket, false, (kind, body) => this.frame(kind, body))
  }

  endAll(retry: boolean): void {
    for (const transfer of this.under.keys()) {
      this.link.send(
        FRAME_END_TRANSFER,
        CHANNEL_CONTROL,
        encodeEndTransfer({ transfer, fault: report(retry), cancel: false }),
      )
    }
    this.under.clear()
  }

  private frame(kind: number, body: Buffer): void {
    const { hub } = this
    if (kind === FRAME_OPEN_TRANSFER) this.open(decodeOpenTransfer(body))
    else if (kind === FRAME_CHUNKS) {
      hub.chunksFrames++
      const frame = decodeChunks(body)
      const under = this.under.get(frame.transfer)
      if (under === undefined) return
      const [from, to] = under.incoming.named(frame)
      const wanted: number[] = []
      const kept: number[] = []
      for (let chunk = from; chunk < to; chunk++) {
        if (hub.chunks.has(under.incoming.list.digestAt(chunk).toString('hex'))) kept.push(chunk)
        else wanted.push(chunk)
      }
      for (const chunk of kept) under.incoming.keep(chunk, { received: false })
      for (const chunk of wanted) under.incoming.wanted(chunk)
      const ranges = runsOf(wanted)
      if (ranges.length > 0) {
        this.link.send(
          FRAME_WANT,
          CHANNEL_RECEIPTS,
          encodeWant({ transfer: frame.transfer, ranges, part: null, priority: 0 }),
        )
      }
      this.stored(frame.transfer, under, kept)
    } else if (kind === FRAME_CHUNK_DATA) {
      const data = parseChunkData(body)
      hub.receivedBytes += data.bytes.length
      hub.dataFrames++
      const under = this.under.get(data.transfer)
      if (under?.incoming.isStored(data.chunk) === true) hub.uselessBytes += data.bytes.length
      const arrived = under?.incoming.data(data) ?? null
      if (under !== undefined && arrived !== null) void this.keep(data.transfer, under, arrived)
    } else if (kind === FRAME_SEAL) {
      const { transfer, manifest } = decodeSeal(body)
      const under = this.under.get(transfer)
      if (under === undefined) return
      under.manifest = Buffer.from(manifest)
      this.complete(transfer, under)
    } else if (kind === FRAME_END_TRANSFER) {
      const { transfer, cancel } = decodeEndTransfer(body)
      const under = this.under.get(transfer)
      this.under.delete(transfer)
      if (cancel && under !== undefined) hub.cancelled.push(Buffer.from(under.open.content).toString('hex'))
    }
  }

  private open(open: OpenTransfer): void {
    const { hub } = this
    const { request } = open
    const id = Buffer.from(open.content).toString('hex')
    hub.opened.push(id)
    hub.chunkBytes.push(open.chunkBytes)
    if (hub.refuseOpen.times > 0) {
      hub.refuseOpen.times--
      const body = encodeFailed({ request, fault: report(hub.refuseOpen.retry) })
      this.link.send(FRAME_FAILED, CHANNEL_CONTROL, body)
      return
    }
    const transfer = this.next++
    const list = new ChunkList({ size: open.size, chunkBytes: open.chunkBytes })
    const { windowBytes } = hub
    const incoming = new Incoming({ list, allocate: (bytes) => Buffer.alloc(bytes), windowBytes, encoded: true })
    const sealed = hub.sealed.has(id)
    if (!sealed)
      this.under.set(transfer, { open: { ...open, content: Buffer.from(open.content) }, incoming, manifest: null })
    const body = encodeTransferOpened({ request, transfer, creditBytes: incoming.creditBytes, sealed })
    this.link.send(FRAME_TRANSFER_OPENED, CHANNEL_CONTROL, body)
  }

  private async keep(transfer: number, under: Under, { chunk, bytes: came, encodedBytes }: Arrived): Promise<void> {
    const { hub } = this
    if (encodedBytes > 0) hub.encodedChunks++
    const bytes = encodedBytes > 0 ? decodeChunk(came.subarray(0, encodedBytes), came.length) : came
    await hub.beforeStore(chunk)
    const digest = under.incoming.list.digestAt(chunk).toString('hex')
    if (this.under.get(transfer) !== under || this.socket.destroyed) return
    if (sha256(bytes) !== digest) {
      hub.faults.push(`chunk ${chunk} is damaged`)
      under.incoming.damaged(chunk)
      this.link.send(
        FRAME_WANT,
        CHANNEL_RECEIPTS,
        encodeWant({ transfer, ranges: [{ from: chunk, count: 1 }], part: null, priority: 0 }),
      )
      return
    }
    hub.chunks.set(digest, Buffer.from(bytes))
    under.incoming.keep(chunk, { received: true })
    this.stored(transfer, under, [chunk])
  }

  private stored(transfer: number, under: Under, chunks: readonly number[]): void {
    if (chunks.length > 0) {
      const body = encodeStored({ transfer, ranges: runsOf(chunks), creditBytes: under.incoming.creditBytes })
      this.link.send(FRAME_STORED, CHANNEL_RECEIPTS, body)
    }
    this.complete(transfer, under)
  }

  private complete(transfer: number, under: Under): void {
    const { hub } = this
    const { manifest, incoming, open } = under
    if (manifest === null || !incoming.complete) return
    const parsed = parseManifest(manifest)
    verifyManifest(parsed, KEY.publicKey)
    checkAgainst(parsed, open.content, incoming.list)
    const parts = Array.from({ length: incoming.list.count }, (_, chunk) =>
      hub.chunks.get(incoming.list.digestAt(chunk).toString('hex')),
    )
    const bytes = Buffer.concat(parts as Buffer[])
    hub.sealed.set(Buffer.from(open.content).toString('hex'), { name: parsed.name, mediaType: parsed.mediaType, bytes })
    this.under.delete(transfer)
    this.link.send(FRAME_SEALED, CHANNEL_RECEIPTS, encodeSealed({ transfer }))
  }
}

/** A client as far as transfers are concerned; it does not reconnect by itself. */
export class TestClient implements UploadHost {
  readonly name = 'agent-a'
  readonly sealingKey = KEY
  connection: HubConnection | null = null
  private readonly transfers: Transfers

  constructor(limits: TransferLimits = {}) {
    this.transfers = new Transfers(limits)
  }

  transferLine(direction: Direction): Line {
    return this.transfers.line(direction)
  }

  addTransfer(transfer: Transfer): void {
    this.transfers.add(transfer)
  }

  removeTransfer(transfer: Transfer): void {
    this.transfers.remove(transfer)
  }

  beginTransfer(transfer: Transfer): void {
    this.transfers.begin(transfer)
  }

  /** `encoded`: the hub takes encoded chunks. */
  async connect(hub: { readonly port: number }, { encoded = true } = {}): Promise<void> {
    const socket = connect(hub.port, '127.0.0.1')
    await once(socket, 'connect')
    const listeners = new Map<number, (kind: number, body: Buffer) => void>()
    const closed = Promise.withResolvers<Fault>()
    const writer = new CorkedWriter(socket)
    const ready = Promise.withResolvers<void>()
    const link = linkOver(socket, true, (kind, body) => listeners.get(kind)?.(kind, body), {
      onReady: () => ready.resolve(),
      onClosed: (fault) => closed.resolve(fault),
      writer,
    })
    await ready.promise
    const terms = encoded ? TERMS : termsOf([FEATURE_TRANSFERS])
    const connection = new HubConnection({ terms, link, writer, listeners, closed: closed.promise })
    socket.on('drain', () => this.transfers.pump())
    void closed.promise.then(() => {
      if (this.connection !== connection) return
      this.connection = null
      this.transfers.detach()
    })
    this.connection = connection
    this.transfers.attach(connection, {} as Origins)
  }

  close(fault: Fault): void {
    this.transfers.close(fault)
    this.connection?.close(fault)
  }
}

/** Hub and client, connected; ended with the test. */
export async function pairOf(t: Test, options = { encoded: true }): Promise<{ hub: TestHub; client: TestClient }> {
  const hub = new TestHub()
  await hub.listen()
  const client = new TestClient()
  t.teardown(() => hub.close())
  await client.connect(hub, options)
  return { hub, client }
}

function linkOver(
  socket: Socket,
  greets: boolean,
  onFrame: (kind: number, body: Buffer) => void,
  client: { onReady?: () => void; onClosed?: (fault: Fault) => void; writer?: CorkedWriter } = {},
): Link<typeof TERMS> {
  const writer = client.writer ?? new CorkedWriter(socket)
  const link = new Link<typeof TERMS>({
    transport: { write: (bytes) => writer.write(bytes), end: () => socket.end() },
    handshake: noHandshake(greets),
    handler: {
      onReady: () => client.onReady?.(),
      onFrame: (kind, _channel, body) => onFrame(kind, body),
      onClosed: (fault) => client.onClosed?.(fault),
    },
    nowMs: systemClock.nowMs(),
    handshakeMsMax: 10_000,
  })
  socket.on('data', (bytes) => link.receive(systemClock.nowMs(), bytes))
  socket.on('error', () => undefined) // It closes next.
  socket.on('close', () => link.ended(null))
  link.start()
  return link
}
