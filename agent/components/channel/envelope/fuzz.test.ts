// Envelopes as attackers, bad lines and bad programs make them: a result or a fault, in bounded time and memory. `SEED=` replays.

import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Row } from '../../contract.ts'
import { SOAP_URIS } from './soap.ts'
import { bytesOf, fileOf, lines, runnerIn } from './testing.ts'

const run = runnerIn(t.testdir({}))
const MIB = 1024 * 1024

const SNIPPETS = [
  '--b\r\n',
  '\r\n--b--\r\n',
  '\r\n\r\n',
  '\n',
  '\r',
  '\0',
  '--',
  ';',
  '"',
  '\\',
  '=',
  '%',
  "*0*=utf-8''",
  '=?gbk?b?',
  '?=',
  'Content-Type: multipart/mixed; boundary=b\r\n',
  'Content-Transfer-Encoding: base64\r\n',
  'Content-ID: <x>\r\n',
  'Content-Disposition: form-data; name="_charset_"; filename="a/b"\r\n',
  '<',
  '>',
  '</s:Body>',
  '<s:Header/>',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '<?',
  '?>',
  '&amp;',
  '&#0;',
  ' xmlns:s=""',
  '<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:p@x"/>',
  '\ufeff',
  '\ud83d\ude00',
  '甲',
].map((text) => Buffer.from(text))

async function samples(): Promise<{ settings: object; bytes: Buffer; row: Row }[]> {
  const attachments = [{ name: '附.txt', text: 'x'.repeat(50), contentId: 'p@x' }, { base64: 'AAEC' }]
  const document = `<a xmlns="urn:a" t="&lt;"><b>${Buffer.alloc(1_200).toString('base64')}</b><!-- c --><![CDATA[<]]></a>`
  const soapHeaders = ['<h xmlns="urn:h">1</h>']
  const found: { settings: object; bytes: Buffer; row: Row }[] = []
  for (const wrap of [
    { format: 'multipart', subtype: 'related', transferEncoding: 'quoted-printable' },
    { format: 'multipart', headers: 'inside', transferEncoding: 'base64' },
    { format: 'soap', soapVersion: '1.2' },
    { format: 'swa' },
    { format: 'mtom', extract: ['b'], headers: 'inside' },
    { format: 'form' },
  ]) {
    const row = wrap.format === 'soap' ? { soapHeaders } : { soapHeaders, attachments, form: { a: ['1', '甲'] } }
    const { items, fault } = await run({ ...wrap, direction: 'wrap' }, fileOf(document, row))
    t.equal(fault, '')
    const { format, headers = 'outside' } = wrap
    const settings = {
      format,
      headers,
      direction: 'unwrap',
      nested: format !== 'form',
      onFault: 'pass',
      lf: format === 'swa',
    }
    found.push({ settings, bytes: bytesOf(items[0]), row: items[0]?.row ?? {} })
  }
  return found
}

t.test('mutated messages and content types', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const all = await samples()
  const codes = new Map<string, number>()
  const before = process.memoryUsage().rss
  for (let i = 0; i < 6_000; i += 1) {
    const { settings, bytes, row } = random.pick(all)
    const isType = random.oneIn(8)
    const input = mutated(random, isType ? Buffer.from(String(row.mediaType)) : bytes)
    const item = isType ? fileOf(bytes, { ...row, mediaType: input.toString() }) : fileOf(input, row)
    const { items, code, fault } = await run(settings, item)
    const size = items.reduce((sum, each) => sum + bytesOf(each).length, 0)
    if (code === 'INTERNAL' || size > 2 * (input.length + bytes.length))
      t.fail(`${fault} ${size} of ${JSON.stringify(settings)} ${input.toString('hex')}`)
    codes.set(code, (codes.get(code) ?? 0) + 1)
  }
  t.comment([...codes].map(([code, count]) => `${code || 'passed'} ${count}`).join(', '))
  t.ok(process.memoryUsage().rss - before < 300 * MIB)
})

function mutated(random: Random, bytes: Buffer): Buffer {
  let out = bytes
  for (let n = 1 + random.below(4); n > 0; n -= 1) {
    const at = random.below(out.length + 1)
    const to = random.oneIn(2) ? at : Math.min(out.length, at + random.below(random.oneIn(3) ? 200 : 4))
    const put = random.oneIn(2)
      ? random.pick(SNIPPETS)
      : random.oneIn(2)
        ? random.bytes(1)
        : out.subarray(random.below(out.length + 1)).subarray(0, random.below(300))
    out = Buffer.concat([out.subarray(0, at), put, out.subarray(to)])
  }
  return out
}

t.test('what costs much for its size costs no more than its size', async (t) => {
  const mixed = { mediaType: 'multipart/mixed; boundary=b' }
  const mime = { format: 'multipart', direction: 'unwrap', nested: true }
  const soap = { format: 'soap', direction: 'unwrap' }
  const many = 4 * MIB
  const declared = Array.from({ length: 1_000 }, (_, i) => ` xmlns:p${i}="u"`).join('')
  const cases: [object, string, RegExp, Row?][] = [
    [mime, '--b'.repeat(many / 3), /boundary does not occur/],
    [mime, '--b\r\n'.repeat(many / 5), /MIME_LIMIT/],
    [mime, lines('--b', '', '\r\n--b '.repeat(many / 6)), /MIME_LIMIT/],
    [mime, lines('--b', 'A:', ' x\r\n'.repeat(many / 4)), /cut/],
    [mime, lines('--b', `Content-Type: multipart/mixed; boundary=b`, '', '--b', '', 'x', '--b--', '--b--'), /cut|MIME/],
    [mime, lines('--b', 'Content-Transfer-Encoding: quoted-printable', '', ' '.repeat(many), '--b--'), /^$/],
    [mime, lines('--b', 'Content-Transfer-Encoding: base64', '', ' '.repeat(many), '--b--'), /^$/],
    [mime, lines('--b', `Content-Type: a/b; c="${'\\"'.repeat(8_000)}`, '', 'x', '--b--'), /malformed/],
    [mime, lines('--b', `Content-Type: a/b; name="${'=?a?b?'.repeat(2_000)}"`, '', 'x', '--b--'), /no file can have/],
    [
      soap,
      `<s:Envelope xmlns:s="${SOAP_URIS['1.1']}"${declared}><s:Body><a>${'x'.repeat(many)}</a></s:Body></s:Envelope>`,
      /^$/,
    ],
    [
      soap,
      `<s:Envelope xmlns:s="${SOAP_URIS['1.1']}"><s:Body><a>${'<!---->'.repeat(many / 7)}</a></s:Body></s:Envelope>`,
      /^$/,
    ],
    [
      soap,
      `<s:Envelope xmlns:s="${SOAP_URIS['1.1']}"><s:Body>${'<a/>'.repeat(many / 4)}</s:Body></s:Envelope>`,
      /elements/,
    ],
  ]
  for (const [settings, text, why, row = mixed] of cases) {
    const { fault } = await run(settings, fileOf(text, settings === soap ? {} : row))
    t.match(fault, why, `${text.slice(0, 40)}… of ${text.length}`)
  }
})
