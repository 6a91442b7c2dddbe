// What people wish of a file on its way from outside: `causeway-agent transfer`.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Agents } from './agents.ts'
import { ask, run } from './cli.ts'
import { eventually, localHub } from './support.ts'

const MIB = 2 ** 20
const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
const rights = { publish: ['files/#'], consume: ['files'] }

t.test('priority and rest of a file are changed from outside while it is sent, and hold after a restart', async (t) => {
  await hub.enroll('planner', rights)
  const agents = new Agents(t, hub)
  const data = agents.dataOf('planner')
  const path = join(data, 'drop')
  mkdirSync(path)
  agents.writeFlow('planner', {
    flow: 'out',
    source: { directory: { path, format: 'file', stableMs: 50, pollMs: 50 } },
    destination: { hub: { topic: 'files/planner', priority: 'bulk' } },
  } as { flow: string })
  // Not now, and not soon.
  const later = [3, 5].map((ahead) => `${(new Date().getHours() + ahead) % 24}:00`).join('-')
  writeFileSync(join(data, 'agent.yaml'), `transfers: { windows: ["${later}"] }`)
  writeFileSync(join(path, 'map.tif'), randomBytes(5 * MIB))
  // An agent that stands still follows late: the command says so, and is given again.
  const change = async (...what: string[]) => {
    for (;;) {
      const ran = await run('agent', ['transfer', ...what, '--data', data])
      if (!ran.stderr.startsWith('WISH_NOT_FOLLOWED')) return ran
    }
  }
  const refused = (name: string) => ask('agent', ['transfer', 'pause', name, '--data', data])
  t.match(await refused('map.tif'), { code: 1, stderr: /TRANSFER_NOT_FOUND/ })
  const agent = agents.start('planner')
  const now = () => agents.statusOf('planner')?.transfers?.[0]
  await eventually('it waits', () => now()?.state === 'window')
  t.match(now(), { name: 'map.tif', priority: 'bulk' })
  const { id } = now() as { id: string }
  t.match(await change('prioritize', 'map.tif', 'urgent'), { code: 0, stdout: 'map.tif: urgent from now on.\n' })
  t.match(now(), { priority: 'urgent' })
  const paused = await change('pause', id.slice(0, 6), '--json')
  t.strictSame(JSON.parse(paused.stdout), { id, name: 'map.tif', paused: true })
  t.match(now(), { state: 'paused', priority: 'urgent' })
  t.match(await refused('other.tif'), { code: 1, stderr: /TRANSFER_NOT_FOUND.*there are 1 others/s })
  const before = agents.statusOf('planner')?.pid
  await agent.end('SIGKILL')

  rmSync(join(data, 'agent.yaml'))
  const again = agents.start('planner')
  await eventually('it rests as before', () => {
    const status = agents.statusOf('planner')
    return status?.pid !== before && status?.transfers[0]?.id === id && status.transfers[0].state === 'paused'
  })
  t.match(now(), { priority: 'urgent' })
  const depth = hub.queue('files').depth
  t.match(await change('resume', 'map.tif'), { code: 0, stdout: 'map.tif: goes on.\n' })
  await eventually('it has arrived', () => hub.queue('files').depth === depth + 1)
  await eventually('nothing is wished any more', () => readdirSync(join(data, 'wishes')).length === 0)
  await again.end()
})
