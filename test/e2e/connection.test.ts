// Every way to reach a hub, and everything else that knocks on its ports.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { Client } from '#agent/client/mod.ts'
import { type Identity, loadIdentity } from '#agent/identity/mod.ts'
import { PREFACE } from '#protocol/frame/mod.ts'
import { bodiesOf, eventually, HOST, inTime, localHub, numbered } from './support.ts'

const config = { limits: { sessionsMax: 6 } }
const queues = [{ name: 'all', topics: ['#'] }]
const plain = await localHub(t, { queues, config })
const secure = await localHub(t, { queues, tls: true, config })

async function roundTrip(t: Test, identity: Identity, address: string): Promise<void> {
  const client = await Client.connect({ identity, addresses: [address] })
  try {
    const subscription = await client.subscribe({ name: 'round', topics: ['round'], ephemeral: true })
    const publisher = client.publisher({ stream: 'round' })
    for (const body of numbered(3)) void publisher.publish({ topic: 'round', body: Buffer.from(body) })
    await publisher.flush()
    t.same(await bodiesOf(subscription, 3), numbered(3))
  } finally {
    await client.close()
  }
}

/** What the hub sends until it ends the connection. */
async function answerTo(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined)
  await inTime(once(socket, 'close'), 'the hub closes the connection')
  return Buffer.concat(chunks)
}

t.test('TCP on this machine, TLS 1.3, ws and wss carry the same', async (t) => {
  const alone = await plain.enroll('everywhere')
  const safe = await secure.enroll('everywhere')
  await roundTrip(t, alone, plain.tcpAddress)
  await roundTrip(t, alone, plain.websocketAddress)
  await roundTrip(t, safe, secure.tcpAddress)
  await roundTrip(t, safe, secure.tcpAddress.replace('tls://', ''))
  await roundTrip(t, safe, secure.websocketAddress)
})

t.test('TLS 1.2 is refused', async (t) => {
  const socket = connectTls({ host: HOST, port: secure.tcpPort, maxVersion: 'TLSv1.2', rejectUnauthorized: false })
  const [error] = (await inTime(once(socket, 'error'), 'an error')) as [NodeJS.ErrnoException]
  t.match(error.code, /^ERR_SSL/)
})

t.test('an agent does not talk to a hub of another authority', async (t) => {
  const identity = await plain.enroll('stranger')
  const failed = await Client.connect({ identity, addresses: [secure.tcpAddress] }).catch((error: unknown) => error)
  t.match(failed, { code: 'HUB_TLS_FAILED', remedy: /own hub/ })
  const failedWs = await Client.connect({ identity, addresses: [secure.websocketAddress] }).catch(
    (error: unknown) => error,
  )
  t.match(failedWs, { code: 'HUB_TLS_FAILED' })
})

t.test('a hub does not talk to an agent of another authority', async (t) => {
  const ours = await plain.enroll('double')
  const theirs = await secure.enroll('double')
  const mixed = { ...theirs, caCertificate: ours.caCertificate }
  const failed = await Client.connect({ identity: mixed, addresses: [plain.tcpAddress] }).catch(
    (error: unknown) => error,
  )
  t.match(failed, { code: 'HANDSHAKE_REFUSED', details: { peerCode: 'CERTIFICATE_UNTRUSTED' } })
})

t.test('plain speech on the TLS port and TLS on the plain port fail with a reason', async (t) => {
  const identity = await secure.enroll('wrong-port')
  const address = secure.tcpAddress.replace('tls:', 'tcp:')
  const failed = await inTime(
    Client.connect({ identity, addresses: [address] }).catch((error: unknown) => error),
    'a refusal',
  )
  t.match(failed, { code: /^(FRAME_|SESSION_|CONNECTION_LOST)/ })
  t.not((failed as { code: string }).code, 'INTERNAL')
  const other = await plain.enroll('wrong-port')
  const tls = plain.tcpAddress.replace('tcp:', 'tls:')
  const before = plain.lines.length
  t.match(await Client.connect({ identity: other, addresses: [tls] }).catch((error: unknown) => error), {
    code: /^HUB_(TLS_FAILED|UNREACHABLE)$/,
  })
  await eventually('the hub says so', () => plain.lines.length > before)
})

t.test('nobody listens there', async (t) => {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  const identity = loadIdentity(plain.identityFolder('everywhere'))
  const failed = await Client.connect({ identity, addresses: [`tcp://${HOST}:${port}`] }).catch(
    (error: unknown) => error,
  )
  t.match(failed, { code: 'HUB_UNREACHABLE', where: `${HOST}:${port}` })
  await t.rejects(Client.connect({ identity, addresses: ['tcp://192.0.2.1:7400'] }), { code: 'ADDRESS_INVALID' })
})

t.test('an HTTP request, garbage and an empty connection end, and the hub says so once', async (t) => {
  const before = plain.lines.length
  const http = connect(plain.tcpPort, HOST)
  http.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  const answer = await answerTo(http)
  t.ok(answer.subarray(0, PREFACE.length).equals(PREFACE), 'the hub speaks first, as it does to everyone')
  const garbage = connect(plain.tcpPort, HOST)
  garbage.write(Buffer.alloc(100_000, 0xa5))
  await answerTo(garbage)
  const huge = connect(plain.tcpPort, HOST)
  huge.write(Buffer.concat([PREFACE, Buffer.from([0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0])]))
  await answerTo(huge)
  connect(plain.tcpPort, HOST).end()
  const warnings = await eventually('four warnings', () => {
    const found = plain.lines
      .slice(before)
      .filter(({ level, message }) => level === 'warn' && message === 'connection ended')
    return found.length >= 4 ? found : undefined
  })
  t.equal(warnings.length, 4)
  t.ok(warnings.every(({ details }) => typeof (details.fault as { remedy: string }).remedy === 'string'))
  const tls = connect(secure.tcpPort, HOST)
  tls.write('GET / HTTP/1.1\r\n\r\n')
  await answerTo(tls)
  const response = await fetch(`http://${HOST}:${plain.websocketPort}/causeway`)
  t.equal(response.status, 426, 'the WebSocket port says what it wants')
  t.match(await response.text(), /WebSocket/)
})

t.test('who does not finish his handshake is let go after handshakeMs, on every port', async (t) => {
  // Only here: who is in earnest may need longer on a busy machine.
  const impatient = { queues, config: { limits: { handshakeMs: 1000 } } }
  const [plain, secure] = [await localHub(t, impatient), await localHub(t, { ...impatient, tls: true })]
  const silent = [
    connect(plain.tcpPort, HOST),
    connect(plain.websocketPort, HOST),
    connect(secure.tcpPort, HOST),
    connect(secure.websocketPort, HOST),
  ]
  const greeted = connect(plain.tcpPort, HOST)
  greeted.write(PREFACE)
  const names = ['TCP', 'WebSocket', 'TLS', 'WebSocket over TLS', 'TCP, after the preface']
  const waited = [...silent, greeted].map(async (socket, i) => {
    await answerTo(socket)
    t.pass(`${names[i]}`)
  })
  await Promise.all(waited)
})

t.test('no more sessions than sessionsMax; who waits gets in when one leaves', async (t) => {
  await eventually('nobody here', () => plain.status().sessions.length === 0)
  const guests = await Promise.all(numbered(6).map((i) => plain.enroll(`guest-${i}`)))
  const extra = await plain.enroll('guest-too-many')
  const clients: Client[] = []
  for (const identity of guests) clients.push(await Client.connect({ identity }))
  const seventh = Client.start({ identity: extra, reconnectMsFirst: 20, reconnectMsMax: 50 })
  await plain.logged(({ message }) => message === 'connection refused')
  t.notOk(seventh.connected)
  t.ok(clients.every(({ connected }) => connected))
  await clients[0]?.close()
  await eventually('the seventh is in', () => seventh.connected)
  await Promise.all([...clients, seventh].map((client) => client.close()))
})
