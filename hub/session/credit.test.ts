import t from 'tap'
import { CREDIT_BYTES_FIRST, CREDIT_BYTES_MAX, CreditPool, CreditWindow } from './credit.ts'

t.test('who uses the window gets more of it, up to the most', async (t) => {
  const window = new CreditWindow(new CreditPool())
  window.used(CREDIT_BYTES_FIRST / 2 - 1)
  t.equal(window.bytes, CREDIT_BYTES_FIRST, 'little use needs no more')
  for (let i = 0; i < 20; i++) window.used(window.bytes)
  t.equal(window.bytes, CREDIT_BYTES_MAX)
})

t.test('all together stay within the bound, and what ends gives back', async (t) => {
  const pool = new CreditPool(2 * CREDIT_BYTES_MAX)
  const windows = Array.from({ length: 10 }, () => new CreditWindow(pool))
  for (let round = 0; round < 10; round++) for (const window of windows) window.used(window.bytes)
  const total = () => windows.reduce((sum, { bytes }) => sum + bytes - CREDIT_BYTES_FIRST, 0)
  t.ok(total() <= 2 * CREDIT_BYTES_MAX)
  t.equal(pool.available, 2 * CREDIT_BYTES_MAX - total())
  for (const window of windows) window.close()
  t.equal(pool.available, 2 * CREDIT_BYTES_MAX)
})
