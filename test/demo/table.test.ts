import t from 'tap'
import { BAR_COLUMNS, Progress, renderBar, renderPlain } from './progress.ts'
import { formatBytes, formatCount, isWithinRss, renderLastLine, renderTable, TABLE_COLUMNS_MAX } from './table.ts'

const MB = 1024 * 1024
const row = {
  title: 'prefecture 4452',
  rows: 620_573,
  rawBytes: 120 * MB,
  wireBytes: 15 * MB,
  rowsPerSecond: 123_456.7,
  restarts: 1,
  rssBytes: 120 * MB,
  rssBytesMax: 150 * MB,
}

t.test('the table fits 80 columns and says ok or OVER', async (t) => {
  const lines = renderTable([
    row,
    { ...row, rssBytes: 151 * MB },
    { ...row, rawBytes: null, wireBytes: null, rowsPerSecond: null, rssBytes: null },
    { ...row, rawBytes: 999.9 * MB, wireBytes: 0 },
  ])
  for (const line of lines) t.ok(line.length <= TABLE_COLUMNS_MAX, `${line.length} columns`)
  t.match(lines[0], /rows +raw +on wire +ratio +rows\/s +restarts +RSS max/)
  t.match(lines[2], /^prefecture 4452 +620,573 +120 MB +15\.0 MB +8\.0x +123,457 +1 +120 MB +ok$/)
  t.match(lines[3], /151 MB OVER$/)
  t.match(lines[4], /620,573 +- +- +- +- +1 +unknown +OVER$/)
  t.match(lines[5], / - /, 'no ratio without bytes')
})

t.test('a peak that was not measured is not within the limit', async (t) => {
  t.ok(isWithinRss({ rssBytes: 150 * MB, rssBytesMax: 150 * MB }))
  t.notOk(isWithinRss({ rssBytes: 150 * MB + 1, rssBytesMax: 150 * MB }))
  t.notOk(isWithinRss({ rssBytes: null, rssBytesMax: 150 * MB }))
})

t.test('the last line has the form that is promised', async (t) => {
  const totals = { sent: 665_276, landed: 665_276, lost: 0, duplicated: 0, altered: 0, seconds: 41.26 }
  t.equal(renderLastLine(totals), 'demo: sent=665276 landed=665276 lost=0 duplicated=0 altered=0 seconds=41.3')
})

t.test('numbers for people', async (t) => {
  t.same([0, 999, 1000, 1_234_567].map(formatCount), ['0', '999', '1,000', '1,234,567'])
  t.same([0, 999, 1000, 1024 * 1023, 99.96 * MB, 5 * 1024 * MB].map(formatBytes), [
    '0 B',
    '999 B',
    '1.0 KB',
    '1.0 MB',
    '100 MB',
    '5.0 GB',
  ])
})

t.test('bars', async (t) => {
  const bar = { title: 'villages', done: 310_000, total: 620_000, note: 'hub away' }
  const line = renderBar(bar)
  t.ok(line.length <= 80)
  t.equal(line.match(/█/g)?.length, BAR_COLUMNS / 2)
  t.match(line, / 50 % 310,000 of 620,000 hub away$/)
  t.match(renderBar({ ...bar, done: 619_999 }), / 99 % /, 'not full before it is')
  t.match(renderBar({ ...bar, done: 700_000 }), /100 % /)
  t.match(renderBar({ ...bar, done: 0, total: 0 }), /100 % /)
  t.equal(renderPlain(12_340, [bar, { ...bar, note: '' }]), ' 12.3 s  villages 50 % (hub away), villages 50 %')
})

t.test('on a terminal the bars are redrawn in place, elsewhere lines come every few seconds', async (t) => {
  const bar = { title: 'villages', done: 1, total: 2, note: '' }
  const screen: string[] = []
  const terminal = new Progress({ isTTY: true, write: (text) => screen.push(text) }, 0)
  terminal.show([bar, bar], 100)
  terminal.show([bar, bar], 200)
  terminal.say('hub killed', 1_500)
  t.equal(screen.filter((text) => text === '\x1b[2A\x1b[J').length, 2)
  t.equal(screen.at(-2), '  1.5 s  hub killed\n')
  terminal.end()
  terminal.print('done')
  t.equal(screen.at(-1), 'done\n', 'the bars stay above')

  const log: string[] = []
  const plain = new Progress({ write: (text) => log.push(text) }, 0)
  for (let ms = 3_000; ms < 9_000; ms += 150) plain.show([bar], ms)
  t.equal(log.length, 2)
  t.ok(log.every((text) => !text.includes('\x1b')))
})
