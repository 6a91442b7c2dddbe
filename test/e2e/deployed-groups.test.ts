// Groups that wait in a pipeline when rules with other steps, or without it, are deployed.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askHub } from '#hub/management/mod.ts'
import type { RoutesView } from '#hub/router/mod.ts'
import { run } from './cli.ts'
import { bodiesOf, eventually, localHub } from './support.ts'

const hub = await localHub(t, { config: { queues: [{ name: 'old' }, { name: 'new' }] } })
const office = await hub.client('office')
const centre = await hub.client('centre')
const publisher = office.publisher({ stream: 'out' })
const publish = (n: number, topic = 'g') =>
  publisher.publish({
    topic,
    headers: { ':content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ k: 'a', n })),
  })

let folders = 0
async function deploy(rules: object): Promise<void> {
  const folder = join(hub.dir, `rules-${++folders}`)
  mkdirSync(folder)
  writeFileSync(join(folder, 'rules.yaml'), JSON.stringify(rules))
  const { code, stderr } = await run('hub', ['route', 'deploy', join(folder, 'rules.yaml'), '--data', hub.dataDir])
  if (code !== 0) throw new Error(stderr)
}
const view = (): Promise<RoutesView> => askHub(hub.dataDir, { command: 'routes' })
/** Everything sent so far has been decided. */
const routed = () =>
  eventually('routed', async () => {
    const { waiting, underWay } = await view()
    return waiting === 0 && underWay === 0
  })

type Group = { readonly items: readonly { readonly n: number }[]; readonly complete: boolean; readonly step: string }

async function taken(queue: string, count: number): Promise<(readonly [number[], boolean, string])[]> {
  const subscription = await centre.subscribe({ queue })
  const bodies = await bodiesOf(subscription, count)
  subscription.close()
  return bodies
    .map((body) => JSON.parse(body) as Group)
    .map(({ items, complete, step }) => [items.map(({ n }) => n), complete, step])
}

const merging = (step: string, to: string, merge: object = {}) => ({
  rules: [{ name: 'groups', topics: 'g', pipeline: 'groups', to }],
  pipelines: {
    groups: {
      steps: [
        { merge: { key: 'k', count: 3, as: { row: {} }, ...merge } },
        { map: { keep: ['items', 'complete'], expressions: { step: `'${step}'` } } },
      ],
    },
  },
})

t.test('a group of the old steps goes out by them, and what comes then begins one of the new steps', async (t) => {
  await deploy(merging('old', 'old'))
  for (const n of [1, 2]) await publish(n)
  await routed()
  await deploy(merging('new', 'new'))
  t.same(await taken('old', 1), [[[1, 2], false, 'old']])
  for (const n of [3, 4, 5]) await publish(n)
  t.same(await taken('new', 1), [[[3, 4, 5], true, 'new']])
  await eventually('the old one is ended', async () => (await view()).pipelines.length === 1)
})

t.test('with its rule gone it goes where that sent it; also when the hub was away meanwhile', async (t) => {
  await deploy(merging('old', 'old', { count: 4 }))
  for (const n of [1, 2]) await publish(n)
  await routed()
  await deploy({ rules: [{ name: 'other', topics: 'other', to: 'new' }] })
  t.same(await taken('old', 1), [[[1, 2], false, 'old']])
  await eventually('it is settled', () => hub.queue('old').depth === 0)
  await hub.restart()
  t.same((await view()).pipelines, [])
  t.equal(hub.queue('old').depth, 0, 'once')
})

t.test('a deployment goes back: what waits then goes out once, and the pipeline begins anew', async (t) => {
  await deploy(merging('one', 'old'))
  await publish(1)
  await routed()
  await deploy(merging('two', 'new'))
  t.same(await taken('old', 1), [[[1], false, 'one']])
  await publish(2)
  await routed()
  await deploy(merging('one', 'old'))
  t.same(await taken('new', 1), [[[2], false, 'two']])
  for (const n of [3, 4, 5]) await publish(n)
  t.same(await taken('old', 1), [[[3, 4, 5], true, 'one']])
})

t.test('where an incomplete group is refused its items are dead, with step and code', async (t) => {
  await deploy(merging('strict', 'old', { incomplete: 'reject' }))
  for (const n of [1, 2]) await publish(n)
  await routed()
  await deploy({ rules: [{ name: 'other', topics: 'other', to: 'new' }] })
  await eventually('its items are dead', () => hub.queue('$dead').depth === 2)
  const { messages } = await askHub<{ messages: { reason: string }[] }>(hub.dataDir, {
    command: 'peek',
    queue: '$dead',
    limit: 9,
    filter: {},
  })
  for (const { reason } of messages) t.match(reason, /^MERGE_INCOMPLETE: rule groups, step 1 merge/)
})
