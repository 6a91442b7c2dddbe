// Whether a hub believes that it was rolled back, and how often.

import t from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { RollbackGuard } from './rollback.ts'

const claim = { agent: 'a', stream: 's', epoch: 7, knownSeq: 100, durableSeq: 40 }

function guarded() {
  const renewed = Promise.withResolvers<void>()
  const closed: Fault[] = []
  const logged: unknown[] = []
  let renewals = 0
  const guard = new RollbackGuard({
    store: {
      renewId: () => {
        renewals++
        return renewed.promise
      },
    },
    log: (level, _message, { fault }) => void logged.push([level, (fault as { code: string }).code]),
    closeAll: (fault) => void closed.push(fault),
  })
  const settled = async () => {
    renewed.resolve()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { guard, closed, logged, settled, renewals: () => renewals }
}

t.test('agents that come back together prove it once; sessions end when the new id is on the disk', async (t) => {
  const { guard, closed, logged, settled, renewals } = guarded()
  guard.claimed(claim)
  guard.claimed({ ...claim, agent: 'b' })
  t.same([renewals(), closed], [1, []], 'nobody is sent away to an id that may be lost')
  await settled()
  t.match(closed, [
    { code: 'STORE_ROLLED_BACK', message: /up to 100 are stored.* ends at 40/, details: { retry: true } },
  ])
  t.equal(closed[0]?.where, 'a/s/7')
  t.same(logged, [['error', 'STORE_ROLLED_BACK']])
})

t.test('afterwards it believes nobody any more, and says so once', async (t) => {
  const { guard, closed, logged, settled, renewals } = guarded()
  guard.claimed(claim)
  await settled()
  for (let i = 0; i < 3; i++) t.throws(() => guard.claimed(claim), { code: 'ROLLBACK_CLAIMED_AGAIN' })
  t.same([renewals(), closed.length], [1, 1])
  t.same(logged.slice(1), [['error', 'ROLLBACK_CLAIMED_AGAIN']])
})
