// A hub or a sender that lies: a clear fault, nothing outside the folder, no file with the name of the content.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { testKey } from '#protocol/codec/testing.ts'
import { ChunkList, sealManifest } from '#protocol/transfer/mod.ts'
import type { DownloadOptions } from './mod.ts'
import { type Mischief, sha256, TestClient, TestContent, TestHub, temporaryFolder } from './testing.ts'

const CHUNK = 65_536

async function failed(content: TestContent, mischief: Mischief, options: DownloadOptions) {
  const client = new TestClient()
  const hub = client.connect(new TestHub(content, mischief))
  const fault = await client.download(options).done.then(
    () => null,
    (error: unknown) => error as Fault,
  )
  return { fault, hub, client }
}

t.test('sizes, digests and manifests that do not fit', async (t) => {
  const bytes = randomBytes(5 * CHUNK)
  const content = TestContent.of(bytes)
  const other = TestContent.of(randomBytes(5 * CHUNK))
  const shorter = new ChunkList({ size: 4 * CHUNK, chunkBytes: CHUNK })
  for (let i = 0; i < 4; i++) shorter.add(content.list.digestAt(i), CHUNK)
  const stranger = testKey('stranger')
  const named = { contentId: content.id, sealedAtMs: 1, name: content.name, mediaType: content.mediaType }
  const cases: [string, Mischief, string][] = [
    ['a size beyond all bounds', { fetched: { size: 2 ** 50 } }, 'TRANSFER_TOO_LARGE'],
    ['chunks too small', { fetched: { chunkBytes: 512 } }, 'TRANSFER_MALFORMED'],
    ['more chunks than the size has', { fetched: { size: 2 * CHUNK } }, 'TRANSFER_MALFORMED'],
    ['fewer chunks', { fetched: { size: 5 * CHUNK + 1 } }, 'MANIFEST_INVALID'],
    ['lengths that nobody gave', { fetched: { chunkBytes: 0 } }, 'TRANSFER_MALFORMED'],
    ['bytes that are others', { piece: (_chunk, _offset, piece) => piece.fill(1) }, 'CHUNK_DAMAGED'],
    ['pieces too long', { piece: (_chunk, _offset, piece) => Buffer.concat([piece, piece]) }, 'TRANSFER_MALFORMED'],
    ['a manifest of other chunks', { manifest: content.seal({ list: other.list }) }, 'MANIFEST_INVALID'],
    ['a manifest of fewer chunks', { manifest: content.seal({ list: shorter }) }, 'MANIFEST_INVALID'],
    ['a manifest of another content', { manifest: content.seal({ contentId: other.id }) }, 'MANIFEST_INVALID'],
    ['a manifest of another name', { manifest: content.seal({ name: 'y.pdf' }) }, 'MANIFEST_INVALID'],
    ['a manifest of another agent', { manifest: content.seal({ origin: 'agent-b' }) }, 'MANIFEST_INVALID'],
    ['no manifest', { manifest: Buffer.from('CWM1 and so on') }, 'MANIFEST_INVALID'],
    [
      'a stranger',
      { manifest: sealManifest({ ...named, origin: 'agent-a' }, content.list, stranger) },
      'ORIGIN_UNKNOWN',
    ],
    ['a changed signature', { manifest: flipped(content.manifest) }, 'MANIFEST_SIGNATURE_INVALID'],
  ]
  for (const [what, mischief, code] of cases) {
    const folder = temporaryFolder(t)
    const { fault, hub } = await failed(content, mischief, { id: content.id.toString('hex'), to: folder })
    t.equal(fault?.code, code, `${what}: ${fault?.message}`)
    t.ok(fault instanceof Fault)
    t.notOk(existsSync(join(folder, 'report.pdf')))
    t.match(hub.ends, [{ fault: { code }, cancel: false }], what)
  }
})

t.test('another origin than expected', async (t) => {
  const folder = temporaryFolder(t)
  const content = TestContent.of(randomBytes(10))
  const { fault } = await failed(content, {}, { id: content.id.toString('hex'), to: folder, origin: 'agent-b' })
  t.match(fault, { code: 'CONTENT_ORIGIN_OTHER' })
  t.strictSame(readdirSync(folder), [])
})

t.test('names that lead elsewhere are refused before anything is written', async (t) => {
  const outer = temporaryFolder(t)
  const folder = join(outer, 'in')
  mkdirSync(folder)
  const content = TestContent.of(randomBytes(10))
  for (const name of ['../x', '/etc/x', 'CON', 'a\\b', '.bashrc', '..', 'nul.txt', 'x\u202efdp.exe', 'a:b', 'x ']) {
    const { fault } = await failed(content, { fetched: { name } }, { id: content.id.toString('hex'), to: folder })
    t.match(fault, { code: 'CONTENT_NAME_INVALID' }, JSON.stringify(name))
  }
  t.strictSame(readdirSync(folder), [])
  t.strictSame(readdirSync(outer), ['in'])
})

t.test('chunks nobody wants, twice, or more than allowed', async (t) => {
  const content = TestContent.of(randomBytes(4 * CHUNK))
  const folder = temporaryFolder(t)
  for (const harm of ['unwanted', 'offset', 'credit'] as const) {
    const client = new TestClient()
    const hub = client.connect(new TestHub(content, { sends: () => false }))
    const download = client.download({ id: content.id.toString('hex'), to: folder })
    while (hub.wants.length < 4) await new Promise(setImmediate)
    if (harm === 'unwanted') hub.sendPiece(9, 0, Buffer.alloc(10))
    else if (harm === 'offset') hub.sendPiece(1, 7, Buffer.alloc(10))
    else for (let i = 0; i < 9; i++) hub.sendPiece(1, 0, Buffer.alloc(CHUNK))
    await t.rejects(download.done, { code: 'TRANSFER_MALFORMED' })
  }
})

t.test('after a break the hub may not say something else', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = randomBytes(4 * CHUNK)
  const content = TestContent.of(bytes)
  const client = new TestClient()
  const first: TestHub = client.connect(new TestHub(content, { sends: () => first.sentBytes < CHUNK }))
  const download = client.download({ id: content.id.toString('hex'), to: folder })
  while (first.storedChunks.size < 1) await new Promise(setImmediate)
  client.connect(new TestHub(content, { fetched: { size: 3 * CHUNK } }))
  await t.rejects(download.done, { code: 'TRANSFER_MALFORMED' })
})

t.test('a chunk that was another before is fetched anew, also after a restart', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = randomBytes(4 * CHUNK)
  const good = TestContent.of(bytes)
  const forged = new TestContent({
    size: bytes.length,
    chunkBytes: CHUNK,
    chunk: (i) => (i === 2 ? Buffer.alloc(CHUNK, 9) : good.chunk(i)),
    digests: [0, 1, 2, 3].map((i) => sha256(i === 2 ? Buffer.alloc(CHUNK, 9) : good.chunk(i))),
  })
  const id = good.id.toString('hex')
  const { fault } = await failed(forged, { manifest: good.manifest, sends: () => false }, { id, to: folder })
  t.match(fault, { code: 'MANIFEST_INVALID' })
  const client = new TestClient()
  const liar = client.connect(new TestHub(forged, { chunksMax: 3 }))
  const first = client.download({ id, to: folder })
  while (liar.storedChunks.size < 3) await new Promise(setImmediate)
  first.cancel()
  await t.rejects(first.done)
  const hub = client.connect(new TestHub(good))
  await client.download({ id, to: folder }).done
  t.strictSame(hub.wants, [2, 3])
})

function flipped(manifest: Buffer): Buffer {
  const out = Buffer.from(manifest)
  out[out.length - 1] = (out.at(-1) as number) ^ 1
  return out
}
