// A hub put back to an older copy of its folder, as an operator does it: real programs, real files. Afterwards everything still
// in a spool and everything new has arrived once, and what is lost is named.

import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { AgentStatus } from '#agent/telemetry/mod.ts'
import { startTestHub, type TestHub } from '#test/fixtures/hub.ts'
import { run, start } from './cli.ts'
import { eventually } from './support.ts'

/** A hub, an agent whose flow takes files in, and one whose flow lays them down. */
async function scene(t: Test) {
  const hub = await startTestHub({ queues: [{ name: 'rows', topics: ['rows'] }] })
  t.teardown(() => hub.stop())
  const folderOf = (name: string) => join(hub.dir, name)
  const flows = {
    office: {
      flow: 'out',
      source: { directory: directoryOf(folderOf('in')) },
      destination: { hub: { topic: 'rows' } },
    },
    centre: { flow: 'in', source: { hub: { queue: 'rows' } }, destination: { directory: lines(folderOf('landed')) } },
  }
  for (const name of ['in', 'landed']) mkdirSync(folderOf(name))
  const logs: Record<string, string> = { office: '', centre: '' }
  const startAgent = async (name: 'office' | 'centre') => {
    await hub.enroll(name)
    mkdirSync(join(folderOf(name), 'flows'))
    // JSON is YAML.
    writeFileSync(join(folderOf(name), 'flows', 'flow.yaml'), JSON.stringify(flows[name]))
    const child = start('agent', ['start', '--data', folderOf(name), '--flows', join(folderOf(name), 'flows')])
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (logs[name] += chunk))
    t.teardown(async () => {
      const gone = once(child, 'exit')
      if (child.exitCode === null && child.kill('SIGKILL')) await gone
    })
  }
  await startAgent('office')
  await startAgent('centre')
  const landed = () =>
    readdirSync(folderOf('landed'))
      .filter((file) => file.endsWith('.jsonl'))
      .flatMap((file) => readFileSync(join(folderOf('landed'), file), 'utf8').split('\n'))
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { name: string }).name)
      .sort()
  const give = (name: string) => {
    // Never seen half.
    const aside = join(hub.dir, `${name}.part`)
    writeFileSync(aside, `${JSON.stringify({ name })}\n`)
    renameSync(aside, join(folderOf('in'), `${name}.jsonl`))
  }
  const arrived = (...names: string[]) =>
    eventually(`${names} landed, and ${landed()} did`, () => landed().join() === names.join())
  const statusOf = (agent: string): AgentStatus | undefined => {
    const path = join(folderOf(agent), 'status.json')
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as AgentStatus) : undefined
  }
  const settled = () =>
    eventually('everything is settled', async () => {
      const { queues } = await hub.status()
      return queues.find(({ name }) => name === 'rows')?.depth === 0
    })
  return { hub, logs, give, arrived, landed, settled, statusOf }
}

const lines = (path: string) => ({ path, format: 'jsonl' })
const directoryOf = (path: string) => ({ ...lines(path), stableMs: 50, pollMs: 100 })

async function backUp(hub: TestHub): Promise<void> {
  await hub.quit()
  cpSync(hub.dataDir, `${hub.dataDir}-copy`, { recursive: true })
  await hub.restart()
}

/** The folder as it was; the running hub is killed. */
async function putBack(hub: TestHub): Promise<void> {
  await hub.kill()
  rmSync(hub.dataDir, { recursive: true })
  cpSync(`${hub.dataDir}-copy`, hub.dataDir, { recursive: true })
}

t.test('put back by somebody who does not say so: the agents prove it, and everything goes on', async (t) => {
  const { hub, logs, give, arrived, settled, statusOf } = await scene(t)
  give('a')
  await arrived('a')
  await settled()
  await backUp(hub)
  const { storeId } = await hub.status()
  give('b')
  await arrived('a', 'b')
  await hub.kill()
  give('c')
  await eventually('c is in the spool', () => statusOf('office')?.spool.messages === 1)
  await putBack(hub)
  await hub.restart()
  await arrived('a', 'b', 'c')
  give('d')
  await arrived('a', 'b', 'c', 'd')
  await settled()
  t.not((await hub.status()).storeId, storeId)
  t.ok(
    hub.log.some((line) => line.includes('"level":50') && line.includes('STORE_ROLLED_BACK')),
    'the hub says what happened',
  )
  t.match(logs.office, /ACKNOWLEDGED_LOST.*numbers 2 to 2 of epoch/)
  const lost = await eventually('the status says it', () => statusOf('office')?.lost.out)
  t.match(lost, { code: 'ACKNOWLEDGED_LOST', from: 2, to: 2 })
  const shown = await run('agent', ['status', '--data', join(hub.dir, 'office')])
  t.match(shown.stdout, /numbers 2 to 2 of epoch/)
})

t.test(
  'put back by an operator who says so: nothing is taken for something else, and done work is known',
  async (t) => {
    const { hub, logs, give, arrived, landed, settled } = await scene(t)
    give('a')
    await arrived('a')
    await settled()
    await backUp(hub)
    give('b')
    await arrived('a', 'b')
    await settled()
    const { storeId } = await hub.status()
    const running = await run('hub', ['store', 'restored', '--data', hub.dataDir])
    t.equal(running.code, 1)
    t.match(running.stderr, /^STORE_IN_USE/)
    await putBack(hub)
    const told = await run('hub', ['store', 'restored', '--data', hub.dataDir, '--json'])
    t.equal(told.code, 0, told.stderr)
    const result = JSON.parse(told.stdout) as { storeIdBefore: string; storeId: string }
    t.equal(result.storeIdBefore, storeId, 'a copy bears the id of what it is a copy of')
    await hub.restart()
    t.equal((await hub.status()).storeId, result.storeId)
    give('c')
    await arrived('a', 'b', 'c')
    await settled()
    t.equal((await hub.status()).storeId, result.storeId, 'nobody has to prove it any more')
    t.same(landed(), ['a', 'b', 'c'])
    t.match(logs.office, /ACKNOWLEDGED_LOST/)
    t.match(logs.centre, /positions begin anew/)
    const shown = await run('hub', ['store', 'restored', '--data', join(hub.dir, 'nothing')])
    t.match(shown, { code: 1, stderr: /^STORE_MISSING/ })
  },
)
