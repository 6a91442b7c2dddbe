// How long contents stay.

import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import {
  FRAME_END_TRANSFER,
  FRAME_FETCH,
  FRAME_FETCHED,
  FRAME_OPEN_TRANSFER,
  FRAME_TRANSFER_OPENED,
} from '#protocol/frame/mod.ts'
import { decodeEndTransfer, encodeFetch, encodeOpenTransfer } from '#protocol/schema/mod.ts'
import { hex, idOf, KEEP_MS, requestOf, SIZE, Stage } from './testing.ts'

t.test('an upload that was given up by nobody and not gone on with is removed, with its chunks', async (t) => {
  const stage = new Stage(t)
  await stage.abandon(1)
  await stage.part(1)
  await stage.abandon(2, { keepMs: 5 * KEEP_MS })
  stage.nowMs += KEEP_MS - 1
  t.equal(await stage.contents.sweep(), 0)
  // Its sender was there again: the time begins anew.
  await stage.abandon(1)
  stage.nowMs += KEEP_MS - 1
  t.equal(await stage.contents.sweep(), 0)
  stage.nowMs += 1
  t.equal(await stage.contents.sweep(), 1)
  t.strictSame([stage.isThere(1), stage.isThere(2), stage.contents.store.usage().chunks], [false, true, 0])
  t.throws(() => stage.contents.find(idOf(1)), { code: 'CONTENT_ABSENT' })
  stage.holds.set(hex(idOf(2)), 1)
  stage.nowMs += 10 * KEEP_MS
  t.equal(await stage.contents.sweep(), 0, 'a message refers to it')
  stage.holds.clear()
  t.equal(await stage.contents.sweep(), 1)
})

t.test('what expires goes, whatever refers to it', async (t) => {
  const stage = new Stage(t)
  await stage.abandon(1, { expiresMs: 500, keepMs: 10 * KEEP_MS })
  stage.holds.set(hex(idOf(1)), 3)
  stage.nowMs += 499
  t.equal(await stage.contents.sweep(), 0)
  t.ok(stage.contents.isKnown(hex(idOf(1))))
  stage.nowMs += 1
  t.notOk(stage.contents.isKnown(hex(idOf(1))), 'no message may refer to it any more')
  t.throws(() => stage.contents.find(idOf(1)), { code: 'CONTENT_EXPIRED', details: {} })
  t.equal(await stage.contents.sweep(), 1)
  t.throws(() => stage.contents.find(idOf(1)), { code: 'CONTENT_ABSENT' })
})

t.test('the last word of its sender counts', async (t) => {
  const stage = new Stage(t)
  await stage.abandon(1, { expiresMs: 500 })
  await stage.abandon(2, { expiresMs: 500 })
  stage.nowMs += 400
  await stage.abandon(1, { expiresMs: 500 })
  await stage.abandon(2)
  stage.nowMs += 499
  t.equal(await stage.contents.sweep(), 0)
  stage.nowMs += 1
  t.equal(await stage.contents.sweep(), 1)
  t.strictSame([stage.isThere(1), stage.isThere(2)], [false, true])
})

t.test('who sends it or fetches it when it expires is told so, and not to come again', async (t) => {
  const stage = new Stage(t)
  const sent: { kind: number; body: Buffer }[] = []
  const failed: Fault[] = []
  const desk = stage.desk(t, {
    send: (kind, _channel, body) => void sent.push({ kind, body: Buffer.from(body) }),
    failed: (_request, fault) => void failed.push(fault),
  })
  const answered = async (kind: number) => {
    while (!sent.some((frame) => frame.kind === kind)) await setImmediate()
  }
  desk.frame(FRAME_OPEN_TRANSFER, encodeOpenTransfer(requestOf(1, { expiresMs: 500 })))
  await answered(FRAME_TRANSFER_OPENED)
  desk.frame(FRAME_FETCH, encodeFetch({ request: 2, content: idOf(1), creditBytes: SIZE, priority: 0 }))
  await answered(FRAME_FETCHED)
  t.equal(desk.count, 2)
  stage.nowMs += 500
  t.equal(await stage.contents.sweep(), 1)
  t.equal(desk.count, 0)
  const ends = sent.filter(({ kind }) => kind === FRAME_END_TRANSFER).map(({ body }) => decodeEndTransfer(body))
  t.match(
    ends,
    [{ transfer: 1 }, { transfer: 2 }].map((end) => ({ ...end, fault: { code: 'CONTENT_EXPIRED', retry: false } })),
  )
  desk.frame(FRAME_FETCH, encodeFetch({ request: 3, content: idOf(1), creditBytes: SIZE, priority: 0 }))
  t.match(failed, [{ code: 'CONTENT_ABSENT' }])
})

t.test('what its sender gives up goes, also when messages refer to it, and who fetches it is told', async (t) => {
  const stage = new Stage(t)
  const ends: Buffer[] = []
  const desk = stage.desk(t, {
    send: (kind, _channel, body) => void (kind === FRAME_END_TRANSFER && ends.push(Buffer.from(body))),
  })
  await stage.abandon(1)
  await stage.part(1)
  stage.holds.set(hex(idOf(1)), 1)
  desk.frame(FRAME_FETCH, encodeFetch({ request: 2, content: idOf(1), creditBytes: SIZE, priority: 0 }))
  await stage.contents.cancel(await stage.contents.open(requestOf(1), 'desk'))
  t.match(ends.map(decodeEndTransfer), [{ transfer: 1, fault: { code: 'CONTENT_CANCELLED', retry: false } }])
  t.strictSame([stage.isThere(1), stage.contents.store.usage().chunks, desk.count], [false, 0, 0])
  // Twice, or when it was removed meanwhile.
  const gone = await stage.contents.open(requestOf(2), 'desk')
  await Promise.all([stage.contents.cancel(gone), stage.contents.cancel(gone)])
  t.notOk(stage.isThere(2))
})

t.test('what a person removes is not there any more for messages and senders that come meanwhile', async (t) => {
  const stage = new Stage(t)
  await stage.abandon(1)
  const removed = stage.contents.discard(hex(idOf(1)), { force: false })
  t.notOk(stage.contents.isKnown(hex(idOf(1))))
  await t.rejects(stage.contents.discard(hex(idOf(1)), { force: true }), { code: 'CONTENT_BUSY' })
  await removed
  t.notOk(stage.isThere(1))
  await stage.abandon(1)
  t.ok(stage.contents.isKnown(hex(idOf(1))), 'it is begun anew')
})
