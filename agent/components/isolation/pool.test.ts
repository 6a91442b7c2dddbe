import t, { type Test } from 'tap'
import { patiently } from '../support/testing.ts'
import { configurationOf, type Failure, IsolatedPool, type Outcome, type PoolLimits, retire } from './mod.ts'

const module = new URL('./work.testing.ts', import.meta.url).href
const shown = (outcome: Outcome): string => ('fault' in outcome ? outcome.fault.code : outcome.toString())

function poolOf(t: Test, limits: PoolLimits = {}): IsolatedPool {
  const pool = new IsolatedPool(limits)
  t.teardown(() => pool.close())
  return pool
}

const configuration = configurationOf('c')

/** No more than those that do not end: on a busy machine a short limit stops others, too. */
const areStopped = (count: number) => (outcomes: readonly Outcome[]) =>
  outcomes.filter((outcome) => 'fault' in outcome).length === count

function runOf(pool: IsolatedPool, texts: readonly string[], more: object = {}): Promise<Outcome[]> {
  const inputOf = (index: number) => Buffer.from(texts[index] as string)
  return pool.run({ module, configuration, count: texts.length, inputOf, ...more })
}

t.test('items come back in order, from one thread and from several', async (t) => {
  for (const threads of [1, 3]) {
    const pool = poolOf(t, { threads })
    const texts = Array.from({ length: 3_500 }, (_, i) => (i % 100 === 7 ? 'later' : `${i}`))
    const outcomes = await runOf(pool, texts)
    t.same(
      outcomes.map(shown),
      texts.map((text) => (text === 'later' ? 'was later' : `c ${text}`)),
    )
    t.same(await runOf(pool, []), [])
    t.equal(pool.threads, threads)
  }
})

t.test('what an item throws is its own', async (t) => {
  const outcomes = await runOf(poolOf(t), ['a', 'fault', 'error', 'b'])
  t.same(outcomes.map(shown), ['c a', 'TEST_REFUSED', 'INTERNAL', 'c b'])
  const { fault, place } = outcomes[1] as Failure
  t.equal(place, 5, 'how far it was')
  t.same(fault.toJSON(), {
    code: 'TEST_REFUSED',
    message: 'refused',
    where: 'item',
    remedy: 'take another',
    line: 3,
    big: String(2n ** 60n),
    cause: 'why',
  })
})

t.test('an item that takes too long is stopped, its neighbours come', async (t) => {
  let pool = poolOf(t)
  const run = async (timeMs: number) => {
    pool = poolOf(t, { timeMs })
    return await runOf(pool, ['a', 'loop', 'b', 'wait', 'c', 'loop'])
  }
  const outcomes = await patiently([100, 2_000, 20_000], run, areStopped(3))
  t.same(outcomes.map(shown), ['c a', 'ISOLATED_TIMEOUT', 'c b', 'ISOLATED_TIMEOUT', 'c c', 'ISOLATED_TIMEOUT'])
  t.equal((outcomes[3] as Failure).place, 5)
  t.match((outcomes[1] as Failure).fault.describe(), /more than \d+ ms/)
  t.same((await runOf(pool, ['d'])).map(shown), ['c d'], 'the pool goes on')
})

t.test('what does not run as script is stopped as well', async (t) => {
  const run = (timeMs: number) => runOf(poolOf(t, { timeMs }), ['a', 'pattern', 'b', 'wasm', 'c'])
  const outcomes = await patiently([100, 2_000, 20_000], run, areStopped(2))
  t.same(outcomes.map(shown), ['c a', 'ISOLATED_TIMEOUT', 'c b', 'ISOLATED_TIMEOUT', 'c c'])
})

t.test('an item that takes too much memory, or ends its thread', async (t) => {
  const pool = poolOf(t, { memoryBytes: 48 * 2 ** 20 })
  const outcomes = await runOf(pool, ['a', 'memory', 'b', 'list', 'exit', 'c'])
  const died = ['ISOLATED_MEMORY', 'c b', 'ISOLATED_MEMORY', 'ISOLATED_CRASHED']
  t.same(outcomes.map(shown), ['c a', ...died, 'c c'])
  t.same((await runOf(pool, ['d'])).map(shown), ['c d'])
})

t.test('memory outside of the heap counts: of WebAssembly, of buffers, of results', async (t) => {
  const memoryBytes = 96 * 2 ** 20
  const pool = poolOf(t, { memoryBytes })
  const outcomes = await runOf(pool, ['a', 'grow 200 stay', 'b', 'inflate 200 stay', 'c', 'give 200 stay', 'd'])
  const over = 'ISOLATED_MEMORY'
  t.same(outcomes.map(shown), ['c a', over, 'c b', over, 'c c', over, 'c d'])
  const { fault } = outcomes[1] as Failure
  t.equal(fault.details.limitBytes, memoryBytes)
  t.same((await runOf(pool, ['e', 'inflate 20'])).map(shown), ['c e', `${20 * 2 ** 20}`], 'the pool goes on')
})

t.test('an item does not pay for what others left behind or took beside it', async (t) => {
  const pool = poolOf(t, { memoryBytes: 96 * 2 ** 20 })
  t.same((await runOf(pool, ['grow 60'])).map(shown), ['grown'])
  t.same((await runOf(pool, ['inflate 30'])).map(shown), [`${30 * 2 ** 20}`])
  const many = await runOf(pool, new Array<string>(6).fill('give 30'))
  t.ok(many.every((each) => shown(each).length === 30 * 2 ** 20))
})

t.test('what waits to be collected ends no item', async (t) => {
  const pool = poolOf(t, { memoryBytes: 160 * 2 ** 20 })
  t.same((await runOf(pool, ['litter 600', 'b', 'litter 600'])).map(shown), ['littered', 'c b', 'littered'])
})

t.test('engines that keep their memory take turns in a thread', async (t) => {
  const pool = poolOf(t, { memoryBytes: 320 * 2 ** 20 })
  for (let round = 1; round <= 24; round += 1) {
    const [outcome] = await runOf(pool, ['counts'], { configuration: configurationOf(`engine 30 ${round}`) })
    const { takenBytes, ...counts } = JSON.parse(shown(outcome as Outcome))
    t.same(counts, { prepared: round, ran: 1, ownBytes: 30 * 2 ** 20 })
    t.ok(takenBytes < 320 * 2 ** 20, `${takenBytes} bytes in round ${round}`)
  }
})

t.test('a configuration is read once by each thread, and forgotten when it is retired', async (t) => {
  const pool = poolOf(t)
  const large = configurationOf(`L${'统'.repeat(700_000)}`)
  const counts = async (configuration: object) =>
    shown((await runOf(pool, ['counts'], { configuration }))[0] as Outcome)
  t.same(JSON.parse(await counts(large)), { prepared: 1, ran: 1 })
  t.same(JSON.parse(await counts(large)), { prepared: 1, ran: 2 })
  t.same(JSON.parse(await counts(configuration)), { prepared: 2, ran: 1 })
  t.same(JSON.parse(await counts(large)), { prepared: 2, ran: 3 })
  retire(large)
  t.same(JSON.parse(await counts(configuration)), { prepared: 2, ran: 2 })
  t.same(JSON.parse(await counts(large)), { prepared: 3, ran: 1 })
})

t.test('what cannot be prepared fails the run, not the pool', async (t) => {
  const pool = poolOf(t)
  const broken = (text: string) => runOf(pool, ['a', 'b'], { configuration: configurationOf(text) })
  await t.rejects(broken('refused'), { code: 'TEST_REFUSED', where: 'configuration' })
  await t.rejects(broken('dies'), { code: 'ISOLATED_PREPARATION' })
  await t.rejects(runOf(pool, [], { configuration: configurationOf('refused') }), { code: 'TEST_REFUSED' })
  await t.rejects(runOf(pool, ['a'], { module: new URL('./missing.ts', import.meta.url).href }), { code: 'INTERNAL' })
  t.same((await runOf(pool, ['d'])).map(shown), ['c d'])
})

t.test('a run that is stopped, and a pool that is closed', async (t) => {
  const pool = poolOf(t)
  const stop = new AbortController()
  const running = runOf(pool, ['a', 'loop'], { signal: stop.signal })
  const waiting = runOf(pool, ['w'])
  stop.abort(new Error('stopped'))
  await t.rejects(running, /stopped/)
  t.same((await waiting).map(shown), ['c w'])
  const ended = Promise.allSettled([runOf(pool, ['loop']), runOf(pool, ['loop'])])
  await pool.close()
  for (const each of await ended) t.match(each, { status: 'rejected', reason: { code: 'ISOLATED_CLOSED' } })
  await t.rejects(runOf(pool, ['x']), { code: 'ISOLATED_CLOSED' })
})

t.test('inputs are made when there is room for them', async (t) => {
  const pool = poolOf(t)
  const piece = Buffer.alloc(600_000, 'x')
  let made = 0
  const inputOf = () => {
    made += 1
    return piece
  }
  const stop = new AbortController()
  const first = runOf(pool, ['loop'], { signal: stop.signal })
  const second = pool.run({ module, configuration, count: 20, inputOf })
  t.equal(made, 0)
  stop.abort()
  await t.rejects(first)
  t.equal((await second).length, 20)
  t.equal(made, 20)
})
