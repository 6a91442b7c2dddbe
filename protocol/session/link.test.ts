// A link driven by hand: what the transport would do is called here, time is a number, the handshake is a script.

import t from 'tap'
import { declareFaults, type Fault } from '#protocol/base/mod.ts'
import {
  BATCH_FRAME_BYTES_MAX,
  CHANNEL_CONTROL,
  CHANNEL_MESSAGES,
  CHANNEL_RECEIPTS,
  FRAME_ACCEPTED,
  FRAME_BATCH,
  FRAME_CLOSE,
  FRAME_HELLO,
  FRAME_PING,
  FRAME_PONG,
  FRAME_PROOF,
  FRAME_READY,
  FrameReader,
  frameOf,
  HANDSHAKE_FRAME_BYTES_MAX,
  PREFACE,
} from '#protocol/frame/mod.ts'
import { closeBody } from '#protocol/handshake/mod.ts'
import { decodeClose } from '#protocol/schema/mod.ts'
import { type Agreed, type Handshake, Link, sessionFault } from './mod.ts'

const testFault = declareFaults('link-test', { TEST_REFUSED: { meaning: 'the test refuses', remedy: 'Nothing' } })
const KEEPALIVE_MS = 1000
const HANDSHAKE_MS_MAX = 5000
const AGREED = { keepaliveMs: KEEPALIVE_MS, frameBytesMax: BATCH_FRAME_BYTES_MAX }

type Sent = { kind: number; channel: number; body: Buffer }

/** Starts with HELLO, answers HELLO with PROOF and is done at PROOF. Anything else is refused. */
function script(): Handshake<Agreed> {
  return {
    start: () => [[FRAME_HELLO, Buffer.from('hello')]],
    receive(kind, body) {
      if (kind === FRAME_HELLO) return { send: [[FRAME_PROOF, Buffer.from(`proof for ${body}`)]], done: null }
      if (kind === FRAME_PROOF) return { send: [[FRAME_READY, Buffer.alloc(0)]], done: AGREED }
      throw testFault('TEST_REFUSED', { why: `kind ${kind}`, where: 'the inner life of this side' })
    },
  }
}

class Side {
  sent: Sent[] = []
  wire: Buffer[] = []
  events: string[] = []
  closedBy: Fault | null = null
  transportEnded = 0
  readonly link: Link<Agreed>
  private readonly reader = new FrameReader((kind, channel, body) =>
    this.sent.push({ kind, channel, body: Buffer.from(body) }),
  )

  constructor(onFrame: (kind: number, channel: number, body: Buffer) => void = () => {}) {
    this.reader.batchBytesMax = BATCH_FRAME_BYTES_MAX
    this.link = new Link({
      transport: {
        write: (bytes) => {
          this.wire.push(bytes)
          this.reader.push(bytes)
        },
        end: () => this.transportEnded++,
      },
      handler: {
        onReady: () => this.events.push('ready'),
        onFrame: (kind, channel, body) => {
          this.events.push(`frame ${kind} ${channel} ${body.length}`)
          onFrame(kind, channel, body)
        },
        onClosed: (fault) => {
          this.events.push('closed')
          this.closedBy = fault
        },
      },
      handshake: script(),
      nowMs: 0,
      handshakeMsMax: HANDSHAKE_MS_MAX,
    })
  }

  /** What was sent since the last call. */
  take(): Sent[] {
    return this.sent.splice(0)
  }

  get closeCode(): string | undefined {
    return this.closedBy?.code
  }
}

/** A link past its handshake at time 0. */
function ready(onFrame?: (kind: number, channel: number, body: Buffer) => void): Side {
  const side = new Side(onFrame)
  side.link.start()
  const frames = [frameOf(FRAME_HELLO, 0, Buffer.from('x')), frameOf(FRAME_PROOF, 0, Buffer.alloc(0))]
  side.link.receive(0, Buffer.concat([PREFACE, ...frames]))
  side.take()
  return side
}

t.test('two links greet, agree and talk', async (t) => {
  const a = new Side()
  const b = new Side()
  let now = 0
  const pump = (): void => {
    for (let moved = true; moved; ) {
      moved = false
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        for (const bytes of from.wire.splice(0)) {
          moved = true
          to.link.receive(++now, bytes)
        }
      }
    }
  }
  a.link.start()
  b.link.start()
  t.notOk(a.link.ready)
  t.ok(a.wire[0]?.equals(PREFACE), 'the preface first')
  // Both scripts answer PROOF with READY; the later one comes when its reader is ready and reaches the handler.
  pump()
  t.ok(a.link.ready)
  t.ok(b.link.ready)
  a.events.length = 0
  b.link.send(FRAME_ACCEPTED, CHANNEL_RECEIPTS, Buffer.from('abc'))
  b.link.sendParts(frameOf(FRAME_BATCH, CHANNEL_MESSAGES, Buffer.alloc(0)).fill(7, 0, 1), Buffer.alloc(7))
  pump()
  t.strictSame(a.events, [
    `frame ${FRAME_ACCEPTED} ${CHANNEL_RECEIPTS} 3`,
    `frame ${FRAME_BATCH} ${CHANNEL_MESSAGES} 7`,
  ])
  t.equal(a.link.bytesIn, b.link.bytesOut)
  t.equal(b.link.bytesIn, a.link.bytesOut)
})

t.test('a handshake that takes too long is ended, by tick', async (t) => {
  const side = new Side()
  side.link.start()
  side.link.receive(4000, PREFACE)
  side.link.tick(HANDSHAKE_MS_MAX)
  t.strictSame(side.events, [], 'still in time')
  side.link.tick(HANDSHAKE_MS_MAX + 1)
  t.equal(side.closeCode, 'SESSION_HANDSHAKE_SLOW')
  t.equal(side.take().at(-1)?.kind, FRAME_CLOSE)
  t.equal(side.transportEnded, 1)
  t.ok(side.link.closed)
  const done = ready()
  done.link.receive(HANDSHAKE_MS_MAX, frameOf(FRAME_PONG, 0, Buffer.alloc(8)))
  done.link.tick(HANDSHAKE_MS_MAX + 1)
  t.notOk(done.link.closed, 'no deadline after it')
})

t.test('what comes before READY goes to the handshake, never to the handler', async (t) => {
  for (const kind of [FRAME_PING, FRAME_PONG, FRAME_ACCEPTED, FRAME_BATCH]) {
    const side = new Side()
    side.link.start()
    const channel =
      kind === FRAME_BATCH ? CHANNEL_MESSAGES : kind === FRAME_ACCEPTED ? CHANNEL_RECEIPTS : CHANNEL_CONTROL
    side.link.receive(1, Buffer.concat([PREFACE, frameOf(kind, channel, Buffer.alloc(1))]))
    t.strictSame(side.events, ['closed'], `kind ${kind}`)
    t.equal(side.closeCode, 'TEST_REFUSED')
    const close = decodeClose(side.take().at(-1)?.body ?? Buffer.alloc(0))
    t.strictSame([close.code, close.message.includes('kind')], ['INTERNAL', false], 'a stranger learns nothing')
  }
})

t.test('a peer that speaks something else is told so and dropped', async (t) => {
  const side = new Side()
  side.link.start()
  side.link.receive(1, Buffer.from('GET / HTTP/1.1\r\n'))
  t.equal(side.closeCode, 'PREFACE_WRONG')
  t.equal(decodeClose(side.take().at(-1)?.body as Buffer).code, 'PREFACE_WRONG')
  side.link.receive(2, PREFACE)
  side.link.tick(9e9)
  side.link.ended(null)
  t.strictSame(side.events, ['closed'], 'dead: nothing has an effect any more')
})

t.test('frames right behind the handshake, in the same piece, reach the handler', async (t) => {
  const side = new Side()
  side.link.start()
  const batch = Buffer.alloc(HANDSHAKE_FRAME_BYTES_MAX + 1)
  const frames = [
    frameOf(FRAME_HELLO, 0, Buffer.from('x')),
    frameOf(FRAME_PROOF, 0, Buffer.alloc(0)),
    frameOf(FRAME_BATCH, CHANNEL_MESSAGES, batch),
  ]
  side.link.receive(1, Buffer.concat([PREFACE, ...frames]))
  t.strictSame(
    side.events,
    ['ready', `frame ${FRAME_BATCH} ${CHANNEL_MESSAGES} ${batch.length}`],
    'and the agreed limit holds',
  )
})

t.test('keepalive: a ping when either direction was idle, none while both speak', async (t) => {
  const side = ready()
  side.link.tick(KEEPALIVE_MS - 1)
  t.strictSame(side.take(), [])
  side.link.tick(KEEPALIVE_MS)
  t.strictSame(side.take(), [{ kind: FRAME_PING, channel: CHANNEL_CONTROL, body: Buffer.alloc(8) }])
  side.link.receive(1100, frameOf(FRAME_PONG, 0, Buffer.alloc(8)))
  t.strictSame(side.events, ['ready'], 'the pong is the link’s own')
  for (let now = 1500; now < 9000; now += 500) {
    side.link.tick(now)
    side.link.send(FRAME_ACCEPTED, CHANNEL_RECEIPTS, Buffer.alloc(0))
    side.link.receive(now, frameOf(FRAME_ACCEPTED, CHANNEL_RECEIPTS, Buffer.alloc(0)))
    t.notOk(
      side.take().some(({ kind }) => kind === FRAME_PING),
      `at ${now}`,
    )
  }
  side.link.tick(9400)
  t.strictSame(side.take(), [], 'less than an interval of silence')
})

t.test('keepalive: speaking alone does not hide a peer that is silent', async (t) => {
  const side = ready()
  let pings = 0
  for (let now = 100; now <= 3 * KEEPALIVE_MS; now += 100) {
    side.link.tick(now)
    side.link.send(FRAME_ACCEPTED, CHANNEL_RECEIPTS, Buffer.alloc(0))
    pings += side.take().filter(({ kind }) => kind === FRAME_PING).length
  }
  t.ok(pings > 0, 'it is asked')
  t.notOk(side.link.closed, 'three intervals are allowed')
  side.link.tick(3 * KEEPALIVE_MS + 1)
  t.equal(side.closeCode, 'SESSION_SILENT')
  t.equal(side.closedBy?.details.silentMs, 3 * KEEPALIVE_MS + 1)
  const close = decodeClose(side.take().at(-1)?.body as Buffer)
  t.equal(close.code, 'SESSION_SILENT')
  t.equal(side.transportEnded, 1)
})

t.test('any byte is a sign of life, half a frame too', async (t) => {
  const side = ready()
  side.link.receive(2500, Buffer.from([8]))
  side.link.tick(5000)
  t.notOk(side.link.closed)
  side.link.tick(2500 + 3 * KEEPALIVE_MS + 1)
  t.equal(side.closeCode, 'SESSION_SILENT')
})

t.test('a ping is answered with its own bytes, eight at most', async (t) => {
  const side = ready()
  for (const text of ['', 'abc', '12345678', '123456789']) {
    side.link.receive(1, frameOf(FRAME_PING, 0, Buffer.from(text)))
    t.strictSame(side.take(), [{ kind: FRAME_PONG, channel: CHANNEL_CONTROL, body: Buffer.from(text.slice(0, 8)) }])
  }
  t.strictSame(side.events, ['ready'])
})

t.test('closing tells the peer why, once', async (t) => {
  const side = ready()
  side.link.close(sessionFault('SESSION_CREDIT_EXCEEDED', { why: 'in full' }))
  const [frame, ...rest] = side.take()
  t.equal(frame?.kind, FRAME_CLOSE)
  t.strictSame(rest, [])
  const close = decodeClose(frame?.body as Buffer)
  t.equal(close.code, 'SESSION_CREDIT_EXCEEDED')
  t.match(close.message, /in full/, 'a peer that has proven itself gets the particulars')
  side.link.close(sessionFault('SESSION_SILENT'))
  side.link.send(FRAME_PING, CHANNEL_CONTROL, Buffer.alloc(8))
  side.link.receive(1, frameOf(FRAME_PING, 0, Buffer.alloc(8)))
  side.link.ended(null)
  t.strictSame(side.take(), [], 'nothing after CLOSE')
  t.strictSame(side.events, ['ready', 'closed'])
  t.equal(side.transportEnded, 1)
})

t.test('the peer’s CLOSE ends it without an answer', async (t) => {
  for (const side of [ready(), new Side()]) {
    const preface = side.link.ready ? Buffer.alloc(0) : PREFACE
    if (!side.link.ready) side.link.start()
    side.take()
    const body = closeBody(sessionFault('SESSION_SILENT', { why: 'over there' }), { authenticated: true })
    const more = frameOf(FRAME_ACCEPTED, CHANNEL_RECEIPTS, Buffer.alloc(0))
    side.link.receive(1, Buffer.concat([preface, frameOf(FRAME_CLOSE, 0, body), more]))
    t.strictSame(side.take(), [])
    t.equal(side.closeCode, 'HANDSHAKE_REFUSED')
    t.equal(side.closedBy?.details.peerCode, 'SESSION_SILENT')
    t.match(side.closedBy?.message, /over there/)
    t.equal(side.events.filter((event) => event.startsWith('frame')).length, 0, 'what follows is not looked at')
    t.equal(side.transportEnded, 1)
  }
})

t.test('a CLOSE that cannot be read ends it too', async (t) => {
  const side = ready()
  side.link.receive(1, frameOf(FRAME_CLOSE, 0, Buffer.from([0xff])))
  t.equal(side.closeCode, 'SCHEMA_INVALID')
  t.ok(side.link.closed)
})

t.test('two sides that close at once', async (t) => {
  const a = ready()
  const b = ready()
  a.wire.length = 0
  b.wire.length = 0
  a.link.close(sessionFault('SESSION_SILENT'))
  b.link.close(sessionFault('SESSION_SILENT'))
  b.link.receive(1, Buffer.concat(a.wire))
  a.link.receive(1, Buffer.concat(b.wire))
  t.strictSame(
    [a.events, b.events],
    [
      ['ready', 'closed'],
      ['ready', 'closed'],
    ],
  )
  t.strictSame([a.transportEnded, b.transportEnded], [1, 1])
})

t.test('a fault of the handler closes with it; an unforeseen error does not get out', async (t) => {
  const faulty = ready(() => {
    throw testFault('TEST_REFUSED', { why: 'said the handler' })
  })
  faulty.link.receive(1, frameOf(FRAME_ACCEPTED, CHANNEL_RECEIPTS, Buffer.alloc(0)))
  t.equal(faulty.closeCode, 'TEST_REFUSED')
  t.match(decodeClose(faulty.take()[0]?.body as Buffer).message, /said the handler/)
  const broken = ready(() => {
    throw new TypeError('a bug')
  })
  const frame = frameOf(FRAME_ACCEPTED, CHANNEL_RECEIPTS, Buffer.alloc(0))
  broken.link.receive(1, Buffer.concat([frame, frame]))
  t.equal(broken.closeCode, 'INTERNAL')
  t.equal(broken.events.filter((event) => event.startsWith('frame')).length, 1)
})

t.test('the connection’s own end', async (t) => {
  const clean = ready()
  clean.link.ended(null)
  t.equal(clean.closeCode, 'SESSION_CLOSED_BY_PEER')
  const failed = ready()
  const cause = sessionFault('SESSION_CLOSED_BY_PEER', { why: 'ECONNRESET' })
  failed.link.ended(cause)
  failed.link.ended(null)
  t.equal(failed.closedBy, cause)
  t.strictSame(failed.events, ['ready', 'closed'])
  t.strictSame(failed.take(), [], 'there is nobody to tell')
})
