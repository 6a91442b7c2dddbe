import { gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { unzipSync } from 'fflate'
import t from 'tap'
import type { Item, Row } from '../../contract.ts'
import { collector, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { CompressChannel, compressSettings, packZip } from './mod.ts'

const root = t.testdir({})
const make = (settings: object) => new CompressChannel(settingsOf(compressSettings, settings), testContext(root))
const text = Buffer.from('通衢 moves records. '.repeat(500))

const fileOf = (row: Row, bytes: Uint8Array = text): Item => ({ row, ref: 7, content: { kind: 'bytes', bytes } })

async function one(settings: object, item: Item): Promise<{ item: Item | undefined; bytes: Buffer; fault: string }> {
  const { rejects, reject } = collector()
  const [out] = await make(settings).process([item], reject)
  const bytes = out?.content?.kind === 'bytes' ? Buffer.from(out.content.bytes) : Buffer.alloc(0)
  return { item: out, bytes, fault: rejects[0]?.fault.describe() ?? '' }
}

t.test('other readers read every format; names and types tell; the same twice', async (t) => {
  const row = { name: 'a/通.csv', size: text.length, modified: null, mediaType: 'text/csv', topic: 'x' }
  const readers = {
    gzip: gunzipSync,
    zstd: zstdDecompressSync,
    deflate: inflateSync,
    'deflate-raw': inflateRawSync,
    zip: (bytes: Uint8Array) => Buffer.from(unzipSync(bytes)['a/通.csv'] ?? []),
  }
  const endings = { gzip: '.gz', zstd: '.zst', zip: '.zip', deflate: '', 'deflate-raw': '' }
  for (const [format, read] of Object.entries(readers)) {
    for (const level of [undefined, 1, 9]) {
      const { item, bytes } = await one({ format, ...(level === undefined ? {} : { level }) }, fileOf(row))
      t.ok(read(bytes).equals(text), `${format} ${level}`)
      t.ok(bytes.length < text.length / 4)
      t.equal(item?.row.size, bytes.length)
      t.equal(item?.row.name, `a/通.csv${endings[format as keyof typeof endings]}`)
      t.equal(item?.ref, 7)
      const again = await one({ format, ...(level === undefined ? {} : { level }) }, fileOf(row))
      t.ok(again.bytes.equals(bytes))
    }
    const empty = await one({ format }, fileOf(row, Buffer.alloc(0)))
    t.equal(read(empty.bytes).length, 0)
  }
  const plain = await one({ format: 'gzip', rename: false }, fileOf(row))
  t.same(plain.item?.row, { ...row, size: plain.bytes.length })
})

t.test('a field, and several files of a row as one zip', async (t) => {
  const { reject } = collector()
  const [packed] = await make({ format: 'zstd', field: 'v' }).process(itemsOf([{ v: 'text', w: 1 }]), reject)
  t.equal(zstdDecompressSync(packed?.row.v as Uint8Array).toString(), 'text')
  t.equal(packed?.row.w, 1)
  const files = [
    { name: 'a.txt', text: 'A' },
    { name: 'sub/b.bin', bytes: new Uint8Array([0, 1]) },
    { name: '附件.txt', base64: 'QQ==' },
  ]
  const { item, bytes } = await one({ format: 'zip', entries: 'files' }, { row: { id: 1, files }, ref: 1 })
  t.same(item?.row, { id: 1, name: 'archive.zip', mediaType: 'application/zip', size: bytes.length })
  t.same(
    Object.entries(unzipSync(bytes)).map(([name, data]) => [name, Buffer.from(data).toString('hex')]),
    [
      ['a.txt', '41'],
      ['sub/b.bin', '0001'],
      ['附件.txt', '41'],
    ],
  )
  t.ok(await packZip([{ name: 'x'.repeat(200), bytes: new Uint8Array(0) }], {}))
})

t.test('refused', async (t) => {
  const pack = (files: unknown) => one({ format: 'zip', entries: 'files' }, { row: { files } as Row, ref: 1 })
  for (const [files, why] of [
    [[{ name: '../x', text: '' }], /ATTACHED_INVALID at field files\[0\]\.name: .*folder/],
    [[{ name: '/x', text: '' }], /it is absolute/],
    [[{ name: 'con', text: '' }], /device/],
    [[{ name: 'a' }], /give one of bytes, text and base64/],
    [[{ name: 'a', text: 'x', base64: '' }], /give one of/],
    [[{ name: 'a', base64: '!' }], /ENCODED_INVALID/],
    [[{ text: 'x' }], /it has no name/],
    [[7], /it is no object/],
    ['x', /it is no list/],
    [[], /DOCUMENT_MISSING/],
    [null, /DOCUMENT_MISSING/],
  ] as const) {
    t.match((await pack(files)).fault, why, JSON.stringify(files))
  }
  t.match((await one({ format: 'zip' }, fileOf({ name: '..' }))).fault, /ATTACHED_INVALID/)
  t.throws(() => make({ format: 'gzip', level: 10 }), /ends at 9/)
  t.throws(() => make({ format: 'gzip', entries: 'x' }), /is for zip/)
})
