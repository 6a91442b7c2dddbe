// How a file is cut that nobody says it of, and later versions of it.

import { randomBytes } from 'node:crypto'
import { appendFileSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { clientFault } from '../faults.ts'
import { planCut } from './cutting.ts'
import { earlierCut, noteCut } from './earlier.ts'
import { EARLIER_CUTS_MAX } from './limits.ts'
import { Upload } from './mod.ts'
import { pairOf, TestClient } from './testing.ts'

const KIB = 1024
const MIB = 1024 * KIB
const GB = 1e9

t.test('by size, kind and wish', async (t) => {
  const about = { size: GB, name: 'x.bin', isPacked: false, wish: 'auto', earlier: null } as const
  const averageOf = (more: Partial<Parameters<typeof planCut>[0]>) => planCut({ ...about, ...more }).cut?.average ?? 0
  t.equal(averageOf({}), 0, 'large ones of no known kind')
  t.equal(averageOf({ name: 'Disk.QCOW2' }), 64 * KIB)
  t.equal(averageOf({ wish: 'content' }), 64 * KIB)
  t.equal(averageOf({ size: 100 * MIB }), 64 * KIB)
  t.equal(averageOf({ size: 100 * MIB, isPacked: true }), 0)
  t.equal(averageOf({ size: 100 * MIB, isPacked: true, wish: 'content' }), 64 * KIB)
  t.equal(averageOf({ name: 'disk.img', wish: 'fixed' }), 0)
  t.equal(averageOf({ size: 100 * KIB }), 0)
})

t.test('as the earlier version was', async (t) => {
  const about = { name: 'x.bin', isPacked: false, wish: 'auto' } as const
  const earlier = { chunkBytes: 0, average: 64 * KIB }
  t.equal(planCut({ ...about, size: 3 * GB, earlier }).cut?.average, 64 * KIB, 'though it has grown')
  t.equal(planCut({ ...about, size: 100 * GB, earlier }).cut?.average, 2048 * KIB, 'by far too much')
  const fixed = { chunkBytes: 512 * KIB, average: 0 }
  t.strictSame(planCut({ ...about, size: 3 * GB, earlier: fixed }), { chunkBytes: 512 * KIB, cut: null })
  t.strictSame(planCut({ ...about, size: 50 * MIB, earlier: fixed }), { chunkBytes: 512 * KIB, cut: null })
  t.strictSame(planCut({ ...about, size: GB, earlier, wish: 'fixed' }), { chunkBytes: 512 * KIB, cut: null })
  t.equal(planCut({ ...about, size: GB, earlier: fixed, wish: 'content' }).cut?.average, 64 * KIB)
})

t.test('what is noted is found by the name; of very many the oldest are forgotten', async (t) => {
  const folder = t.testdir()
  const cut = { chunkBytes: 0, average: 128 * KIB }
  await noteCut(folder, 'a.bin', cut)
  t.strictSame(await earlierCut(folder, 'a.bin'), cut)
  t.equal(await earlierCut(folder, 'b.bin'), null)
  const [noted = ''] = readdirSync(folder)
  const wrong = ['', '[]', 'null', '{"name":"a.bin"}', '{"name":"a.bin","chunkBytes":1,"average":1}', '{"name":"b"}']
  for (const text of wrong) {
    writeFileSync(join(folder, noted), text)
    t.equal(await earlierCut(folder, 'a.bin'), null, text)
  }
  for (let i = 0; i < EARLIER_CUTS_MAX; i++) {
    writeFileSync(join(folder, `${i}.cut`), '')
    utimesSync(join(folder, `${i}.cut`), i, i)
  }
  await noteCut(folder, 'a.bin', cut)
  t.strictSame(await earlierCut(folder, 'a.bin'), cut)
  t.equal(readdirSync(folder).length, EARLIER_CUTS_MAX * 0.9)
})

t.test('a later version is cut like the one before it, whatever was wished then', async (t) => {
  const { hub, client } = await pairOf(t)
  const path = join(t.testdir(), 'plan.bin')
  const options = { path, journalDir: join(path, '..', 'journal') }
  writeFileSync(path, randomBytes(5 * MIB))
  for (const cut of ['fixed', 'content'] as const) {
    await new Upload(client, { ...options, cut }).sealed
    appendFileSync(path, randomBytes(1000))
    const next = new Upload(client, options)
    await next.sealed
    t.equal(hub.chunkBytes.at(-1), cut === 'content' ? 0 : 64 * KIB)
    t.ok(next.progress.sentBytes < MIB, `${next.progress.sentBytes} bytes sent`)
  }
})

t.test('what is on its way goes on as it was begun', async (t) => {
  const { hub, client } = await pairOf(t)
  const path = join(t.testdir(), 'plan.bin')
  const options = { path, journalDir: join(path, '..', 'journal'), id: 'ab'.repeat(16) }
  writeFileSync(path, randomBytes(6 * MIB))
  hub.windowBytes = MIB
  const begun = Promise.withResolvers<void>()
  hub.beforeStore = () => begun.resolve()
  const first = new Upload(client, { ...options, cut: 'fixed' })
  await begun.promise
  client.close(clientFault('CLIENT_CLOSED'))
  await t.rejects(first.sealed, { code: 'CLIENT_CLOSED' })
  // Another file of the name was sent meanwhile.
  await noteCut(options.journalDir, 'plan.bin', { chunkBytes: 0, average: 64 * KIB })
  const next = new TestClient()
  await next.connect(hub)
  const second = new Upload(next, options)
  await second.sealed
  t.strictSame(hub.chunkBytes, [64 * KIB, 64 * KIB])
  t.strictSame(hub.faults, [])
  next.close(clientFault('CLIENT_CLOSED'))
})
