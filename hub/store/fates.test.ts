// Whose end of a message its origin is told of, when several queues had copies.

import t from 'tap'
import { sealed } from './disk.testing.ts'
import { Fates } from './fates.ts'

const table = { get: () => undefined, put: () => undefined, remove: () => undefined }
const fatesOf = () => new Fates({ table: () => table } as unknown as ConstructorParameters<typeof Fates>[0])

t.test('the worst copy counts, with who ended it, where and why', async (t) => {
  const fates = fatesOf()
  fates.begin(1, sealed({ firstSeq: 11, count: 3 }), [[[0, 3]], [[0, 3]]])
  const processed = (queue: string, by: string) => fates.settle(1, [[0, 3]], 'processed', { queue, by, reason: '' })
  t.strictSame(fates.settle(1, [[2, 1]], 'rejected', { queue: 'orders', by: 'bob', reason: 'no-stock' }).finals, [])
  fates.settle(1, [[0, 2]], 'processed', { queue: 'orders', by: 'bob', reason: '' })
  t.match(processed('copies', 'carol').finals, [
    { from: 0, to: 2, state: 'processed', queue: 'copies', by: 'carol', reason: '' },
    { from: 2, to: 3, state: 'rejected', queue: 'orders', by: 'bob', reason: 'no-stock' },
  ])
})

t.test('of two that are equally bad the later one is told', async (t) => {
  const fates = fatesOf()
  fates.begin(1, sealed({ firstSeq: 1, count: 1 }), [[[0, 1]], [[0, 1]]])
  fates.settle(1, [[0, 1]], 'expired', { queue: 'one', by: '', reason: 'EXPIRED' })
  const { finals } = fates.settle(1, [[0, 1]], 'expired', { queue: 'two', by: '', reason: 'EXPIRED' })
  t.match(finals, [{ state: 'expired', queue: 'two' }])
})
