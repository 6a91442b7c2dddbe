// What connections hand on, byte for byte, although all of it comes through one buffer; and that they end when the peer does.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { dial, readChunks } from './dial.ts'

const seed = testSeed()
t.comment(`SEED=${seed}`)
const random = new Random(seed)

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function serverOf(t: Test, ...parts: readonly Buffer[]): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    for (const part of parts) socket.write(part)
    socket.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

const dialled = (port: number) =>
  dial({
    address: { kind: 'tcp', host: '127.0.0.1', port },
    caPem: null,
    hubName: 'hub',
    timeoutMs: 60_000,
  })

t.test('what the peer sends comes in order and whole, then the end', async (t) => {
  const parts = [8, 1, 70_000, 3_000_000, 0, 300_000].map((bytes) => random.bytes(bytes))
  const made = await dialled(await serverOf(t, ...parts))
  const { stream } = made
  const copies: Buffer[] = []
  const buffers = new Set<ArrayBufferLike>()
  readChunks(made, (chunk) => {
    buffers.add(chunk.buffer)
    copies.push(Buffer.from(chunk))
  })
  await once(stream, 'close')
  t.equal(digest(Buffer.concat(copies)), digest(Buffer.concat(parts)))
  t.equal(buffers.size, 1, 'one receive buffer')
})

t.test('connections that receive at once do not get into each other', async (t) => {
  const all = Array.from({ length: 8 }, () => Array.from({ length: 40 }, () => random.bytes(random.below(60_000))))
  const found = await Promise.all(
    all.map(async (parts) => {
      const made = await dialled(await serverOf(t, ...parts))
      const hash = createHash('sha256')
      readChunks(made, (chunk) => hash.update(chunk))
      await once(made.stream, 'close')
      return hash.digest('hex')
    }),
  )
  t.same(
    found,
    all.map((parts) => digest(Buffer.concat(parts))),
  )
})

t.test('what came before anybody listened is kept', async (t) => {
  const parts = [random.bytes(100), random.bytes(500_000)]
  const made = await dialled(await serverOf(t, ...parts))
  const { stream } = made
  const closed = once(stream, 'close')
  await once(stream, 'end')
  const copies: Buffer[] = []
  readChunks(made, (chunk) => copies.push(Buffer.from(chunk)))
  await closed
  t.equal(digest(Buffer.concat(copies)), digest(Buffer.concat(parts)))
})
