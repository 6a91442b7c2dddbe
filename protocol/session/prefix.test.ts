import t from 'tap'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import { CHANNEL_BULK, CHANNEL_MESSAGES, FRAME_HEADER_BYTES } from '#protocol/frame/mod.ts'
import {
  BATCH_PREFIX_BYTES,
  batchFrameStart,
  DELIVER_PREFIX_BYTES,
  type DeliverPrefix,
  deliverFrameStart,
  FORM_HUB_SEALED,
  LANES_MAX,
  parseBatchPrefix,
  parseDeliverPrefix,
} from './mod.ts'

const content = Buffer.from('content')
const bodyOf = (start: Buffer): Buffer => Buffer.concat([start.subarray(FRAME_HEADER_BYTES), content])

const prefix: DeliverPrefix = {
  consumer: 3,
  form: 1,
  attempt: 2,
  lane: 4,
  position: 2 ** 40 + 7,
  floor: 2 ** 33,
  count: 5,
}

t.test('BATCH on the wire', async (t) => {
  const start = batchFrameStart(CHANNEL_BULK, 0x01020304, content.length)
  t.equal(start.toString('hex'), '0f00000012000400' + '0403020100000000')
  t.equal(start.length, FRAME_HEADER_BYTES + BATCH_PREFIX_BYTES)
  t.equal(parseBatchPrefix(bodyOf(start)), 0x01020304)
})

t.test('DELIVER on the wire', async (t) => {
  const start = deliverFrameStart(CHANNEL_MESSAGES, prefix, content.length)
  t.equal(
    start.toString('hex'),
    '2700000023000200' +
      '03000000' +
      '01' +
      '02' +
      '0400' +
      '0700000000010000' +
      '0000000002000000' +
      '05000000' +
      '00000000',
  )
  t.equal(start.length, FRAME_HEADER_BYTES + DELIVER_PREFIX_BYTES)
  t.strictSame(parseDeliverPrefix(bodyOf(start)), prefix)
})

t.test('prefixes come back, attempts stay at 255', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let i = 0; i < 2000; i++) {
    const wanted = {
      consumer: random.u32(),
      form: random.below(FORM_HUB_SEALED + 1),
      attempt: random.below(256),
      lane: random.below(LANES_MAX),
      position: random.u53(),
      floor: random.u53(),
      count: random.u32(),
    }
    const found = parseDeliverPrefix(bodyOf(deliverFrameStart(CHANNEL_MESSAGES, wanted, content.length)))
    if (JSON.stringify(found) !== JSON.stringify(wanted)) return t.strictSame(found, wanted)
    const stream = random.u32()
    if (parseBatchPrefix(bodyOf(batchFrameStart(CHANNEL_MESSAGES, stream, content.length))) !== stream)
      t.fail(`${stream}`)
  }
  const often = deliverFrameStart(CHANNEL_MESSAGES, { ...prefix, attempt: 1000 }, content.length)
  t.equal(parseDeliverPrefix(bodyOf(often)).attempt, 255)
})

t.test('what does not follow the layout is refused', async (t) => {
  const changed = (start: Buffer, at: number, value: number): Buffer => {
    const body = bodyOf(start)
    body[at] = value
    return body
  }
  const batch = batchFrameStart(CHANNEL_MESSAGES, 1, content.length)
  for (let at = 4; at < 8; at++)
    t.equal(
      faultCode(() => parseBatchPrefix(changed(batch, at, 1))),
      'SESSION_BODY_INVALID',
    )
  for (let length = 0; length <= BATCH_PREFIX_BYTES; length++) {
    t.equal(
      faultCode(() => parseBatchPrefix(bodyOf(batch).subarray(0, length))),
      'SESSION_BODY_INVALID',
      `${length} bytes`,
    )
  }
  const deliver = deliverFrameStart(CHANNEL_MESSAGES, prefix, content.length)
  for (const at of [7, 28, 29, 30, 31]) {
    t.equal(
      faultCode(() => parseDeliverPrefix(changed(deliver, at, 1))),
      'SESSION_BODY_INVALID',
      `byte ${at}`,
    )
  }
  t.equal(
    faultCode(() => parseDeliverPrefix(changed(deliver, 4, FORM_HUB_SEALED + 1))),
    'SESSION_BODY_INVALID',
    'form 3',
  )
  t.equal(parseDeliverPrefix(changed(deliver, 6, LANES_MAX - 1)).lane, LANES_MAX - 1)
  t.equal(
    faultCode(() => parseDeliverPrefix(changed(deliver, 6, LANES_MAX))),
    'SESSION_BODY_INVALID',
    'lane 192',
  )
  for (const at of [15, 23])
    t.equal(
      faultCode(() => parseDeliverPrefix(changed(deliver, at, 1))),
      'INTEGER_TOO_LARGE',
    )
  for (let length = 0; length <= DELIVER_PREFIX_BYTES; length++) {
    const code = faultCode(() => parseDeliverPrefix(bodyOf(deliver).subarray(0, length)))
    t.equal(code, 'SESSION_BODY_INVALID', `${length} bytes`)
  }
})
