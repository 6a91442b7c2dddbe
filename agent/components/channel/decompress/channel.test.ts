import { crc32, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { zipSync } from 'fflate'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Item, Row } from '../../contract.ts'
import { collector, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { packZip } from '../compress/mod.ts'
import { DecompressChannel, decompressSettings } from './mod.ts'

const root = t.testdir({})
const make = (settings: object) => new DecompressChannel(settingsOf(decompressSettings, settings), testContext(root))
const fileOf = (bytes: Uint8Array, name = 'a'): Item => ({
  row: { name, size: bytes.length },
  ref: 7,
  content: { kind: 'bytes', bytes },
})
const bytesOf = (item: Item | undefined): Buffer =>
  item?.content?.kind === 'bytes' ? Buffer.from(item.content.bytes) : Buffer.alloc(0)
const MIB = 1024 * 1024

async function faultOf(settings: object, bytes: Uint8Array): Promise<string> {
  const { rejects, reject } = collector()
  const passed = await make(settings).process([fileOf(bytes)], reject)
  return passed.length === 0 ? (rejects[0]?.fault.describe() ?? 'nothing') : 'passed'
}

t.test('each format, by name and by its first bytes; several members and frames', async (t) => {
  const text = Buffer.from('some text')
  const skippable = Buffer.from('502a4d1803000000aabbcc', 'hex')
  const cases: [string, Buffer, string][] = [
    ['gzip', gzipSync(text), 'some text'],
    ['gzip', Buffer.concat([gzipSync(text), gzipSync('!')]), 'some text!'],
    ['zstd', zstdCompressSync(text), 'some text'],
    ['zstd', Buffer.concat([skippable, zstdCompressSync(text), skippable, zstdCompressSync('!')]), 'some text!'],
    ['deflate', deflateSync(text), 'some text'],
    ['deflate-raw', deflateRawSync(text), 'some text'],
    ['gzip', gzipSync(''), ''],
  ]
  for (const [format, bytes, wanted] of cases) {
    for (const settings of format.startsWith('deflate') ? [{ format }] : [{ format }, {}]) {
      const [item] = await make(settings).process([fileOf(bytes, 'b.csv.gz')], () => t.fail())
      t.equal(bytesOf(item).toString(), wanted, format)
      t.same(item?.row, { name: 'b.csv', size: wanted.length, mediaType: 'text/csv' })
      t.equal(item?.ref, 7)
    }
  }
  const [kept] = await make({ rename: false }).process([fileOf(gzipSync(text), 'b.gz')], () => t.fail())
  t.same(kept?.row, { name: 'b.gz', size: 9 })
  const [field] = await make({ field: 'v' }).process(itemsOf([{ v: gzipSync(text) }]), () => t.fail())
  t.same(field?.row, { v: text })
})

t.test('what is not wholly in the format is refused', async (t) => {
  const packed = {
    gzip: gzipSync('text'),
    zstd: zstdCompressSync('text'),
    deflate: deflateSync('text'),
    'deflate-raw': deflateRawSync('text'),
  }
  for (const [format, bytes] of Object.entries(packed)) {
    t.match(await faultOf({ format }, bytes.subarray(0, -1)), /^COMPRESSED_INVALID/, `${format} cut`)
    t.match(
      await faultOf({ format }, Buffer.concat([bytes, Buffer.from('junk')])),
      /^COMPRESSED_INVALID/,
      `${format} and more`,
    )
    t.match(await faultOf({ format }, Buffer.alloc(0)), /^COMPRESSED_INVALID/, `${format} empty`)
  }
  t.match(await faultOf({}, Buffer.from('plain text')), /^COMPRESSED_UNKNOWN/)
  t.match(await faultOf({ format: 'zstd' }, Buffer.from('502a4d18ffffffffaabbcc', 'hex')), /skippable frame is cut/)
  const many = Buffer.concat(Array.from({ length: 1_001 }, () => zstdCompressSync('')))
  t.match(await faultOf({}, many), /more than 1000 frames/)
  // A window of 2^27 bytes, as the header claims: never made.
  t.match(await faultOf({}, Buffer.from('28b52ffd0088010000', 'hex')), /^COMPRESSED_INVALID/)
})

t.test('bombs: bounds on output and ratio hold while it comes out, and the neighbours pass', async (t) => {
  const zeros = Buffer.alloc(64 * MIB)
  const bombs = [gzipSync(zeros), zstdCompressSync(zeros), await packZip([{ name: 'z', bytes: zeros }], {})]
  const before = process.memoryUsage().rss
  for (const bomb of bombs) {
    t.match(await faultOf({}, bomb), /^DECOMPRESSED_RATIO.*200 times/)
    t.match(await faultOf({ ratioMax: 100_000, outputBytesMax: 2 * MIB }, bomb), /^DECOMPRESSED_TOO_LARGE/)
    const good = gzipSync('good')
    const { rejects, reject } = collector()
    const passed = await make({}).process([fileOf(good), fileOf(bomb), fileOf(good)], reject)
    t.same(passed.map(bytesOf).map(String), ['good', 'good'])
    t.equal(rejects.length, 1)
    const [whole] = await make({ ratioMax: 100_000 }).process([fileOf(bomb)], () => t.fail())
    t.equal(bytesOf(whole).length, zeros.length, 'and passes when allowed')
  }
  t.ok(process.memoryUsage().rss - before < 600 * MIB)
  t.equal(await faultOf({ ratioMax: 1 }, gzipSync(Buffer.alloc(MIB))), 'passed', 'a little is no bomb')
  const exactly = gzipSync(Buffer.alloc(5_000))
  t.equal(await faultOf({ outputBytesMax: 5_000 }, exactly), 'passed')
  t.match(await faultOf({ outputBytesMax: 4_999 }, exactly), /^DECOMPRESSED_TOO_LARGE/)
  const frames = Buffer.concat([zstdCompressSync(Buffer.alloc(3_000)), zstdCompressSync(Buffer.alloc(2_000))])
  t.equal(await faultOf({ outputBytesMax: 5_000 }, frames), 'passed')
  t.match(await faultOf({ outputBytesMax: 4_999 }, frames), /^DECOMPRESSED_TOO_LARGE/)
  t.match(await faultOf({ outputBytesMax: 3_000 }, frames), /^DECOMPRESSED_TOO_LARGE/)
})

t.test('a zip gives its files, each an item or all in a field', async (t) => {
  const archive = zipSync({
    'a.csv': Buffer.from('1'),
    'sub/': new Uint8Array(0),
    'sub/通.xml': [Buffer.from('<a/>'), { level: 0 }],
    'in.zip': zipSync({ x: Buffer.from('x') }),
  })
  const items = await make({}).process([fileOf(archive, 'x.zip')], () => t.fail())
  t.same(
    items.map(({ row, ref }) => [row.name, row.mediaType, ref]),
    [
      ['a.csv', 'text/csv', 7],
      ['sub/通.xml', 'application/xml', 7],
      ['in.zip', 'application/zip', 7],
    ],
  )
  t.equal(bytesOf(items[1]).toString(), '<a/>')
  t.equal(items[1]?.row.size, 4)
  const [row] = await make({ format: 'zip', field: 'v', entries: 'files' }).process(
    itemsOf([{ v: archive, id: 1 }]),
    () => t.fail(),
  )
  t.same(Object.keys(row?.row ?? {}), ['id', 'files'])
  t.same(
    ((row?.row.files ?? []) as Row[]).map(({ name }) => name),
    ['a.csv', 'sub/通.xml', 'in.zip'],
  )
  const [content] = await make({ format: 'zip', entries: 'files' }).process([fileOf(archive)], () => t.fail())
  t.equal(content?.content, undefined)
  t.same(await make({}).process([fileOf(zipSync({}))], () => t.fail()), [], 'an empty archive gives nothing')
  t.match(await faultOf({ membersMax: 2 }, archive), /^ZIP_MEMBERS.*4 members/)
  t.throws(() => make({ format: 'zip', field: 'v' }), /needs `entries`/)
})

t.test('names: in the encoding of the sender, and only such as every system can have', async (t) => {
  const gbk = Buffer.from('cda8e1e92e747874', 'hex')
  const archive = await packZip([{ name: 'xxxx.txt', bytes: Buffer.from('1') }], {})
  const named = replaced(archive, Buffer.from('xxxx.txt'), gbk)
  for (const at of [6, named.length - 22 - 46 - 8 + 8]) named.writeUInt16LE(0, at)
  const [item] = await make({}).process([fileOf(named)], () => t.fail())
  t.equal(item?.row.name, '通衢.txt')
  t.match(await faultOf({ nameEncoding: 'utf-8' }, named), /not in utf-8/)
  // As zip and macOS write them: UTF-8, and nothing says so.
  for (const [placeholder, name] of [
    ['xxxxxxxxxx.txt', '王芳xxxx.txt'],
    ['xxx.txt', '王.txt'],
  ] as const) {
    const unsaid = replaced(
      await packZip([{ name: placeholder, bytes: Buffer.from('1') }], {}),
      Buffer.from(placeholder),
      Buffer.from(name),
    )
    for (const at of [6, unsaid.length - 22 - 46 - placeholder.length + 8]) unsaid.writeUInt16LE(0, at)
    t.equal((await make({}).process([fileOf(unsaid)], () => t.fail()))[0]?.row.name, name)
  }
  for (const name of [
    '../x',
    'a/../x',
    '/x',
    'a\\x',
    'c:x',
    'nul',
    'a/aux.txt',
    'x.',
    '.x',
    'a//x',
    'a\0x',
    'gpj.\u202eexe',
    'x'.repeat(300),
  ]) {
    t.match(
      await faultOf({}, await packZip([{ name, bytes: Buffer.from('1') }], {})),
      /^ZIP_MEMBER_INVALID/,
      JSON.stringify(name),
    )
  }
  const file = { bytes: Buffer.from('1') }
  for (const [a, b] of [
    ['x', 'x'],
    ['x', 'X'],
    ['é', 'e\u0301'],
  ] as const) {
    t.match(
      await faultOf(
        {},
        await packZip(
          [
            { name: a, ...file },
            { name: b, ...file },
          ],
          {},
        ),
      ),
      /the same name/,
    )
  }
})

function replaced(bytes: Buffer, old: Buffer, fresh: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  for (let at = copy.indexOf(old); at !== -1; at = copy.indexOf(old, at + 1)) fresh.copy(copy, at)
  return copy
}

t.test('archives that readers could see differently', async (t) => {
  const archive = await packZip([{ name: 'a.txt', bytes: Buffer.alloc(100, 'ab') }], {})
  const central = archive.lastIndexOf(Buffer.from('504b0102', 'hex'))
  const changed = (change: (copy: Buffer) => void): Promise<string> => {
    const copy = Buffer.from(archive)
    change(copy)
    return faultOf({}, copy)
  }
  t.match(
    await changed((copy) => copy.writeUInt16LE(copy.readUInt16LE(central + 8) | 1, central + 8)),
    /^ZIP_ENCRYPTED/,
  )
  t.match(
    await changed((copy) => copy.writeUInt16LE(copy.readUInt16LE(central + 8) | 0x40, central + 8)),
    /strong encryption/,
  )
  t.match(await changed((copy) => copy.writeUInt16LE(12, central + 10)), /method 12/)
  t.match(await changed((copy) => copy.writeUInt8(0x62, 30)), /says another thing/)
  t.match(await changed((copy) => copy.writeUInt32LE(7, central + 16)), /checksum/)
  t.match(await changed((copy) => copy.writeUInt32LE(99, central + 24)), /another size/)
  t.match(await changed((copy) => copy.writeUInt32LE(101, central + 24)), /another size/)
  t.match(
    await changed((copy) => copy.writeUInt32LE(0xfffffff0, central + 24)),
    /^DECOMPRESSED_/,
    'what it claims is not made',
  )
  t.match(await changed((copy) => copy.writeUInt32LE(0xfffffff0, central + 20)), /it is cut/)
  t.match(await changed((copy) => copy.writeUInt32LE(5, central + 42)), /header is missing/)
  t.match(
    await changed((copy) => {
      copy.writeUInt16LE((3 << 8) | 20, central + 4)
      copy.writeUInt32LE(0xa1ff_0000, central + 38)
    }),
    /a link or a device/,
  )
  t.match(await faultOf({ format: 'zip' }, archive.subarray(0, -1)), /^COMPRESSED_INVALID/)
  // Two entries of the directory for the same bytes.
  const twice = overlapping()
  t.match(await faultOf({}, twice), /shares bytes/)
})

/** An archive whose second entry points into the first. */
function overlapping(): Buffer {
  const bytes = Buffer.from('x')
  const inner = localOf('b', bytes)
  const outer = Buffer.concat([localOf('a', inner), bytes])
  const entries = [centralOf('a', inner, 0), centralOf('b', bytes, localOf('a', inner).length - inner.length)]
  const directory = Buffer.concat(entries)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(2, 8)
  end.writeUInt16LE(2, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(outer.length, 16)
  return Buffer.concat([outer, directory, end])
}

function localOf(name: string, bytes: Buffer): Buffer {
  const head = Buffer.alloc(30)
  head.writeUInt32LE(0x04034b50, 0)
  head.writeUInt32LE(crc32(bytes), 14)
  head.writeUInt32LE(bytes.length, 18)
  head.writeUInt32LE(bytes.length, 22)
  head.writeUInt16LE(name.length, 26)
  return Buffer.concat([head, Buffer.from(name), bytes])
}

function centralOf(name: string, bytes: Buffer, at: number): Buffer {
  const head = Buffer.alloc(46)
  head.writeUInt32LE(0x02014b50, 0)
  head.writeUInt32LE(crc32(bytes), 16)
  head.writeUInt32LE(bytes.length, 20)
  head.writeUInt32LE(bytes.length, 24)
  head.writeUInt16LE(name.length, 28)
  head.writeUInt32LE(at, 42)
  return Buffer.concat([head, Buffer.from(name)])
}

t.test('mutated documents: a result or a fault, within bounds', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const text = Buffer.from('通衢 moves records and documents. '.repeat(40))
  const samples = [
    gzipSync(text),
    zstdCompressSync(text),
    zipSync({ 'a.txt': text, 'b/c.txt': [text, { level: 0 }] }),
    await packZip(
      [
        { name: 'a', bytes: text },
        { name: 'b', bytes: Buffer.from('b') },
      ],
      {},
    ),
    overlapping(),
  ]
  const channel = make({ outputBytesMax: MIB })
  const codes = new Map<string, number>()
  const before = process.memoryUsage().rss
  for (let i = 0; i < 4_000; i += 1) {
    const bytes = Buffer.from(random.pick(samples))
    for (let n = 1 + random.below(4); n > 0; n -= 1) {
      const at = random.below(bytes.length)
      bytes[at] = random.oneIn(2) ? (bytes[at] as number) ^ (1 << random.below(8)) : random.below(256)
    }
    const input = random.oneIn(4) ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes
    const { rejects, reject } = collector()
    const passed = await channel.process([fileOf(input)], reject)
    if (passed.reduce((sum, item) => sum + bytesOf(item).length, 0) > MIB)
      t.fail(`too much of ${input.toString('hex')}`)
    const code = rejects[0]?.fault.code ?? 'passed'
    if (code === 'INTERNAL') t.fail(`${rejects[0]?.fault.describe()} of ${input.toString('hex')}`)
    codes.set(code, (codes.get(code) ?? 0) + 1)
  }
  t.comment([...codes].map((each) => each.join(' ')).join(', '))
  t.ok(process.memoryUsage().rss - before < 300 * MIB)
})
