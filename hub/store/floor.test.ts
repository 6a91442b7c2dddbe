// The floor of a lane, as consumers are told it: whoever takes everything below it for done must not be wrong when the hub
// is killed at once.

import t from 'tap'
import { openStore, placement, sealed } from './testing.ts'

t.test('the floor consumers are told rises when settlements are on the disk, not before', async (t) => {
  const dataDir = t.testdir()
  const store = await openStore(dataDir)
  const queue = await store.queues.declare({
    name: 'q',
    rule: { topics: ['t'], where: {} },
    owner: null,
    ephemeral: false,
  })
  const batch = sealed({ firstSeq: 1, count: 4 })
  await store.append(store.stream('agent', 's', 1), batch, [placement(queue, batch)])
  const lease = store.take(queue, 4, t)
  if (lease === null) throw new Error('nothing to take')
  const { lane } = lease
  const told = { reason: 'no', by: 'me' }
  const settled = store.settle(lease, [0, 1], 'processed', told)
  const rejected = store.settle({ ...lease, from: 1, count: 1 }, [1, 2], 'rejected', told)
  t.equal(lane.settled.floor, 2, 'nobody else gets them')
  t.equal(lane.floor, 0, 'but they may come again')
  await settled
  await rejected
  t.equal(lane.floor, 2)
  void store.settle({ ...lease, from: 2, count: 2 }, [2, 4], 'processed', told)
  await store.close()

  const again = await openStore(dataDir)
  t.equal(again.queues.get('q')?.lanes.get(0)?.floor, 4, 'as the disk has it')
  await again.close()
})
