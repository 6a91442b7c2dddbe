import t from 'tap'
import type { Item, Row } from '../../contract.ts'
import { collector, faultOf, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { filterChannel, filterSettings } from './mod.ts'

const make = (root: string, where: string) => filterChannel(settingsOf(filterSettings, { where }), testContext(root))

t.test('true passes, false and nothing hold back, anything else is a mistake', async (t) => {
  const root = t.testdir({})
  const rows: Row[] = [{ v: true }, { v: false }, {}, { v: 'yes' }, { v: null }, { v: [true] }]
  for (const where of ['v', '$lookup($, "v")']) {
    const { rejects, reject } = collector()
    const passed = await make(root, where).process(itemsOf(rows), reject)
    t.same(
      passed.map((item) => item.ref),
      [1],
      where,
    )
    t.same(
      rejects.map(({ item, fault }) => `${item.ref} ${fault.code}`),
      [4, 5, 6].map((ref) => `${ref} FILTER_NOT_BOOLEAN`),
    )
  }
})

t.test('a prefecture out of many, without awaiting', async (t) => {
  const channel = make(t.testdir({}), '$substring(code, 0, 4) = "4452" and level in ["village", "town"]')
  const passed = channel.process(
    itemsOf([
      { code: '445201', level: 'town' },
      { code: '440100', level: 'town' },
      { code: '445202', level: 'county' },
    ]),
    () => t.fail(),
  )
  t.ok(Array.isArray(passed), 'at once')
  t.same(
    (await passed).map((item) => item.ref),
    [1],
  )
})

t.test('a failing condition rejects its row', async (t) => {
  const { rejects, reject } = collector()
  const passed = await make(t.testdir({}), 'n > 5').process(itemsOf([{ n: 9 }, { n: 'x' }, { n: 1 }, { n: 7 }]), reject)
  t.same(
    passed.map((item) => item.ref),
    [1, 4],
  )
  t.match(rejects[0]?.fault.describe(), /EXPRESSION_FAILED at filter: where.*same data type/)
})

t.test('a mistake in the condition shows when the channel is made', async (t) => {
  const root = t.testdir({})
  t.equal((await faultOf(() => make(root, 'a = = b')))?.code, 'EXPRESSION_SYNTAX')
})

t.test('documents pass for what they say, in content or field; broken ones are rejected', async (t) => {
  const context = testContext(t.testdir({}))
  const documents = ['<a><n>1</n></a>', '<a><n>9</n></a>', '<a', '<a xmlns="urn:x"><n>9</n></a>', '{"n": 9}']
  const files = documents.map((text, i): Item => {
    const row = {
      name: `${i}`,
      size: text.length,
      modified: null,
      mediaType: i === 4 ? 'application/json' : 'text/xml',
    }
    return { row, ref: i, content: { kind: 'bytes', bytes: Buffer.from(text) } }
  })
  const rows = documents.map((text, i): Item => ({ row: { text }, ref: i }))
  for (const [settings, items] of [
    [{ when: { xpath: '/a/n > 5' } }, files],
    [{ when: { xpath: '/a/n > 5' }, field: 'text' }, rows],
    [{ when: { xpath3: '/a/n > 5' }, field: 'text' }, rows],
  ] as const) {
    const channel = filterChannel(settingsOf(filterSettings, settings), context)
    const { rejects, reject } = collector()
    const passed = await channel.process([...items, { row: {}, ref: 9 }], reject)
    t.same(passed, [items[1]])
    t.same(
      rejects.map(({ item, fault }) => [item.ref, fault.code]),
      [
        [2, 'XML_NOT_WELL_FORMED'],
        [9, 'DOCUMENT_MISSING'],
      ],
    )
    await channel.close?.()
  }
  const small = filterChannel(settingsOf(filterSettings, { when: { jsonata: 'n = 9' }, bytesMax: 8 }), context)
  const { rejects, reject } = collector()
  t.same(await small.process(files.slice(3), reject), [files[4]])
  t.equal(rejects[0]?.fault.code, 'DOCUMENT_TOO_LARGE')
  await small.close?.()
})

t.test('one condition, not two or none', async (t) => {
  for (const settings of [{}, { where: 'a', when: { xpath: '/a' } }, { when: {} }]) {
    t.not(await faultOf(() => settingsOf(filterSettings, settings)), null)
  }
})
