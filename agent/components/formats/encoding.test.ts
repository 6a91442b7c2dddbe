import t from 'tap'
import { encodeText, inspectOpening, textDecoder } from './encoding.ts'

const bytesOf = (text: string, encoding: 'utf-8' | 'gbk' | 'gb18030'): string => {
  const encoded = encodeText(text, encoding)
  return encoded.ok ? encoded.bytes.toString('hex') : `no U+${encoded.codePoint.toString(16)}`
}

t.test('GB18030: known codes of one, two and four bytes', async (t) => {
  t.equal(bytesOf('A', 'gb18030'), '41')
  t.equal(bytesOf('中', 'gb18030'), 'd6d0')
  t.equal(bytesOf('€', 'gb18030'), 'a2e3')
  t.equal(bytesOf('\u0080', 'gb18030'), '81308130')
  t.equal(bytesOf('\ufeff', 'gb18030'), '84319533')
  t.equal(bytesOf('\ufffd', 'gb18030'), '8431a437')
  t.equal(bytesOf('㐀', 'gb18030'), '8139ee39', 'CJK extension A')
  t.equal(bytesOf('𠮷', 'gb18030'), '9534b235')
  t.equal(bytesOf('\u{10000}', 'gb18030'), '90308130')
  t.equal(bytesOf('\u{10ffff}', 'gb18030'), 'e3329a35')
})

t.test('GB18030: every code point comes back as itself, or is refused', async (t) => {
  const decoder = textDecoder('gb18030')
  const wrong: string[] = []
  const refused: number[] = []
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += codePoint < 0x10000 ? 1 : 97) {
    const char = String.fromCodePoint(codePoint)
    const encoded = encodeText(char, 'gb18030')
    if (!encoded.ok) refused.push(codePoint)
    else if (decoder.decode(encoded.bytes) !== char) wrong.push(codePoint.toString(16))
  }
  t.same(wrong, [])
  // Surrogates are no characters; a handful of private use code points have no code in the 2022 table.
  t.ok(
    refused.filter((codePoint) => codePoint < 0xd800 || codePoint > 0xf8ff).length === 0,
    'assigned characters all have a code',
  )
  t.ok(refused.length >= 0x800)
})

t.test('GBK refuses what needs four bytes and writes the euro sign in one', async (t) => {
  t.equal(bytesOf('€', 'gbk'), '80')
  t.equal(bytesOf('中文', 'gbk'), 'd6d0cec4')
  t.equal(bytesOf('a𠮷b', 'gbk'), 'no U+20bb7')
  t.equal(bytesOf('㐀', 'gbk'), 'no U+3400')
  t.equal(bytesOf('é', 'gbk'), 'a8a6')
  t.equal(textDecoder('gbk').decode(Buffer.from('80', 'hex')), '€')
})

t.test('UTF-8 refuses half a surrogate pair', async (t) => {
  t.equal(bytesOf('a\ud842', 'utf-8'), 'no U+d842')
  t.equal(bytesOf('𠮷', 'utf-8'), 'f0a0aeb7')
})

t.test('decoders are strict and leave a byte order mark where it stands', async (t) => {
  for (const [encoding, hex] of [
    ['utf-8', 'c328'],
    ['gbk', 'ff41'],
    ['gb18030', '813041'],
  ] as const) {
    t.throws(() => textDecoder(encoding).decode(Buffer.from(hex, 'hex')), encoding)
  }
  t.equal(textDecoder('utf-8').decode(Buffer.from('efbbbf61', 'hex')), '\ufeffa')
})

t.test('the opening of a file tells what it is not', async (t) => {
  const look = (hex: string, encoding: 'utf-8' | 'gbk' | 'gb18030') => inspectOpening(Buffer.from(hex, 'hex'), encoding)
  t.equal(look('efbbbf61', 'utf-8').skipBytes, 3)
  t.equal(look('8431953361', 'gb18030').skipBytes, 4)
  t.match(look('efbbbf61', 'gbk').problem, /UTF-8/)
  t.match(look('fffe6100', 'utf-8').problem, /UTF-16/)
  t.match(look('504b0304', 'gbk').problem, /Excel/)
  t.same(look('', 'utf-8'), { skipBytes: 0, problem: null })
})
