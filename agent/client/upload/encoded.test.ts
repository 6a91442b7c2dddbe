// Uploads of what compresses, and of what does not.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { decodeChunk } from '#protocol/transfer/mod.ts'
import { ChunkEncoder } from './encoder.ts'
import { ENCODE_BYTES_MIN, ENCODED_SHARE_MAX, PASS_BYTES_MAX } from './limits.ts'
import { Upload } from './mod.ts'
import { isPacked, MAGIC_BYTES } from './packed.ts'
import { pairOf, TestClient } from './testing.ts'

const KIB = 1024
const MIB = 1024 * KIB
const CHUNK = 64 * KIB

const lines = (bytes: number, salt = 7919): Buffer => {
  const all = Array.from({ length: Math.ceil(bytes / 30) }, (_, i) => `{"number":${i * salt},"name":"户籍"}\n`)
  return Buffer.from(all.join('')).subarray(0, bytes)
}

function fileOf(t: Test, bytes: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), 'upload-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'a file'), bytes)
  return join(folder, 'a file')
}

for (const cut of ['fixed', 'content'] as const) {
  t.test(`text travels in far fewer bytes, cut ${cut}`, async (t) => {
    const { hub, client } = await pairOf(t)
    const bytes = lines(9 * MIB + 17)
    const upload = new Upload(client, { path: fileOf(t, bytes), cut, compress: 'on' })
    await upload.sealed
    t.ok(hub.sealed.get(upload.id)?.bytes.equals(bytes))
    t.strictSame(hub.faults, [])
    const { size, sentBytes, wireBytes, storedBytes, readAgainBytes, encodedFromBytes, encodedToBytes } =
      upload.progress
    t.strictSame([size, sentBytes, storedBytes, readAgainBytes], [bytes.length, bytes.length, bytes.length, 0])
    t.equal(wireBytes, hub.receivedBytes)
    t.equal(wireBytes, encodedToBytes + (sentBytes - encodedFromBytes))
    t.equal(upload.progress.compressionLevel, 1)
    t.ok(wireBytes < bytes.length / 4, `${wireBytes} of ${bytes.length}`)
  })
}

t.test('as it is: what does not compress, and all when that is wanted or the hub knows nothing else', async (t) => {
  const cases = [
    ['random bytes', randomBytes(5 * MIB), 'auto', true],
    ['a packed file', gzipSync(randomBytes(5 * MIB)), 'auto', true],
    ['switched off', lines(5 * MIB), 'off', true],
    ['an older hub', lines(5 * MIB), 'auto', false],
  ] as const
  for (const [what, bytes, compress, encoded] of cases) {
    const { hub, client } = await pairOf(t, { encoded })
    const upload = new Upload(client, { path: fileOf(t, bytes), compress })
    await upload.sealed
    t.ok(hub.sealed.get(upload.id)?.bytes.equals(bytes), what)
    t.strictSame([hub.receivedBytes, hub.encodedChunks], [bytes.length, 0], what)
    t.match(upload.progress, { sentBytes: bytes.length, wireBytes: bytes.length, encodedFromBytes: 0 })
    if (!encoded || compress === 'off') t.equal(upload.progress.compressionLevel, 0, what)
  }
})

t.test('hubs of both kinds, one after the other', async (t) => {
  const { hub, client } = await pairOf(t)
  const bytes = lines(20 * MIB)
  const upload = new Upload(client, { path: fileOf(t, bytes), compress: 'on' })
  for (const encoded of [false, true, false]) {
    const seen = hub.receivedBytes
    const stored = hub.chunks.size
    const more = Promise.withResolvers<void>()
    hub.beforeStore = () => {
      if (hub.chunks.size >= stored + 30) more.resolve()
    }
    await more.promise
    t.ok(hub.receivedBytes > seen)
    hub.cut()
    while (client.connection !== null) await new Promise(setImmediate)
    hub.encodedChunks = 0
    await client.connect(hub, { encoded })
  }
  await upload.sealed
  t.ok(hub.sealed.get(upload.id)?.bytes.equals(bytes))
  t.strictSame([hub.faults, hub.encodedChunks, hub.uselessBytes], [[], 0, 0])
  t.equal(upload.progress.hashedAgainBytes, 0)
})

t.test('hashed ahead before there is a hub, for one that takes chunks only as they are', async (t) => {
  const { hub, client } = await pairOf(t)
  hub.cut()
  while (client.connection !== null) await new Promise(setImmediate)
  const bytes = lines(3 * MIB)
  const upload = new Upload(client, { path: fileOf(t, bytes), compress: 'on' })
  while (upload.progress.hashedBytes < bytes.length) await new Promise(setImmediate)
  await client.connect(hub, { encoded: false })
  await upload.sealed
  t.ok(hub.sealed.get(upload.id)?.bytes.equals(bytes))
  t.strictSame([hub.encodedChunks, upload.progress.readAgainBytes, upload.progress.encoderBytes], [0, 0, 0])
})

t.test('what the hub has is not encoded; of what it lacks, that alone', async (t) => {
  for (const compress of ['auto', 'on', 19] as const) {
    const { hub, client } = await pairOf(t)
    const bytes = lines(9 * MIB)
    const first = new Upload(client, { path: fileOf(t, bytes), compress, cut: 'fixed' })
    await first.sealed
    t.ok(first.progress.encoderBytes > 0)
    const again = new Upload(client, { path: fileOf(t, bytes), compress, cut: 'fixed' })
    await again.sealed
    t.match(again.progress, { encoderBytes: 0, sentBytes: 0, reusedBytes: bytes.length })
    for (let at = 0; at < bytes.length; at += MIB) bytes.write('changed', at)
    const later = new Upload(client, { path: fileOf(t, bytes), compress, cut: 'fixed' })
    await later.sealed
    t.equal(later.progress.sentBytes, 9 * CHUNK)
    t.ok(later.progress.encoderBytes <= 9 * CHUNK, `${later.progress.encoderBytes} bytes`)
    t.ok(hub.sealed.get(later.id)?.bytes.equals(bytes))
  }
})

t.test('two uploads at once, of one process', async (t) => {
  const { hub } = await pairOf(t)
  const all = [lines(4 * MIB), lines(6 * MIB, 104_729)]
  const uploads = await Promise.all(
    all.map(async (bytes) => {
      const client = new TestClient()
      await client.connect(hub)
      return new Upload(client, { path: fileOf(t, bytes), compress: 'on' })
    }),
  )
  await Promise.all(uploads.map(({ sealed }) => sealed))
  for (const [i, { id }] of uploads.entries()) t.ok(hub.sealed.get(id)?.bytes.equals(all[i] as Buffer))
})

/** Whether each of these is encoded; its place holds what is to be sent. */
function encodedOf(encoder: ChunkEncoder, chunks: readonly Buffer[]): boolean[] {
  return chunks.map((chunk) => {
    const place = Buffer.from(chunk)
    const bytes = encoder.encode(place, 1)
    if (bytes === 0 ? !place.equals(chunk) : !decodeChunk(place.subarray(0, bytes), chunk.length).equals(chunk)) {
      throw new Error('its place holds something else')
    }
    if (bytes > ENCODED_SHARE_MAX * chunk.length) throw new Error(`${bytes} of ${chunk.length}`)
    return bytes > 0
  })
}

const countOf = (results: readonly boolean[]): number => results.filter(Boolean).length
const texts = (count: number, size = CHUNK) => Array.from({ length: count }, (_, i) => lines(size, 7919 + i))
const noises = (count: number, size = CHUNK) => Array.from({ length: count }, () => randomBytes(size))

t.test('what compresses behind much that does not is found soon', async (t) => {
  const encoder = new ChunkEncoder({ isPacked: false })
  t.equal(countOf(encodedOf(encoder, texts(20))), 20)
  t.equal(countOf(encodedOf(encoder, noises(1000))), 0)
  const passed = PASS_BYTES_MAX / CHUNK
  const after = encodedOf(encoder, texts(2 * passed))
  t.ok(after.indexOf(true) <= passed, `after ${after.indexOf(true)} chunks`)
  t.equal(countOf(after), 2 * passed - after.indexOf(true), 'and all that follow')
})

t.test('a chunk in between that does not compress costs little', async (t) => {
  const encoder = new ChunkEncoder({ isPacked: false })
  encodedOf(encoder, texts(1))
  encodedOf(encoder, noises(1))
  t.strictSame(encodedOf(encoder, texts(3)), [false, true, true])
})

t.test('few slices are tried of what does not compress, whatever its chunks', async (t) => {
  for (const size of [CHUNK, MIB, 8 * MIB]) {
    const encoder = new ChunkEncoder({ isPacked: false })
    const [chunk] = noises(1, size)
    let tried = 0
    const looks = encoder as unknown as { looksGood(chunk: Buffer): boolean }
    const { looksGood } = looks
    looks.looksGood = (of) => {
      tried++
      return looksGood.call(encoder, of)
    }
    const count = (256 * MIB) / size
    for (let i = 0; i < count; i++) encoder.encode(chunk as Buffer, 1)
    t.ok(tried <= 8 + 256 / (PASS_BYTES_MAX / MIB), `${tried} times in 256 MiB of ${size}`)
  }
})

t.test('short chunks, and such as gain too little', async (t) => {
  const encoder = new ChunkEncoder({ isPacked: false })
  t.strictSame(encodedOf(encoder, [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(ENCODE_BYTES_MIN - 1)]), [
    false,
    false,
    false,
  ])
  t.strictSame(encodedOf(encoder, [Buffer.alloc(ENCODE_BYTES_MIN)]), [true])
  const nearly = Buffer.concat([randomBytes(0.93 * CHUNK), Buffer.alloc(CHUNK)]).subarray(0, CHUNK)
  t.strictSame(encodedOf(encoder, [nearly]), [false])
})

t.test('packed files are known by their beginning, and tried once in a while all the same', async (t) => {
  t.ok(isPacked(gzipSync('abc')))
  t.ok(isPacked(Buffer.from('000000186674797069736f6d', 'hex')), 'MP4')
  for (const head of [Buffer.alloc(0), Buffer.from('PK'), Buffer.from('%PDF-1.7'), Buffer.alloc(MAGIC_BYTES)]) {
    t.notOk(isPacked(head))
  }
  const encoder = new ChunkEncoder({ isPacked: true })
  const results = encodedOf(encoder, texts((2 * PASS_BYTES_MAX) / CHUNK))
  t.equal(results.indexOf(true), PASS_BYTES_MAX / CHUNK)
})
