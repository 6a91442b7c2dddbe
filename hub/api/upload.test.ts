// Uploads over real sockets into real stores.

import { existsSync, readdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Upload } from 'tus-js-client'
import {
  ask,
  begin,
  breakingLine,
  MIB,
  noise,
  offsetAt,
  patch,
  Stage,
  type Stage as StageType,
  sha256,
  TUS,
} from './testing.ts'

type Given = { endpoint: string; uploadUrl?: string; bytes: Buffer; name?: string; chunkSize?: number }

/** As a program with tus-js-client does it. */
function send({ endpoint, uploadUrl, bytes, name = 'scan.tif', chunkSize }: Given): Promise<string> {
  return new Promise((resolve, reject) => {
    const upload: Upload = new Upload(bytes, {
      endpoint,
      // On a busy machine the hub takes longer to see that a line is broken.
      retryDelays: [100, 300, 1000, ...Array<number>(20).fill(3000)],
      metadata: { filename: name, filetype: 'image/tiff' },
      ...(uploadUrl === undefined ? {} : { uploadUrl }),
      ...(chunkSize === undefined ? {} : { chunkSize }),
      onSuccess: () => resolve(upload.url ?? ''),
      onError: reject,
    })
    upload.start()
  })
}

async function eventually(t: Test, what: string, check: () => boolean): Promise<void> {
  for (let i = 0; i < 2400 && !check(); i++) await new Promise((resolve) => setTimeout(resolve, 25))
  t.ok(check(), what)
}

const contentIdOf = (stage: StageType) => [...stage.contents.store.all()].map(({ id }) => id)[0] ?? ''

async function contentOf(stage: StageType, id: string): Promise<Buffer> {
  const { path } = stage.downloadLink(id)
  return (await ask(stage.url(path))).body
}

t.test('a file of 50 MB on a line that breaks twice arrives, and becomes one message', async (t) => {
  const stage = await Stage.open(t)
  const link = stage.uploadLink()
  const bytes = noise(50_000_000)
  const breaks = [12_000_000, 20_000_000]
  const line = await breakingLine(t, () => stage.port, breaks)
  await send({ endpoint: `http://127.0.0.1:${line}${link.path}`, bytes, name: '扫描 1.tif' })
  t.strictSame(breaks, [], 'the line broke')
  const id = contentIdOf(stage)
  const [message, ...others] = stage.published()
  t.strictSame(others, [])
  t.match(message, { topic: 'permits/scans', origin: 'hub-1', headers: { district: '北', ':content': id } })
  t.strictSame(JSON.parse(message?.body ?? ''), { name: '扫描 1.tif', size: bytes.length, mediaType: 'image/tiff' })
  t.match(stage.contents.store.get(id), { origin: 'hub-1', state: 'sealed', name: '扫描 1.tif', chunkBytes: 65_536 })
  t.equal(sha256(await contentOf(stage, id)), sha256(bytes))
  t.ok(stage.contents.receivedBytes < bytes.length + 2 * MIB, 'what was written down is not sent again')
  t.strictSame(readdirSync(join(stage.dataDir, 'http')), ['uses'], 'nothing is left to do')
})

t.test('an upload goes on where it was when the hub was stopped and started again', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(9 * MIB + 123)
  const { location } = await begin(stage, stage.uploadLink().path, bytes.length, { filename: 'a.bin' })
  const first = 3 * MIB + 777
  t.match(await patch(stage, location, 0, bytes.subarray(0, first)), {
    status: 204,
    headers: { 'upload-offset': String(first) },
  })
  await stage.restart()
  t.equal(await offsetAt(stage, location), first, 'every byte that was acknowledged')
  const url = stage.url(location)
  await send({ endpoint: stage.url('/upload'), uploadUrl: url, bytes })
  const id = contentIdOf(stage)
  t.equal(sha256(await contentOf(stage, id)), sha256(bytes))
  t.equal(stage.published().length, 1)
  await stage.restart()
  t.equal(stage.published().length, 1)
  t.equal(await offsetAt(stage, location), bytes.length, 'and it says that it is done')
})

t.test('small pieces, however cut, come together', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(300_000)
  const { location } = await begin(stage, stage.uploadLink().path, bytes.length)
  let offset = 0
  for (const length of [1, 65_535, 1, 10, 131_072, 0, 50_000, 53_381]) {
    const { status, headers } = await patch(stage, location, offset, bytes.subarray(offset, offset + length))
    offset += length
    t.match({ status, offset: headers['upload-offset'] }, { status: 204, offset: String(offset) })
  }
  t.equal(offset, bytes.length)
  t.equal(sha256(await contentOf(stage, contentIdOf(stage))), sha256(bytes))
  await send({ endpoint: stage.url(stage.uploadLink().path), bytes: noise(200_000, 'b'), chunkSize: 30_000 })
  t.equal(stage.published().length, 2)
})

t.test('an empty file, and one sent with the request that begins it', async (t) => {
  const stage = await Stage.open(t)
  const { path } = stage.uploadLink()
  t.match(await begin(stage, path, 0, { filename: 'empty' }), { status: 201 })
  t.strictSame(JSON.parse(stage.published()[0]?.body ?? ''), {
    name: 'empty',
    size: 0,
    mediaType: 'application/octet-stream',
  })
  const headers = { ...TUS, 'upload-length': '5', 'content-type': 'application/offset+octet-stream' }
  t.match(await ask(stage.url(path), { method: 'POST', headers, body: 'hello' }), {
    status: 201,
    headers: { 'upload-offset': '5' },
  })
  t.equal(stage.published().length, 2)
})

t.test('what is left to do behind the last byte is done at the next start, once', async (t) => {
  const stage = await Stage.open(t, { queueMessagesMax: 1 })
  const { path } = stage.uploadLink()
  await send({ endpoint: stage.url(path), bytes: noise(1000, 'x') })
  // The queue is full: the file is here, its message has to wait, and the sender need not.
  const late = begin(stage, path, 1000)
  const { location } = await late
  const answered = patch(stage, location, 0, noise(1000, 'y'))
  await eventually(t, 'it is tried', () => stage.logged.some((line) => line.includes('QUEUE_FULL')))
  t.match(await answered, { status: 204 })
  t.equal(stage.published().length, 1)
  t.equal(readdirSync(join(stage.dataDir, 'http')).filter((name) => name.endsWith('.json')).length, 1)
  const sealed = [...stage.contents.store.all()].filter(({ state }) => state === 'sealed')
  t.equal(sealed.length, 2, 'it is sealed')
  await stage.restart()
  t.equal(stage.published().length, 1, 'the queue is still full')
  const queue = stage.store.queues.get('files')
  const lease = queue === undefined ? null : stage.store.take(queue, 1, {})
  if (lease !== null) await stage.store.settle(lease, [0, 1], 'processed', { reason: '', by: 'test' })
  await eventually(
    t,
    'there is room',
    () => !readdirSync(join(stage.dataDir, 'http')).some((name) => name.endsWith('.json')),
  )
  t.equal(stage.published().length, 1)
  await stage.restart()
  t.equal(stage.published().length, 1, 'it came once')
})

t.test('a file that is whole and not sealed is sealed at the next start', async (t) => {
  const stage = await Stage.open(t)
  const { location } = await begin(stage, stage.uploadLink().path, 100_000)
  const bytes = noise(100_000)
  stage.contents.store.seal = () => Promise.reject(new Error('the power is gone'))
  t.match(await patch(stage, location, 0, bytes), { status: 204 })
  t.match(stage.contents.store.get(contentIdOf(stage)), { state: 'open', bytes: 100_000 })
  t.equal(stage.published().length, 0)
  await stage.restart()
  await eventually(t, 'it is published', () => stage.published().length === 1)
  t.equal(sha256(await contentOf(stage, contentIdOf(stage))), sha256(bytes))
})

t.test('a record that outlived its message makes no second one', async (t) => {
  const stage = await Stage.open(t)
  const { path, id: link } = stage.uploadLink()
  await send({ endpoint: stage.url(path), bytes: noise(70_000) })
  const content = contentIdOf(stage)
  await stage.stop()
  // As when the hub was killed between the message and the removal of the record.
  const { writeFileSync } = await import('node:fs')
  const record = { content, link, uses: 0, topic: 'permits/scans', headers: {}, createdAtMs: 0 }
  writeFileSync(join(stage.dataDir, 'http', `${content}.json`), JSON.stringify(record))
  await stage.start()
  await eventually(t, 'it is forgotten', () => !existsSync(join(stage.dataDir, 'http', `${content}.json`)))
  t.equal(stage.published().length, 1)
})

/** A writer that sends a little every 50 ms, until it is told to be quiet. */
async function slowWriter(stage: Stage, bytes: Buffer) {
  const { location } = await begin(stage, stage.uploadLink().path, bytes.length)
  const headers = { ...TUS, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
  const first = request(stage.url(location), {
    method: 'PATCH',
    headers: { ...headers, 'content-length': bytes.length },
  })
  first.on('error', () => undefined)
  first.flushHeaders()
  let sent = 0
  const timer = setInterval(() => {
    first.write(bytes.subarray(sent, sent + 10_000))
    sent += 10_000
  }, 50)
  await new Promise((resolve) => setTimeout(resolve, 300))
  return {
    location,
    sent: () => sent,
    quiet: () => clearInterval(timer),
    end: () => {
      clearInterval(timer)
      first.destroy()
    },
  }
}

t.test('of two writers the one that still sends keeps the upload; one that is quiet gives way', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(400_000)
  for (let tries = 0; ; tries++) {
    const startedAt = performance.now()
    const writer = await slowWriter(stage, bytes)
    const { location } = writer
    const busy = await patch(stage, location, 0, noise(1000, 'z'))
    const offsetMeanwhile = await offsetAt(stage, location)
    // When the machine stood still meanwhile, the writer was quiet.
    if (performance.now() - startedAt > 2000 && tries < 20) {
      writer.end()
      continue
    }
    t.match(busy, { status: 423, headers: { 'retry-after': '3' } })
    t.match(JSON.parse(busy.body.toString()), { code: 'UPLOAD_BUSY', remedy: String })
    t.equal(offsetMeanwhile, -423)
    writer.quiet()
    await new Promise((resolve) => setTimeout(resolve, 3200))
    const offset = await offsetAt(stage, location)
    t.equal(offset, writer.sent(), 'what the quiet one had sent is written down')
    t.match(await patch(stage, location, offset, bytes.subarray(offset)), { status: 204 })
    const sealed = [...stage.contents.store.all()].find(({ state }) => state === 'sealed')
    t.equal(sha256(await contentOf(stage, sealed?.id ?? '')), sha256(bytes))
    return
  }
})

t.test('offsets that do not fit, and bytes that are too many', async (t) => {
  const stage = await Stage.open(t)
  const { location } = await begin(stage, stage.uploadLink().path, 100)
  t.match(await patch(stage, location, 50, Buffer.alloc(10)), { status: 409 })
  t.match(await patch(stage, location, 0, Buffer.alloc(101)), { status: 413 })
  t.equal(await offsetAt(stage, location), 0)
  t.match(await patch(stage, location, 0, Buffer.alloc(100)), { status: 204 })
  t.match(await patch(stage, location, 100, Buffer.alloc(1)), { status: 413 })
  t.equal(stage.published().length, 1)
})

t.test('too large: for the link, for the hub, for its store', async (t) => {
  const stage = await Stage.open(t, { settings: { bytesMax: 2000 * MIB }, contentBytesMax: 32 * MIB })
  const narrow = stage.uploadLink({ bytesMax: 1000 })
  const wide = await begin(stage, narrow.path, 1001)
  t.match([wide.status, JSON.parse(wide.body.toString()).code], [413, 'UPLOAD_TOO_LARGE'])
  t.match(await begin(stage, narrow.path, 1000), { status: 201 })
  t.match(await ask(stage.url(narrow.path), { method: 'OPTIONS' }), { headers: { 'tus-max-size': '1000' } })
  const { path } = stage.uploadLink()
  t.match(await begin(stage, path, 2001 * MIB), { status: 413 })
  const large = await begin(stage, path, 33 * MIB)
  t.match(large, { status: 413 })
  t.match(JSON.parse(large.body.toString()), { code: 'CONTENT_TOO_LARGE' })
  t.equal(readdirSync(join(stage.dataDir, 'http')).length, 2, 'nothing stays of what was refused')
})

t.test('a full store refuses, loses nothing, and takes the rest when there is room', async (t) => {
  const stage = await Stage.open(t, { contentBytesMax: 64 * MIB })
  const { path } = stage.uploadLink()
  const bytes = noise(40 * MIB)
  const first = await begin(stage, path, bytes.length)
  const second = await begin(stage, path, bytes.length)
  t.match([first.status, second.status], [201, 201])
  t.match(await patch(stage, first.location, 0, bytes.subarray(0, 30 * MIB)), { status: 204 })
  const other = noise(40 * MIB, 'o')
  // The hub does not read on, so its answer may not get through.
  const refused = await patch(stage, second.location, 0, other).catch(() => {
    return null
  })
  const offset = await offsetAt(stage, second.location)
  t.ok(offset >= 0 && offset < other.length, 'it stopped')
  if (refused !== null) t.match(refused, { status: 507, headers: { 'retry-after': '60' } })
  t.match(await ask(stage.url(first.location), { method: 'DELETE', headers: TUS }), { status: 204 })
  t.equal(await offsetAt(stage, first.location), -404)
  t.equal(stage.published().length, 0)
})

t.test('a link for one file: cancelling gives the use back, finishing spends it', async (t) => {
  const stage = await Stage.open(t)
  const { path } = stage.uploadLink({ uses: 1 })
  const first = await begin(stage, path, 10)
  const refused = await begin(stage, path, 10)
  t.match([refused.status, JSON.parse(refused.body.toString()).code], [410, 'UPLOAD_LINK_USED'])
  t.match(await ask(stage.url(first.location), { method: 'DELETE', headers: TUS }), { status: 204 })
  const second = await begin(stage, path, 10)
  t.match(await patch(stage, second.location, 0, Buffer.alloc(10)), { status: 204 })
  await stage.restart()
  t.match(await begin(stage, path, 10), { status: 410 })
  t.match(await ask(stage.url(second.location), { method: 'DELETE', headers: TUS }), { status: 400 }, 'it has arrived')
  t.equal(stage.published().length, 1)
})

t.test('hostile names and types', async (t) => {
  const stage = await Stage.open(t)
  const { path } = stage.uploadLink()
  for (const name of [
    '../../etc/passwd',
    'a/b',
    'a\\b',
    '.htaccess',
    'con',
    'a\nb',
    'gpj.\u202eexe',
    'x'.repeat(256),
    '..',
    'a:b',
  ]) {
    const answer = await begin(stage, path, 1, { filename: name })
    t.match(
      [answer.status, JSON.parse(answer.body.toString()).code],
      [400, 'CONTENT_NAME_INVALID'],
      JSON.stringify(name),
    )
  }
  for (const type of ['text', 'a/b\r\nx: y', 'text/html\u00e9', `a/${'b'.repeat(130)}`]) {
    const answer = await begin(stage, path, 1, { filename: 'a', filetype: type })
    t.match([answer.status, JSON.parse(answer.body.toString()).code], [400, 'UPLOAD_MEDIA_TYPE'], JSON.stringify(type))
  }
  for (const metadata of ['filename ???', 'filename', ' ', 'a b c', 'filename QQ==,filename QQ==']) {
    const headers = { ...TUS, 'upload-length': '1', 'upload-metadata': metadata }
    const { status } = await ask(stage.url(path), { method: 'POST', headers })
    t.ok(status === 400 || (metadata === 'filename' && status === 201), `${metadata}: ${status}`)
  }
  for (const length of ['-1', '1e3', 'x', '99999999999999999999', '']) {
    const { status } = await ask(stage.url(path), { method: 'POST', headers: { ...TUS, 'upload-length': length } })
    t.ok(status === 400 || status === 413, `length ${length}: ${status}`)
  }
  t.match(await ask(stage.url(path), { method: 'POST', headers: { ...TUS, 'upload-defer-length': '1' } }), {
    status: 501,
  })
  t.match(
    await ask(stage.url(path), {
      method: 'POST',
      headers: { ...TUS, 'upload-length': '1', 'upload-concat': 'partial' },
    }),
    { status: 501 },
  )
})

t.test('revoking a link ends the uploads that go on by it', async (t) => {
  const stage = await Stage.open(t)
  const { path, id } = stage.uploadLink()
  const bytes = noise(2 * MIB)
  const { location } = await begin(stage, path, bytes.length)
  t.match(await patch(stage, location, 0, bytes.subarray(0, MIB)), { status: 204 })
  const slow = request(stage.url(location), {
    method: 'PATCH',
    headers: {
      ...TUS,
      'upload-offset': String(MIB),
      'content-type': 'application/offset+octet-stream',
      'content-length': MIB,
    },
  })
  const broken = new Promise<string>((resolve) => {
    slow.on('error', () => resolve('cut'))
    slow.on('response', ({ statusCode }) => resolve(`status ${statusCode}`))
  })
  slow.write(bytes.subarray(MIB, MIB + 1000))
  await new Promise((resolve) => setTimeout(resolve, 200))
  stage.links.revoke(id, stage.nowMs())
  slow.write(bytes.subarray(MIB + 1000, MIB + 2000))
  t.match(await broken, /cut|status 410/)
  t.equal(await offsetAt(stage, location), -410)
  t.match(await begin(stage, path, 10), { status: 410 })
  t.equal(stage.published().length, 0)
})
