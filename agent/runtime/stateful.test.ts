// Flows whose channels keep something: whatever point the process dies at, every row is in exactly one of the groups that land or are
// set aside.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '#protocol/base/mod.ts'
import { type Channel, type Destination, type Item, ownRef, type Source } from '../components/contract.ts'
import { type FlowStatus, runFlow } from './flow.ts'
import { rejectOwn } from './own-rejects.ts'
import { unwrapPosition, wrapPosition } from './position.ts'
import { chainFor, options, Process, randomFrom, testFault, World } from './testing.ts'

/** Rows of the last group, which is not whole: it goes out when its time has come. */
const ROWS = 26
const GROUP = 4

/** What survives, besides the world. */
type Kept = {
  /** By name, as the channel has put it on its disk. */
  readonly states: Map<string, { readonly groups: number; readonly ids: readonly number[] }>
  landed: number[][]
  readonly dataDir: string
  /** The states it was told to be committed. */
  readonly told: string[]
}

/** Groups of four; every third is refused. The last, shorter one goes out 2 ms after the last row. */
function grouping(process: Process, kept: Kept): Channel {
  let saved = { groups: 0, ids: [] as readonly number[] }
  let ids: number[] = []
  let groups = 0
  let dueMs: number | null = null
  const begin = () => {
    ids = [...saved.ids]
    groups = saved.groups
    dueMs = ids.at(-1) === ROWS - 1 ? systemClock.nowMs() + 2 : null
  }
  const group = (out: Item[], reject: Parameters<Channel['process']>[1]) => {
    groups += 1
    const item: Item = { row: { ids: ids.splice(0, GROUP) }, ref: ownRef('group', String(groups)) }
    if (groups % 3 === 0) reject({ item, fault: testFault('TEST_REFUSED') })
    else out.push(item)
  }
  return {
    alone: true,
    open: async (state) => {
      await process.at('channel.open')
      const known = state === null ? { groups: 0, ids: [] } : kept.states.get(state)
      if (known === undefined) throw new Error(`state ${state} is not there`)
      saved = known
      begin()
    },
    process: async (items, reject) => {
      await process.at('channel')
      begin()
      const out: Item[] = []
      for (const { row } of items) {
        ids.push(row.id as number)
        if (ids.length === GROUP) group(out, reject)
      }
      if (items.some(({ row }) => row.id === ROWS - 1)) dueMs = systemClock.nowMs() + 2
      return out
    },
    due: async (reject) => {
      await process.at('due')
      begin()
      const out: Item[] = []
      group(out, reject)
      dueMs = null
      return out
    },
    dueAtMs: () => (dueMs !== null && ids.length > 0 ? dueMs : null),
    save: async () => {
      await process.at('save before')
      const name = JSON.stringify({ groups, last: ids.at(-1) ?? null })
      const state = { groups, ids: [...ids] }
      kept.states.set(name, state)
      await process.at('save after')
      saved = state
      return name
    },
    committed: async (state) => {
      await process.at('channel.committed')
      kept.told.push(state)
      // What no position names any more.
      for (const name of kept.states.keys()) if (name !== state) kept.states.delete(name)
    },
  }
}

async function live(world: World, kept: Kept): Promise<{ end: string; status: FlowStatus | null }> {
  const process = new Process(world)
  const stop = new AbortController()
  const components = () => {
    const parts = process.components()
    const channel = grouping(process, kept)
    const source: Source = {
      ...parts.source,
      idle: async (signal) => {
        if (channel.dueAtMs?.() === null) stop.abort()
        else await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      },
    }
    const destination: Destination = {
      ...parts.destination,
      write: async ({ items, cursor }) => {
        await process.at('write before commit')
        kept.landed.push(...items.map(({ row }) => row.ids as number[]))
        world.position = cursor
        await process.at('write after commit')
      },
    }
    return {
      source,
      destination,
      chain: chainFor([channel], kept.dataDir),
      rejectOwn: async (rejects: Parameters<typeof rejectOwn>[1]) => {
        await process.at('own before')
        await rejectOwn(kept.dataDir, rejects)
        await process.at('own after')
      },
    }
  }
  const run = runFlow({ ...options(process, stop.signal), components }).then(
    (status) => ({ end: 'done', status }),
    () => ({ end: 'failed', status: null }),
  )
  return Promise.race([run, process.died.promise.then(() => ({ end: 'died', status: null }))])
}

function fresh(t: Test): { world: World; kept: Kept } {
  const dataDir = mkdtempSync(join(tmpdir(), 'causeway-stateful-'))
  t.teardown(() => rmSync(dataDir, { recursive: true }))
  return {
    world: new World({ rows: ROWS, portionRows: 3 }),
    kept: { states: new Map(), landed: [], dataDir, told: [] },
  }
}

const EXPECTED = Array.from({ length: Math.ceil(ROWS / GROUP) }, (_, i) =>
  Array.from({ length: Math.min(GROUP, ROWS - GROUP * i) }, (_, j) => GROUP * i + j),
)

function prove(t: Test, world: World, kept: Kept, what: string): void {
  const aside = readFileSync(join(kept.dataDir, 'channels-rejected.jsonl'), 'utf8')
  const refused = aside
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { ref: string; code: string; row: { ids: number[] } })
  const all = [...kept.landed, ...refused.map(({ row }) => row.ids)].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0))
  const problems: unknown[] = []
  if (JSON.stringify(all) !== JSON.stringify(EXPECTED)) problems.push(all)
  if (
    refused.map(({ ref, code }) => `${ref} ${code}`).join() !==
    'channel:group:3 TEST_REFUSED,channel:group:6 TEST_REFUSED'
  )
    problems.push(aside)
  const { source, channels } = unwrapPosition(world.position)
  if (source !== world.committed) problems.push(`the source was told ${world.committed} of ${source}`)
  if (channels === null) problems.push('no state was committed')
  t.same(problems, [], what)
}

t.test('rows are kept across portions, and go out when their time has come', async (t) => {
  const { world, kept } = fresh(t)
  const { end, status } = await live(world, kept)
  t.equal(end, 'done')
  prove(t, world, kept, 'all')
  t.match(
    readFileSync(join(kept.dataDir, 'channels-rejected.jsonl'), 'utf8'),
    /"reason":"step 1 \(test0\): this row cannot be/,
  )
  t.match(status, { rowsIn: ROWS, rowsOut: 5, rejected: 2, portions: 10, restarts: 0 })
  t.equal(kept.told.length, 10)
})

for (const verdict of ['dies', 'away', 'broken'] as const) {
  t.test(`every single point ${verdict}`, async (t) => {
    const counted = fresh(t)
    await live(counted.world, counted.kept)
    const { points } = counted.world
    t.ok(points > 80, `${points} points`)
    for (let point = 0; point < points; point += 1) {
      const { world, kept } = fresh(t)
      let name = ''
      world.decide = (each) => {
        if (each.index !== point) return 'ok'
        name = each.name
        return verdict
      }
      const first = await live(world, kept)
      // How many points there are depends a little on timing, as a portion is made ahead: the last may not be reached.
      world.decide = () => 'ok'
      if (verdict === 'away') t.match(first, { end: 'done', status: { restarts: name === '' ? 0 : 1 } }, name)
      else t.equal((await live(world, kept)).end, 'done')
      prove(t, world, kept, `${verdict} at ${point}, ${name}`)
    }
  })
}

t.test('dies and fails at random', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const random = randomFrom(seed)
  for (let round = 0; round < 15; round += 1) {
    const { world, kept } = fresh(t)
    let lives = 0
    world.decide = () => {
      const dice = lives > 20 ? 1 : random()
      return dice < 0.05 ? 'dies' : dice < 0.1 ? 'away' : 'ok'
    }
    do lives += 1
    while ((await live(world, kept)).end !== 'done')
    prove(t, world, kept, `round ${round}, ${lives} lives`)
  }
})

t.test('a source that has ended leaves time for what is still to come due', async (t) => {
  const { world, kept } = fresh(t)
  const process = new Process(world)
  const parts = process.components()
  const status = await runFlow({
    ...options(process, new AbortController().signal),
    components: () => ({
      ...parts,
      source: { ...parts.source, ended: () => true },
      chain: chainFor([grouping(process, kept)], kept.dataDir),
      destination: {
        ...parts.destination,
        write: async ({ items }) => void kept.landed.push(...items.map(({ row }) => row.ids as number[])),
      },
    }),
  })
  t.equal(status.state, 'stopped')
  t.same(kept.landed.at(-1), [24, 25])
})

t.test('a position is the cursor itself unless channels keep something', async (t) => {
  t.equal(wrapPosition({ source: '{"next":1}', channels: null }), '{"next":1}')
  for (const position of [
    { source: null, channels: null },
    { source: null, channels: '[]' },
    { source: '{"flow":1,"source":null,"channels":"x"}', channels: '[["merge","s"]]' },
  ])
    t.same(unwrapPosition(wrapPosition(position)), position)
  for (const own of ['{"flow":1,"source":"x"}', '{"flow":1,', '{"flow":1,"source":1,"channels":null}', 'text'])
    t.same(unwrapPosition(own), { source: own, channels: null })
  t.same(unwrapPosition(null), { source: null, channels: null })
})
