import t from 'tap'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import {
  BATCH_FRAME_BYTES_MAX,
  BULK_FRAME_BYTES_MAX,
  CHANNEL_BULK,
  CHANNEL_CONTROL,
  CHANNEL_LAST,
  CHANNEL_MESSAGES,
  CHANNEL_RECEIPTS,
  CONTROL_FRAME_BYTES_MAX,
  FLAG_IGNORABLE,
  FRAME_ACCEPTED,
  FRAME_BATCH,
  FRAME_CHUNK_DATA,
  FRAME_CLOSE,
  FRAME_DELIVER,
  FRAME_HEADER_BYTES,
  FRAME_HELLO,
  FRAME_PING,
  FrameReader,
  frameOf,
  frameRule,
  frameRules,
  frameStart,
  HANDSHAKE_FRAME_BYTES_MAX,
  PREFACE,
} from './mod.ts'

type Frame = [kind: number, channel: number, body: string]

/** A reader past the handshake that notes frames; bodies are copied because they may alias what is pushed. */
function collector(): { reader: FrameReader; frames: Frame[] } {
  const frames: Frame[] = []
  const reader = new FrameReader((kind, channel, body) => frames.push([kind, channel, body.toString('hex')]))
  reader.batchBytesMax = BATCH_FRAME_BYTES_MAX
  return { reader, frames }
}

function header(length: number, kind: number, flags: number, channel: number): Buffer {
  const out = Buffer.alloc(FRAME_HEADER_BYTES)
  out.writeUInt32LE(length, 0)
  out[4] = kind
  out[5] = flags
  out.writeUInt16LE(channel, 6)
  return out
}

const sample: readonly [number, number, Buffer][] = [
  [FRAME_HELLO, CHANNEL_CONTROL, Buffer.from('hello')],
  [FRAME_PING, CHANNEL_CONTROL, Buffer.alloc(0)],
  [FRAME_BATCH, CHANNEL_MESSAGES, Buffer.from('a batch of some length, longer than a header')],
  [FRAME_ACCEPTED, CHANNEL_RECEIPTS, Buffer.alloc(0)],
  [FRAME_DELIVER, CHANNEL_BULK, Buffer.from([0])],
  [FRAME_CLOSE, CHANNEL_CONTROL, Buffer.from('bye')],
]
const stream = Buffer.concat([PREFACE, ...sample.map(([kind, channel, body]) => frameOf(kind, channel, body))])
const wanted: Frame[] = sample.map(([kind, channel, body]) => [kind, channel, body.toString('hex')])

t.test('the header on the wire', async (t) => {
  const frame = frameOf(FRAME_ACCEPTED, CHANNEL_RECEIPTS, Buffer.from('xyz'))
  t.equal(frame.toString('hex'), '0300000013000300' + '78797a')
  const start = frameStart(FRAME_BATCH, CHANNEL_MESSAGES, 8, 500)
  t.equal(start.length, 16)
  t.equal(start.toString('hex', 0, 8), 'fc01000012000200')
  t.equal(PREFACE.toString('latin1'), 'CWAY\r\n\x9a\n')
})

t.test('two cuts anywhere give the same frames', async (t) => {
  for (let a = 0; a <= stream.length; a++) {
    for (let b = a; b <= stream.length; b++) {
      const { reader, frames } = collector()
      for (const part of [stream.subarray(0, a), stream.subarray(a, b), stream.subarray(b)]) reader.push(part)
      reader.end()
      if (JSON.stringify(frames) !== JSON.stringify(wanted)) return t.fail(`cut at ${a} and ${b}`)
    }
  }
  t.pass(`${stream.length} bytes`)
})

t.test('byte by byte, and all at once', async (t) => {
  const slow = collector()
  for (let at = 0; at < stream.length; at++) slow.reader.push(stream.subarray(at, at + 1))
  t.strictSame(slow.frames, wanted)
  const fast = collector()
  fast.reader.push(stream)
  t.strictSame(fast.frames, wanted)
})

t.test('random streams in random pieces', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 400; round++) {
    const frames: [number, number, Buffer][] = []
    for (let i = random.below(12); i >= 0; i--) {
      const [kind, rule] = random.pick(frameRules)
      frames.push([
        kind,
        random.pick(rule.channels),
        random.bytes(random.oneIn(3) ? random.below(5000) : random.below(20)),
      ])
    }
    const bytes = Buffer.concat([PREFACE, ...frames.map(([kind, channel, body]) => frameOf(kind, channel, body))])
    const { reader, frames: found } = collector()
    for (let at = 0; at < bytes.length; ) {
      const length = random.oneIn(2) ? random.below(12) : random.below(3000)
      // Each piece in a buffer of its own that is overwritten afterwards, as a socket's may be.
      const piece = Buffer.from(bytes.subarray(at, at + length))
      reader.push(piece)
      piece.fill(0xdd)
      at += length
    }
    reader.end()
    const all = frames.map(([kind, channel, body]) => [kind, channel, body.toString('hex')])
    if (JSON.stringify(found) !== JSON.stringify(all)) return t.fail(`round ${round}`)
  }
  t.pass('400 streams')
})

t.test("a body is nobody else's memory: overwriting the piece it came in does not change it", async (t) => {
  const bodies: Buffer[] = []
  const control = frameOf(FRAME_PING, CHANNEL_CONTROL, Buffer.from('12345678'))
  const empty = frameOf(FRAME_PING, CHANNEL_CONTROL, Buffer.alloc(0))
  const batches = [100, 5_000, 70_000].map((bytes) =>
    frameOf(FRAME_BATCH, CHANNEL_MESSAGES, Buffer.alloc(bytes, `${bytes}`)),
  )
  const stream = Buffer.concat([PREFACE, control, ...batches, empty, control])
  const wanted = stream.toString('latin1')
  // One receive buffer for all reads, as sockets have: the next read overwrites what the last one brought.
  for (const receiveBytes of [7, 64, 4096, stream.length]) {
    bodies.length = 0
    const reader = new FrameReader((_kind, _channel, body) => bodies.push(body))
    reader.batchBytesMax = BATCH_FRAME_BYTES_MAX
    const received = Buffer.alloc(receiveBytes)
    for (let at = 0; at < stream.length; at += receiveBytes) {
      const bytes = stream.copy(received, 0, at, at + receiveBytes)
      reader.push(received.subarray(0, bytes))
      received.fill(0xdd)
    }
    reader.end()
    t.equal(bodies.length, 6)
    const frames = bodies.map((body, i) =>
      frameOf(i > 0 && i < 4 ? FRAME_BATCH : FRAME_PING, i > 0 && i < 4 ? CHANNEL_MESSAGES : CHANNEL_CONTROL, body),
    )
    t.ok(Buffer.concat([PREFACE, ...frames]).toString('latin1') === wanted, `read ${receiveBytes} bytes at a time`)
  }
})

t.test('bodies of every maximum pass, one byte more does not', async (t) => {
  const limits: [number, number, number][] = [
    [FRAME_HELLO, CHANNEL_CONTROL, HANDSHAKE_FRAME_BYTES_MAX],
    [FRAME_PING, CHANNEL_CONTROL, CONTROL_FRAME_BYTES_MAX],
    [FRAME_BATCH, CHANNEL_MESSAGES, BATCH_FRAME_BYTES_MAX],
    [FRAME_CHUNK_DATA, CHANNEL_BULK, BULK_FRAME_BYTES_MAX],
  ]
  for (const [kind, channel, max] of limits) {
    const { reader, frames } = collector()
    reader.push(Buffer.concat([PREFACE, frameOf(kind, channel, Buffer.alloc(max))]))
    t.equal(frames[0]?.[2].length, 2 * max)
    const code = faultCode(() => reader.push(header(max + 1, kind, 0, channel)))
    t.equal(code, 'FRAME_TOO_LARGE', 'refused at its header, before a body is allocated')
  }
})

t.test(
  'a part of large content is bounded before the handshake ends, and then whatever was agreed for batches',
  async (t) => {
    const code = (batchBytesMax: number, length: number) => {
      const reader = new FrameReader(() => {})
      reader.batchBytesMax = batchBytesMax
      reader.push(PREFACE)
      return faultCode(() => reader.push(header(length, FRAME_CHUNK_DATA, 0, CHANNEL_BULK)))
    }
    t.equal(code(HANDSHAKE_FRAME_BYTES_MAX, HANDSHAKE_FRAME_BYTES_MAX), null)
    t.equal(code(HANDSHAKE_FRAME_BYTES_MAX, HANDSHAKE_FRAME_BYTES_MAX + 1), 'FRAME_TOO_LARGE')
    for (const agreed of [65_536, BATCH_FRAME_BYTES_MAX]) {
      t.equal(code(agreed, BULK_FRAME_BYTES_MAX), null, `${agreed} agreed`)
      t.equal(code(agreed, BULK_FRAME_BYTES_MAX + 1), 'FRAME_TOO_LARGE')
    }
  },
)

t.test('before the handshake ends a batch may be no longer than a handshake frame', async (t) => {
  const reader = new FrameReader(() => {})
  reader.push(PREFACE)
  const long = header(HANDSHAKE_FRAME_BYTES_MAX + 1, FRAME_BATCH, 0, CHANNEL_MESSAGES)
  t.equal(
    faultCode(() => reader.push(long)),
    'FRAME_TOO_LARGE',
  )
  const agreed = new FrameReader(() => {})
  agreed.batchBytesMax = 2 ** 40
  agreed.push(PREFACE)
  const huge = header(BATCH_FRAME_BYTES_MAX + 1, FRAME_BATCH, 0, CHANNEL_MESSAGES)
  t.equal(
    faultCode(() => agreed.push(huge)),
    'FRAME_TOO_LARGE',
    'whatever was agreed',
  )
})

t.test('a wrong preface is refused at its first wrong byte', async (t) => {
  for (let at = 0; at < PREFACE.length; at++) {
    const bytes = Buffer.from(PREFACE)
    bytes[at] = (bytes[at] as number) ^ 0x20
    const { reader } = collector()
    for (let i = 0; i < at; i++) reader.push(bytes.subarray(i, i + 1))
    t.equal(
      faultCode(() => reader.push(bytes.subarray(at, at + 1))),
      'PREFACE_WRONG',
      `byte ${at}`,
    )
  }
  for (const other of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x02\x00', 'CWAY\n\x9a\n', 'CWB1']) {
    t.equal(
      faultCode(() => collector().reader.push(Buffer.from(other, 'latin1'))),
      'PREFACE_WRONG',
      JSON.stringify(other),
    )
  }
})

t.test('reserved flags close, whatever the kind', async (t) => {
  for (const kind of [FRAME_PING, 0x77]) {
    for (let bit = 0; bit < 7; bit++) {
      const { reader } = collector()
      reader.push(PREFACE)
      const code = faultCode(() => reader.push(header(0, kind, FLAG_IGNORABLE | (1 << bit), CHANNEL_CONTROL)))
      t.equal(code, 'FRAME_FLAGS_RESERVED', `kind ${kind}, bit ${bit}`)
    }
  }
})

t.test('a known kind may carry the ignorable flag', async (t) => {
  const { reader, frames } = collector()
  reader.push(Buffer.concat([PREFACE, header(1, FRAME_PING, FLAG_IGNORABLE, CHANNEL_CONTROL), Buffer.from('x')]))
  t.strictSame(frames, [[FRAME_PING, CHANNEL_CONTROL, '78']])
})

t.test('an unknown kind closes, unless it says that it may be skipped', async (t) => {
  for (let kind = 0; kind < 256; kind++) {
    if (frameRule(kind) !== undefined) continue
    const { reader } = collector()
    reader.push(PREFACE)
    if (faultCode(() => reader.push(header(0, kind, 0, 0))) !== 'FRAME_KIND_UNKNOWN') t.fail(`kind ${kind}`)
    const skipped = collector()
    const body = Buffer.alloc(70, 0x41)
    const next = frameOf(FRAME_PING, CHANNEL_CONTROL, Buffer.from('x'))
    const bytes = Buffer.concat([PREFACE, header(body.length, kind, FLAG_IGNORABLE, 900), body, next])
    for (let at = 0; at < bytes.length; at += 33) skipped.reader.push(bytes.subarray(at, at + 33))
    t.strictSame(skipped.frames, [[FRAME_PING, CHANNEL_CONTROL, '78']], `kind ${kind}`)
  }
  const { reader } = collector()
  reader.push(PREFACE)
  const long = header(CONTROL_FRAME_BYTES_MAX + 1, 0x77, FLAG_IGNORABLE, 0)
  t.equal(
    faultCode(() => reader.push(long)),
    'FRAME_TOO_LARGE',
    'skipping is bounded too',
  )
})

t.test('every kind is taken on its channels and on no other', async (t) => {
  for (const [kind, rule] of frameRules) {
    for (const channel of [...Array(CHANNEL_LAST + 2).keys(), 0xffff, 0x0100]) {
      const { reader, frames } = collector()
      reader.push(PREFACE)
      const code = faultCode(() => reader.push(header(0, kind, 0, channel)))
      const allowed = rule.channels.includes(channel)
      if (code !== (allowed ? null : 'FRAME_CHANNEL_WRONG')) t.fail(`${rule.name} on ${channel}: ${code}`)
      if (frames.length !== (allowed ? 1 : 0)) t.fail(`${rule.name} on ${channel}`)
    }
  }
  t.pass(`${frameRules.length} kinds`)
})

t.test('an end within a frame is noticed', async (t) => {
  const borders = new Set<number>()
  let at = PREFACE.length
  for (const [, , body] of sample) {
    borders.add(at)
    at += FRAME_HEADER_BYTES + body.length
  }
  borders.add(at)
  for (let length = PREFACE.length; length <= stream.length; length++) {
    const { reader } = collector()
    reader.push(stream.subarray(0, length))
    t.equal(
      faultCode(() => reader.end()),
      borders.has(length) ? null : 'FRAME_CUT',
      `${length} bytes`,
    )
  }
})

t.test('names and numbers of kinds are unique', async (t) => {
  t.equal(new Set(frameRules.map(([kind]) => kind)).size, frameRules.length)
  t.equal(new Set(frameRules.map(([, rule]) => rule.name)).size, frameRules.length)
})
