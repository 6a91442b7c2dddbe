import iconv from 'iconv-lite'
import t from 'tap'
import { randomFrom } from '../support/testing.ts'
import { decodeDocument, type Encoding, encodeText, inspectOpening, LINE_ENCODINGS, textDecoder } from './encoding.ts'
import { isReallyUtf8 } from './really-utf8.ts'

const bytesOf = (text: string, encoding: Encoding): string => {
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

const SINGLE = LINE_ENCODINGS.filter((name) => /^(iso|windows)/.test(name))

t.test('single-byte code pages: as iconv-lite has them, and every byte comes back or is refused', async (t) => {
  for (const encoding of SINGLE) {
    const differ: string[] = []
    for (let byte = 0; byte < 256; byte += 1) {
      let text: string | null = null
      try {
        text = textDecoder(encoding).decode(Uint8Array.of(byte))
      } catch {
        // No character has this byte.
      }
      const theirs = iconv.decode(Buffer.of(byte), encoding)
      // Bytes that a Windows page leaves open are the C1 controls here, as WHATWG has it, so that nothing is lost.
      const open = /^windows/.test(encoding) && byte >= 0x80 && byte < 0xa0 && theirs === '\ufffd'
      const wanted = open && text !== null ? String.fromCharCode(byte) : theirs
      // windows-874 and iso-8859-11 have no soft surprises: what is no character there is none here.
      if ((text ?? '\ufffd') !== wanted) differ.push(byte.toString(16))
      if (text !== null && bytesOf(text, encoding) !== byte.toString(16).padStart(2, '0')) differ.push(`${byte} back`)
    }
    t.same(differ, [], encoding)
  }
  t.equal(textDecoder('iso-8859-1').decode(Uint8Array.of(0x80)), '\u0080', 'not the euro sign of windows-1252')
  t.equal(bytesOf('€', 'iso-8859-1'), 'no U+20ac')
  t.equal(bytesOf('€', 'windows-1252'), '80')
  t.equal(bytesOf('𠮷', 'windows-1252'), 'no U+20bb7')
})

t.test('Big5: as iconv-lite has code page 950; every code comes back as itself or its other form', async (t) => {
  const decoder = textDecoder('big5')
  const wrong: string[] = []
  const doubles: string[] = []
  let count = 0
  for (let lead = 0x81; lead <= 0xfe; lead += 1) {
    for (let trail = 0x40; trail <= 0xfe; trail += 1) {
      if (trail > 0x7e && trail < 0xa1) continue
      const bytes = Buffer.of(lead, trail)
      let text: string
      try {
        text = decoder.decode(bytes)
      } catch {
        continue
      }
      count += 1
      const back = bytesOf(text, 'big5')
      if (back !== bytes.toString('hex')) doubles.push(`${bytes.toString('hex')} ${back}`)
      const isPrivate = /[\ue000-\uf8ff]/.test(text)
      if (!isPrivate && iconv.decode(bytes, 'cp950') !== text) wrong.push(`${bytes.toString('hex')} ${text}`)
    }
  }
  t.same(wrong, [])
  t.ok(count > 13_000)
  t.equal(doubles.length, 10, doubles.join(', '))
  t.equal(bytesOf('中文', 'big5'), 'a4a4a4e5')
  t.equal(bytesOf('十', 'big5'), 'a451')
  t.equal(bytesOf('€', 'big5'), 'a3e1')
  t.equal(bytesOf('国', 'big5'), 'no U+56fd', 'simplified characters are not in it')
})

t.test('UTF-16: byte order, marks and halves', async (t) => {
  t.equal(bytesOf('A中𠮷', 'utf-16be'), '00414e2dd842dfb7')
  t.equal(bytesOf('A中𠮷', 'utf-16le'), '41002d4e42d8b7df')
  t.equal(bytesOf('a\ud842', 'utf-16le'), 'no U+d842')
  const read = (hex: string, encoding: Encoding) => {
    const decoded = decodeDocument(Buffer.from(hex, 'hex'), encoding)
    return decoded.ok ? decoded.text : `${decoded.why} ${decoded.line}:${decoded.position}`
  }
  t.equal(read('fffe41002d4e', 'utf-16'), 'A中')
  t.equal(read('feff00414e2d', 'utf-16'), 'A中')
  t.equal(read('feff00414e2d', 'utf-16be'), 'A中')
  t.equal(read('00414e2d', 'utf-16be'), 'A中')
  t.match(read('00414e2d', 'utf-16'), /no byte order mark/)
  t.match(read('feff0041', 'utf-16le'), /mark of utf-16be/)
  t.equal(read('41000a0042d84100', 'utf-16le'), 'bytes outside utf-16le 2:4', 'half a pair')
  t.equal(read('4100420043', 'utf-16le'), 'bytes outside utf-16le 1:4', 'an odd byte')
})

t.test('a document says where its bytes stop being text', async (t) => {
  const seed = 50_905
  const random = randomFrom(seed)
  for (let i = 0; i < 300; i += 1) {
    const encoding = (['utf-8', 'gb18030', 'big5'] as const)[i % 3] as Encoding
    const line = (): string =>
      Array.from({ length: Math.floor(random() * 6) }, () => ['a', '中', '文', 'é'][Math.floor(random() * 3)]).join('')
    const lines = Array.from({ length: 1 + Math.floor(random() * 4) }, line)
    const before = encodeText(lines.join('\n'), encoding)
    const after = encodeText(`${line()}\n${line()}`, encoding)
    if (!before.ok || !after.ok) throw new Error('test text')
    const bytes = Buffer.concat([before.bytes, Buffer.of(0xff, 0x0a), after.bytes])
    const decoded = decodeDocument(bytes, encoding)
    if (encoding === 'big5') {
      t.ok(decoded.ok, 'code page 950 has 0xFF')
      continue
    }
    t.match(decoded, { ok: false, line: lines.length, position: before.bytes.length }, `seed ${seed}, document ${i}`)
  }
})

t.test(
  'GBK and GB18030: as iconv-lite has them, but for the 18 codes that GB18030-2022 moved out of private use',
  async (t) => {
    for (const encoding of ['gbk', 'gb18030'] as const) {
      const decoder = textDecoder(encoding)
      const moved: string[] = []
      for (let lead = 0x81; lead <= 0xfe; lead += 1) {
        for (let trail = 0x40; trail <= 0xfe; trail += 1) {
          if (trail === 0x7f) continue
          const bytes = Buffer.of(lead, trail)
          const ours = decoder.decode(bytes)
          const theirs = iconv.decode(bytes, encoding)
          if (ours !== theirs)
            moved.push(`${bytes.toString('hex')} ${/[\ue000-\uf8ff]/.test(theirs) ? 'private' : theirs}`)
        }
      }
      const vertical = ['d9', 'da', 'db', 'dc', 'dd', 'de', 'df', 'ec', 'ed', 'f3'].map((trail) => `a6${trail} private`)
      const radicals = ['59', '61', '66', '67', '6d', '7e', '90', 'a0'].map((trail) => `fe${trail} private`)
      t.same(moved, [...vertical, ...radicals], encoding)
    }
  },
)

t.test('UTF-8 under the name of another encoding is seen; text of that encoding is not taken for it', async (t) => {
  const text = '编号,姓名\n1,王芳\n'
  for (const encoding of ['gbk', 'gb18030', 'big5'] as const) {
    t.ok(isReallyUtf8(Buffer.from(text), encoding), encoding)
    t.match(decodeDocument(Buffer.from('统一社会信用代码'), encoding), { ok: false, why: /UTF-8/ })
  }
  t.notOk(isReallyUtf8(Buffer.from('王芳'), 'gbk'), 'too little to be certain')
  // Every pair of common characters, as GBK: none is UTF-8 with two ideographs.
  const lead = [0xb0, 0xc4, 0xd7, 0xe4, 0xe7, 0xe9]
  let taken = 0
  for (const a of lead) {
    for (let b = 0xa1; b <= 0xfe; b += 1) {
      for (const c of lead) {
        for (let d = 0xa1; d <= 0xfe; d += 1) if (isReallyUtf8(Buffer.of(a, b, c, d, a, b), 'gbk', 2)) taken += 1
      }
    }
  }
  t.equal(taken, 0)
})
