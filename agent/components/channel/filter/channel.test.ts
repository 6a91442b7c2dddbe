import t from 'tap'
import type { Row } from '../../contract.ts'
import { collector, faultOf, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { FilterChannel, filterSettings } from './mod.ts'

const make = (root: string, where: string) =>
  new FilterChannel(settingsOf(filterSettings, { where }), testContext(root))

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
