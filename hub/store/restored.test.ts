// A store that is an older copy: its new id, and streams that go on behind what it lacks.

import t from 'tap'
import type { Batch } from '#protocol/codec/mod.ts'
import type { HubStore, Stream } from './mod.ts'
import { markRestored } from './restored.ts'
import { openStore, placement, sealed } from './testing.ts'

const append = (store: HubStore, stream: Stream, batch: Batch) =>
  store.append(stream, batch, [placement(store.unrouted, batch)])

t.test('a store that is marked has another id from then on, and is otherwise what it was', async (t) => {
  const dataDir = t.testdir()
  const first = await openStore(dataDir)
  const before = first.storeId.toString('hex')
  await t.rejects(markRestored(dataDir), { code: 'STORE_IN_USE' })
  const stream = first.stream('o', 's', 1)
  await append(first, stream, sealed({ origin: 'o', stream: 's', epoch: 1, firstSeq: 1, count: 3 }))
  await first.close()
  const result = await markRestored(dataDir)
  t.equal(result.storeIdBefore, before)
  t.not(result.storeId, before)
  const store = await openStore(dataDir)
  t.teardown(() => store.close())
  t.equal(store.storeId.toString('hex'), result.storeId)
  t.equal(store.stream('o', 's', 1).durableSeq, 3)
  t.equal(store.unrouted.depth, 3)
})

t.test('where nothing was ever stored there is nothing to mark', async (t) => {
  await t.rejects(markRestored(t.testdir()), { code: 'STORE_MISSING' })
})

t.test('a new id drawn while it runs is on the disk when it is told', async (t) => {
  const dataDir = t.testdir()
  const first = await openStore(dataDir)
  const before = first.storeId
  await first.renewId()
  const after = first.storeId
  t.not(after.toString('hex'), before.toString('hex'))
  await first.close()
  const store = await openStore(dataDir)
  t.teardown(() => store.close())
  t.ok(store.storeId.equals(after))
})

t.test('a stream goes on behind a number: durably, with the next one only, and never back', async (t) => {
  const dataDir = t.testdir()
  const batch = (firstSeq: number) => sealed({ origin: 'o', stream: 's', epoch: 1, firstSeq, count: 2 })
  const first = await openStore(dataDir)
  const stream = first.stream('o', 's', 1)
  await append(first, stream, batch(1))
  await t.rejects(append(first, stream, batch(11)), { code: 'STREAM_GAP' })
  await first.skip(stream, 10)
  t.equal(stream.durableSeq, 10)
  await first.skip(stream, 4)
  t.equal(stream.durableSeq, 10)
  await append(first, stream, batch(9))
  t.equal(first.unrouted.depth, 2, 'what lies below counts as stored')
  await first.close()
  const store = await openStore(dataDir)
  t.teardown(() => store.close())
  const again = store.stream('o', 's', 1)
  t.equal(again.durableSeq, 10)
  await t.rejects(append(store, again, batch(13)), { code: 'STREAM_GAP' })
  await append(store, again, batch(11))
  t.same([again.durableSeq, store.unrouted.depth], [12, 4])
})
