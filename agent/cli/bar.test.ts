import t from 'tap'
import { Bar, barLine, roughBytes, roughTime } from './bar.ts'
import { rateOf, windowProblem } from './window.ts'

const MIB = 2 ** 20

t.test('a line says how far it is, how fast and how long', async (t) => {
  t.equal(
    barLine({ size: 1024 * MIB, doneBytes: 512 * MIB, rateBytes: 100 * MIB }),
    '[##########----------]  50% 512.0 MiB of 1.0 GiB, 100.0 MiB/s, 6s left',
  )
  t.equal(
    barLine({ size: 0, doneBytes: 0, rateBytes: 0, note: 'waiting for the hub' }),
    '[--------------------]   0% 0 B of 0 B, waiting for the hub',
  )
  t.equal(
    barLine({ size: 10, doneBytes: 10, rateBytes: 3 }),
    '[####################] 100% 10 B of 10 B, 3 B/s, 0s left',
  )
  const longest = { size: 1023.9 * 2 ** 40, doneBytes: 1000.5 * 2 ** 40, rateBytes: 1000.9 * MIB }
  t.ok(barLine(longest).length < 80)
  t.ok(barLine({ ...longest, note: 'x'.repeat(100) }).length < 80)
})

t.test('it is drawn over itself, on a terminal only', async (t) => {
  const written: string[] = []
  const terminal = { isTTY: true, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream
  const bar = new Bar(terminal)
  bar.draw({ size: 100, doneBytes: 0 }, 0)
  bar.draw({ size: 100, doneBytes: 50 }, 1000)
  bar.draw({ size: 100, doneBytes: 60 }, 9000)
  bar.clear()
  t.ok(written.every((text) => text.startsWith('\r')))
  t.match(written[1], /50 B of 100 B, 50 B\/s, 1s left/)
  t.match(written[2], /60 B of 100 B, 1 B\/s/)
  t.match(written[3], /^\r +\r$/)
  new Bar({ ...terminal, isTTY: false } as NodeJS.WriteStream).draw({ size: 1, doneBytes: 1 })
  t.equal(written.length, 4)
})

t.test('sizes and times are rough', async (t) => {
  t.strictSame([0, 1023, 1536, 5 * MIB].map(roughBytes), ['0 B', '1023 B', '1.5 KiB', '5.0 MiB'])
  t.strictSame([0, 0.2, 61, 3600, 7500].map(roughTime), ['0s', '1s', '1m 1s', '1h 0m', '2h 5m'])
})

t.test('a window of the day, also over midnight', async (t) => {
  const at = (text: string) => new Date(`2026-03-04T${text}:00`)
  const night = (text: string) => rateOf({ rate: 5, window: '22:00-06:00' }, () => at(text))
  const rates = ['21:59', '22:00', '23:30', '00:00', '05:59', '06:00', '12:00'].map((text) => {
    const rate = night(text)
    return typeof rate === 'function' ? rate() : rate
  })
  t.strictSame(rates, [-1, 5, 5, 5, 5, -1, -1])
  t.equal(rateOf({ rate: 7 }), 7)
  for (const good of ['00:00-23:59', '8:30-17:00']) t.equal(windowProblem(good), null)
  for (const bad of ['22-06', '24:00-06:00', '22:00', '22:60-06:00', '06:00-06:00']) t.ok(windowProblem(bad), bad)
})
