import t from 'tap'
import { ByteReader, decodeText, readU53, varintBytes, writeU53, writeVarint } from './mod.ts'
import { faultCode, Random, testSeed } from './testing.ts'
import { Texts } from './texts.ts'

const MAX = Number.MAX_SAFE_INTEGER

function encoded(value: number): Buffer {
  const out = Buffer.alloc(9, 0xee)
  const end = writeVarint(out, 0, value)
  return out.subarray(0, end)
}

const readVarint = (...bytes: number[]) => new ByteReader(Buffer.from(bytes), 'test').varint()

t.test('varints: known bytes and every border', async (t) => {
  t.strictSame([...encoded(0)], [0])
  t.strictSame([...encoded(127)], [0x7f])
  t.strictSame([...encoded(128)], [0x80, 0x01])
  t.strictSame([...encoded(300)], [0xac, 0x02])
  t.strictSame([...encoded(MAX)], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f])
  for (let bits = 0; bits <= 53; bits++) {
    for (const value of [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]) {
      if (value > MAX) continue
      const bytes = encoded(value)
      if (bytes.length !== varintBytes(value)) t.fail(`${value}: ${bytes.length} bytes`)
      const reader = new ByteReader(bytes, 'test')
      t.equal(reader.varint(), value)
      reader.finish()
    }
  }
})

t.test('varints: random ones come back', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let i = 0; i < 20_000; i++) {
    const value = random.u53()
    if (new ByteReader(encoded(value), 'test').varint() !== value) return t.fail(`${value}`)
  }
  t.pass('20,000 values')
})

t.test('varints: longer than needed, too large and cut ones are refused', async (t) => {
  for (let length = 2; length <= 8; length++) {
    t.equal(
      faultCode(() => readVarint(...Array(length - 1).fill(0x80), 0)),
      'VARINT_INVALID',
      `zero in ${length} bytes`,
    )
    t.equal(
      faultCode(() => readVarint(...Array(length - 1).fill(0xff))),
      'BYTES_SHORT',
      `cut after ${length - 1} bytes`,
    )
  }
  t.equal(
    faultCode(() => readVarint(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10)),
    'VARINT_INVALID',
    '2^53 and more',
  )
  t.equal(
    faultCode(() => readVarint(...Array(8).fill(0x80), 1)),
    'VARINT_INVALID',
    'nine bytes',
  )
  t.equal(
    faultCode(() => readVarint(...Array(40).fill(0xff))),
    'VARINT_INVALID',
    'no end',
  )
})

t.test('64-bit integers stay below 2^53', async (t) => {
  const bytes = Buffer.alloc(10, 0xee)
  for (const value of [0, 1, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, MAX]) {
    t.equal(writeU53(bytes, 1, value), 9)
    t.equal(bytes.readBigUInt64LE(1), BigInt(value))
    t.equal(readU53(bytes, 1, 'test'), value)
  }
  bytes.writeBigUInt64LE(2n ** 53n, 1)
  t.equal(
    faultCode(() => readU53(bytes, 1, 'test')),
    'INTEGER_TOO_LARGE',
  )
  bytes.writeBigUInt64LE(2n ** 64n - 1n, 1)
  t.equal(
    faultCode(() => readU53(bytes, 1, 'test')),
    'INTEGER_TOO_LARGE',
  )
})

t.test('nothing is read beyond the end, nothing may be left over', async (t) => {
  const bytes = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8])
  const reads: [number, (reader: ByteReader) => unknown][] = [
    [1, (reader) => reader.u8()],
    [2, (reader) => reader.u16()],
    [4, (reader) => reader.u32()],
    [8, (reader) => reader.u53()],
    [5, (reader) => reader.view(5)],
  ]
  for (const [size, read] of reads) {
    t.equal(
      faultCode(() => read(new ByteReader(bytes, 'test', 0, size - 1))),
      'BYTES_SHORT',
      `${size} bytes of ${size - 1}`,
    )
    t.equal(
      faultCode(() => read(new ByteReader(bytes, 'test', 8 - size + 1))),
      'BYTES_SHORT',
    )
  }
  t.equal(
    faultCode(() => new ByteReader(bytes, 'test').view(2 ** 60)),
    'BYTES_SHORT',
  )
  const reader = new ByteReader(bytes, 'test', 2, 6)
  t.equal(reader.u16(), 0x0403)
  t.equal(reader.remaining, 2)
  t.equal(
    faultCode(() => reader.finish()),
    'BYTES_TRAILING',
  )
  t.equal(reader.u16(), 0x0605)
  t.equal(
    faultCode(() => reader.finish()),
    null,
  )
})

t.test('views are the bytes themselves', async (t) => {
  const bytes = Buffer.from([1, 2, 3])
  const view = new ByteReader(bytes, 'test').view(2)
  bytes[0] = 9
  t.equal(view[0], 9)
})

t.test('text is UTF-8, taken as it is', async (t) => {
  t.equal(decodeText(Buffer.from('行政区划'), 'test'), '行政区划')
  t.equal(decodeText(Buffer.from('\ufeffa'), 'test'), '\ufeffa', 'a byte order mark is a character like any other')
  for (const hex of ['ff', 'c328', 'eda080', 'c080', 'f4908080', 'e4b8']) {
    t.equal(
      faultCode(() => decodeText(Buffer.from(hex, 'hex'), 'test')),
      'TEXT_INVALID',
      hex,
    )
  }
})

t.test('short texts are the same string again; each is the one that is there', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const letters = ['a', 'b', '\0', '~', 'é', '通', '\ufeff', '\u{1f6a2}']
  const bytes = Buffer.alloc(400)
  for (let i = 0; i < 20_000; i++) {
    const length = random.oneIn(10) ? 40 + random.below(40) : random.below(6)
    const text = Array.from({ length }, () => random.pick(random.oneIn(4) ? letters : ['a', 'b'])).join('')
    const from = random.below(20)
    const to = from + bytes.write(text, from)
    const found = new ByteReader(bytes, 'test', from, to).text(to - from)
    if (found !== text) return t.equal(found, text)
  }
  const texts = new Texts()
  const read = (text: string) => texts.find(Buffer.from(`-${text}-`), 1, 1 + Buffer.byteLength(text))
  // More than the table has places for, so that many take each other's.
  for (let i = 0; i < 10_000; i++) if (read(`area ${i}`) !== `area ${i}`) return t.fail(`area ${i}`)
  t.equal(read('x'.repeat(64)), 'x'.repeat(64))
  t.equal(read('x'.repeat(65)), null)
  t.equal(read('é'), null)
  t.equal(read(''), '')
  const cut = Buffer.from('c3', 'hex')
  t.equal(
    faultCode(() => new ByteReader(cut, 'test').text(1)),
    'TEXT_INVALID',
  )
})
