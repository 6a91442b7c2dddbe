// Downloads of which chunks come encoded: right in the file, counted as content and as what travelled, hostile ones refused.

import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { DAMAGED_TRIES_MAX, encodeChunk } from '#protocol/transfer/mod.ts'
import { type Mischief, TestClient, TestContent, TestHub, temporaryFolder } from './testing.ts'

const CHUNK = 65_536
const MIB = 1024 * 1024

const idOf = (content: TestContent) => content.id.toString('hex')
const encode = (bytes: Buffer): Buffer => encodeChunk(bytes, bytes.length - 1) as Buffer
const lines = (bytes: number): Buffer => {
  const all = Array.from({ length: Math.ceil(bytes / 30) }, (_, i) => `{"number":${i * 7919},"name":"户籍"}\n`)
  return Buffer.from(all.join('')).subarray(0, bytes)
}

t.test('some as they are, some encoded', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = Buffer.concat([lines(20 * CHUNK + 5), randomBytes(10 * CHUNK)])
  const content = TestContent.of(bytes)
  const client = new TestClient()
  const encoded = (chunk: number, plain: Buffer) => (chunk < 20 && chunk % 3 !== 0 ? encode(plain) : null)
  const hub = client.connect(new TestHub(content, { encoded }))
  const download = client.download({ id: idOf(content), to: folder })
  const { path } = await download.done
  t.ok(readFileSync(path).equals(bytes))
  t.match(download.progress, {
    receivedBytes: bytes.length,
    wireBytes: hub.sentBytes,
    storedBytes: bytes.length,
    hashedAgainBytes: 0,
  })
  t.ok(hub.sentBytes < bytes.length - 10 * CHUNK, `${hub.sentBytes} of ${bytes.length}`)
})

t.test('chunks cut by content, of any length', async (t) => {
  const lengths = [70_001, 65_536, 300_007, 20_000, 5]
  const bytes = lines(lengths.reduce((sum, length) => sum + length, 0))
  const content = TestContent.of(bytes, { lengths })
  const client = new TestClient()
  client.connect(new TestHub(content, { encoded: (_chunk, plain) => (plain.length > 100 ? encode(plain) : null) }))
  const folder = temporaryFolder(t)
  const { path } = await client.download({ id: idOf(content), to: folder }).done
  t.ok(readFileSync(path).equals(bytes))
})

t.test('after a cut line nothing that arrived whole comes again', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = lines(12 * MIB)
  const content = TestContent.of(bytes)
  const client = new TestClient()
  const download = client.download({ id: idOf(content), to: folder })
  const encoded = (_chunk: number, plain: Buffer) => encode(plain)
  let sent = 0
  for (const part of [0.3, 0.4]) {
    const hub: TestHub = client.connect(new TestHub(content, { encoded, sends: () => hub.sentBytes < stopAt }))
    const stopAt = (part * bytes.length) / 12
    while (hub.sentBytes < stopAt) await new Promise(setImmediate)
    client.disconnect()
    sent += hub.sentBytes
  }
  // The other side may have it in another form by now.
  const last = client.connect(new TestHub(content))
  const { path } = await download.done
  t.ok(readFileSync(path).equals(bytes))
  sent += last.sentBytes
  t.equal(download.progress.wireBytes, sent)
  t.ok(download.progress.receivedBytes <= bytes.length + 2 * CHUNK, `${download.progress.receivedBytes - bytes.length}`)
  t.equal(download.progress.hashedAgainBytes, 0)
})

t.test('credit is by content, so memory is bounded however little travels', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = Buffer.alloc(64 * MIB)
  for (let at = 0; at < bytes.length; at += CHUNK) bytes.writeUInt32LE(at, at)
  const content = TestContent.of(bytes)
  const client = new TestClient()
  const hub = client.connect(new TestHub(content, { encoded: (_chunk, plain) => encode(plain) }))
  hub.turnBytes = 2 ** 30
  const download = client.download({ id: idOf(content), to: folder })
  const { path } = await download.done
  t.ok(readFileSync(path).equals(bytes))
  t.ok(download.progress.wireBytes < MIB, `${download.progress.wireBytes} bytes`)
})

const withoutSize = (plain: Buffer) => zstdCompressSync(plain, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } })
const lies: Readonly<Record<string, [Mischief, string]>> = {
  'no frame': [{ encoded: () => Buffer.alloc(100, 1) }, 'CHUNK_DAMAGED'],
  'a bomb': [
    { encoded: () => zstdCompressSync(Buffer.alloc(64 * MIB), { pledgedSrcSize: 64 * MIB }) },
    'CHUNK_DAMAGED',
  ],
  'a frame without its size': [{ encoded: (_chunk, plain) => withoutSize(plain) }, 'CHUNK_DAMAGED'],
  'a frame that is cut': [{ encoded: (_chunk, plain) => encode(plain).subarray(0, -1) }, 'CHUNK_DAMAGED'],
  'bytes behind it': [{ encoded: (_chunk, plain) => Buffer.concat([encode(plain), Buffer.alloc(9)]) }, 'CHUNK_DAMAGED'],
  'another chunk': [{ encoded: (_chunk, plain) => encode(Buffer.alloc(plain.length)) }, 'CHUNK_DAMAGED'],
}
for (const [what, [mischief, code]] of Object.entries(lies)) {
  t.test(`${what} in the place of an encoded chunk`, async (t) => {
    const folder = temporaryFolder(t)
    const content = TestContent.of(lines(5 * CHUNK))
    const client = new TestClient()
    const hub = client.connect(new TestHub(content, mischief))
    const fault = await client.download({ id: idOf(content), to: folder }).done.catch((error: Fault) => error)
    t.match(fault, { code })
    t.match(hub.ends, [{ fault: { code } }])
    t.notOk(existsSync(join(folder, 'report.pdf')))
    // One that is damaged a few times only is asked for again.
    let tries = 0
    const honest = (chunk: number, plain: Buffer) => {
      const harmed = chunk === 3 && tries++ < DAMAGED_TRIES_MAX - 1 ? mischief.encoded?.(chunk, plain) : undefined
      return harmed ?? encode(plain)
    }
    client.connect(new TestHub(content, { encoded: honest }))
    t.match(await client.download({ id: idOf(content), to: folder }).done, { size: 5 * CHUNK })
  })
}

t.test('one that is as long as the chunk, or not agreed on, ends the transfer', async (t) => {
  const content = TestContent.of(lines(2 * CHUNK))
  for (const [encodedBytes, features] of [
    [CHUNK, null],
    [100, [1]],
  ] as const) {
    const client = new TestClient()
    const hub = new TestHub(content, { sends: () => false })
    if (features !== null) hub.terms.features = [...features]
    client.connect(hub)
    const download = client.download({ id: idOf(content), to: temporaryFolder(t) })
    while (hub.wants.length < 2) await new Promise(setImmediate)
    hub.sendPiece(0, 0, Buffer.alloc(10), encodedBytes)
    await t.rejects(download.done, { code: 'TRANSFER_MALFORMED' })
  }
})
