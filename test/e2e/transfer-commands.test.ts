// What the commands for files keep to and tell: agent.yaml, the status, how long a file is worth anything.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { readCommands } from '#agent/telemetry/mod.ts'
import { Agents } from './agents.ts'
import { ask, run, start } from './cli.ts'
import { eventually, localHub } from './support.ts'

const MIB = 2 ** 20
const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
const rights = { publish: ['files/#'], consume: ['files'] }

function fileOf(name: string, bytes: number): string {
  const path = join(hub.dir, name)
  writeFileSync(path, randomBytes(bytes))
  return path
}

/** A window of the day that is not now, and not soon. */
function another(): string {
  const hour = (ahead: number) => `${(new Date().getHours() + ahead) % 24}:00`
  return `${hour(3)}-${hour(5)}`
}

t.test('outside the windows of agent.yaml a file waits, and the status says so', async (t) => {
  await hub.enroll('desk', rights)
  const data = join(hub.dir, 'desk')
  const path = fileOf('plan.dwg', 3 * MIB)
  const config = join(data, 'agent.yaml')
  const send = ['send', 'file', path, '--data', data, '--topic', 'files/plan', '--priority', 'urgent', '--json']
  writeFileSync(config, `transfers: { windows: ["${another()}-"] }`)
  t.match(await run('agent', send), { code: 2, stderr: /FIELD_CHECK.*agent\.yaml:1:\d+ transfers\.windows\[0\]/s })

  writeFileSync(config, `transfers: { windows: ["${another()}"] }`)
  const waiting = start('agent', send)
  t.teardown(() => void waiting.kill('SIGKILL'))
  const errors = text(waiting.stderr)
  const ended = once(waiting, 'close')
  await eventually('it waits', () => readCommands(data)[0]?.transfers[0]?.state === 'window')
  const status = await run('agent', ['status', '--data', data, '--json'])
  t.match(JSON.parse(status.stdout), {
    running: false,
    commands: [
      {
        pid: waiting.pid,
        command: 'send file',
        transfers: [
          { direction: 'upload', name: 'plan.dwg', priority: 'urgent', size: 3 * MIB, doneBytes: 0, fault: null },
        ],
      },
    ],
  })
  const { stdout } = await run('agent', ['status', '--data', data])
  t.match(stdout, /^plan\.dwg +upload +0% +3\.0 MiB {2}waiting for its time of day, urgent$/m)
  const other = await run('agent', ['send', '--data', data, '--topic', 'files/x', '--body', 'x'])
  t.match(other, { code: 1, stderr: new RegExp(`AGENT_RUNNING.*send file, process ${waiting.pid}`, 's') })
  waiting.kill('SIGINT')
  await ended
  t.match(await errors, /Interrupted/)
  t.match(await ask('agent', ['status', '--data', data]), { code: 1, stderr: /AGENT_NOT_RUNNING/ })

  rmSync(config)
  const sent = await run('agent', send)
  t.equal(sent.code, 0, sent.stderr)
  t.match(JSON.parse(sent.stdout), { sentBytes: 3 * MIB, hashedAgainBytes: 0 })
})

t.test('the status of an agent shows what its flows transfer, and agent.yaml holds for them', async (t) => {
  await hub.enroll('archive', rights)
  const agents = new Agents(t, hub)
  const data = agents.dataOf('archive')
  const path = join(data, 'drop')
  mkdirSync(path)
  agents.writeFlow('archive', {
    flow: 'out',
    source: { directory: { path, format: 'file', stableMs: 50, pollMs: 50 } },
    destination: { hub: { topic: 'files/archive', priority: 'bulk' } },
  } as { flow: string })
  writeFileSync(join(data, 'agent.yaml'), `transfers: { windows: ["${another()}"] }`)
  writeFileSync(join(path, 'scan.tif'), randomBytes(5 * MIB))
  const agent = agents.start('archive')
  await eventually('it waits', () => agents.statusOf('archive')?.transfers?.[0]?.state === 'window')
  const { stdout } = await run('agent', ['status', '--data', data])
  t.match(stdout, /^scan\.tif +upload +0% +5\.0 MiB {2}waiting for its time of day, bulk$/m)
  const json = JSON.parse((await run('agent', ['status', '--data', data, '--json'])).stdout)
  t.match(json, { running: true, name: 'archive', commands: [], transfers: [{ name: 'scan.tif', priority: 'bulk' }] })
  await agent.end()
  rmSync(join(data, 'agent.yaml'))
  const depth = hub.queue('files').depth
  const again = agents.start('archive')
  await eventually('it has arrived', () => hub.queue('files').depth === depth + 1)
  await eventually('nothing is under way', () => agents.statusOf('archive')?.transfers.length === 0)
  await again.end()
})

t.test('message and file go together when their time is over', async (t) => {
  await hub.enroll('brief', rights)
  const office = await hub.client('office', rights)
  const data = join(hub.dir, 'brief')
  const before = hub.queue('files').depth
  const to = join(hub.dir, 'in')
  mkdirSync(to)
  /** Null: it was over before it could be looked at. */
  const sentAndThere = async (expires: string) => {
    const send = ['send', 'file', fileOf('offer.pdf', 100_000), '--data', data, '--topic', 'files/offer', '--json']
    const sent = await run('agent', [...send, '--expires', expires])
    if (sent.code !== 0) return null
    const { id } = JSON.parse(sent.stdout)
    // Its time may be over before it has come.
    const there = await office.download({ id, to }).done.catch(() => null)
    return there === null || hub.queue('files').depth !== before + 1 ? null : { id, there }
  }
  // Longer on a machine that stood still meanwhile.
  const sent = (await sentAndThere('4s')) ?? (await sentAndThere('16s')) ?? (await sentAndThere('60s'))
  if (sent === null) return t.fail('it is there until its time is over')
  const { id, there } = sent
  t.equal(there.size, 100_000)
  await eventually('the message has gone', () => hub.queue('files').depth === before)
  rmSync(there.path)
  await t.rejects(office.download({ id, to }).done, { code: 'REQUEST_REFUSED', message: /CONTENT_(EXPIRED|ABSENT)/ })
})

t.test('what cannot be sent in its time is given up', async (t) => {
  const client = await hub.client('late', rights)
  const path = fileOf('late.bin', MIB)
  const limited = client.upload({ path, expiresMs: 300, bytesPerSecondMax: 100_000 })
  await t.rejects(limited.sealed, { code: 'TRANSFER_EXPIRED', where: path })
  t.match(limited.progress, { state: 'failed', fault: { code: 'TRANSFER_EXPIRED' } })
  await t.rejects(client.upload({ path, expiresMs: 1, bytesPerSecondMax: -1 }).sealed, { code: 'TRANSFER_EXPIRED' })
})
