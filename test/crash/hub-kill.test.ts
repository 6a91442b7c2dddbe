// The hub, a producer and consumers killed under load, at random and at named points: nothing is lost, doubled or out of
// order. CRASH_SEED= repeats a choice of victims, ROUNDS= asks for more of them.

import t from 'tap'
import { testSeed } from '#protocol/bytes/testing.ts'
import { runRounds } from './rounds.ts'

const wanted = Number(process.env.ROUNDS ?? 20)
/** What is asked for is done, however long it takes. */
const msMax = process.env.ROUNDS === undefined ? 45_000 : Number.MAX_SAFE_INTEGER
const seed = Number(process.env.CRASH_SEED ?? testSeed())

t.setTimeout(590_000)
t.test('killed at random and at named points', { timeout: 580_000 }, async (t) => {
  t.comment(`CRASH_SEED=${seed}`)
  const ledger = await runRounds({ rounds: wanted, msMax, seed, say: (text) => t.comment(text) })
  const { rounds, accepted, lost, duplicated, reordered, problems, receiptsMissing, receiptsDouble, halves } = ledger
  t.strictSame(problems, [])
  t.ok(accepted > rounds * 100, `${accepted} messages`)
  t.equal(lost, 0, 'lost')
  t.equal(duplicated, 0, 'duplicated')
  t.equal(reordered, 0, 'reordered')
  t.equal(receiptsMissing, 0, 'receipts missing')
  t.equal(receiptsDouble, 0, 'receipts told twice')
  t.equal(halves, 0, 'groups of which a part took effect')
  process.once('exit', () => {
    console.log(`crash: rounds=${rounds} lost=${lost} duplicated=${duplicated} reordered=${reordered}`)
  })
})
