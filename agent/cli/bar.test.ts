import t from 'tap'
import { Bar, barLine, roughBytes, roughTime } from './bar.ts'

const MIB = 2 ** 20

t.test('a line says how far it is, how fast and how long', async (t) => {
  t.equal(
    barLine({ size: 1024 * MIB, doneBytes: 512 * MIB, bytesPerSecond: 100 * MIB, secondsLeft: 5.12, note: null }),
    '[##########----------]  50% 512.0 MiB of 1.0 GiB, 100.0 MiB/s, 6s left',
  )
  t.equal(
    barLine({ size: 0, doneBytes: 0, bytesPerSecond: 0, secondsLeft: null, note: 'waiting for the hub' }),
    '[--------------------]   0% 0 B of 0 B, waiting for the hub',
  )
  t.equal(
    barLine({ size: 10, doneBytes: 10, bytesPerSecond: 3, secondsLeft: 0, note: null }),
    '[####################] 100% 10 B of 10 B, 3 B/s, 0s left',
  )
  t.match(barLine({ size: 10, doneBytes: 1, bytesPerSecond: 0, secondsLeft: null, note: null }), /1 B of 10 B, 0 B\/s$/)
  const far = { size: 1023.9 * 2 ** 40, doneBytes: 1000.5 * 2 ** 40 }
  const longest = { ...far, bytesPerSecond: 1000.9 * MIB, secondsLeft: 25_000, note: null }
  t.ok(barLine(longest).length < 80)
  t.equal(
    barLine({ label: '12/345 ', size: 4, doneBytes: 2, bytesPerSecond: 1, secondsLeft: 2, note: null }),
    '12/345 [######-------]  50% 2 B of 4 B, 1 B/s, 2s left',
  )
  t.ok(barLine({ ...longest, label: '100000/100000 ' }).length < 80)
  t.ok(barLine({ ...longest, note: 'x'.repeat(100) }).length < 80)
})

t.test('it is drawn over itself, on a terminal only', async (t) => {
  const written: string[] = []
  const terminal = { isTTY: true, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream
  const bar = new Bar(terminal)
  bar.draw({ size: 100, doneBytes: 0, bytesPerSecond: 0, secondsLeft: null, note: 'waiting for the hub' })
  bar.draw({ size: 100, doneBytes: 50, bytesPerSecond: 50, secondsLeft: 1, note: null })
  bar.draw({ size: 100, doneBytes: 100, bytesPerSecond: 5, secondsLeft: 0, note: null })
  bar.clear()
  t.ok(written.every((text) => text.startsWith('\r')))
  t.match(written[1], /50 B of 100 B, 50 B\/s, 1s left *$/)
  t.equal(written[1]?.length, written[0]?.length, 'what stood there longer is gone')
  t.match(written[3], /^\r +\r$/)
  const none = new Bar({ ...terminal, isTTY: false } as NodeJS.WriteStream)
  none.draw({ size: 1, doneBytes: 1, bytesPerSecond: 1, secondsLeft: 0, note: null })
  t.equal(written.length, 4)
})

t.test('sizes and times are rough', async (t) => {
  t.strictSame([0, 1023, 1536, 5 * MIB].map(roughBytes), ['0 B', '1023 B', '1.5 KiB', '5.0 MiB'])
  t.strictSame([0, 0.2, 61, 3600, 7500].map(roughTime), ['0s', '1s', '1m 1s', '1h 0m', '2h 5m'])
})
