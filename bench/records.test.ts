import { zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { recordBodies } from './records.ts'

t.test('rows are valid, differ, have the size asked for on average and the same seed gives the same', async (t) => {
  const bodies = recordBodies({ count: 2000, bytes: 256, seed: 7 })
  t.same(bodies, recordBodies({ count: 2000, bytes: 256, seed: 7 }))
  t.equal(new Set(bodies.map(String)).size, 2000)
  const mean = bodies.reduce((sum, { length }) => sum + length, 0) / bodies.length
  t.ok(mean > 245 && mean < 267, `${mean} bytes`)
  const whole = bodies.filter(({ length }) => length > 240)
  for (const body of whole) JSON.parse(body.toString('utf8', 4).replaceAll('\0', ''))
  t.ok(whole.length > 1000)
})

t.test('they compress as records do: well, but not as one repeated byte', async (t) => {
  const raw = Buffer.concat(recordBodies({ count: 1000, bytes: 256, seed: 1 }))
  const ratio = raw.length / zstdCompressSync(raw).length
  t.ok(ratio > 2 && ratio < 8, `${ratio}`)
})
