// What commands print, for content nobody would wish for.

import t, { type Test } from 'tap'
import { columns } from '#protocol/fields/mod.ts'
import { messageView, queueView } from '../testing.ts'
import { timeOf } from './act.ts'
import { messageLines, queueLines, traceLines } from './look.ts'
import { queueGrid } from './status.ts'

const NOW_MS = Date.parse('2026-11-23T13:41:43Z')
const ESCAPE = '\u001b[2J\u202e\n'

function fits(t: Test, lines: readonly string[]): void {
  for (const line of lines) {
    t.ok(columns(line) <= 80, line)
    t.notMatch(line, /[\p{Cc}\p{Cf}]/u, 'nothing in it acts on a terminal')
  }
}

t.test('a message of somebody who means ill', async (t) => {
  const hostile = ESCAPE.repeat(40)
  const message = messageView({
    id: { origin: 'office', stream: `s${ESCAPE}`, epoch: 0, seq: 1 },
    topic: hostile,
    key: hostile,
    headers: { [hostile]: hostile, nothing: null },
    preview: hostile,
    reason: hostile,
    from: hostile,
    expiresAtMs: NOW_MS + 5000,
    inFlight: true,
  })
  fits(t, messageLines(message, NOW_MS))
  t.match(
    messageLines(messageView({ reason: '', from: null, attempts: 1 }), 200_000).join('\n'),
    /3m 20s ago.*delivered once/s,
  )
  const event = { atMs: NOW_MS, what: 'rejected', queue: hostile, by: 'office', reason: '办理超时'.repeat(60) } as const
  const lines = traceLines({ id: message.id, batch: { count: 1, acceptedAtMs: 0 }, copies: [], events: [event] })
  fits(t, lines)
  t.match(lines.join('\n'), /No copy of it is left.*2026-11-23 13:41:43Z +rejected in/s)
})

t.test('queues of all sizes', async (t) => {
  const large = queueView('人'.repeat(60), {
    depth: 9_999_999_999,
    inFlight: 123_456_789,
    bytes: 2 ** 44,
    consumers: 20_000,
    oldestAtMs: 0,
    topics: ['a/#', ESCAPE],
    lanes: Array.from({ length: 3 }, (_, lane) => {
      return { lane, priority: 'urgent' as const, partition: 63, depth: 1e8, inFlight: 1e7, floor: 1e11, tail: 1e11 }
    }),
  })
  const lines = queueGrid([large, queueView('a')], NOW_MS)
  t.equal(lines[1], large.name, 'a name that is too long stands above its figures, whole')
  for (const line of [lines[0], ...lines.slice(2)]) t.ok(columns(line ?? '') <= 80)
  t.match(lines[2], /^ +9,876,543,210 +123,456,789 +20,000 +16 TiB +20780d 13h$/)
  fits(t, queueLines({ ...large, name: 'q' }, NOW_MS))
})

t.test('times as they are typed', async (t) => {
  t.equal(timeOf('2026-11-23'), Date.parse('2026-11-23T00:00:00Z'))
  t.equal(timeOf('2026-11-23T08:00'), Date.parse('2026-11-23T08:00:00Z'))
  t.equal(timeOf('2026-11-23 08:00:01.5+08:00'), Date.parse('2026-11-23T00:00:01.5Z'))
  for (const bad of ['', 'now', '2026', '2026-13-01', '2026-11-23T25:00', '1969-12-31', '2026-11-23T08:00+8']) {
    t.equal(timeOf(bad), null, bad)
  }
})
