import t from 'tap'
import { attributesOf, contentsIn, HEADER_CONTENT, NO_CONTENTS, PLAIN } from './attributes.ts'
import { openBatch } from './batch.ts'
import type { HeaderValue } from './headers.ts'
import { message, sealed } from './testing.ts'

const id = (n: number): string => n.toString(16).padStart(32, '0')
const of = (content: HeaderValue) => attributesOf({ [HEADER_CONTENT]: content })

t.test('without attributes it is one object for all messages; without contents one empty list', async (t) => {
  t.equal(attributesOf({}), PLAIN)
  t.equal(attributesOf({ a: 1, ':content-type': 'text/plain' }), PLAIN)
  t.equal(PLAIN.contents, NO_CONTENTS)
  t.equal(attributesOf({ ':priority': 'urgent' }).contents, NO_CONTENTS)
})

t.test('contents: one id or several, as the sender lists them', async (t) => {
  t.strictSame(of(id(1)), { ...PLAIN, contents: [id(1)] })
  t.strictSame(of(`${id(2)} ${id(1)} ${id(2)}`).contents, [id(2), id(1), id(2)])
  const most = Array.from({ length: 16 }, (_, i) => id(i))
  t.strictSame(of(most.join(' ')).contents, most)
  t.strictSame(attributesOf({ ':ttl': 5, ':content': id(7) }), { ...PLAIN, ttlMs: 5, contents: [id(7)] })
})

t.test('contents that cannot be', async (t) => {
  const wrong: HeaderValue[] = [
    '',
    ' ',
    id(1).slice(1),
    `${id(1)}0`,
    id(10).toUpperCase(),
    'g'.repeat(32),
    ` ${id(1)}`,
    `${id(1)} `,
    `${id(1)}\n`,
    `${id(1)}  ${id(2)}`,
    `${id(1)},${id(2)}`,
    Array.from({ length: 17 }, (_, i) => id(i)).join(' '),
    7,
    true,
    null,
  ]
  for (const value of wrong) {
    t.throws(() => of(value), { code: 'ATTRIBUTE_INVALID', where: 'header :content' }, JSON.stringify(value))
  }
})

t.test('what a batch refers to is told once, whichever of its messages do', async (t) => {
  const of = (...contents: (string | null)[]) =>
    openBatch(
      sealed(contents.map((value) => message('x', { headers: value === null ? { a: 1 } : { ':content': value } }))),
    )
  t.equal(contentsIn(of(null, null)), NO_CONTENTS)
  t.strictSame(contentsIn(of(null, id(1), `${id(2)} ${id(1)}`, null, id(2), id(3))), [id(1), id(2), id(3)])
  t.throws(() => contentsIn(of(id(1), 'report.pdf')), { code: 'ATTRIBUTE_INVALID' })
})
