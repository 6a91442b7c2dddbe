import iconv from 'iconv-lite'
import t from 'tap'
import { faultOf } from '../support/testing.ts'
import { decodeXml, XmlParser } from './mod.ts'

const text = (encoding: string | null, content: string) =>
  `<?xml version="1.0"${encoding === null ? '' : ` encoding="${encoding}"`}?>\n<名称>${content}</名称>`
const content = (bytes: Uint8Array) => new XmlParser().parse(decodeXml(bytes)).stringValue(0)
const codeOf = async (bytes: Uint8Array) => (await faultOf(() => content(bytes)))?.code ?? 'ok'

t.test('by declaration', (t) => {
  const chinese = '榕城区人民政府'
  for (const [declared, encoding] of [
    ['UTF-8', 'utf8'],
    ['utf-8', 'utf8'],
    ['GBK', 'gbk'],
    ['gb2312', 'gbk'],
    ['GB18030', 'gb18030'],
  ] as const) {
    t.equal(content(iconv.encode(text(declared, chinese), encoding)), chinese, declared)
  }
  t.equal(content(iconv.encode('<?xml version="1.0" encoding="Big5"?><名>臺北市</名>', 'big5')), '臺北市')
  t.equal(content(iconv.encode(text('GB18030', '𠮷𠀀'), 'gb18030')), '𠮷𠀀', 'four bytes')
  const latin = (encoding: string, value: string) => `<?xml version="1.0" encoding="${encoding}"?><a>${value}</a>`
  t.equal(content(iconv.encode(latin('ISO-8859-1', 'é\u0085'), 'latin1')), 'é\u0085', 'not Windows-1252')
  t.equal(content(iconv.encode(latin('iso-8859-2', 'ł'), 'iso-8859-2')), 'ł')
  t.equal(content(iconv.encode(latin('Windows-1251', 'Ж'), 'windows-1251')), 'Ж')
  t.equal(content(Buffer.from(latin('US-ASCII', 'x'))), 'x')
  t.equal(content(Buffer.from(text(null, chinese))), chinese, 'UTF-8 without being told')
  t.end()
})

t.test('by byte order mark and first bytes', (t) => {
  for (const [encoding, declared] of [
    ['utf8', 'UTF-8'],
    ['utf8', null],
    ['utf-16le', 'UTF-16'],
    ['utf-16le', null],
    ['utf-16be', 'utf-16'],
    ['utf-16be', 'UTF-16BE'],
    ['gb18030', 'GB18030'],
  ] as const) {
    t.equal(content(iconv.encode(`\ufeff${text(declared, '中𠮷')}`, encoding)), '中𠮷', `${encoding} ${declared}`)
  }
  t.equal(content(iconv.encode(text('UTF-16LE', '中'), 'utf-16le')), '中', 'without a mark')
  t.end()
})

t.test('what does not fit is a fault', async (t) => {
  t.equal(await codeOf(iconv.encode(text('UTF-8', '中文'), 'gbk')), 'XML_ENCODING')
  t.equal(await codeOf(iconv.encode(text(null, '中文'), 'gbk')), 'XML_ENCODING')
  t.equal(await codeOf(Buffer.from(text('GBK', '榕城区人民政府'))), 'XML_ENCODING', 'UTF-8 called GBK')
  t.equal(await codeOf(Buffer.from(text('UTF-16', '中'))), 'XML_ENCODING')
  t.equal(await codeOf(iconv.encode(`\ufeff${text('UTF-8', '中')}`, 'utf-16le')), 'XML_ENCODING')
  t.equal(await codeOf(iconv.encode(`\ufeff${text('GBK', '中')}`, 'utf8')), 'XML_ENCODING')
  t.equal(await codeOf(Buffer.from('<?xml version="1.0" encoding="US-ASCII"?><a>é</a>')), 'XML_ENCODING')
  t.equal(await codeOf(Buffer.from('<a>\ud800</a>', 'utf16le')), 'XML_ENCODING', 'half a surrogate pair')
  t.equal(
    await codeOf(Buffer.from([0x3c, 0x61, 0x3e, 0xed, 0xa0, 0x80, 0x3c, 0x2f, 0x61, 0x3e])),
    'XML_ENCODING',
    'one in UTF-8',
  )
  t.equal(await codeOf(Buffer.from([0x3c, 0x61, 0x3e, 0xc0, 0xbc, 0x3c, 0x2f, 0x61, 0x3e])), 'XML_ENCODING', 'overlong')
  t.equal(await codeOf(Buffer.from('<?xml version="1.0" encoding="EBCDIC-CP-DK"?><a/>')), 'XML_ENCODING_UNKNOWN')
  t.equal(await codeOf(iconv.encode('\ufeff<a/>', 'utf-32le')), 'XML_ENCODING_UNKNOWN')
  const fault = await faultOf(() =>
    decodeXml(Buffer.concat([Buffer.from('<a>\n中'), Buffer.from([0xff]), Buffer.from('</a>')])),
  )
  t.same([fault?.details.line, fault?.details.column], [2, 2])
})
