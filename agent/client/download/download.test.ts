// Downloads against a hub played by the test, with real files and threads.

import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { WINDOW_BYTES } from '#protocol/transfer/mod.ts'
import { clientFault } from '../faults.ts'
import type { Download, DownloadOptions } from './mod.ts'
import { TestClient, TestContent, TestHub, temporaryFolder } from './testing.ts'

const CHUNK = 65_536
const MIB = 1024 * 1024

const idOf = (content: TestContent) => content.id.toString('hex')
const hidden = (folder: string) => readdirSync(folder).filter((name) => name.startsWith('.report'))

async function until(what: () => boolean): Promise<void> {
  while (!what()) await sleep(2)
}

const whyOf = (download: Download): Promise<Fault> =>
  download.done.then(
    () => Promise.reject(new Error('it should have failed')),
    (fault: Fault) => fault,
  )

t.test('a content comes into its file, and nothing else is left', async (t) => {
  for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * MIB + 17]) {
    const folder = temporaryFolder(t)
    const bytes = randomBytes(size)
    const content = TestContent.of(bytes)
    const client = new TestClient()
    const hub = client.connect(new TestHub(content))
    const download = client.download({ id: idOf(content), to: folder })
    const done = await download.done
    t.match(done, { path: join(folder, 'report.pdf'), size, name: 'report.pdf', origin: 'agent-a' })
    t.equal(done.root, content.list.root().toString('hex'))
    t.ok(readFileSync(done.path).equals(bytes), `${size} bytes`)
    t.strictSame(readdirSync(folder).sort(), ['.causeway', 'report.pdf'])
    t.match(download.progress, { size, receivedBytes: size, storedBytes: size, hashedAgainBytes: 0, state: 'done' })
    t.equal(hub.sealed, 1)
    t.strictSame(hub.ends, [])
  }
})

t.test('chunks cut by their content lie where they belong', async (t) => {
  const folder = temporaryFolder(t)
  const lengths = [70_001, 65_536, 300_007, 5]
  const bytes = randomBytes(lengths.reduce((sum, length) => sum + length, 0))
  const content = TestContent.of(bytes, { lengths })
  const client = new TestClient()
  client.connect(new TestHub(content))
  const { path } = await client.download({ id: idOf(content), to: join(folder, 'x.bin'), as: 'file' }).done
  t.equal(path, join(folder, 'x.bin'))
  t.ok(readFileSync(path).equals(bytes))
})

t.test('after a cut line nothing that arrived whole comes again', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = randomBytes(12 * MIB)
  const content = TestContent.of(bytes)
  const client = new TestClient()
  const download = client.download({ id: idOf(content), to: folder })
  let sent = 0
  for (const stopAt of [3 * MIB + 100_000, 5 * MIB, 2 * MIB]) {
    const hub: TestHub = client.connect(new TestHub(content, { sends: () => hub.sentBytes < stopAt }))
    await until(() => hub.sentBytes >= stopAt)
    client.disconnect()
    sent += hub.sentBytes
  }
  const last = client.connect(new TestHub(content))
  const { path } = await download.done
  t.ok(readFileSync(path).equals(bytes))
  sent += last.sentBytes
  // Of each of three lines one chunk at most was begun.
  t.ok(sent <= bytes.length + 3 * CHUNK, `${sent - bytes.length} bytes too many`)
  t.equal(download.progress.receivedBytes, sent)
  t.equal(download.progress.hashedAgainBytes, 0)
  t.equal(last.storedChunks.size, content.list.count)
})

t.test('another download of the same goes on where the journal ends', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = randomBytes(6 * MIB + 5)
  const content = TestContent.of(bytes)
  const options: DownloadOptions = { id: idOf(content), to: folder }
  const first = new TestClient()
  const hub: TestHub = first.connect(new TestHub(content, { sends: () => hub.sentBytes < 3 * MIB }))
  const given = first.download(options)
  await until(() => hub.storedChunks.size === 48)
  t.match(await whyOf(first.download(options)), { code: 'DOWNLOAD_RUNNING' })
  given.cancel()
  t.match(await whyOf(given), { code: 'TRANSFER_CANCELLED' })
  t.equal(hub.ends.length, 2)
  t.equal(hidden(folder).length, 2)

  const client = new TestClient()
  const next = client.connect(new TestHub(content))
  const download = client.download(options)
  await download.done
  t.ok(readFileSync(join(folder, 'report.pdf')).equals(bytes))
  t.equal(next.sentBytes, bytes.length - 3 * MIB)
  t.strictSame(
    next.wants.filter((chunk) => chunk < 48),
    [],
  )
  t.match(download.progress, { storedBytes: bytes.length, hashedAgainBytes: 0 })
})

t.test('a journal without its part file, or of another plan, is void; forgotten is forgotten', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = randomBytes(2 * MIB)
  const content = TestContent.of(bytes)
  for (const harm of ['gone', 'short', 'forget'] as const) {
    const client = new TestClient()
    const hub: TestHub = client.connect(new TestHub(content, { sends: () => hub.sentBytes < MIB }))
    const download = client.download({ id: idOf(content), to: folder })
    await until(() => hub.storedChunks.size === 16)
    download.cancel({ forget: harm === 'forget' })
    await whyOf(download)
    const part = join(folder, hidden(folder).find((name) => name.endsWith('.part')) ?? 'none')
    if (harm === 'gone') rmSync(part)
    else if (harm === 'short') truncateSync(part, MIB)
    else t.strictSame(readdirSync(folder), [])
  }
  const client = new TestClient()
  const hub = client.connect(new TestHub(content))
  await client.download({ id: idOf(content), to: folder }).done
  t.equal(hub.sentBytes, bytes.length)
})

t.test('what is complete here is not fetched again', async (t) => {
  const folder = temporaryFolder(t)
  const content = TestContent.of(randomBytes(MIB))
  const client = new TestClient()
  client.connect(new TestHub(content))
  await client.download({ id: idOf(content), to: folder }).done
  for (const overwrite of ['refuse', 'replace', 'number'] as const) {
    const hub = client.connect(new TestHub(content))
    const download = client.download({ id: idOf(content), to: folder, overwrite })
    t.equal((await download.done).path, join(folder, 'report.pdf'))
    t.match(download.progress, { receivedBytes: 0, hashedAgainBytes: 0, storedBytes: MIB })
    t.equal(hub.sentBytes, 0)
    t.equal(hub.sealed, 1)
    t.strictSame(readdirSync(folder).sort(), ['.causeway', 'report.pdf'])
  }
})

t.test('a content may be sealed while it comes, and named bit by bit', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = randomBytes(2 * MIB)
  const content = TestContent.of(bytes)
  const client = new TestClient()
  const hub = client.connect(new TestHub(content, { chunksMax: 3 }))
  const download = client.download({ id: idOf(content), to: folder })
  for (const chunksMax of [3, 20, 32]) {
    hub.mischief = { chunksMax }
    hub.wake()
    await until(() => hub.storedChunks.size === chunksMax)
  }
  await download.done
  t.ok(readFileSync(join(folder, 'report.pdf')).equals(bytes))
})

t.test('chunks that are equal come once', async (t) => {
  const folder = temporaryFolder(t)
  const one = randomBytes(CHUNK)
  const bytes = Buffer.concat([one, Buffer.alloc(20 * CHUNK), one, one, randomBytes(CHUNK), one])
  const content = TestContent.of(bytes)
  const client = new TestClient()
  const hub = client.connect(new TestHub(content))
  const download = client.download({ id: idOf(content), to: folder })
  await download.done
  t.ok(readFileSync(join(folder, 'report.pdf')).equals(bytes))
  t.equal(hub.sentBytes, 3 * CHUNK)
  t.equal(download.progress.reusedBytes, bytes.length - 3 * CHUNK)
})

t.test('a damaged chunk is asked for again; one that stays damaged ends it', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = randomBytes(MIB)
  const content = TestContent.of(bytes)
  let damages = 0
  const damage = (times: number) => (chunk: number, _offset: number, piece: Buffer) => {
    if (chunk === 5 && damages++ < times) piece[77] = (piece[77] as number) ^ 1
    return piece
  }
  const client = new TestClient()
  const bad = client.connect(new TestHub(content, { piece: damage(9) }))
  t.match(await whyOf(client.download({ id: idOf(content), to: folder })), { code: 'CHUNK_DAMAGED' })
  t.match(bad.ends, [{ fault: { code: 'CHUNK_DAMAGED' } }])
  t.notOk(existsSync(join(folder, 'report.pdf')))

  damages = 0
  const hub = client.connect(new TestHub(content, { piece: damage(2) }))
  const download = client.download({ id: idOf(content), to: folder })
  await download.done
  t.ok(readFileSync(join(folder, 'report.pdf')).equals(bytes))
  t.equal(hub.wants.filter((chunk) => chunk === 5).length, 3)
  t.equal(hub.sentBytes, download.progress.receivedBytes)
})

t.test('no more than the window is on its way; paused, nothing more is', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = randomBytes(24 * MIB)
  const content = TestContent.of(bytes, { chunkBytes: MIB })
  const client = new TestClient()
  let worst = 0
  const watch = () => {
    const durable = [...hub.storedChunks].reduce((sum, chunk) => sum + content.list.lengthAt(chunk), 0)
    worst = Math.max(worst, hub.sentBytes - durable)
    return true
  }
  const hub: TestHub = client.connect(new TestHub(content, { sends: watch }))
  const download = client.download({ id: idOf(content), to: folder })
  t.equal(hub.fetches[0]?.creditBytes, WINDOW_BYTES)
  download.pause()
  await until(() => hub.storedChunks.size === 15)
  await sleep(50)
  t.equal(hub.sentBytes, WINDOW_BYTES)
  t.equal(download.progress.state, 'paused')
  download.resume()
  await download.done
  t.ok(worst <= WINDOW_BYTES, `${worst} bytes`)
  t.ok(readFileSync(join(folder, 'report.pdf')).equals(bytes))
})

t.test('a rate is kept; a function may change it', async (t) => {
  const folder = temporaryFolder(t)
  const content = TestContent.of(randomBytes(MIB))
  let rate = -1
  const client = new TestClient()
  const hub = client.connect(new TestHub(content))
  const startMs = performance.now()
  const download = client.download({ id: idOf(content), to: folder, bytesPerSecondMax: () => rate })
  await sleep(250)
  t.equal(hub.sentBytes, 0)
  rate = MIB
  await until(() => hub.sentBytes >= MIB / 2)
  t.ok(performance.now() - startMs > 250 + 150, 'half a MiB takes longer than the burst')
  rate = 0
  await download.done
})

t.test('refused for the moment it asks again; refused for good it ends', async (t) => {
  const folder = temporaryFolder(t)
  const content = TestContent.of(randomBytes(MIB))
  const client = new TestClient()
  const busy = clientFault('REQUEST_REFUSED', { why: 'busy', retry: true })
  const hub = client.connect(new TestHub(content, { refuse: busy }))
  const states: string[] = []
  const options = { id: idOf(content), to: folder }
  const download = client.download({ ...options, onProgress: ({ state }) => states.push(state) })
  await until(() => download.progress.state === 'waiting')
  t.equal(download.progress.fault, busy)
  hub.mischief = { sends: () => hub.sentBytes < MIB / 2 }
  await until(() => hub.sentBytes >= MIB / 2)
  hub.mischief = {}
  hub.endTransfer({ code: 'HUB_BUSY', message: 'm', remedy: 'r', retry: true })
  t.equal(download.progress.state, 'waiting')
  await download.done
  t.equal(hub.fetches.length, 3)
  t.ok(hub.sentBytes <= MIB + CHUNK)
  t.strictSame([...new Set(states)], ['waiting', 'receiving', 'finishing', 'done'])

  rmSync(join(folder, 'report.pdf'))
  hub.mischief = { sends: () => false }
  const ended = client.download(options)
  await until(() => hub.fetches.length === 4)
  await sleep(20)
  hub.endTransfer({ code: 'CONTENT_GONE', message: 'it is gone', remedy: 'r', retry: false })
  t.match(await whyOf(ended), { code: 'TRANSFER_REFUSED', message: /CONTENT_GONE: it is gone/ })
  hub.mischief = { refuse: clientFault('REQUEST_REFUSED', { why: 'who?', retry: false }) }
  t.match(await whyOf(client.download(options)), { code: 'REQUEST_REFUSED' })
})

t.test('a signal ends it, also one given before', async (t) => {
  const folder = temporaryFolder(t)
  const content = TestContent.of(randomBytes(MIB))
  const client = new TestClient()
  client.connect(new TestHub(content, { sends: () => false }))
  const controller = new AbortController()
  const download = client.download({ id: idOf(content), to: folder, signal: controller.signal })
  await sleep(10)
  controller.abort()
  t.match(await whyOf(download), { code: 'TRANSFER_CANCELLED' })
  const late = client.download({ id: idOf(content), to: folder, signal: controller.signal })
  t.match(await whyOf(late), { code: 'TRANSFER_CANCELLED' })
  t.throws(() => client.download({ id: 'report.pdf', to: folder }), { code: 'DOWNLOAD_INVALID' })
})

t.test('memory does not grow with the content', async (t) => {
  const folder = temporaryFolder(t)
  const size = 192 * MIB
  const bytes = randomBytes(MIB)
  const chunk = (i: number) => {
    bytes.writeUInt32LE(i)
    return bytes
  }
  const content = new TestContent({ size, chunkBytes: MIB, chunk })
  const client = new TestClient()
  const hub = client.connect(new TestHub(content))
  hub.turnBytes = MIB
  // What waits to be collected is not held.
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const onProgress = () => {
    collect()
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }
  const download = client.download({ id: idOf(content), to: folder, onProgress })
  await download.done
  // The arena, and frames of the test's own hub.
  t.ok(most < 80 * MIB, `${Math.round(most / MIB)} MiB`)
})
