// Downloads over real sockets from real stores.

import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { get } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { testKey } from '#protocol/codec/testing.ts'
import { ChunkList, encodeChunk, sealManifest } from '#protocol/transfer/mod.ts'
import { attachment, isSameVersion, rangeOf } from './download/range.ts'
import { ask, begin, MIB, noise, patch, Stage, sha256 } from './testing.ts'

/** A file that came by an upload link; gives its content's id. */
async function stored(stage: Stage, bytes: Buffer, metadata: Record<string, string> = {}): Promise<string> {
  const { location } = await begin(stage, stage.uploadLink().path, bytes.length, metadata)
  const { status } = await patch(stage, location, 0, bytes)
  if (bytes.length > 0 && status !== 204) throw new Error(`status ${status}`)
  return [...stage.contents.store.all()].at(-1)?.id ?? ''
}

t.test('which bytes a header means', async (t) => {
  t.strictSame(rangeOf(undefined, 10), null)
  t.strictSame(rangeOf('bytes=0-0', 10), { from: 0, to: 1 })
  t.strictSame(rangeOf('bytes=3-', 10), { from: 3, to: 10 })
  t.strictSame(rangeOf('Bytes=3-99', 10), { from: 3, to: 10 })
  t.strictSame(rangeOf('bytes=-3', 10), { from: 7, to: 10 })
  t.strictSame(rangeOf('bytes=-99', 10), { from: 0, to: 10 })
  for (const none of ['bytes=10-', 'bytes=10-11', 'bytes=-0']) t.equal(rangeOf(none, 10), 'unsatisfiable', none)
  t.equal(rangeOf('bytes=-1', 0), 'unsatisfiable')
  for (const bad of [
    '',
    'bytes=',
    'bytes=-',
    'bytes=5-3',
    'bytes=0-1,4-5',
    'items=0-1',
    'bytes=a-b',
    'bytes=0x1-2',
    `bytes=${'9'.repeat(40)}-`,
  ]) {
    t.equal(rangeOf(bad, 10), null, bad)
  }
  t.ok(isSameVersion('"a"', '"a"'))
  for (const other of ['"b"', 'W/"a"', 'Wed, 21 Oct 2015 07:28:00 GMT']) t.notOk(isSameVersion(other, '"a"'))
})

t.test('names in every script reach every browser', async (t) => {
  t.equal(attachment('a b.pdf'), `attachment; filename="a b.pdf"; filename*=UTF-8''a%20b.pdf`)
  t.equal(attachment('许可.pdf'), `attachment; filename="__.pdf"; filename*=UTF-8''%E8%AE%B8%E5%8F%AF.pdf`)
  t.equal(attachment(`a"%'(1)*.x`), `attachment; filename="a__'(1)*.x"; filename*=UTF-8''a%22%25%27%281%29%2A.x`)
})

t.test('whole, in parts, and resumed', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(3 * MIB + 1234)
  const id = await stored(stage, bytes, { filename: '许可 "1".html'.replaceAll('"', ''), filetype: 'text/html' })
  const url = stage.url(stage.downloadLink(id).path)
  const whole = await ask(url)
  t.equal(whole.status, 200)
  t.equal(sha256(whole.body), sha256(bytes))
  t.match(whole.headers, {
    'content-length': String(bytes.length),
    'accept-ranges': 'bytes',
    'content-type': 'text/html',
    'content-disposition': /^attachment; filename="__ 1\.html"; filename\*=UTF-8''%E8%AE%B8/,
    'x-content-type-options': 'nosniff',
    'content-security-policy': /sandbox/,
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    etag: /^"[0-9a-f]{64}"$/,
  })
  t.strictSame(
    Object.keys(whole.headers).filter((name) => name.startsWith('access-control')),
    [],
  )
  const etag = whole.headers.etag ?? ''
  const head = await ask(url, { method: 'HEAD' })
  t.match(head, { status: 200, headers: { 'content-length': String(bytes.length), etag } })
  t.equal(head.body.length, 0)
  const total = bytes.length
  for (const [from, to] of [
    [0, 1],
    [65_535, 65_537],
    [65_536, 131_072],
    [total - 1, total],
    [100_000, 2_500_000],
  ] as const) {
    const part = await ask(url, { headers: { range: `bytes=${from}-${to - 1}` } })
    t.match(part, {
      status: 206,
      headers: { 'content-range': `bytes ${from}-${to - 1}/${total}`, 'content-length': String(to - from) },
    })
    t.ok(part.body.equals(bytes.subarray(from, to)), `${from} to ${to}`)
  }
  const resumed = await ask(url, { headers: { range: 'bytes=1000000-', 'if-range': etag } })
  t.equal(sha256(Buffer.concat([bytes.subarray(0, 1_000_000), resumed.body])), sha256(bytes))
  t.match(await ask(url, { headers: { range: 'bytes=5-', 'if-range': '"other"' } }), { status: 200 })
  t.match(await ask(url, { headers: { range: `bytes=${total}-` } }), {
    status: 416,
    headers: { 'content-range': `bytes */${total}` },
  })
  t.match(await ask(url, { headers: { range: 'bytes=0-1,5-6' } }), { status: 200 })
  t.match(await ask(url, { method: 'POST' }), { status: 405, headers: { allow: 'GET, HEAD' } })
})

t.test('an empty file, and one without a name', async (t) => {
  const stage = await Stage.open(t)
  const id = await stored(stage, Buffer.alloc(0))
  t.match(await ask(stage.url(stage.downloadLink(id).path)), {
    status: 200,
    headers: {
      'content-length': '0',
      'content-disposition': new RegExp(`filename="${id}"`),
      'content-type': 'application/octet-stream',
    },
  })
})

t.test('only what is sealed is given away', async (t) => {
  const stage = await Stage.open(t)
  const { location } = await begin(stage, stage.uploadLink().path, 200_000)
  await patch(stage, location, 0, noise(150_000))
  const open = [...stage.contents.store.all()][0]?.id ?? ''
  for (const id of [open, 'ab'.repeat(16)]) {
    const answer = await ask(stage.url(stage.downloadLink(id).path))
    t.match([answer.status, JSON.parse(answer.body.toString()).code], [404, 'CONTENT_ABSENT'])
  }
})

t.test('what is damaged on the disk is never sent', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(1 * MIB)
  const id = await stored(stage, bytes)
  damage(join(stage.dataDir, 'contents'), bytes.subarray(8 * 65_536 + 100, 8 * 65_536 + 5000))
  const { path } = stage.downloadLink(id)
  const answer = await ask(stage.url(path))
  t.ok(answer.broken, 'it ends early')
  t.equal(answer.body.length, 8 * 65_536)
  t.ok(answer.body.equals(bytes.subarray(0, answer.body.length)), 'what came is right')
  const isTold = () => stage.logged.some((line) => line.includes('CONTENT_DAMAGED'))
  for (let i = 0; i < 6000 && !isTold(); i++) await new Promise((resolve) => setTimeout(resolve, 10))
  t.ok(isTold(), 'it is logged')
  for (let i = 0; i < 6000 && stage.contents.store.get(id)?.state === 'sealed'; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  t.equal(stage.contents.store.get(id)?.state, 'open', 'the store knows')
  t.match(await ask(stage.url(path)), { status: 404 })
})

t.test('a first chunk that is damaged is told by the status', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(100_000)
  const id = await stored(stage, bytes)
  damage(join(stage.dataDir, 'contents'), bytes.subarray(100, 3000))
  const answer = await ask(stage.url(stage.downloadLink(id).path))
  t.match([answer.status, JSON.parse(answer.body.toString()).code], [503, 'CONTENT_DAMAGED'])
})

t.test('chunks that lie there encoded come as they are, in parts too', async (t) => {
  const stage = await Stage.open(t)
  const { store } = stage.contents
  const bytes = Buffer.from('{"name":"许可","state":"granted"}\n'.repeat(9000))
  const id = 'cd'.repeat(16)
  const chunkBytes = 65_536
  const list = new ChunkList({ size: bytes.length, chunkBytes })
  const about = { name: 'permits.jsonl', mediaType: '' }
  await store.begin({ id, origin: 'a', ...about, size: bytes.length, chunkBytes, createdAtMs: 1, keepMs: 0 })
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes)
    const digest = createHash('sha256').update(chunk).digest()
    const encoded = list.count % 2 === 0 ? encodeChunk(chunk, chunk.length - 1) : null
    const form = encoded === null ? { bytes: chunk } : { bytes: encoded, isEncoded: true }
    await store.add(id, list.add(digest, chunk.length), { digest, length: chunk.length, ...form })
  }
  const facts = { contentId: Buffer.from(id, 'hex'), sealedAtMs: 1, origin: 'a', ...about }
  await store.seal(id, sealManifest(facts, list, testKey('a')))
  const url = stage.url(stage.downloadLink(id).path)
  t.ok((await ask(url)).body.equals(bytes))
  for (const [from, to] of [
    [0, 1],
    [65_530, 65_540],
    [10, 200_000],
    [bytes.length - 3, bytes.length],
  ] as const) {
    const part = await ask(url, { headers: { range: `bytes=${from}-${to - 1}` } })
    t.ok(part.status === 206 && part.body.equals(bytes.subarray(from, to)), `${from} to ${to}`)
  }
  damage(join(stage.dataDir, 'contents'), encodeChunk(bytes.subarray(0, chunkBytes), chunkBytes) as Buffer)
  t.match(await ask(url), { status: 503 })
})

t.test('who does not read makes the hub wait, not grow', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(64 * MIB)
  const id = await stored(stage, bytes)
  const before = process.memoryUsage().external
  const socket = connect(stage.port, '127.0.0.1')
  socket.write(`GET ${stage.downloadLink(id).path} HTTP/1.1\r\nhost: a\r\n\r\n`)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  const moreBytes = process.memoryUsage().external - before
  t.ok(moreBytes < 4 * MIB, `${moreBytes} bytes more`)
  socket.destroy()
  const told = () => stage.logged.find((line) => line.includes('"kind":"download"'))
  for (let i = 0; i < 3000 && told() === undefined; i++) await new Promise((resolve) => setTimeout(resolve, 20))
  t.ok(
    (JSON.parse(told() ?? '{}') as { bytes: number }).bytes < bytes.length / 2,
    'what the system holds for it, no more',
  )
})

t.test('downloads of one link are bounded, and a revoked one ends', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(40 * MIB)
  const id = await stored(stage, bytes)
  const link = stage.downloadLink(id)
  const endings: Promise<boolean>[] = []
  const resumes: (() => void)[] = []
  const heads: Promise<void>[] = []
  for (let i = 0; i < 8; i++) {
    const { promise: head, resolve } = Promise.withResolvers<void>()
    heads.push(head)
    endings.push(
      new Promise((end) => {
        const request = get(stage.url(link.path), { agent: false }, (response) => {
          resolve()
          response.pause()
          response.on('close', () => end(response.complete))
          response.on('error', () => end(false))
          resumes.push(() => response.resume())
        })
        request.on('error', () => end(false))
      }),
    )
  }
  await Promise.all(heads)
  t.match(await ask(stage.url(link.path)), { status: 503, headers: { 'retry-after': '10' } })
  t.match(await ask(stage.url(stage.downloadLink(id).path), { method: 'HEAD' }), { status: 200 }, 'others go on')
  stage.links.revoke(link.id, stage.nowMs())
  for (const resume of resumes) resume()
  t.strictSame(
    await Promise.all(endings),
    endings.map(() => false),
  )
  t.match(await ask(stage.url(link.path)), { status: 410 })
})

/** Overwrites what is found in the files of a folder. */
function damage(folder: string, wanted: Buffer): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const at = readFileSync(path).indexOf(wanted)
    if (at < 0) continue
    const file = openSync(path, 'r+')
    writeSync(file, Buffer.alloc(1, (wanted[0] as number) ^ 1), 0, 1, at)
    closeSync(file)
    return
  }
  throw new Error('nothing there to damage')
}
