import t from 'tap'
import { writeU53 } from '#protocol/bytes/mod.ts'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import { KEY, testKey } from '#protocol/codec/testing.ts'
import { ed25519 } from '#protocol/crypto/mod.ts'
import {
  CHUNK_BYTES_MIN,
  ChunkList,
  checkAgainst,
  MANIFEST_BYTES_MAX,
  type Manifest,
  parseManifest,
  sealManifest,
  verifyManifest,
} from './mod.ts'

const ID = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
const NOW_MS = 1_780_272_000_000

function listOf(chunks: number, size = chunks * CHUNK_BYTES_MIN, fill = 1): ChunkList {
  const list = new ChunkList({ size, chunkBytes: CHUNK_BYTES_MIN })
  for (let i = 0; i < chunks; i++) list.add(Buffer.alloc(32, fill + i), list.nextLength)
  return list
}

const about = {
  contentId: ID,
  sealedAtMs: NOW_MS,
  origin: 'civil-affairs',
  name: '户籍.zip',
  mediaType: 'application/zip',
}
const list = listOf(3, 2.5 * CHUNK_BYTES_MIN)
const sealed = sealManifest(about, list, KEY)

/** As a sender seals it who changes something and signs again. */
function resealed(change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(sealed)
  change(copy)
  const signedBytes = copy.readUInt16LE(6)
  const context = Buffer.from('causeway content v1\0')
  ed25519.sign(KEY.privateKey, Buffer.concat([context, copy.subarray(0, signedBytes)])).copy(copy, signedBytes + 2)
  return copy
}

t.test('what was sealed is read', async (t) => {
  const { signed, signature, keyId, suite, ...manifest } = parseManifest(sealed)
  const wanted: Manifest = { ...about, size: list.size, chunkBytes: list.chunkBytes, chunks: 3, root: list.root() }
  t.strictSame(manifest, wanted)
  t.ok(keyId.equals(KEY.keyId))
  t.strictSame([suite, signature.length, signed.length + 66], [1, 64, sealed.length])
  const parsed = parseManifest(sealed)
  verifyManifest(parsed, KEY.publicKey)
  checkAgainst(parsed, ID, list)
})

t.test('content of no bytes, content without a name, the longest texts', async (t) => {
  const empty = listOf(0)
  const unnamed = { ...about, name: '', mediaType: '' }
  const parsed = parseManifest(sealManifest(unnamed, empty, KEY))
  verifyManifest(parsed, KEY.publicKey)
  checkAgainst(parsed, ID, empty)
  t.strictSame([parsed.size, parsed.chunks, parsed.name, parsed.mediaType], [0, 0, '', ''])
  const long = { ...about, origin: 'o'.repeat(200), name: '长'.repeat(85), mediaType: 'm'.repeat(127) }
  const bytes = sealManifest(long, list, KEY)
  t.ok(bytes.length <= MANIFEST_BYTES_MAX)
  const { origin, name, mediaType } = parseManifest(bytes)
  t.strictSame({ origin, name, mediaType }, { origin: long.origin, name: long.name, mediaType: long.mediaType })
})

t.test('texts that no manifest may have are not sealed', async (t) => {
  const bad: Partial<typeof about>[] = [
    { origin: '' },
    { origin: 'o'.repeat(201) },
    { origin: '\ud800' },
    { name: '../x' },
    { name: '长'.repeat(86) },
    { name: '\ud800x' },
    { mediaType: 'm'.repeat(128) },
    { mediaType: 'text/plain\n' },
    { mediaType: '文本' },
  ]
  for (const change of bad) {
    t.equal(
      faultCode(() => sealManifest({ ...about, ...change }, list, KEY)),
      'MANIFEST_INVALID',
      JSON.stringify(change),
    )
  }
  t.throws(
    () => sealManifest(about, new ChunkList({ size: 1, chunkBytes: CHUNK_BYTES_MIN }), KEY),
    'it is not complete',
  )
})

t.test('no byte can be changed unnoticed', async (t) => {
  const accepted: number[] = []
  for (let at = 0; at < sealed.length; at++) {
    for (const bit of [0x01, 0x80]) {
      const copy = Buffer.from(sealed)
      copy[at] = (copy[at] as number) ^ bit
      const code = faultCode(() => verifyManifest(parseManifest(copy), KEY.publicKey))
      if (code === null) accepted.push(at)
      else if (!/^(MANIFEST_INVALID|MANIFEST_SIGNATURE_INVALID|SUITE_UNKNOWN)$/.test(code)) t.fail(`${at}: ${code}`)
    }
  }
  t.strictSame(accepted, [], `${sealed.length} bytes`)
})

t.test('every field that was tampered with is refused, also when the form is right', async (t) => {
  const changes: readonly (readonly [string, (copy: Buffer) => void])[] = [
    ['content id', (copy) => void copy.writeUInt8(9, 8)],
    ['sealed at', (copy) => void writeU53(copy, 72, NOW_MS + 1)],
    ['root', (copy) => void copy.writeUInt8((copy[40] as number) ^ 1, 40)],
    ['size', (copy) => void writeU53(copy, 24, list.size + 1)],
    ['key id', (copy) => void copy.writeUInt8((copy[80] as number) ^ 1, 80)],
    ['origin', (copy) => void copy.write('d', 89)],
    ['name', (copy) => void copy.write('a.zip', copy.indexOf('.zip') - 1)],
    ['media type', (copy) => void copy.write('b', copy.indexOf('application'))],
  ]
  for (const [what, change] of changes) {
    const copy = Buffer.from(sealed)
    change(copy)
    const code = faultCode(() => verifyManifest(parseManifest(copy), KEY.publicKey))
    t.ok(code === 'MANIFEST_SIGNATURE_INVALID' || (what === 'name' && code === 'MANIFEST_INVALID'), `${what}: ${code}`)
  }
})

t.test('a signature holds for its key, its context and nothing else', async (t) => {
  const parsed = parseManifest(sealed)
  const code = (signature: Buffer, publicKey = KEY.publicKey) =>
    faultCode(() => verifyManifest({ ...parsed, signature }, publicKey))
  t.equal(code(parsed.signature, testKey('somebody else').publicKey), 'MANIFEST_SIGNATURE_INVALID')
  const others = ['', 'causeway batch v1\0', 'causeway content v1', 'causeway content v2\0']
  for (const context of others) {
    const text = Buffer.concat([Buffer.from(context), parsed.signed])
    t.equal(code(ed25519.sign(KEY.privateKey, text)), 'MANIFEST_SIGNATURE_INVALID', JSON.stringify(context))
  }
  t.equal(code(parsed.signature.subarray(1)), 'MANIFEST_SIGNATURE_INVALID')
  t.equal(code(Buffer.alloc(0)), 'MANIFEST_SIGNATURE_INVALID')
  t.equal(
    faultCode(() => verifyManifest({ ...parsed, suite: 0 }, KEY.publicKey)),
    'SUITE_UNKNOWN',
    'no signature is no suite',
  )
})

t.test('what is signed but makes no sense is refused', async (t) => {
  const changes: readonly (readonly [string, (copy: Buffer) => void])[] = [
    ['another magic', (copy) => void copy.write('CWM2')],
    ['a reserved byte', (copy) => void copy.writeUInt8(1, 5)],
    ['a length too small', (copy) => void copy.writeUInt16LE(copy.readUInt16LE(6) - 1, 6)],
    ['a size of 2^53', (copy) => void copy.writeUInt32LE(0x20_0000, 28)],
    ['more than a content has', (copy) => void copy.writeUInt32LE(0x1000, 28)],
    ['chunks of a byte', (copy) => void copy.writeUInt32LE(1, 32)],
    ['a chunk too many', (copy) => void copy.writeUInt32LE(4, 36)],
    ['no origin', (copy) => void copy.writeUInt8(0, 88)],
    ['an origin that runs on', (copy) => void copy.writeUInt8(255, 88)],
    ['a folder in the name', (copy) => void copy.write('/', copy.indexOf('.zip'))],
    ['a name that is no UTF-8', (copy) => void copy.writeUInt8(0xff, copy.indexOf('.zip'))],
    ['a media type with a line break', (copy) => void copy.write('\n', copy.indexOf('application'))],
  ]
  for (const [what, change] of changes) {
    t.equal(
      faultCode(() => parseManifest(resealed(change))),
      'MANIFEST_INVALID',
      what,
    )
  }
  for (let length = 0; length < sealed.length; length++) {
    const code = faultCode(() => parseManifest(sealed.subarray(0, length)))
    if (code !== 'MANIFEST_INVALID') t.fail(`${length} bytes: ${code}`)
  }
  for (const more of [1, MANIFEST_BYTES_MAX]) {
    t.equal(
      faultCode(() => parseManifest(Buffer.concat([sealed, Buffer.alloc(more)]))),
      'MANIFEST_INVALID',
      `${more} bytes behind it`,
    )
  }
})

t.test('a manifest of another content is refused', async (t) => {
  const parsed = parseManifest(sealed)
  const code = (id: Buffer, of: ChunkList) => faultCode(() => checkAgainst(parsed, id, of))
  t.equal(code(ID, list), null)
  t.equal(code(Buffer.alloc(16), list), 'MANIFEST_INVALID', 'another id')
  t.equal(code(ID, listOf(3, list.size, 2)), 'MANIFEST_INVALID', 'other chunks')
  t.equal(code(ID, listOf(3)), 'MANIFEST_INVALID', 'another size')
  const variable = new ChunkList({ size: list.size, chunkBytes: 0 })
  for (let i = 0; i < 3; i++) variable.add(list.digestAt(i), list.lengthAt(i))
  t.ok(variable.root().equals(list.root()))
  t.equal(code(ID, variable), 'MANIFEST_INVALID', 'the same chunks, cut in another way')
  const short = new ChunkList({ size: list.size, chunkBytes: CHUNK_BYTES_MIN })
  t.equal(code(ID, short), 'MANIFEST_INVALID', 'not all of it is known')
})

t.test('random bytes are no manifest', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 2000; round++) {
    const bytes = random.bytes(random.below(300))
    if (random.oneIn(2)) sealed.copy(bytes, 0, 0, random.below(sealed.length))
    const code = faultCode(() => verifyManifest(parseManifest(bytes), KEY.publicKey))
    if (code === null && !bytes.equals(sealed)) t.fail(bytes.toString('hex'))
  }
  t.pass('2,000')
})
