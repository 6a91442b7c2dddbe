import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { type Headers, openBatch } from '#protocol/codec/mod.ts'
import { message, sealed } from '#protocol/codec/testing.ts'
import { itemOf, messageOf } from './messages.ts'

const viewOf = (body: string | Buffer, headers: Headers) =>
  openBatch(sealed([message('', { topic: 'in/x', headers, body: Buffer.from(body as string) })])).messages()(0)

const there = (body: string | Buffer, headers: Headers, expiresAtMs = 0) => {
  const view = viewOf(body, headers)
  const item = itemOf(view, 7)
  if (item instanceof Fault) return item.code
  const made = messageOf(item, { topic: 'out', original: { message: view, expiresAtMs }, nowMs: 1000 })
  return { item, made: { ...made, body: String(made.body) } }
}

t.test('a JSON object is a row, exact to the last digit, and stays one', async (t) => {
  const headers = { ':content-type': 'application/json; charset=utf-8', ':priority': 'urgent', ':delay': 5, unit: 'a' }
  t.match(there('{"n":90071992547409931,"名":"x"}', headers, 1500), {
    item: { ref: 7, row: { n: 90071992547409931n, 名: 'x' } },
    made: {
      topic: 'out',
      headers: {
        ':content-type': 'application/json',
        ':priority': 'urgent',
        unit: 'a',
        ':ttl': 500,
        ':delay': undefined,
      },
      body: '{"n":90071992547409931,"名":"x"}',
    },
  })
  t.equal(there('{"n":', headers), 'JSON_INVALID')
  t.equal(there('[1]', headers), 'JSON_NOT_OBJECT')
  t.equal(there('{"n":1,"n":2}', headers), 'JSON_INVALID', 'neither of two values is dropped')
  t.equal(there(Buffer.from('{"n":"\xcd\xf5"}', 'latin1'), headers), 'JSON_INVALID', 'no character is replaced')
})

t.test('anything else is a document, with what is known of it', async (t) => {
  t.match(there('<a/>', { ':content-type': 'text/xml' }), {
    item: { row: { name: null, size: 4, mediaType: 'text/xml', topic: 'in/x', modified: null } },
    made: { headers: { ':content-type': 'text/xml' }, body: '<a/>' },
  })
  const file = { ':file': 'a/b.json', ':file-changed': 86_400_000, ':content-type': 'application/json' }
  t.match(there('{}', file), {
    item: { row: { name: 'a/b.json', modified: '1970-01-02T00:00:00.000Z' }, content: { kind: 'bytes' } },
    made: { headers: file, body: '{}' },
  })
})

t.test('large content is referred to again', async (t) => {
  const headers = { ':content': 'a'.repeat(32), ':file': 'x.dwg' }
  const { item, made } = there('{"name":"x.dwg"}', headers) as Exclude<ReturnType<typeof there>, string>
  t.match(item.content, { kind: 'hub', id: 'a'.repeat(32) })
  t.match(made, { headers, body: '{"name":"x.dwg"}' })
})
