// Forms, as browsers and programs send them and as they are meant to hurt.

import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Row } from '../../contract.ts'
import { bytesOf, fileOf, lines, runnerIn, textOf } from './testing.ts'

const run = runnerIn(t.testdir({}))
const unwrap = { format: 'form', direction: 'unwrap' }
const wrap = { format: 'form', direction: 'wrap' }
const typed = { mediaType: 'multipart/form-data; boundary=xyz' }
const part = (disposition: string, body: string, ...headers: string[]) =>
  lines('--xyz', `Content-Disposition: form-data; ${disposition}`, ...headers, '', body)
const formOf = (...parts: string[]) => lines(...parts, '--xyz--', '')

t.test('values and files of a browser', async (t) => {
  const message = formOf(
    part('name="holder"', '陈𠮷'),
    part('name="kind"', 'a'),
    part('name="kind"', ''),
    part('name="scan"; filename="C:\\表\\附件 1.pdf"', '%PDF', 'Content-Type: application/pdf'),
    part('name="none"; filename=""', '', 'Content-Type: application/octet-stream'),
    part('name="more"; filename="../../etc/b.txt"', 'b\r\n--xy'),
    part('name="more"; filename=""', 'unnamed'),
    part('name="__proto__"', 'x'),
  )
  const { items, fault } = await run(unwrap, fileOf(message, typed))
  t.equal(fault, '')
  const form = JSON.parse('{"holder":"陈𠮷","kind":["a",""],"__proto__":"x"}')
  t.same(
    items.map(({ row, ref }) => ({ ...row, ref })),
    [
      { name: '附件 1.pdf', mediaType: 'application/pdf', size: 4, form, formName: 'scan', part: 1, parts: 3, ref: 7 },
      { name: 'b.txt', mediaType: null, size: 7, form, formName: 'more', part: 2, parts: 3, ref: 7 },
      { name: 'part-3', mediaType: null, size: 7, form, formName: 'more', part: 3, parts: 3, ref: 7 },
    ],
  )
  t.same(items.map(textOf), ['%PDF', 'b\r\n--xy', 'unnamed'])
  t.ok(Object.hasOwn(items[0]?.row.form as Row, '__proto__'))

  const named = await run({ ...unwrap, documentName: 'more', attachments: 'field' }, fileOf(message, typed))
  t.equal(textOf(named.items[0]), 'b\r\n--xy')
  t.match(named.items[0]?.row.attachments, [
    { name: '附件 1.pdf', mediaType: 'application/pdf', formName: 'scan' },
    { name: null, formName: 'more' },
  ])
  t.match(
    (await run({ ...unwrap, documentName: 'x' }, fileOf(message, typed))).fault,
    /MIME_INVALID.*no file named "x"/,
  )
})

t.test('without files: its values, as JSON', async (t) => {
  const { items } = await run(unwrap, fileOf(formOf(part('name=a', '1'), part('name=b', '')), typed))
  t.equal(items.length, 1)
  t.match(items[0]?.row, { mediaType: 'application/json', form: { a: '1', b: '' } })
  t.notOk(Object.hasOwn(items[0]?.row as Row, 'formName'))
  t.equal(textOf(items[0]), '{"a":"1","b":""}')
})

t.test('character sets: of the part, of _charset_, of old pages', async (t) => {
  const gbk = Buffer.from([0xd6, 0xd0])
  const raw = (...parts: (string | Buffer)[]) => Buffer.concat(parts.map((each) => Buffer.from(each as string)))
  const own = raw(part('name=a', '', 'Content-Type: text/plain; charset=GBK').slice(0, -2), '\r\n', gbk, '\r\n--xyz--')
  t.same((await run(unwrap, fileOf(own, typed))).items[0]?.row.form, { a: '中' })
  const stated = raw(formOf(part('name=_charset_', 'gbk')).slice(0, -9), part('name=a', ''), gbk, '\r\n--xyz--')
  t.same((await run(unwrap, fileOf(stated, typed))).items[0]?.row.form, { _charset_: 'gbk', a: '中' })
  const page = raw('--xyz\r\nContent-Disposition: form-data; name="', gbk, '"\r\n\r\n', gbk, '\r\n--xyz--')
  t.match((await run(unwrap, fileOf(page, typed))).fault, /MIME_ENCODING/)
  t.same((await run({ ...unwrap, formCharset: 'gb18030' }, fileOf(page, typed))).items[0]?.row.form, { 中: '中' })
})

t.test('refused', async (t) => {
  const cases: [string, RegExp, Row?, object?][] = [
    [formOf(lines('--xyz', '', 'x')), /part 1.*no Content-Disposition/],
    [formOf(lines('--xyz', 'Content-Disposition: attachment; name=a', '', 'x')), /is "attachment"/],
    [formOf(part('filename=a', 'x')), /has no name/],
    [formOf(part("name=a; filename*=utf-8''b", 'x')), /has no filename\*/],
    [formOf(part('name=a; filename=b; filename=c', 'x')), /twice/],
    [formOf(part('name=a; filename="x/.."', 'x')), /no file can have the name "\.\."/],
    [formOf(part('name=a; filename="x\\con"', 'x')), /name of a device/],
    [formOf(part('name=a; filename="x/"', 'x')), /it is empty/],
    [formOf(part('name=a', 'eA==', 'Content-Transfer-Encoding: base64')), /no transfer encoding "base64"/],
    [formOf(part('name=a', 'é', 'Content-Transfer-Encoding: 7bit')), /MIME_ENCODING/],
    [formOf(part('name=a', 'x', 'Content-Type: multipart/mixed; boundary=q')), /not as a multipart/],
    [formOf(part(`name=${'x'.repeat(1_001)}`, 'x')), /MIME_LIMIT/],
    [formOf(part('name=a', 'x'.repeat(600_000)), part('name=a', 'x'.repeat(600_000))), /MIME_LIMIT.*1048576 bytes/],
    [formOf(...new Array<string>(5).fill(part('name=a', 'x'))), /MIME_LIMIT.*4 parts/, typed, { partsMax: 4 }],
    [formOf(part('name=a', 'x', `X: ${'y'.repeat(20_000)}`)), /MIME_LIMIT/],
    [formOf(part('name=_charset_', 'klingon')), /MIME_ENCODING/],
    [
      formOf(part('name=a', 'x'.repeat(1_000_000)), ...new Array<string>(70).fill(part('name=b; filename=c', 'x'))),
      /MIME_LIMIT.*1000000 bytes of values for each of 70 files/,
    ],
    [formOf(part('name=_charset_', 'q'.repeat(100_000))), /^.{0,400}$/],
    [part('name=a', 'x'), /it is cut/],
    [formOf(part('name=a', 'x')), /is no form/, { mediaType: 'multipart/mixed; boundary=xyz' }],
    [formOf(part('name=a', 'x')), /no boundary/, { mediaType: 'multipart/form-data' }],
    [formOf(part('name=a', 'x')), /CONTENT_TYPE_MISSING/, {}],
  ]
  for (const [message, why, row = typed, more = {}] of cases)
    t.match((await run({ ...unwrap, ...more }, fileOf(message, row))).fault, why)
  const row = { name: 'a', mediaType: 'text/plain' }
  for (const form of [
    'x',
    ['x'],
    { a: { b: 1 } },
    { a: '\ud800' },
    { 'a\nb': 'x' },
    { 'a\\': 'x' },
    { ['x'.repeat(1_001)]: 1 },
  ])
    t.match((await run(wrap, fileOf('x', { ...row, form: form as Row }))).fault, /FORM_VALUE_INVALID at field form/)
  await t.rejects(run({ ...wrap, transferEncoding: 'base64' }, fileOf('x')), /neither transfer encodings/)
})

t.test('what is wrapped is read by another program, and by us', async (t) => {
  const form = { holder: '陈𠮷 "x"', kind: ['a', 'b'], n: 1.5, yes: true, none: null }
  const attachments = [
    { name: 'dir/b"c.txt', text: 'b', formName: 'more' },
    { base64: 'AAEC', mediaType: 'image/png' },
  ]
  const item = fileOf('%PDF', {
    name: '扫描/附件.pdf',
    mediaType: 'application/pdf',
    form,
    attachments: attachments.slice(1),
    formName: 'scan',
  })
  const { items, fault } = await run(wrap, item)
  t.equal(fault, '')
  const { mediaType, ...rest } = (items[0] as NonNullable<(typeof items)[0]>).row as { mediaType: string }
  t.same(rest, { name: '扫描/附件.pdf', size: bytesOf(items[0]).length })
  const read = await new Response(new Uint8Array(bytesOf(items[0])), {
    headers: { 'content-type': mediaType },
  }).formData()
  t.same(
    [...read].map(([name, value]) => [name, typeof value === 'string' ? value : [value.name, value.type, value.size]]),
    [
      ['holder', '陈𠮷 "x"'],
      ['kind', 'a'],
      ['kind', 'b'],
      ['n', '1.5'],
      ['yes', 'true'],
      ['scan', ['附件.pdf', 'application/pdf', 4]],
      ['file', ['blob', 'image/png', 3]],
    ],
  )
  const back = await run(unwrap, items[0] as NonNullable<(typeof items)[0]>)
  t.same(back.items[0]?.row.form, { holder: '陈𠮷 "x"', kind: ['a', 'b'], n: '1.5', yes: 'true' })
  t.same(
    back.items.map(({ row }) => [row.name, row.formName]),
    [
      ['附件.pdf', 'scan'],
      ['blob', 'file'],
    ],
  )
  t.match((await run(wrap, fileOf('x', { attachments: attachments.slice(0, 1) }))).fault, /ATTACHED_INVALID/)
  const inside = await run({ ...wrap, headers: 'inside' }, item)
  t.equal(
    (await run({ ...unwrap, headers: 'inside' }, inside.items[0] as NonNullable<(typeof items)[0]>)).items.length,
    2,
  )
})

t.test('what another program wraps is read: random forms', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const text = () =>
    Array.from({ length: random.below(12) }, () =>
      random.pick(['a', '陈', '𠮷', ' ', '-', ';', '=', '"', '\\x', '\r\n', '--', '%22']),
    ).join('')
  for (let round = 0; round < 150; round += 1) {
    const sent = new FormData()
    const values: Record<string, string[]> = {}
    const files: unknown[] = []
    for (let n = random.below(6); n >= 0; n -= 1) {
      const name = `n${random.below(3)}`
      if (random.oneIn(3)) {
        const fileName = `${text().replace(/["\\\r\n;%]/g, '')}x.txt`
        const body = random.bytes(random.below(300))
        sent.append(name, new Blob([new Uint8Array(body)], { type: 'text/plain' }), fileName)
        files.push([name, fileName, body.toString('hex')])
      } else {
        const value = text()
        sent.append(name, value)
        const sentAs = value.replace(/\r\n|\r|\n/g, '\r\n')
        values[name] = [...(values[name] ?? []), sentAs]
      }
    }
    const response = new Response(sent)
    const bytes = Buffer.from(await response.arrayBuffer())
    const { items, fault } = await run(unwrap, fileOf(bytes, { mediaType: response.headers.get('content-type') ?? '' }))
    if (fault !== '') t.fail(`${fault} of ${bytes.toString('hex')}`)
    const expected = Object.fromEntries(
      Object.entries(values).map(([name, list]) => [name, list.length === 1 ? list[0] : list]),
    )
    t.same(items[0]?.row.form, expected)
    if (files.length > 0)
      t.same(
        items.map((item) => [item.row.formName, item.row.name, bytesOf(item).toString('hex')]),
        files,
      )
  }
})
