import t from 'tap'
import { selfTimes, tableOfSelfTimes } from './self-time.ts'

const frame = (functionName: string, url = '', lineNumber = 0) => ({ functionName, url, lineNumber })

t.test('time is charged to the function it was spent in, and waiting to nobody', async (t) => {
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(root)') },
      { id: 2, callFrame: frame('append', 'file:///there/hub/store/store.ts', 9) },
      { id: 3, callFrame: frame('append', 'file:///there/hub/store/store.ts', 9) },
      { id: 4, callFrame: frame('', 'file:///there/node_modules/lmdb/index.js', 4) },
      { id: 5, callFrame: frame('(idle)') },
    ],
    samples: [2, 3, 4, 5],
    timeDeltas: [1000, 2000, 1000, 6000],
  }
  const summary = selfTimes(profile, '/there')
  t.same(summary, {
    busyMs: 4,
    idleMs: 6,
    functions: [
      { name: 'append', where: 'hub/store/store.ts:10', ms: 3, share: 0.75 },
      { name: '(anonymous)', where: 'lmdb/index.js:5', ms: 1, share: 0.25 },
    ],
  })
  const table = tableOfSelfTimes('hub', summary, 1)
  t.match(table, /^hub: busy 0.0 s, 40 % of its time\n {3}75.0 % +3 ms {2}append +hub\/store\/store.ts:10$/)
})
