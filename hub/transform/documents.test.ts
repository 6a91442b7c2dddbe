// Large contents as documents on a real store: read verified, waited for while they are not whole, made once.

import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Item, Lent } from '#agent/components/mod.ts'
import { ContentStore } from '#hub/store/mod.ts'
import { Contents } from '#hub/transfer/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { CHUNK_BYTES_MIN, parseManifest, verifyManifest } from '#protocol/transfer/mod.ts'
import { Documents } from './documents.ts'
import { Memory } from './memory.ts'

const MIB = 2 ** 20
const STALL_MS = 1000
const pair = generateKeyPairSync('ed25519')
const seed = testSeed()
t.comment(`seed ${seed}`)

class Scene {
  nowMs = 1_000_000
  readonly folder: string
  contents: Contents
  documents: Documents
  readonly signal = new AbortController().signal
  private readonly bytesMax: number

  constructor(t: Test, bytesMax = 64 * MIB) {
    this.bytesMax = bytesMax
    this.folder = mkdtempSync(join(tmpdir(), 'causeway-documents-'))
    t.teardown(async () => {
      await this.contents.close()
      rmSync(this.folder, { recursive: true, force: true })
    })
    this.contents = this.opened()
    this.documents = this.made()
  }

  async reopen(damage: () => void = () => undefined): Promise<void> {
    await this.contents.close()
    damage()
    this.contents = this.opened()
    this.documents = this.made()
  }

  session(bytesMax = 16 * MIB, waitsFor: string | null = 'agent') {
    return this.documents.session({ bytesMax, waitsFor, signal: this.signal })
  }

  /** A content of an agent's, of which the first chunks are here; sealed when that are all. */
  async send(id: string, bytes: Buffer, chunks = Number.POSITIVE_INFINITY): Promise<void> {
    const { store } = this.contents
    const about = { name: 'a.xml', mediaType: 'text/xml', keepMs: 0, createdAtMs: 1, chunkBytes: CHUNK_BYTES_MIN }
    await store.begin({ id, origin: 'agent', size: bytes.length, ...about })
    let index = 0
    for (let at = 0; at < bytes.length && index < chunks; at += CHUNK_BYTES_MIN) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES_MIN)
      const digest = createHash('sha256').update(chunk).digest()
      await store.add(id, index++, { digest, length: chunk.length, bytes: chunk })
    }
    if (chunks === Number.POSITIVE_INFINITY) await store.seal(id, Buffer.from('manifest'))
  }

  private opened(): Contents {
    const folder = join(this.folder, 'contents')
    return new Contents({
      store: ContentStore.open({ folder, bytesMax: 2 ** 28, freeBytesMin: 0 }),
      holds: () => 0,
      keepMs: 60_000,
      nowMs: () => this.nowMs,
      onFault: () => undefined,
    })
  }

  private made(): Documents {
    const identity = { name: 'hub', key: signingKey(pair.privateKey) }
    const { contents, bytesMax } = this
    return new Documents({ contents, identity, bytesMax, stallMs: STALL_MS, nowMs: () => this.nowMs })
  }
}

const idOf = (number: number): string => number.toString(16).padStart(32, '0')
const random = (bytes: number, salt = 0): Buffer => new Random(seed + salt).bytes(bytes)
const itemOf = (row: Item['row'] = { name: 'out/b.xml', mediaType: 'text/xml' }): Item => ({ row, ref: 1 })

t.test('what is made is read again, whoever made it and whenever', async (t) => {
  const scene = new Scene(t)
  const bytes = Buffer.concat([random(2 * MIB + 7), Buffer.alloc(MIB, 'a')])
  const session = scene.session()
  const made = await session.put(bytes, itemOf())
  t.match(made, { kind: 'hub', size: bytes.length })
  t.match(scene.contents.store.get(made.id), { origin: 'hub', name: 'b.xml', mediaType: 'text/xml', state: 'sealed' })
  t.ok(scene.contents.store.usage().bytes < bytes.length, 'what compresses lies encoded')
  const lent = await made.read()
  t.ok(lent.bytes.equals(bytes))
  t.equal(scene.documents.memory.usedBytes, bytes.length)
  lent.release()
  lent.release()
  t.equal(scene.documents.memory.usedBytes, 0)
  const manifest = parseManifest(scene.contents.store.get(made.id)?.manifest as Buffer)
  verifyManifest(manifest, pair.publicKey)
  const again = await Promise.all([session.put(bytes, itemOf()), session.put(bytes, itemOf())])
  t.same(
    again.map(({ id }) => id),
    [made.id, made.id],
  )
  session[Symbol.dispose]()
  await scene.reopen()
  using later = scene.session()
  t.equal((await later.put(bytes, itemOf())).id, made.id)
  t.equal(scene.documents.made.contents, 0, 'it was there')
  t.not((await later.put(bytes, itemOf({ name: 'c.xml', mediaType: 'text/xml' }))).id, made.id)
  t.equal((await (await later.put(Buffer.alloc(0), itemOf({}))).read()).bytes.length, 0)
  t.match(
    await later.put(bytes, itemOf({ name: 'a/..', mediaType: 'ö' })),
    { size: bytes.length },
    'names that are none',
  )
})

t.test('what one step makes the next can read, however small the bound for what comes in', async (t) => {
  const scene = new Scene(t)
  using session = scene.session(10)
  const bytes = random(2 * MIB)
  const made = await session.put(bytes, itemOf())
  t.ok((await made.read()).bytes.equals(bytes))
  await t.rejects(session.lend(made.id), { code: 'DOCUMENT_TOO_LARGE' })
})

t.test('while it is held nobody removes it, then it goes as any other', async (t) => {
  const scene = new Scene(t)
  const session = scene.session()
  const { id } = await session.put(random(100_000), itemOf())
  scene.nowMs += 100_000
  t.equal(await scene.contents.sweep(), 0)
  session[Symbol.dispose]()
  t.equal(await scene.contents.sweep(), 0, 'it was just let go')
  scene.nowMs += 100_000
  t.equal(await scene.contents.sweep(), 1)
  t.equal(scene.contents.store.get(id), null)
})

t.test('what is too large or not there is refused; what is not whole is waited for', async (t) => {
  const scene = new Scene(t)
  const bytes = random(5 * CHUNK_BYTES_MIN)
  using session = scene.session(3 * MIB)
  await t.rejects(session.lend(idOf(9)), { code: 'CONTENT_ABSENT' })
  await scene.send(idOf(1), random(3 * MIB + 1))
  await t.rejects(session.lend(idOf(1)), {
    code: 'DOCUMENT_TOO_LARGE',
    message: /3145729 bytes/,
    remedy: /documentBytesMax/,
  })
  await scene.send(idOf(2), bytes, 2)
  const open = { code: 'DOCUMENT_NOT_WHOLE', details: { retry: true, content: idOf(2) }, message: /131072 of 327680/ }
  await t.rejects(session.lend(idOf(2)), open)
  await t.rejects(scene.session(3 * MIB, null).lend(idOf(2)), { code: 'DOCUMENT_LATE' }, 'who may not wait')
  scene.nowMs += STALL_MS - 1
  await t.rejects(session.lend(idOf(2)), open)
  await scene.send(idOf(2), bytes, 3)
  scene.nowMs += 1
  await t.rejects(session.lend(idOf(2)), { code: 'DOCUMENT_NOT_WHOLE' }, 'something came of it')
  scene.nowMs += STALL_MS
  for (let asked = 0; asked < 2; asked++)
    await t.rejects(session.lend(idOf(2)), { code: 'DOCUMENT_LATE', details: { retry: undefined } })
  await scene.send(idOf(2), bytes)
  t.ok((await session.lend(idOf(2))).bytes.equals(bytes))
})

t.test("a damaged chunk is nobody else's fault: it goes on when the chunk comes again", async (t) => {
  const scene = new Scene(t)
  const bytes = random(4 * CHUNK_BYTES_MIN)
  await scene.send(idOf(1), bytes)
  await scene.reopen(() => damage(join(scene.folder, 'contents'), bytes.subarray(CHUNK_BYTES_MIN, 2 * CHUNK_BYTES_MIN)))
  using session = scene.session()
  await t.rejects(session.lend(idOf(1)), { code: /CONTENT_DAMAGED/, details: { retry: true } })
  await t.rejects(session.lend(idOf(1)), { code: 'DOCUMENT_NOT_WHOLE', details: { retry: true } })
  t.equal(scene.documents.memory.usedBytes, 0)
  const whole = Promise.withResolvers<void>()
  using _waiting = scene.documents.whenWhole(idOf(1), whole.resolve)
  await scene.send(idOf(2), bytes)
  await whole.promise
  t.ok((await session.lend(idOf(1))).bytes.equals(bytes))
})

t.test('one that was made and has lost a chunk is whole again when it is made again', async (t) => {
  const scene = new Scene(t)
  const bytes = random(4 * CHUNK_BYTES_MIN)
  const first = scene.session()
  const { id } = await first.put(bytes, itemOf())
  first[Symbol.dispose]()
  await scene.reopen(() => damage(join(scene.folder, 'contents'), bytes.subarray(0, CHUNK_BYTES_MIN)))
  using session = scene.session()
  await t.rejects(session.lend(id), { code: 'CONTENT_DAMAGED' })
  t.equal((await session.put(bytes, itemOf())).id, id)
  t.ok((await session.lend(id)).bytes.equals(bytes))
})

t.test('beyond its memory documents wait, in their order; one alone always has room', async (t) => {
  const scene = new Scene(t, MIB)
  await scene.send(idOf(1), random(3 * MIB))
  await scene.send(idOf(2), random(100_000, 1))
  using session = scene.session()
  const first = await session.lend(idOf(1))
  const done: string[] = []
  const second = session.lend(idOf(1)).then(noting(done, 'large'))
  const third = session.lend(idOf(2)).then(noting(done, 'small'))
  const put = await session.put(random(2 * MIB, 2), itemOf())
  t.equal(put.size, 2 * MIB, 'what is made waits for nothing')
  t.same(done, [])
  first.release()
  ;(await second).release()
  ;(await third).release()
  t.same(done, ['large', 'small'])
  t.equal(scene.documents.memory.usedBytes, 0)
})

t.test('whoever waits for memory can give up', async (t) => {
  const memory = new Memory(10)
  const never = new AbortController().signal
  const leave = await memory.enter(8, never)
  const stop = new AbortController()
  const large = memory.enter(9, stop.signal)
  const small = memory.enter(2, never)
  stop.abort(new Error('stopped'))
  await t.rejects(large, { message: 'stopped' })
  const leaveSmall = await small
  t.equal(memory.usedBytes, 10)
  await t.rejects(memory.enter(1, stop.signal), { message: 'stopped' })
  leave()
  leaveSmall()
  t.equal(memory.usedBytes, 0)
})

const noting =
  (done: string[], what: string) =>
  (lent: Lent): Lent => {
    done.push(what)
    return lent
  }

/** Flips a bit of a chunk where it lies. */
function damage(folder: string, chunk: Buffer): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = readFileSync(path)
    const at = bytes.indexOf(chunk.subarray(1000, 1100))
    if (at < 0) continue
    bytes[at] = (bytes[at] as number) ^ 1
    writeFileSync(path, bytes)
    return
  }
  throw new Error('no such chunk')
}
