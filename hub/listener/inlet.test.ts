// What accepted connections hand on, byte for byte, although all of it comes through one buffer; that both ways end, and that the
// server knows.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { readThroughInlet } from './inlet.ts'

const seed = testSeed()
t.comment(`SEED=${seed}`)
const random = new Random(seed)

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

t.test('several connections at once: each gets its own bytes, then the end', async (t) => {
  const contents = [1, 70_000, 3_000_000, 300_000].map((bytes) => random.bytes(bytes))
  const server = createServer({ pauseOnConnect: true }, (accepted) => {
    const { socket, read } = readThroughInlet(accepted)
    t.not(socket, accepted, 'this Node gives the connection away')
    const hash = createHash('sha256')
    read((chunk) => void hash.update(chunk))
    socket.on('end', () => socket.end(hash.digest('hex')))
    socket.resume()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await Promise.all(
    contents.map(async (content) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.end(content)
      const answer: Buffer[] = []
      for await (const chunk of socket) answer.push(chunk as Buffer)
      t.equal(Buffer.concat(answer).toString(), digest(content))
    }),
  )
  server.close()
  // It would wait for ever for a connection that it does not see end.
  await once(server, 'close')
})

t.test('a peer that resets the connection ends it', async (t) => {
  const server = createServer({ pauseOnConnect: true }, (accepted) => {
    const { socket, read } = readThroughInlet(accepted)
    read(() => undefined)
    socket.once('error', (error: NodeJS.ErrnoException) => server.emit('reset', error.code))
    socket.resume()
    socket.write('here')
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const reset = once(server, 'reset')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(client, 'data')
  client.resetAndDestroy()
  t.same(await reset, ['ECONNRESET'])
  server.close()
  await once(server, 'close')
})
