import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import type { Content, Item, Row } from '../contract.ts'
import { digestOf, encodeItems, ItemReader } from './encoding.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
t.comment(`SEED=${seed}`)

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  half(),
)
/** Halves of surrogate pairs anywhere. */
function half(): fc.Arbitrary<string> {
  return fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units))
}
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.double(),
    fc.bigInt(),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(text, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}))
const content: fc.Arbitrary<Content | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.uint8Array().map((bytes) => ({ kind: 'bytes' as const, bytes: Buffer.from(bytes) })),
  fc.record(
    {
      kind: fc.constant('local' as const),
      path: fc.string({ unit: 'grapheme' }),
      size: fc.maxSafeNat(),
      changedMs: fc.double({ noNaN: true }),
      inode: fc.double({ noNaN: true }),
    },
    { noNullPrototype: true },
  ),
)
const item = fc
  .record({ row: fc.dictionary(text, value, { noNullPrototype: true }), content })
  .map(({ row, content }) => ({ row, ref: 1, ...(content === undefined ? {} : { content }) }) as Item)

function decode(items: readonly Item[]): Item[] {
  const reader = new ItemReader(Buffer.from(encodeItems(items)))
  return items.map(({ ref }) =>
    reader.item(ref, () => {
      throw new Error('none is at the hub')
    }),
  )
}

t.test('what is encoded is what is decoded, fields in their order', async (t) => {
  fc.assert(
    fc.property(fc.array(item, { maxLength: 5 }), (items) => {
      const decoded = decode(items)
      if (!t.strictSame(decoded, items)) return false
      return decoded.every(({ row }, i) => Object.keys(row).join() === Object.keys((items[i] as Item).row).join())
    }),
    { seed, numRuns: 500 },
  )
})

t.test('a digest says what an item is, whatever its ref and the form of its memory', async (t) => {
  const row: Row = {
    id: '445201001',
    name: '榕城',
    n: 1,
    big: 2n ** 60n,
    bytes: Buffer.from('ab'),
    list: [true, null, -0],
  }
  const digest = digestOf({ row, ref: 1 }).toString('hex')
  t.equal(digestOf({ row: { ...row, bytes: new Uint8Array([97, 98]) }, ref: 'x' }).toString('hex'), digest)
  // Kept for ever: traces of stored messages have it.
  t.equal(digest, 'd691bfcdcff0ce0eb3404678b1b72e354d8686e266a569e3258c226d95151cf9')
  const bytes = encodeItems([{ row, ref: 1 }])
  t.equal(createHash('sha256').update(bytes).digest('hex'), digest)
  t.not(digestOf({ row: { ...row, list: [true, null, 0] }, ref: 1 }).toString('hex'), digest)
  const named = (row: Row) => digestOf({ row, ref: 1 }).toString('hex')
  t.not(named({ id: 1, name: 2 }), named({ name: 2, id: 1 }), 'the order of fields counts')
})

t.test('what is no value, and what is too deep', async (t) => {
  const code = (row: unknown): string => {
    try {
      return `${encodeItems([{ row: row as Row, ref: 1 }]).length > 0}`
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  t.equal(code({ a: undefined }), 'CHAIN_VALUE_UNFIT')
  t.equal(code({ a: () => 1 }), 'CHAIN_VALUE_UNFIT')
  t.equal(code({ a: [Symbol('x')] }), 'CHAIN_VALUE_UNFIT')
  let deep: unknown = 1
  for (let i = 0; i < 100_000; i += 1) deep = [deep]
  t.equal(code({ a: deep }), 'CHAIN_VALUE_UNFIT')
  t.same([...digestOf({ row: { a: deep } as Row, ref: 1 })], new Array(32).fill(0))
  const own = JSON.parse('{"__proto__":{"x":1}}') as Row
  const [decoded] = decode([{ row: own, ref: 1 }])
  t.ok(Object.hasOwn((decoded as Item).row, '__proto__'))
  t.equal((decoded as Item & { row: { x?: number } }).row.x, undefined)
})
