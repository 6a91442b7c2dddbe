import t from 'tap'
import { Identities } from './identities.ts'

const stream = (name: string, epoch = 1) => ({ origin: 'o', stream: name, epoch })
const rewritten = (identities: Identities): Identities =>
  Identities.decode(JSON.parse(JSON.stringify(identities.encode()))) as Identities
const has = (identities: Identities, name: string, ...seqs: number[]) =>
  seqs.map((seq) => identities.of(stream(name))?.has(seq) ?? null)

t.test('a number is known in its stream and epoch only, also after being written down', async (t) => {
  const identities = new Identities()
  identities.add(stream('a'), 1, 4)
  identities.add(stream('a'), 6, 7)
  for (const one of [identities, rewritten(identities)]) {
    t.same(has(one, 'a', 1, 3, 4, 5, 6, 7), [true, true, false, false, true, false])
    t.equal(one.of(stream('a', 2)), null)
    t.equal(one.of(stream('b')), null)
    t.equal(one.of({ ...stream('a'), origin: 'p' }), null)
  }
})

t.test('what was not done after all is not known', async (t) => {
  const identities = new Identities()
  identities.add(stream('a'), 1, 10)
  identities.remove(stream('a'), 1)
  identities.remove(stream('a'), 5)
  identities.remove(stream('a'), 9)
  identities.remove(stream('a'), 99)
  identities.remove(stream('b'), 1)
  t.same(has(identities, 'a', 1, 2, 4, 5, 6, 8, 9), [false, true, true, false, true, true, false])
  t.equal(identities.of(stream('b')), null)
})

t.test('two books become one', async (t) => {
  const [one, two] = [new Identities(), new Identities()]
  one.add(stream('a'), 1, 3)
  two.add(stream('a'), 3, 5)
  two.add(stream('b'), 7, 8)
  one.addAll(two)
  t.same([...has(one, 'a', 1, 4, 5), ...has(one, 'b', 7)], [true, true, false, true])
})

t.test('of many streams those used last are remembered, of a stream with many gaps the highest numbers', async (t) => {
  const identities = new Identities()
  for (let n = 0; n < 40; n++) identities.add(stream(`s${n}`), 1, 2)
  identities.add(stream('s39'), 2, 3)
  t.same([has(identities, 's0', 1), has(identities, 's39', 1, 2)], [[null], [true, true]])
  for (let seq = 1; seq < 2000; seq += 2) identities.add(stream('gaps'), seq, seq + 1)
  const back = rewritten(identities)
  t.same(has(back, 'gaps', 1, 1000, 1001, 1999, 2000), [false, false, false, true, false])
  t.equal(back.encode().find(([, name]) => name === 'gaps')?.[3].length, 32)
})
