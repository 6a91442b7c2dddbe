// The generated codecs: round trips, strictness, forward compatibility, and that messages.gen.ts is not stale.

import protobuf from 'protobufjs/light.js'
import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { generate, isCurrent } from './generate.ts'
import { MESSAGE_BYTES_MAX } from './limits.ts'
import type { Hello } from './mod.ts'
import { Binding, decodeHello, decodeProof, decodeReady, encodeHello, encodeReady, Purpose, Role } from './mod.ts'

const hello: Hello = {
  versionMin: 1,
  versionMax: 2,
  features: [5, 0xffff_ffff],
  limits: {
    frameBytesMax: 262_144,
    batchBytesMax: 4_194_304,
    bodyBytesMax: 1,
    batchMessagesMax: 10_000,
    headersBytesMax: 65_536,
    creditBytesMax: Number.MAX_SAFE_INTEGER,
    streamsMax: 3,
    subscriptionsMax: 4,
  },
  name: '民政-agent',
  role: Role.AGENT,
  certificates: [Buffer.from('leaf'), Buffer.from('authority')],
  nonce: Buffer.alloc(32, 7),
  purpose: Purpose.SESSION,
  binding: Binding.TLS_EXPORTER,
  software: 'test',
}

type Check = { equal(a: unknown, b: unknown): unknown; fail(message: string): unknown }

const throwsCode = (t: Check, run: () => unknown, code: string, where: string): void => {
  try {
    run()
    t.fail(`expected ${code}`)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    t.equal(error.code, code)
    t.equal(error.where, where)
  }
}

t.test('messages.gen.ts is what the .proto files say', async (t) => t.ok(isCurrent()))

t.test('Long.js is out', async (t) => t.equal(protobuf.util.Long, null))

t.test('a message survives the round trip with stable shape', async (t) => {
  const decoded = decodeHello(encodeHello(hello))
  t.strictSame(decoded, hello)
  t.same(Object.keys(decoded), Object.keys(hello))
  t.ok(Buffer.isBuffer(decoded.nonce))
})

t.test('an empty body gives proto3 defaults', async (t) => {
  const ready = decodeReady(Buffer.alloc(0))
  t.equal(ready.serverTimeMs, 0)
  t.equal(ready.limits, null)
  t.strictSame(ready.features, [])
  t.equal(ready.sessionId.length, 0)
})

t.test('bytes do not point into the frame', async (t) => {
  const frame = encodeHello(hello)
  const { nonce, certificates } = decodeHello(frame)
  frame.fill(0)
  t.equal(nonce[0], 7)
  t.equal(Buffer.from(certificates[0] as Uint8Array).toString(), 'leaf')
})

t.test('unknown fields are skipped', async (t) => {
  const later = Buffer.concat([encodeHello(hello), Buffer.from([0xfa, 0x3f, 3, 1, 2, 3]), Buffer.from([0xf0, 0x3f, 9])])
  t.strictSame(decodeHello(later), hello)
})

t.test('what does not follow the schema is refused', async (t) => {
  const varint = (...bytes: number[]): Buffer => Buffer.from(bytes)
  const cases: [string, () => unknown, string][] = [
    ['truncated', () => decodeHello(encodeHello(hello).subarray(0, -1)), 'Hello'],
    [
      'uint64 of 2^53',
      () => decodeReady(varint(0x38, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10)),
      'Ready.serverTimeMs',
    ],
    ['varint of 11 bytes', () => decodeReady(varint(0x38, ...Array(10).fill(0xff), 1)), 'Ready'],
    ['length beyond the end', () => decodeProof(varint(0x12, 0xff, 0xff, 0x7f)), 'Proof'],
    ['field number 0', () => decodeProof(varint(0x00, 0x01)), 'Proof'],
    ['invalid UTF-8', () => decodeHello(varint(0x2a, 2, 0xc3, 0x28)), 'Hello'],
    ['unknown enum value', () => decodeHello(varint(0x30, 9)), 'Hello.role'],
    ['33 bytes where 32 may be', () => decodeHello(Buffer.concat([varint(0x42, 33), Buffer.alloc(33)])), 'Hello.nonce'],
    ['three certificates', () => decodeHello(varint(0x3a, 0, 0x3a, 0, 0x3a, 0)), 'Hello.certificates'],
    ['over the message limit', () => decodeHello(Buffer.alloc(MESSAGE_BYTES_MAX + 1)), 'Hello'],
  ]
  for (const [name, run, where] of cases) t.test(name, async (t) => throwsCode(t, run, 'SCHEMA_INVALID', where))
})

t.test('a value that does not fit is refused before it is sent', async (t) => {
  const ready = decodeReady(Buffer.alloc(0))
  throwsCode(t, () => encodeReady({ ...ready, serverTimeMs: 2 ** 53 }), 'SCHEMA_UNENCODABLE', 'Ready.serverTimeMs')
  throwsCode(t, () => encodeReady({ ...ready, serverTimeMs: -1 }), 'SCHEMA_UNENCODABLE', 'Ready.serverTimeMs')
  throwsCode(t, () => encodeReady({ ...ready, version: 1.5 }), 'SCHEMA_UNENCODABLE', 'Ready.version')
  throwsCode(t, () => encodeReady({ ...ready, sessionId: Buffer.alloc(17) }), 'SCHEMA_UNENCODABLE', 'Ready.sessionId')
})

t.test('the generator covers optional and oneof, and refuses what it does not know', async (t) => {
  const proto = (body: string): Map<string, string> => new Map([['x.proto', `syntax = "proto3";\npackage p;\n${body}`]])
  const text = generate(proto('message M { optional uint64 at = 1; oneof k { string a = 2; N b = 3; } }\nmessage N {}'))
  t.match(text, 'readonly at: number | null')
  t.match(text, "own(raw, 'b') === null ? null : shapeN(raw.b)")
  t.match(text, "throw raise('k', 'more than one alternative')")
  t.throws(() => generate(proto('message M { map<string, string> m = 1; }')), /maps are not supported/)
  t.throws(() => generate(proto('enum E { A = 0; }')), /must start with E_/)
  t.throws(() => generate(proto('message M { message N {} }')), /top level/)
})
