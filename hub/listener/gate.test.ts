import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { Gate, remoteOf } from './gate.ts'

/** A gate for two behind a real server; gives clients, and who was let in, in order. */
async function scene(clients: number) {
  const gate = new Gate(2)
  const begun: string[] = []
  const accepted: Socket[] = []
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    accepted.push(socket)
    gate.enter(socket, (inside) => {
      begun.push(remoteOf(inside))
      inside.resume()
    })
    server.emit('entered')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const sockets: Socket[] = []
  for (let i = 0; i < clients; i++) {
    const entered = once(server, 'entered')
    const socket = connect(port, '127.0.0.1')
    await Promise.all([once(socket, 'connect'), entered])
    sockets.push(socket)
  }
  const names = sockets.map(({ localPort }) => `127.0.0.1:${localPort}`)
  const nameOf = (i: number) => names[i] as string
  const end = async () => {
    for (const socket of [...sockets, ...accepted]) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return { gate, begun, sockets, nameOf, end }
}

t.test('so many at a time, first come first served', async (t) => {
  const { gate, begun, nameOf, end } = await scene(5)
  t.same(begun, [nameOf(0), nameOf(1)])
  gate.leave(nameOf(1))
  t.same(begun, [0, 1, 2].map(nameOf))
  gate.leave(nameOf(1))
  t.equal(begun.length, 3, 'leaving twice lets nobody in')
  gate.leave(nameOf(0))
  gate.leave(nameOf(2))
  t.same(begun, [0, 1, 2, 3, 4].map(nameOf))
  t.equal(gate.waitingCount, 0)
  await end()
})

t.test('who goes away makes room, inside at once, waiting when its turn comes', async (t) => {
  const { gate, begun, sockets, nameOf, end } = await scene(5)
  sockets[2]?.resetAndDestroy()
  sockets[0]?.resetAndDestroy()
  while (begun.length < 4) await new Promise((resolve) => setImmediate(resolve))
  t.same(begun, [0, 1, 2, 3].map(nameOf))
  t.equal(gate.waitingCount, 1)
  await end()
})
