import t from 'tap'
import { columns } from '#protocol/fields/mod.ts'
import { age, count, grid, labelled, printable, size, time, WIDTH, wrapped } from './show.ts'

const DAY_MS = 86_400_000

t.test('numbers', async (t) => {
  t.same([0, 999, 1000, 1_234_567, 9_007_199_254_740_991].map(count), [
    '0',
    '999',
    '1,000',
    '1,234,567',
    '9,007,199,254,740,991',
  ])
  t.same([0, 999, 1000, 1023, 1024, 340 * 1024, 1.2 * 2 ** 30, 2 ** 60].map(size), [
    '0 B',
    '999 B',
    '1.0 KiB',
    '1.0 KiB',
    '1.0 KiB',
    '340 KiB',
    '1.2 GiB',
    '1048576 TiB',
  ])
  t.same([-5, 0, 999, 12_000, 200_000, 60_000, 2 * DAY_MS + 4 * 3_600_000 + 5, 400 * DAY_MS].map(age), [
    '0s',
    '0s',
    '0s',
    '12s',
    '3m 20s',
    '1m',
    '2d 4h',
    '400d',
  ])
  t.equal(time(Date.parse('2026-11-23T13:41:43.900Z')), '2026-11-23 13:41:43Z')
  t.equal(time(Number.MAX_SAFE_INTEGER), '9007199254740991')
})

t.test('what peers wrote cannot drive the terminal', async (t) => {
  t.equal(printable('a\u001b[2Jb\r\nc\u202ed\u2028e\u0085\ud800'), 'a·[2Jb··c·d·e·�')
  t.equal(printable('人口/变更'), '人口/变更')
})

t.test('columns line up, also with wide characters', async (t) => {
  const heads = [{ title: 'QUEUE' }, { title: 'WAITING', right: true }, { title: 'TOPICS' }]
  const lines = grid(heads, [
    ['permits', '1,234', 'permits/#'],
    ['人口/变更', '5', '人口/#'],
    ['x'.repeat(70), '6', ''],
  ])
  t.equal(lines[1]?.indexOf('permits/#'), lines[0]?.indexOf('TOPICS'))
  const upTo = (line: string, what: string) => columns(line.slice(0, line.indexOf(what)))
  t.equal(upTo(lines[2] as string, '人口/#'), upTo(lines[1] as string, 'permits/#'))
  t.equal(lines[3], 'x'.repeat(70), 'a long name is whole')
  t.ok(lines[4]?.endsWith(' 6'))
  t.ok(lines.every((line) => columns(line) <= WIDTH))
})

t.test('text is broken where it may be', async (t) => {
  t.same(wrapped('one two three', 8), ['one two', 'three'])
  t.same(wrapped('one two three', 7), ['one two', 'three'])
  t.same(wrapped('x'.repeat(10), 4), ['xxxx', 'xxxx', 'xx'])
  t.same(wrapped('办理结果通知', 5), ['办理', '结果', '通知'])
  t.same(wrapped('a 办理结果', 6), ['a', '办理结', '果'])
  t.same(wrapped('', 5), [''])
  const lines = labelled('reason', 'word '.repeat(40).trim())
  t.ok(lines.every((line) => columns(line) <= WIDTH))
  t.match(lines[0], /^ {2}reason {8}word/)
  t.match(lines[1], /^ {16}word/)
})
