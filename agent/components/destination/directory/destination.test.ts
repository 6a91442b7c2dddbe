import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import t, { type Test } from 'tap'
import type { Row } from '../../contract.ts'
import { textDecoder } from '../../formats/mod.ts'
import { codeOf, collector, faultOf, portionOf, settingsOf, testContext } from '../../support/testing.ts'
import { DirectoryDestination, directoryDestinationSettings } from './mod.ts'

function setUp(t: Test, settings: object = {}) {
  const root = t.testdir({})
  const path = join(root, 'out')
  const make = (more: object = {}, flow?: string) =>
    new DirectoryDestination(
      settingsOf(directoryDestinationSettings, { path: 'out', ...settings, ...more }),
      testContext(root, flow),
    )
  const list = () =>
    readdirSync(path)
      .filter((name) => !name.startsWith('.'))
      .sort()
  const work = () => readdirSync(join(path, '.causeway')).sort()
  return { root, path, make, list, work }
}

const none = () => t.fail('nothing should be rejected')

t.test('CSV in GB18030, with characters of four bytes', async (t) => {
  const { make, path, list, work } = setUp(t, { encoding: 'gb18030' })
  const live = make()
  await live.open()
  const rows: Row[] = [
    { code: '1', name: '𠮷林, "㐀"', n: null },
    { code: '2', name: '', n: 9007199254740993n },
    { code: '3', name: '两\n行', n: true, extra: [1] },
  ]
  await live.write(portionOf(rows, 'c1'), none)
  await live.close()
  t.same(list(), ['flow-1-000000000001.csv'])
  t.same(work(), ['flow-1.position.json'])
  const text = textDecoder('gb18030').decode(readFileSync(join(path, list()[0] ?? '')))
  t.equal(text, 'code,name,n,extra\r\n1,"𠮷林, ""㐀""",,\r\n2,"",9007199254740993,\r\n3,"两\n行",true,[1]\r\n')
  t.same(parse(text, { columns: true })[0], { code: '1', name: '𠮷林, "㐀"', n: '', extra: '' })
})

t.test('JSON Lines, chosen columns, byte order mark, formulas', async (t) => {
  const { make, path } = setUp(t)
  const content = async (settings: object, rows: Row[]) => {
    const live = make(settings, `f${Math.abs(JSON.stringify(settings).length)}`)
    await live.open()
    await live.write(portionOf(rows, 'c'), none)
    await live.close()
    const name =
      readdirSync(path).find((each) => each.endsWith(`.${(settings as { format?: string }).format ?? 'csv'}`)) ?? ''
    const text = readFileSync(join(path, name), 'utf8')
    rmSync(join(path, name))
    return text
  }
  t.equal(
    await content({ format: 'jsonl' }, [{ a: 1, b: new Uint8Array([1]) }, { c: 2n ** 60n }]),
    '{"a":1,"b":"AQ=="}\n{"c":1152921504606846976}\n',
  )
  t.equal(await content({ format: 'jsonl', columns: ['b', 'a'] }, [{ a: 1 }]), '{"b":null,"a":1}\n')
  t.equal(
    await content({ bom: true, lineEnd: 'lf', formulaSafe: true }, [{ a: '=1' }, { a: '-1' }, { a: '' }, { a: null }]),
    '\ufeffa\n\'=1\n-1\n""\n""\n',
  )
  t.equal(await content({ header: false, delimiter: 'tab', lineEnd: 'lf' }, [{ a: 'x\ty', b: 1 }]), '"x\ty"\t1\n')
})

t.test('what GBK cannot express is rejected, the others are written', async (t) => {
  const { make, path, list } = setUp(t, { encoding: 'gbk' })
  const live = make()
  await live.open()
  const { rejects, reject } = collector()
  await live.write(portionOf([{ name: '中' }, { name: '𠮷' }, { name: '€' }], 'c1'), reject)
  await live.close()
  t.equal(
    readFileSync(join(path, list()[0] ?? '')).toString('hex'),
    Buffer.from('name\r\n\xd6\xd0\r\n\x80\r\n', 'latin1').toString('hex'),
  )
  t.match(rejects[0]?.fault.describe(), /TEXT_UNENCODABLE.*U\+20BB7 in field "name" is not in gbk/)
  t.equal(rejects.length, 1)
})

t.test('a crash before or after the commit: rows and cursor stay one', async (t) => {
  const { make, path, list, work } = setUp(t)
  const first = make()
  await first.open()
  await first.write(portionOf([{ a: 1 }], 'c1'), none)
  await first.close()
  const position = join(path, '.causeway', 'flow-1.position.json')
  const before = readFileSync(position)

  // Before the commit: the part is there, the position does not know it.
  writeFileSync(join(path, '.causeway', 'flow-1-000000000002.csv.part'), 'half')
  const second = make()
  await second.open()
  t.equal(await second.position(), 'c1')
  t.same(work(), ['flow-1.position.json'])
  await second.write(portionOf([{ a: 2 }], 'c2'), none)
  await second.close()
  t.same(list(), ['flow-1-000000000001.csv', 'flow-1-000000000002.csv'])

  // After the commit, before the publication: taken back to that moment.
  renameSync(join(path, 'flow-1-000000000002.csv'), join(path, '.causeway', 'flow-1-000000000002.csv.part'))
  const third = make()
  await third.open()
  t.equal(await third.position(), 'c2')
  t.same(list(), ['flow-1-000000000001.csv', 'flow-1-000000000002.csv'], 'published on opening')

  // A reader took the files away; nothing brings them back.
  for (const name of list()) rmSync(join(path, name))
  await third.write(portionOf([], 'c3'), none)
  await third.close()
  const fourth = make()
  await fourth.open()
  t.equal(await fourth.position(), 'c3')
  t.same(list(), [])
  await fourth.write(portionOf([{ a: 3 }], 'c4'), none)
  await fourth.write(portionOf([{ a: 3 }], 'c4'), none)
  t.same(list(), ['flow-1-000000000003.csv'], 'a repeat replaces its own file')
  await fourth.close()
  t.not(readFileSync(position).toString(), before.toString())
})

t.test('what is wrong is said', async (t) => {
  const { make, path } = setUp(t, { columns: ['name'] })
  const live = make()
  await live.open()
  const fault = await faultOf(() => live.write(portionOf([{ nam: 1 }], 'c'), none))
  t.match(fault?.describe(), /DIRECTORY_EXTRA_FIELDS.*nam\. Did you mean "name"/)
  t.equal(await live.position(), null)
  await live.write(portionOf([{ name: 1 }], 'c'), none)
  await live.close()
  const other = make({ prefix: 'flow-1' }, 'flow-2')
  t.match((await faultOf(() => other.open()))?.describe(), /COMPONENT_SETTINGS.*used in .* by flow flow-1/)
  writeFileSync(join(path, '.causeway', 'flow-1.position.json'), '{"v":1')
  t.equal(await codeOf(() => make().open()), 'DIRECTORY_POSITION_DAMAGED')
  t.throws(() => make({ prefix: '../x' }), /FIELD_PATTERN|form/)
  t.throws(() => make({ delimiter: '"' }), /the same/)
})

t.test('a field named as something that every object inherits', async (t) => {
  const { make, path, list } = setUp(t)
  const live = make()
  await live.open()
  await live.write(portionOf([{ constructor: '甲建筑公司', id: 1 }, { id: 2 }] as unknown as Row[], 'c'), none)
  await live.close()
  t.equal(readFileSync(join(path, list()[0] ?? ''), 'utf8'), 'constructor,id\r\n甲建筑公司,1\r\n,2\r\n')
})
