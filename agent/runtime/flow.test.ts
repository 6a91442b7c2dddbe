import t, { type Test } from 'tap'
import { systemClock } from '#protocol/base/mod.ts'
import type { Destination, Source } from '../components/contract.ts'
import { type FlowState, type FlowStatus, runFlow } from './flow.ts'
import { options, Process, randomFrom, testFault, World } from './testing.ts'

/** Runs one process until it has nothing more to do, dies, or fails. */
async function live(
  world: World,
): Promise<{ process: Process; end: 'done' | 'died' | 'failed'; status: FlowStatus | null }> {
  const process = new Process(world)
  const stop = new AbortController()
  const run = runFlow(options(process, stop.signal)).then(
    (status) => ({ end: 'done' as const, status }),
    () => ({ end: 'failed' as const, status: null }),
  )
  const died = process.died.promise.then(() => ({ end: 'died' as const, status: null }))
  void process.exhausted.promise.then(() => stop.abort())
  const result = await Promise.race([run, died])
  // A dead process does nothing more: all its calls hang, and it is simply forgotten.
  return { process, ...result }
}

function proveWorld(t: Test, world: World, what: string): void {
  const ids = world.rows.map(({ row }) => row.id as number)
  const refused = ids.filter((id) => World.refusedByChannel(id) || World.refusedByDestination(id))
  const expected = ids.filter((id) => !refused.includes(id))
  const problems: string[] = []
  if (JSON.stringify(world.landed) !== JSON.stringify(expected)) problems.push(`landed ${world.landed}`)
  const aside = [...world.aside.keys()].map(Number).sort((a, b) => a - b)
  if (JSON.stringify(aside) !== JSON.stringify(refused)) problems.push(`aside ${aside}`)
  if ([...world.aside.values()].flat().some((code) => code !== 'TEST_REFUSED')) problems.push('a reason was lost')
  if (world.committed !== world.position) problems.push(`the source was told ${world.committed} of ${world.position}`)
  t.same(problems, [], what)
}

t.test('without trouble: rows land, refused rows are put aside, the counters agree', async (t) => {
  const world = new World({ rows: 60, portionRows: 8 })
  const { process, end, status } = await live(world)
  t.equal(end, 'done')
  proveWorld(t, world, 'every row once')
  t.match(status, { state: 'stopped', lastFault: null, rowsIn: 60, portions: 8, restarts: 0 })
  t.equal(status?.rowsOut, world.landed.length)
  t.equal(status?.rejected, world.aside.size)
  t.equal(status?.bytes, world.landed.length * 8)
  t.ok((status?.lastPortionAt ?? 0) > 0)
  t.ok(
    [...world.aside.values()].every((codes) => codes.length === 1),
    'each put aside once',
  )
  t.equal(process.overlaps, 0, 'the source is called by one at a time')
  t.equal(process.closed, 2)
})

// 29 rows in portions of 6: five portions, each with rows refused by the channel or the destination.
const small = () => new World({ rows: 29, portionRows: 6 })

async function countPoints(): Promise<number> {
  const world = small()
  await live(world)
  return world.points
}

t.test('the process dies at every single point', async (t) => {
  const points = await countPoints()
  t.ok(points > 40, `${points} points`)
  let overlaps = 0
  for (let point = 0; point < points; point += 1) {
    const world = small()
    let name = ''
    world.decide = (each) => {
      if (each.index !== point) return 'ok'
      name = each.name
      return 'dies'
    }
    const first = await live(world)
    // Which call is the n-th depends a little on timing, as a portion is made ahead; that some call dies does not.
    if (first.end !== 'died') t.fail(`point ${point} was not reached`)
    const second = await live(world)
    overlaps += first.process.overlaps + second.process.overlaps
    t.equal(second.end, 'done')
    proveWorld(t, world, `died at ${point}, ${name}`)
  }
  t.equal(overlaps, 0)
})

t.test('every single point fails once and is repeated by the running flow', async (t) => {
  const points = await countPoints()
  for (let point = 0; point < points; point += 1) {
    const world = small()
    let name = ''
    world.decide = (each) => {
      if (each.index !== point) return 'ok'
      name = each.name
      return 'away'
    }
    const { end, status } = await live(world)
    t.equal(end, 'done')
    t.match(status, { restarts: 1, lastFault: { code: 'TEST_AWAY' } })
    proveWorld(t, world, `failed at ${point}, ${name}`)
  }
})

t.test('every single point breaks for good: the flow fails, and a new start makes it whole', async (t) => {
  const points = await countPoints()
  for (let point = 0; point < points; point += 1) {
    const world = small()
    world.decide = (each) => (each.index === point ? 'broken' : 'ok')
    const first = await live(world)
    // A portion made ahead that fails after the last one was delivered is met as well.
    if (first.end !== 'failed') t.fail(`point ${point} did not fail the flow`)
    t.equal((await live(world)).end, 'done')
    proveWorld(t, world, `broke at ${point}`)
  }
})

t.test('dies and fails at random, many times over', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const random = randomFrom(seed)
  let deaths = 0
  let failures = 0
  let restarts = 0
  for (let round = 0; round < 40; round += 1) {
    const world = new World({ rows: 80, portionRows: 1 + Math.floor(random() * 12) })
    let lives = 0
    const badness = random() * 0.1
    world.decide = () => {
      // From the thirtieth life on everything works, so that a round ends.
      const dice = lives > 30 ? 1 : random()
      if (dice < badness / 2) return 'dies'
      if (dice >= badness) return 'ok'
      failures += 1
      return 'away'
    }
    for (;;) {
      lives += 1
      const { end, status } = await live(world)
      restarts += status?.restarts ?? 0
      if (end === 'done') break
      deaths += 1
    }
    proveWorld(t, world, `round ${round}, ${lives} lives`)
  }
  t.comment(`${deaths} deaths, ${failures} failures, ${restarts} restarts of flows that came to their end`)
  t.ok(deaths > 20 && failures > 20, 'there was trouble enough')
})

t.test(
  'a destination that does not wait for refused rows: they are put aside all the same before the source is told',
  async (t) => {
    for (const trouble of ['none', 'away', 'broken'] as const) {
      const world = small()
      world.awaitsRejects = false
      // The call made during the write, and for 'broken' also the one made after it.
      let failing = { none: 0, away: 1, broken: 2 }[trouble]
      const order: string[] = []
      world.decide = ({ name }) => {
        order.push(name)
        const here = name === 'source.reject before' && order.includes('write begun')
        return here && failing-- > 0 ? (trouble as 'away' | 'broken') : 'ok'
      }
      const { end } = await live(world)
      t.equal(end, trouble === 'broken' ? 'failed' : 'done')
      if (trouble === 'broken') continue
      proveWorld(t, world, trouble)
    }
  },
)

t.test('a source that cannot put a row aside undoes the write', async (t) => {
  const world = small()
  let failing = 2
  let tries = 0
  world.decide = ({ name }) => {
    if (name === 'write begun') tries += 1
    if (name === 'write before commit' && failing > 0) t.fail('committed before the rows were put aside')
    return name === 'source.reject before' && tries > 0 && failing-- > 0 ? 'away' : 'ok'
  }
  const { status } = await live(world)
  t.match(status, { restarts: 2, portions: 5 })
  t.equal(tries, 7)
  proveWorld(t, world, 'whole')
})

t.test('a source that ends, ends the flow', async (t) => {
  const world = small()
  const process = new Process(world)
  const parts = process.components()
  const components = () => ({ ...parts, source: { ...parts.source, ended: () => true } })
  const status = await runFlow({ ...options(process, new AbortController().signal), components })
  t.match(status, { state: 'stopped', portions: 5 })
  t.equal(process.closed, 2)
  proveWorld(t, world, 'whole')
})

t.test('the next portion is made while one is written', async (t) => {
  const world = new World({ rows: 30, portionRows: 10 })
  const process = new Process(world)
  const stop = new AbortController()
  void process.exhausted.promise.then(() => stop.abort())
  const parts = process.components()
  const nextDone = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let nexts = 0
  let writes = 0
  const source: Source = {
    ...parts.source,
    next: async (signal) => {
      const portion = await parts.source.next(signal)
      nextDone[nexts - 1]?.resolve()
      nexts += 1
      return portion
    },
  }
  const destination: Destination = {
    ...parts.destination,
    // Would never end if the next portion were made only afterwards.
    write: async (portion, reject, signal) => {
      await nextDone[writes]?.promise
      writes += 1
      await parts.destination.write(portion, reject, signal)
    },
  }
  await runFlow({ ...options(process, stop.signal), components: () => ({ ...parts, source, destination }) })
  proveWorld(t, world, 'all the same')
})

t.test('stopping finishes the portion in hand and leaves nothing open', async (t) => {
  const world = new World({ rows: 100, portionRows: 10 })
  const process = new Process(world)
  const stop = new AbortController()
  world.decide = ({ name }) => {
    if (name === 'write before commit') stop.abort()
    return 'ok'
  }
  const status = await runFlow(options(process, stop.signal))
  t.match(status, { state: 'stopped', portions: 1 })
  t.equal(world.position, '{"next":10}')
  t.equal(world.committed, '{"next":10}', 'the source was told')
  t.equal(process.closed, 2)
})

t.test('stopping ends waiting at once, and idling', async (t) => {
  const world = new World({ rows: 10, portionRows: 10 })
  const process = new Process(world)
  const stop = new AbortController()
  world.decide = ({ name }) => (name === 'write begun' ? 'away' : 'ok')
  const states: FlowState[] = []
  const status = await runFlow({
    ...options(process, stop.signal),
    flow: { name: 'test', retry: { firstMs: 3_600_000, maxMs: 3_600_000 } },
    onProgress: ({ state }) => {
      if (states.at(-1) !== state) states.push(state)
      if (state === 'waiting') stop.abort()
    },
  })
  t.same(states, ['starting', 'running', 'waiting', 'stopped'])
  t.match(status, { lastFault: { code: 'TEST_AWAY' }, restarts: 1, portions: 0 })
  t.same(world.landed, [])
})

t.test('opening is tried again with fresh components', async (t) => {
  const world = new World({ rows: 10, portionRows: 10 })
  const process = new Process(world)
  const stop = new AbortController()
  void process.exhausted.promise.then(() => stop.abort())
  let made = 0
  let failing = 3
  world.decide = ({ name }) => (name === 'source.open before' && failing-- > 0 ? 'away' : 'ok')
  const components = () => {
    made += 1
    return process.components()
  }
  const status = await runFlow({ ...options(process, stop.signal), components })
  t.equal(made, 4)
  t.equal(process.closed, 8, 'each set was closed')
  t.match(status, { state: 'stopped', restarts: 3 })
  proveWorld(t, world, 'whole')
})

t.test('what a source must not do', async (t) => {
  const run = (portion: { cursor: string }) => {
    const world = new World({ rows: 1, portionRows: 1 })
    const process = new Process(world)
    const parts = process.components()
    const source: Source = { ...parts.source, next: async () => ({ items: world.rows, ...portion }) }
    const { signal } = new AbortController()
    return runFlow({ ...options(process, signal), components: () => ({ ...parts, source }) })
  }
  await t.rejects(run({ cursor: 'always the same' }), { code: 'FLOW_CURSOR_STUCK' })
  await t.rejects(run({ cursor: 'x'.repeat(65_537) }), { code: 'FLOW_CURSOR_TOO_LARGE' })
})

t.test('a flow of synchronous components leaves the event loop its turns', async (t) => {
  const world = new World({ rows: 0, portionRows: 1 })
  const process = new Process(world)
  const parts = process.components()
  const stop = new AbortController()
  let made = 0
  const source: Source = {
    ...parts.source,
    next: async () => {
      made += 1
      return { items: [{ row: { id: 0 }, ref: made }], cursor: String(made) }
    },
    committed: async () => undefined,
  }
  let writes = 0
  const destination: Destination = {
    ...parts.destination,
    write: async () => {
      if (writes++ === 0) setTimeout(() => stop.abort(), 5)
    },
  }
  const status = await runFlow({
    ...options(process, stop.signal),
    components: () => ({ ...parts, source, destination }),
  })
  t.ok(status.portions > 0, 'the timer came through')
})

t.test('a source that never waits is not asked in a busy loop', async (t) => {
  const world = new World({ rows: 0, portionRows: 1 })
  const process = new Process(world)
  const parts = process.components()
  const stop = new AbortController()
  let asked = 0
  const source: Source = {
    ...parts.source,
    next: async () => {
      asked += 1
      if (asked === 5) stop.abort()
      return null
    },
    idle: async () => undefined,
  }
  const begun = systemClock.nowMs()
  await runFlow({ ...options(process, stop.signal), components: () => ({ ...parts, source }) })
  t.ok(systemClock.nowMs() - begun >= 35, 'four pauses of 10 ms, less the clock')
})

t.test('a source that keeps what it gave is told when it has arrived, not before', async (t) => {
  const world = new World({ rows: 30, portionRows: 10 })
  const process = new Process(world)
  const stop = new AbortController()
  void process.exhausted.promise.then(() => stop.abort())
  let waits = 0
  const told: (string | null)[] = []
  const components = () => {
    const parts = process.components()
    const source: Source = {
      ...parts.source,
      keepsUntilArrived: true,
      committed: async (cursor) => {
        told.push(cursor)
        await parts.source.committed(cursor)
      },
    }
    const destination: Destination = {
      ...parts.destination,
      arrived: async () => {
        waits += 1
        // Away every other time.
        if (waits % 2 === 1) throw testFault('TEST_AWAY', { retry: true })
        told.push(`${world.position} arrived`)
      },
    }
    return { ...parts, source, destination }
  }
  await runFlow({ ...options(process, stop.signal), components })
  const cursors = [10, 20, 30].map((next) => `{"next":${next}}`)
  t.same(
    told,
    cursors.flatMap((cursor) => [`${cursor} arrived`, cursor]),
  )
  t.equal(waits, 6)

  // The next process does not open its source before.
  told.length = 0
  const next = new Process(world)
  const again = new AbortController()
  void next.exhausted.promise.then(() => again.abort())
  const opened = () => {
    const parts = next.components()
    const source: Source = { ...parts.source, keepsUntilArrived: true }
    const arrived = async () => void told.push(`opened ${next.opened}`)
    return { ...parts, source, destination: { ...parts.destination, arrived } }
  }
  await runFlow({ ...options(next, again.signal), components: opened })
  t.same(told, ['opened 0'])
})

t.test('stopping does not wait for what does not arrive', async (t) => {
  const world = new World({ rows: 10, portionRows: 10 })
  const process = new Process(world)
  const parts = process.components()
  const stop = new AbortController()
  const source: Source = { ...parts.source, keepsUntilArrived: true }
  const arrived = (signal: AbortSignal) =>
    new Promise<void>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      stop.abort()
    })
  const destination: Destination = { ...parts.destination, arrived }
  const status = await runFlow({
    ...options(process, stop.signal),
    components: () => ({ ...parts, source, destination }),
  })
  t.match(status, { state: 'stopped', lastFault: null })
  t.equal(world.position, '{"next":10}')
  t.equal(world.committed, null, 'the source was not told')
})
