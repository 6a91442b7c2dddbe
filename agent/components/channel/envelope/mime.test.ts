import t from 'tap'
import type { Row } from '../../contract.ts'
import { parseParameterized } from './header.ts'
import { bytesOf, fileOf, lines, runnerIn, textOf } from './testing.ts'

const run = runnerIn(t.testdir({}))
const unwrap = { format: 'multipart', direction: 'unwrap' }
const mixed = { mediaType: 'multipart/mixed; boundary=xyz' }

t.test('parts become items: headers, names, transfer encodings; preamble and epilogue do not', async (t) => {
  const message = lines(
    'This is the preamble.',
    '--xyz',
    'Content-Type: text/xml; charset=utf-8',
    '',
    '<a>',
    '--xyzz is no delimiter',
    '</a>',
    '--xyz  ',
    '',
    'no headers',
    '--xyz',
    'content-type: application/octet-stream',
    'Content-Transfer-Encoding: BASE64',
    'Content-ID: <two@x>',
    'Content-Disposition: attachment;',
    ' filename*=UTF-8\'\'%E9%99%84%E4%BB%B6.bin; filename="fallback.bin"',
    '',
    'AAEC',
    ' /w==',
    '--xyz',
    'Content-Type: text/plain; name="=?GBK?B?uL28/g==?=.txt"',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'a=3Db=',
    'c',
    '--xyz',
    'X-Only: headers',
    '',
    '--xyz--',
    'epilogue --xyz',
  )
  const { items, fault } = await run(unwrap, fileOf(message, mixed))
  t.equal(fault, '')
  t.same(
    items.map(({ row, ref }) => ({ ...row, ref })),
    [
      { name: 'a', mediaType: 'text/xml; charset=utf-8', size: 33, part: 1, parts: 5, ref: 7 },
      { name: 'part-2', mediaType: null, contentId: null, size: 10, part: 2, parts: 5, ref: 7 },
      {
        name: '附件.bin',
        mediaType: 'application/octet-stream',
        contentId: 'two@x',
        size: 4,
        part: 3,
        parts: 5,
        ref: 7,
      },
      {
        name: '附件.txt',
        mediaType: 'text/plain; name="=?GBK?B?uL28/g==?=.txt"',
        contentId: null,
        size: 4,
        part: 4,
        parts: 5,
        ref: 7,
      },
      { name: 'part-5', mediaType: null, contentId: null, size: 0, part: 5, parts: 5, ref: 7 },
    ],
  )
  t.same(items.map(textOf).with(2, ''), ['<a>\r\n--xyzz is no delimiter\r\n</a>', 'no headers', '', 'a=bc', ''])
  t.equal(bytesOf(items[2]).toString('hex'), '000102ff')
  const { items: inField } = await run({ ...unwrap, attachments: 'field' }, fileOf(message, mixed))
  t.equal(inField.length, 1)
  t.same(
    (inField[0]?.row.attachments as Row[] | undefined)?.map(({ name, contentId }) => [name, contentId]),
    [
      [null, null],
      ['附件.bin', 'two@x'],
      ['附件.txt', null],
      [null, null],
    ],
  )
})

t.test('parameters: RFC 2231 and quoting', (t) => {
  const value = (text: string): Row => Object.fromEntries(parseParameterized(text, 'test').parameters)
  t.same(value("application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"), {
    title: 'This is ***fun***',
  })
  t.same(
    value(
      "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
    ),
    { title: "This is even more ***fun*** isn't it!" },
  )
  t.same(value('m/x; URL*0="ftp://"; URL*1="cs.utk.edu/pub"'), { url: 'ftp://cs.utk.edu/pub' })
  t.same(value('a/b; c="d \\"e\\" \\\\ ; f"; g=h ;'), { c: 'd "e" \\ ; f', g: 'h' })
  t.equal(parseParameterized('Text/XML ; a=b', 'test').value, 'text/xml')
  for (const [text, why] of [
    ['a/b; c', /malformed/],
    ['a/b; c="d', /malformed/],
    ['a/b; c=d c=e', /malformed/],
    ['a/b; c=d; C=e', /twice/],
    ["a/b; c*=x'%41", /character set/],
    ["a/b; c*=x''%4", /two digits/],
    ["a/b; c*=klingon''%41", /not known/],
    ["a/b; c*=utf-8''%ff", /not in utf-8/],
    ['a/b; c*0=a; c*0*=b', /twice/],
    ['a/b; c*x=a', /no parameter/],
    [`a/b${Array.from({ length: 70 }, (_, i) => `; p${i}=x`).join('')}`, /more than 64/],
  ] as const) {
    t.throws(() => parseParameterized(text, 'test'), { message: why }, text.slice(0, 40))
  }
  t.end()
})

t.test('refused: what two readers could see differently, what is damaged, what goes beyond bounds', async (t) => {
  const cases: [string, RegExp, Row?, object?][] = [
    [lines('--xyz', '', 'a'), /last delimiter is missing/],
    [lines('--xyz--', ''), /it has no part/],
    ['nothing', /boundary does not occur/],
    ['', /boundary does not occur/],
    ['--xyz\n\na\n--xyz--\n', /LF alone/],
    ['--xyz\r\n\r\na\n--xyz--\r\n', /LF alone/],
    [lines('--xyz', 'A: b\nC: d', '', 'a', '--xyz--'), /LF alone/],
    [lines('--xyz', 'no header', '', 'a', '--xyz--'), /is no header/],
    [lines('--xyz', 'A : b', '', 'a', '--xyz--'), /is no header/],
    [lines('--xyz', ' A: b', '', 'a', '--xyz--'), /begin with a continued line/],
    [lines('--xyz', 'A: b\0', '', 'a', '--xyz--'), /control character/],
    [lines('--xyz', 'A: b\rC: d', '', 'a', '--xyz--'), /control character/],
    [lines('--xyz', 'Content-Type: a/b', 'content-type: c/d', '', 'a', '--xyz--'), /two headers/],
    [lines('--xyz', ...Array.from({ length: 70 }, (_, i) => `H${i}: x`), '', 'a', '--xyz--'), /MIME_LIMIT.*64 headers/],
    [lines('--xyz', `A: ${'x'.repeat(20_000)}`, '', 'a', '--xyz--'), /MIME_LIMIT.*16384 bytes/],
    [lines('--xyz', 'Content-Transfer-Encoding: base64', '', 'AA=A', '--xyz--'), /MIME_ENCODING.*part 1/],
    [lines('--xyz', 'Content-Transfer-Encoding: quoted-printable', '', 'a=4', '--xyz--'), /MIME_ENCODING/],
    [lines('--xyz', 'Content-Transfer-Encoding: 7bit', '', 'é', '--xyz--'), /names 7bit/],
    [lines('--xyz', 'Content-Transfer-Encoding: x-uuencode', '', 'a', '--xyz--'), /not known/],
    [
      lines(
        '--xyz',
        'Content-Type: multipart/mixed; boundary=a',
        'Content-Transfer-Encoding: base64',
        '',
        'AAAA',
        '--xyz--',
      ),
      /forbidden/,
    ],
    [
      lines('--xyz', 'Content-Disposition: attachment; filename="../../x"', '', 'a', '--xyz--'),
      /no file can have the name/,
    ],
    [lines('--xyz', 'Content-Disposition: attachment; filename=nul.txt', '', 'a', '--xyz--'), /device/],
    [
      lines('--xyz', 'Content-Disposition: attachment; filename="=?utf-8?q?=2E=2E=2Fx?="', '', 'a', '--xyz--'),
      /no file can have/,
    ],
    [lines('--xyz', 'Content-ID: a b', '', 'a', '--xyz--'), /no Content-ID/],
    [lines('--xyz', 'Content-ID: <a>', '', 'a', '--xyz', 'Content-ID: <a>', '', 'b', '--xyz--'), /the same Content-ID/],
    [
      lines('--xyz', '', 'a', '--xyz', '', 'b', '--xyz', '', 'c', '--xyz--'),
      /MIME_LIMIT.*2 parts/,
      mixed,
      { partsMax: 2 },
    ],
    ['a', /CONTENT_TYPE_MISSING/, {}],
    ['a', /no multipart/, { mediaType: 'text/plain' }],
    ['a', /no boundary/, { mediaType: 'multipart/mixed' }],
    ['a', /cannot be a boundary/, { mediaType: `multipart/mixed; boundary=${'x'.repeat(71)}` }],
    ['a', /cannot be a boundary/, { mediaType: 'multipart/mixed; boundary="a\\\r\nb"' }],
    [
      lines('--xyz', '', 'a', '--xyz--'),
      /Content-ID b of/,
      { mediaType: 'multipart/related; boundary=xyz; start="<b>"' },
    ],
  ]
  for (const [text, why, row = mixed, more = {}] of cases) {
    const { items, fault } = await run({ ...unwrap, ...more }, fileOf(text, row))
    t.same(items, [])
    t.match(fault, why, JSON.stringify(text.slice(0, 60)))
  }
  const { items } = await run({ ...unwrap, lf: true }, fileOf('--xyz\nA: b\n\na\n\n--xyz--\n', mixed))
  t.equal(textOf(items[0]), 'a\n', 'LF alone, where it is allowed')
})

t.test('multiparts inside: kept, or opened in their place, not deeper than the bound', async (t) => {
  const inner = lines('--in', '', 'b', '--in', '', 'c', '--in--', '')
  const outer = lines(
    '--xyz',
    '',
    'a',
    '--xyz',
    'Content-Type: multipart/alternative; boundary=in',
    '',
    inner,
    '--xyz',
    '',
    'd',
    '--xyz--',
  )
  t.same((await run(unwrap, fileOf(outer, mixed))).items.map(textOf), ['a', inner, 'd'])
  t.same((await run({ ...unwrap, nested: true }, fileOf(outer, mixed))).items.map(textOf), ['a', 'b', 'c', 'd'])
  let deep = 'x'
  for (let i = 10; i > 0; i -= 1)
    deep = lines(`--b${i}`, `Content-Type: multipart/mixed; boundary=b${i + 1}`, '', deep, `--b${i}--`)
  const { fault } = await run({ ...unwrap, nested: true }, fileOf(deep, { mediaType: 'multipart/mixed; boundary=b1' }))
  t.match(fault, /MIME_LIMIT.*8 multiparts inside/)
})

t.test('the root of related is what `start` names; headers may be in the document', async (t) => {
  const body = lines('--x', 'Content-ID: <a@b>', '', 'first', '--x', 'Content-ID: <c@d>', '', 'second', '--x--', '')
  const { items } = await run(
    unwrap,
    fileOf(body, { mediaType: 'multipart/related; boundary=x; start="<c@d>"; type="text/xml"' }),
  )
  t.same(items.map(textOf), ['second', 'first'])
  const message = lines('Mime-Version: 1.0', 'Content-Type: multipart/related;', ' boundary="x"', '', body)
  const inside = await run({ ...unwrap, headers: 'inside' }, fileOf(message))
  t.same(inside.items.map(textOf), ['first', 'second'])
})

t.test('what is wrapped comes back, in every transfer encoding, the same twice', async (t) => {
  const attachments: Row[] = [
    { name: '附件 1.pdf', mediaType: 'application/pdf', bytes: new Uint8Array([0, 13, 10, 45, 45, 255]) },
    { name: 'sub/b.txt', mediaType: 'text/plain; charset=utf-8', text: '--causeway\r\nline \r\n', contentId: 'b@x' },
    { base64: '' },
  ]
  for (const transferEncoding of ['binary', 'base64', 'quoted-printable']) {
    for (const headers of ['outside', 'inside']) {
      for (const subtype of ['mixed', 'related']) {
        const wrap = { format: 'multipart', direction: 'wrap', subtype, transferEncoding, headers }
        const item = fileOf('<通/>', { name: 'd/通.xml', mediaType: 'application/xml', attachments })
        const wrapped = await run(wrap, item)
        t.equal(wrapped.fault, '')
        t.ok(bytesOf(wrapped.items[0]).equals(bytesOf((await run(wrap, item)).items[0])), 'the same twice')
        t.notOk('attachments' in (wrapped.items[0]?.row ?? {}))
        const { items, fault } = await run({ ...unwrap, headers, attachments: 'field' }, wrapped.items[0] ?? item)
        t.equal(fault, '')
        t.equal(textOf(items[0]), '<通/>')
        t.match(items[0]?.row, { name: '通.xml', mediaType: 'application/xml' })
        const [first, second, third] = (items[0]?.row.attachments ?? []) as Row[]
        t.match(first, { name: '附件 1.pdf', mediaType: 'application/pdf' })
        t.equal(Buffer.from(first?.bytes as Uint8Array).toString('hex'), '000d0a2d2dff')
        t.match(second, { name: 'b.txt', mediaType: 'text/plain; charset=utf-8', contentId: 'b@x' })
        t.equal(Buffer.from(second?.bytes as Uint8Array).toString(), '--causeway\r\nline \r\n')
        t.match(third, { name: null, mediaType: 'application/octet-stream' })
      }
    }
  }
})

t.test('nothing of a row gets into the headers as a line of its own', async (t) => {
  const wrap = { format: 'multipart', direction: 'wrap' }
  const bad = async (row: Row): Promise<string> => (await run(wrap, fileOf('x', row))).fault
  t.match(await bad({ mediaType: 'a/b\r\nX: y' }), /CONTENT_TYPE_INVALID/)
  t.match(await bad({ mediaType: 'no type' }), /CONTENT_TYPE_INVALID/)
  t.match(await bad({ attachments: [{ text: '', mediaType: 'a/b\r\nX: y' }] }), /ATTACHED_INVALID/)
  t.match(await bad({ attachments: [{ text: '', contentId: 'a>\r\nX: y' }] }), /ATTACHED_INVALID/)
  t.match(await bad({ attachments: [{ text: '', contentId: 'a b' }] }), /cannot be a Content-ID/)
  t.match(await bad({ attachments: [{ text: '', name: 'a\r\nX: y' }] }), /ATTACHED_INVALID/)
  const { items } = await run(wrap, fileOf('x', { name: 'a\r\nX: y.txt' }))
  t.notMatch(textOf(items[0]), /^X: y/m)
})
