import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Item, Row, Value } from '../../contract.ts'
import { collector, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { decodePercent, decodeQuoted, encodePercent, encodeQuoted } from './codecs.ts'
import { EncodeChannel, encodeSettings } from './mod.ts'

const root = t.testdir({})
const make = (settings: object) => new EncodeChannel(settingsOf(encodeSettings, settings), testContext(root))

const fileOf = (bytes: string | Uint8Array, row: Row = { name: 'a' }): Item => ({
  row,
  ref: 1,
  content: { kind: 'bytes', bytes: Buffer.from(bytes) },
})

async function content(settings: object, bytes: string | Uint8Array): Promise<string> {
  const { rejects, reject } = collector()
  const [item] = await make(settings).process([fileOf(bytes)], reject)
  if (item?.content?.kind !== 'bytes') return rejects[0]?.fault.describe() ?? 'nothing'
  return Buffer.from(item.content.bytes).toString('latin1')
}

async function field(settings: object, value: Value): Promise<unknown> {
  const { rejects, reject } = collector()
  const [item] = await make({ ...settings, field: 'v' }).process(itemsOf([{ v: value }]), reject)
  return item?.row.v ?? rejects[0]?.fault.describe()
}

t.test('the vectors of RFC 4648, section 10', async (t) => {
  const plain = ['', 'f', 'fo', 'foo', 'foob', 'fooba', 'foobar']
  const base64 = ['', 'Zg==', 'Zm8=', 'Zm9v', 'Zm9vYg==', 'Zm9vYmE=', 'Zm9vYmFy']
  for (const [i, text] of plain.entries()) {
    t.equal(await content({ encoding: 'base64' }, text), base64[i])
    t.equal(await content({ encoding: 'base64', direction: 'decode' }, base64[i] as string), text)
    t.equal(await content({ encoding: 'base64', padding: false }, text), base64[i]?.replaceAll('=', ''))
  }
  t.equal(await content({ encoding: 'hex' }, 'foobar'), '666f6f626172')
  t.equal(await content({ encoding: 'hex', direction: 'decode' }, '666F6f626172'), 'foobar')
  t.equal(await content({ encoding: 'base64', urlSafe: true }, Buffer.from([251, 255, 254, 1])), '-__-AQ==')
  t.equal(
    await content({ encoding: 'base64', urlSafe: true, padding: false }, Buffer.from([251, 255, 254, 1])),
    '-__-AQ',
  )
})

t.test('decoding is strict, and says where', async (t) => {
  const base64 = { encoding: 'base64', direction: 'decode' }
  const cases: [object, string, RegExp][] = [
    [base64, 'Zm9v\r\n', /outside the alphabet, at 4/],
    [base64, 'Zm 9v', /outside the alphabet, at 2/],
    [base64, 'Zm9vYg', /padding is missing/],
    [base64, 'Zm9vYh==', /bits that no encoder writes, at 5/],
    [base64, 'Zg==Zg==', /outside the alphabet, at 2/],
    [base64, 'Z', /single character/],
    [base64, 'Zg=', /padding is missing|bits/],
    [base64, '====', /ENCODED_INVALID/],
    [base64, '-_==', /outside the alphabet, at 0/],
    [base64, 'Zm\0v', /outside the alphabet, at 2/],
    [base64, 'é', /outside the alphabet, at 0/],
    [{ ...base64, urlSafe: true }, 'Zm+v', /outside the alphabet, at 2/],
    [{ ...base64, padding: false }, 'Zg==', /padding: false/],
    [{ encoding: 'hex', direction: 'decode' }, 'abc', /half a byte/],
    [{ encoding: 'hex', direction: 'decode' }, '0x00', /at 1/],
    [{ encoding: 'percent', direction: 'decode' }, 'a%2', /no two hexadecimal digits follow, at 1/],
    [{ encoding: 'percent', direction: 'decode' }, 'a b', /must be encoded, at 1/],
    [{ encoding: 'quoted-printable', direction: 'decode' }, 'a=4', /at 1/],
    [{ encoding: 'quoted-printable', direction: 'decode' }, 'caf\u00e9', /must be encoded, at 3/],
  ]
  for (const [settings, text, why] of cases) {
    const said = await content(settings, text)
    t.match(said, /^ENCODED_INVALID/, JSON.stringify(text))
    t.match(said, why, JSON.stringify(text))
  }
})

t.test('lines as MIME and PEM have them', async (t) => {
  const mime = { encoding: 'base64', lineLength: 76 }
  const encoded = await content(mime, Buffer.alloc(100, 'x'))
  t.same(
    encoded.split('\r\n').map((line) => line.length),
    [76, 60, 0],
  )
  t.equal(await content({ ...mime, direction: 'decode' }, encoded), 'x'.repeat(100))
  t.equal(await content({ ...mime, direction: 'decode' }, encoded.replaceAll('\r', '')), 'x'.repeat(100))
  t.throws(() => make({ encoding: 'base64', lineLength: 75 }), /multiple of four/)
  t.throws(() => make({ encoding: 'percent', urlSafe: true }), /for base64/)
})

t.test('quoted-printable: RFC 2045, section 6.7', async (t) => {
  const settings = { encoding: 'quoted-printable' }
  t.equal(await content(settings, 'a=b \r\nc\t'), 'a=3Db=20\r\nc=09')
  t.equal(await content(settings, 'lone\ncr\r'), 'lone=0Acr=0D')
  t.equal(await content(settings, '通'), '=E9=80=9A')
  const long = await content(settings, 'x'.repeat(200))
  t.ok(long.split('\r\n').every((line) => line.length <= 76))
  t.equal(await content(settings, `${'x'.repeat(76)}\r\ny`), `${'x'.repeat(76)}\r\ny`, 'a line of exactly 76 stays')
  const back = { ...settings, direction: 'decode' }
  t.equal(await content(back, 'soft=  \r\nbreak, blanks  \t\r\nat the end =3d'), 'softbreak, blanks\r\nat the end =')
  t.equal(await content(back, 'end='), 'end')
  t.equal(await content(back, 'end  '), 'end')
})

t.test('fields: text both ways, bytes where asked', async (t) => {
  t.equal(await field({ encoding: 'base64' }, '通衢'), '6YCa6KGi')
  t.equal(await field({ encoding: 'base64' }, new Uint8Array([0, 255])), 'AP8=')
  t.same(await field({ encoding: 'base64', direction: 'decode' }, 'AP8='), Buffer.from([0, 255]))
  t.equal(await field({ encoding: 'base64', direction: 'decode', as: 'text' }, '6YCa6KGi'), '通衢')
  t.equal(await field({ encoding: 'percent' }, '通 衢/a~'), '%E9%80%9A%20%E8%A1%A2%2Fa~')
  t.equal(await field({ encoding: 'percent', direction: 'decode' }, '%e9%80%9A+/'), '通+/')
  t.match(await field({ encoding: 'base64', direction: 'decode', as: 'text' }, 'AP8='), /^DECODED_NOT_TEXT/)
  t.match(await field({ encoding: 'base64' }, 7), /^DOCUMENT_MISSING/)
  t.throws(() => make({ encoding: 'hex', as: 'text', direction: 'decode' }), /content is always bytes/)
})

t.test('any bytes come back, and any text is decoded or refused', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const variants: object[] = [
    { encoding: 'hex' },
    { encoding: 'base64' },
    { encoding: 'base64', urlSafe: true, padding: false },
    { encoding: 'base64', lineLength: 4 },
    { encoding: 'percent' },
    { encoding: 'quoted-printable' },
  ]
  const letters = Buffer.from('=\r\n \tAaf09%+/-_\0\xff', 'latin1')
  for (let i = 0; i < 3_000; i += 1) {
    const bytes = random.oneIn(2)
      ? random.bytes(random.below(200))
      : Buffer.from(Array.from({ length: random.below(100) }, () => letters[random.below(letters.length)] as number))
    const settings = variants[i % variants.length] as object
    const encoded = await content(settings, bytes)
    if (
      (await content({ ...settings, direction: 'decode' }, Buffer.from(encoded, 'latin1'))) !== bytes.toString('latin1')
    ) {
      t.fail(`${JSON.stringify(settings)} ${bytes.toString('hex')}`)
    }
    const { rejects, reject } = collector()
    const passed = await make({ ...settings, direction: 'decode' }).process([fileOf(bytes)], reject)
    if (passed.length + rejects.length !== 1 || rejects[0]?.fault.code === 'INTERNAL') t.fail(bytes.toString('hex'))
  }
  for (const [encode, decode] of [
    [encodeQuoted, decodeQuoted],
    [encodePercent, decodePercent],
  ] as const) {
    const bytes = random.bytes(100_000)
    t.ok(decode(encode(bytes)).equals(bytes))
  }
})
