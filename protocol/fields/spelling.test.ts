import t from 'tap'
import { distance, formatBytes, formatDuration, nearest } from './mod.ts'
import { parseBytes, parseDuration } from './units.ts'

t.test('distance', async (t) => {
  t.equal(distance('table', 'tabel'), 1, 'a swap is one step')
  t.equal(distance('table', 'table'), 0)
  t.equal(distance('', 'abc'), 3)
  t.equal(distance('abc', ''), 3)
  t.equal(distance('kitten', 'sitting'), 3)
  t.equal(distance('ca', 'abc'), 3)
})

t.test('distance is symmetric, bounded by the longer text, and zero only for equal texts', async (t) => {
  const words = ['', 'a', 'ab', 'ba', 'abc', 'cab', 'aabb', 'abab', 'bcd', 'dcba', 'abcd', 'abdc']
  for (const a of words) {
    for (const b of words) {
      const found = distance(a, b)
      t.equal(found, distance(b, a))
      t.ok(found <= Math.max(a.length, b.length) && found >= Math.abs(a.length - b.length))
      t.equal(found === 0, a === b)
    }
  }
})

t.test('nearest', async (t) => {
  const names = ['table', 'batchRows', 'file', 'to', 'query']
  t.equal(nearest('tabel', names), 'table')
  t.equal(nearest('batch_rows', names), 'batchRows')
  t.equal(nearest('batch-row', names), 'batchRows')
  t.equal(nearest('FILE', names), 'file')
  t.equal(nearest('xyzzy', names), null)
  t.equal(nearest('ta', names), null)
  t.equal(nearest('', names), null)
  t.equal(nearest('t'.repeat(1000), names), null)
})

t.test('sizes and durations come back from their own form', async (t) => {
  for (const value of [0, 1, 1023, 1024, 1025, 65_536, 3 * 2 ** 20, 64 * 2 ** 30, 2 ** 40, 2 ** 50]) {
    t.strictSame(parseBytes(formatBytes(value)), { ok: true, value })
  }
  for (const value of [0, 1, 999, 1000, 1001, 60_000, 90_000, 3_600_000, 86_400_000, 172_800_000]) {
    t.strictSame(parseDuration(formatDuration(value)), { ok: true, value })
  }
  t.strictSame(parseBytes('1.5 gib'), { ok: true, value: 1_610_612_736 })
  t.equal(parseBytes('-1').ok, false)
  t.equal(parseBytes('1e9 KiB').ok, false)
  t.equal(parseBytes('99999999999999 TiB').ok, false)
  t.match(parseDuration('5 minutes'), { ok: false, hint: /5m/ })
  t.match(parseDuration('5S'), { ok: false, hint: /5s/ })
  t.equal(parseDuration('soon').ok, false)
})
