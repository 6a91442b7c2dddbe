import t from 'tap'
import { RangeSet } from './ranges.ts'

t.test('contiguous work keeps a single number', (t) => {
  const set = new RangeSet()
  t.equal(set.add(0, 10), 10)
  t.equal(set.add(10, 20), 10)
  t.equal(set.floor, 20)
  t.same(set.above, [])
  t.end()
})

t.test('agrees with a plain set of numbers, whatever is added', (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  t.comment(`SEED=${seed}`)
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let round = 0; round < 300; round++) {
    const set = new RangeSet()
    const model = new Set<number>()
    for (let step = 0; step < 40; step++) {
      const from = random(100)
      const to = from + random(12)
      if (random(12) === 0) {
        set.raise(from)
        for (let p = 0; p < from; p++) model.add(p)
      } else {
        const before = model.size
        for (let p = from; p < to; p++) model.add(p)
        const added = set.add(from, to)
        if (added !== model.size - before) return t.fail(`round ${round}: add(${from}, ${to}) gave ${added}`)
      }
      const low = random(100)
      const high = low + random(30)
      const missing = set.missing(low, high).flatMap(([a, b]) => Array.from({ length: b - a }, (_, i) => a + i))
      const wanted = Array.from({ length: high - low }, (_, i) => low + i).filter((p) => !model.has(p))
      if (missing.join() !== wanted.join()) return t.fail(`round ${round}: missing(${low}, ${high})`)
      for (let p = 0; p < 115; p++) if (set.has(p) !== model.has(p)) return t.fail(`round ${round}: has(${p})`)
    }
    const copy = new RangeSet(set.floor, set.above)
    if (copy.end !== set.end || copy.has(50) !== set.has(50)) return t.fail('a copy differs')
  }
  t.pass('300 rounds of 40 steps')
  t.end()
})
