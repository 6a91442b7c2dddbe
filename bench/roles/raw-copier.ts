// The ceiling of copying a file from process to process: one of three, `source`, `relay` (which keeps a copy) and `sink`. What
// arrives is read from the socket straight into the block from which it is hashed, written past the page cache and sent on:
// in this runtime nothing does it with less. Nothing is named, framed, acknowledged, compared or resumed.
// Started by a copier with settings as JSON: the part, the path of its file, the port it reads from, and whether it hashes.

import { closeSync, constants, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

type Settings = { part: 'source' | 'relay' | 'sink'; path: string; port: number; hashes: boolean }
type Block = { readonly index: number; readonly bytes: Buffer }
/** Something that is done with every block; the block is free when all have done it. */
type Use = (block: Block, length: number, at: number) => Promise<void>

const BLOCK_BYTES = 2 ** 20
const BLOCKS = 16
const PAGE_BYTES = 4096
/** A large block of the system begins 16 bytes behind a page. */
const ALIGN_STEP_BYTES = 16

const { part, path, port, hashes } = JSON.parse(process.argv[2] ?? '{}') as Settings

class Ring {
  private readonly free: Block[]
  private waiting: (() => void) | null = null
  private at = 0
  private readonly uses: readonly Use[]
  private readonly underWay = new Set<Promise<void>>()

  constructor(memory: Buffer, uses: readonly Use[]) {
    this.uses = uses
    this.free = Array.from({ length: BLOCKS }, (_, index) => ({
      index,
      bytes: memory.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
    }))
  }

  take(): Block | undefined {
    return this.free.pop()
  }

  get isEmpty(): boolean {
    return this.free.length === 0
  }

  /** Calls back once, when there is a free block. */
  whenFree(then: () => void): void {
    if (this.isEmpty) this.waiting = then
    else then()
  }

  filled(block: Block, length: number): void {
    const { at } = this
    this.at += length
    const used = Promise.all(this.uses.map((use) => use(block, length, at))).then(() => {
      this.underWay.delete(used)
      this.free.push(block)
      const { waiting } = this
      this.waiting = null
      waiting?.()
    })
    this.underWay.add(used)
    used.catch(fail)
  }

  async drained(): Promise<void> {
    await Promise.all(this.underWay)
  }
}

function fail(error: Error): never {
  console.error(`raw ${part} failed: ${error.message}`)
  process.exit(1)
}

/** Memory that can be written past the page cache as it is: where it begins is tried with a page of the file. */
function blocksFor(probe: number | null): Buffer {
  const memory = Buffer.from(new SharedArrayBuffer(BLOCKS * BLOCK_BYTES + PAGE_BYTES))
  for (let at = 0; probe !== null && at < PAGE_BYTES; at += ALIGN_STEP_BYTES) {
    try {
      readSync(probe, memory, at, PAGE_BYTES, 0)
      return memory.subarray(at, at + BLOCKS * BLOCK_BYTES)
    } catch {
      // Not here.
    }
  }
  return memory.subarray(0, BLOCKS * BLOCK_BYTES)
}

class Kept {
  readonly probe: number | null
  private readonly file: FileHandle
  private bytes = 0

  private constructor(file: FileHandle, probe: number | null) {
    this.file = file
    this.probe = probe
  }

  static async create(): Promise<Kept> {
    writePage()
    try {
      const file = await open(path, constants.O_RDWR | (constants.O_DIRECT ?? 0))
      return new Kept(file, file.fd)
    } catch {
      return new Kept(await open(path, 'r+'), null)
    }
  }

  readonly keep: Use = async ({ bytes }, length, at) => {
    this.bytes = Math.max(this.bytes, at + length)
    // Whole pages; the file is cut to its length at the end.
    const pages = Math.ceil(length / PAGE_BYTES) * PAGE_BYTES
    const { bytesWritten } = await this.file.write(bytes, 0, pages, at)
    if (bytesWritten !== pages) throw new Error(`only ${bytesWritten} of ${pages} bytes were written`)
  }

  async close(): Promise<void> {
    ftruncateSync(this.file.fd, this.bytes)
    await this.file.sync()
    await this.file.close()
  }
}

/** There must be something to try the memory with. */
function writePage(): void {
  const handle = openSync(path, 'wx')
  writeSync(handle, Buffer.alloc(PAGE_BYTES))
  closeSync(handle)
}

/** What else has to end. */
const endings: (() => Promise<unknown>)[] = []

/** One hash of everything, in a thread of its own. */
function hashing(memory: Buffer): Use {
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads')
    const hash = require('node:crypto').createHash('sha256')
    const memory = Buffer.from(workerData.buffer, workerData.offset)
    parentPort.on('message', ({ at, length }) => {
      hash.update(memory.subarray(at, at + length))
      parentPort.postMessage(0)
    })`,
    { eval: true, workerData: { buffer: memory.buffer, offset: memory.byteOffset } },
  )
  const waiting: (() => void)[] = []
  worker.on('message', () => waiting.shift()?.())
  worker.once('error', fail)
  endings.push(() => worker.terminate())
  return ({ index }, length) => {
    worker.postMessage({ at: index * BLOCK_BYTES, length })
    return new Promise((resolve) => waiting.push(resolve))
  }
}

const sending =
  (socket: Socket): Use =>
  ({ bytes }, length) =>
    new Promise((resolve, reject) => {
      socket.write(bytes.subarray(0, length), (error) => (error ? reject(error) : resolve()))
    })

async function listening(): Promise<Socket> {
  const server = createServer({ noDelay: true })
  const connected = new Promise<Socket>((resolve) => server.once('connection', resolve))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  process.send?.({ port: (server.address() as AddressInfo).port })
  const socket = await connected
  server.close()
  return socket.once('error', fail)
}

/** Fills blocks from the peer until it ends. */
function receive(ring: Ring): Promise<void> {
  return new Promise((resolve) => {
    let block = ring.take() as Block
    let filled = 0
    const socket: Socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: () => block.bytes.subarray(filled),
        callback: (length) => {
          filled += length
          if (filled < BLOCK_BYTES) return true
          ring.filled(block, filled)
          // The last free one is made ready before reading stops: the next read goes there.
          block = ring.take() as Block
          filled = 0
          if (!ring.isEmpty) return true
          ring.whenFree(() => socket.resume())
          return false
        },
      },
    })
    socket.once('error', fail)
    socket.once('end', () => {
      if (filled > 0) ring.filled(block, filled)
      resolve()
    })
  })
}

async function readFile(ring: Ring): Promise<void> {
  const file = await open(path)
  for (;;) {
    await new Promise<void>((resolve) => ring.whenFree(resolve))
    const block = ring.take() as Block
    const { bytesRead } = await file.read(block.bytes, 0, BLOCK_BYTES)
    if (bytesRead === 0) break
    ring.filled(block, bytesRead)
  }
  await file.close()
}

const kept = part === 'source' ? null : await Kept.create()
const memory = blocksFor(kept?.probe ?? null)
const next = part === 'sink' ? null : await listening()
const ring = new Ring(memory, [
  ...(hashes ? [hashing(memory)] : []),
  ...(kept === null ? [] : [kept.keep]),
  ...(next === null ? [] : [sending(next)]),
])
await (part === 'source' ? readFile(ring) : receive(ring)).catch(fail)
await ring.drained()
await new Promise<void>((resolve) => (next === null ? resolve() : next.end(resolve)))
await kept?.close()
for (const end of endings) await end()
process.disconnect?.()
