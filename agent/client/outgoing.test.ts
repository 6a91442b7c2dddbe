import t from 'tap'
import { type Headers, NO_HEADERS } from '#protocol/codec/mod.ts'
import { HeaderSets, type OutgoingMessage } from './outgoing.ts'

const CONTENT = '0123456789abcdef0123456789abcdef'

const message = (wishes: Partial<OutgoingMessage> = {}): OutgoingMessage => ({
  topic: 'a',
  body: Buffer.alloc(0),
  ...wishes,
})

t.test('without wishes the headers stay the very object they are', async (t) => {
  const sets = new HeaderSets()
  const headers = { a: 1 }
  t.equal(sets.of(message()), NO_HEADERS)
  t.equal(sets.of(message({ headers })), headers)
  t.equal(sets.of(message()), NO_HEADERS)
})

t.test('wishes become headers, one object for equal ones', async (t) => {
  const sets = new HeaderSets()
  const headers = { a: 1 }
  const urgent = sets.of(message({ priority: 'urgent' }))
  t.strictSame(urgent, { ':priority': 'urgent' })
  const all = sets.of(message({ headers, priority: 'bulk', ttlMs: 5, delayMs: 6, deliverAtMs: 7 }))
  t.strictSame(all, { a: 1, ':priority': 'bulk', ':ttl': 5, ':delay': 6, ':deliver-at': 7 })
  t.equal(sets.of(message({ priority: 'urgent' })), urgent)
  t.equal(sets.of(message({ headers, priority: 'bulk', ttlMs: 5, delayMs: 6, deliverAtMs: 7 })), all)
  t.strictSame(headers, { a: 1 }, 'the application keeps its own object as it was')
})

t.test('a wish replaces a header, and one for the usual takes it away', async (t) => {
  const sets = new HeaderSets()
  const headers = { ':priority': 'bulk', ':ttl': 9 }
  t.strictSame(sets.of(message({ headers, priority: 'urgent' })), { ':priority': 'urgent', ':ttl': 9 })
  t.strictSame(sets.of(message({ headers, priority: 'normal', ttlMs: 0 })), {})
  t.equal(sets.of(message({ priority: 'normal', ttlMs: 0, delayMs: 0, deliverAtMs: 0 })), NO_HEADERS)
})

t.test('what cannot be is a fault, and is still one when it is asked again', async (t) => {
  const sets = new HeaderSets()
  const wrong = [
    { priority: 'high' as 'urgent' },
    { ttlMs: -1 },
    { delayMs: 1.5 },
    { deliverAtMs: Number.NaN },
    { ttlMs: 1e15 },
    { headers: { ':priority': 'asap' } },
    { headers: { ':delay': '5' } },
    { contents: ['report.pdf'] },
    { contents: [CONTENT.toUpperCase()] },
    { contents: Array(17).fill(CONTENT) },
    { headers: { ':content': '' } },
  ]
  for (const wishes of wrong) {
    t.throws(() => sets.of(message(wishes)), { code: 'ATTRIBUTE_INVALID' })
    t.throws(() => sets.of(message(wishes)), { code: 'ATTRIBUTE_INVALID' })
  }
  t.equal(sets.of(message()), NO_HEADERS)
})

t.test('times of day do not pile up', async (t) => {
  const sets = new HeaderSets()
  for (let at = 1; at < 1000; at++) {
    t.equal(sets.of(message({ deliverAtMs: at }))[':deliver-at'], at)
  }
})

t.test('contents become a header beside what else is wished, which keeps its one object', async (t) => {
  const sets = new HeaderSets()
  const headers = { a: 1, ':content': 'f'.repeat(32) }
  const urgent = sets.of(message({ priority: 'urgent' }))
  t.strictSame(sets.of(message({ priority: 'urgent', contents: [CONTENT] })), {
    ':priority': 'urgent',
    ':content': CONTENT,
  })
  t.strictSame(sets.of(message({ headers, contents: [CONTENT, CONTENT] })), {
    a: 1,
    ':content': `${CONTENT} ${CONTENT}`,
  })
  t.strictSame(sets.of(message({ headers, contents: [] })), { a: 1 }, 'none takes away what the headers say')
  t.equal(sets.of(message({ contents: [] })), NO_HEADERS)
  t.equal(sets.of(message({ priority: 'urgent' })), urgent)
  t.strictSame(headers, { a: 1, ':content': 'f'.repeat(32) }, 'the application keeps its own object as it was')
})

t.test('contents do not pile up; neighbours with the same list share one object', async (t) => {
  const sets = new HeaderSets()
  const headers = { a: 1 }
  const contents = [CONTENT]
  const first = sets.of(message({ headers, contents }))
  t.equal(sets.of(message({ headers, contents })), first)
  for (let i = 0; i < 1000; i++) {
    const id = i.toString(16).padStart(32, '0')
    t.equal(sets.of(message({ headers, contents: [id] }))[':content'], id)
  }
  const known = Reflect.get(sets, 'known') as WeakMap<Headers, Map<string, Headers>>
  t.equal(known.get(headers)?.size, 1)
})
