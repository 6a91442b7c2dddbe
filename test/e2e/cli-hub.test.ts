// causeway-hub as an operator meets it, and the management port beside it.

import { once } from 'node:events'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { commands as hubCommands } from '#hub/management/mod.ts'
import { ask, run, start } from './cli.ts'
import { bodiesOf, eventually, HOST, inTime, localHub } from './support.ts'

const hub = await localHub(t, { queues: [{ name: 'cli', topics: ['cli'] }] })
const commands = [...Object.keys(hubCommands), 'start']

t.test('every command explains itself', async (t) => {
  const overview = await run('hub', ['help'])
  t.equal(overview.code, 0)
  for (const command of commands) t.match(overview.stdout, `  ${command} `)
  const helps = await Promise.all(
    commands.map((command) => (command === 'start' ? run : ask)('hub', [...command.split(' '), '--help'])),
  )
  for (const [i, { code, stdout }] of helps.entries()) {
    t.equal(code, 0, `${commands[i]}`)
    t.match(stdout, `Usage: causeway-hub ${commands[i]}`)
  }
})

t.test('mistakes: exit code 2 for how it was called, 1 for what is not there', async (t) => {
  const data = join(hub.dir, 'none')
  const [command, option, pattern, rights, missing, absent, status] = await Promise.all([
    run('hub', ['strat']),
    ask('hub', ['init', '--dta', data]),
    ask('hub', ['invite', 'a', '--data', hub.dataDir, '--publish', 'a/#/b']),
    ask('hub', ['invite', 'a', '--data', hub.dataDir]),
    run('hub', ['start', '--data', data]),
    ask('hub', ['revoke', 'nobody', '--data', hub.dataDir, '--json']),
    ask('hub', ['status', '--data', data]),
  ])
  t.match(command, { code: 2, stderr: /did you mean "start"/ })
  t.match(option, { code: 2, stderr: /--dta.*--data/s })
  t.match(pattern, { code: 2, stderr: /--publish/ })
  t.match(rights, { code: 1, stderr: /RIGHTS_MISSING/ })
  t.match(missing, { code: 1, stderr: /DATA_FOLDER_MISSING.*causeway-hub init/s })
  t.equal(absent.code, 1)
  t.match(JSON.parse(absent.stderr), { faults: [{ code: /AGENT_UNKNOWN/ }] })
  t.match(status, { code: 1, stderr: /DATA_FOLDER_MISSING.*--data/s }, 'a forgotten --data is no stopped hub')
  t.notOk(existsSync(data), 'nothing was made')
  // As a folder of another user: what may not be seen is not missing.
  const loop = join(hub.dir, 'loop')
  symlinkSync(loop, loop)
  for (const args of [
    ['status'],
    ['start'],
    ['init', '--name', 'x'],
    ['queues', '--json'],
    ['agents'],
    ['link', 'list'],
  ]) {
    const hidden = await (args[0] === 'start' ? run : ask)('hub', [...args, '--data', loop])
    t.match(hidden, { code: 1, stderr: /SYSTEM_REFUSED.*loop/ }, args.join(' '))
  }
})

t.test('from an empty folder to a running hub, and down again', async (t) => {
  const data = join(hub.dir, 'new-hub')
  const made = await run('hub', ['init', '--data', data, '--name', 'registry', '--json'])
  t.equal(made.code, 0, made.stderr)
  t.match(JSON.parse(made.stdout), { name: 'registry', config: join(data, 'hub.yaml') })
  t.match(await ask('hub', ['init', '--data', data]), { code: 1, stderr: /DATA_FOLDER_EXISTS/ })
  const file = join(data, 'hub.yaml')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, `${text}\nqueus: []\n`)
  t.match(await run('hub', ['start', '--data', data]), { code: 2, stderr: /queus.*Did you mean queues/s })
  const free = { host: HOST, port: 0 }
  const settings = { name: 'registry', listen: { tcp: free, websocket: free }, management: free }
  writeFileSync(file, JSON.stringify(settings))
  const child = start('hub', ['start', '--data', data])
  t.teardown(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  const [line] = (await inTime(once(lines, 'line'), 'the first log line')) as [string]
  t.match(JSON.parse(line), { msg: 'hub started', hub: 'registry' })
  const [status, doctor, second] = await Promise.all([
    run('hub', ['status', '--data', data, '--json']),
    run('hub', ['doctor', '--data', data, '--json']),
    run('hub', ['start', '--data', data]),
  ])
  t.match(JSON.parse(status.stdout), {
    name: 'registry',
    processId: child.pid,
    sessions: [],
    messages: { accepted: 0 },
  })
  t.match(JSON.parse(doctor.stdout), {
    findings: ['settings', 'certificates', 'disk', 'running'].map((check) => ({ check, ok: true })),
  })
  t.match(second, { code: 1, stderr: /STORE_IN_USE.*--data/s })
  child.kill('SIGTERM')
  const [code] = (await inTime(once(child, 'exit'), 'the end')) as [number]
  t.equal(code, 0)
  const after = await run('hub', ['doctor', '--data', data])
  t.match(after, { code: 1, stdout: /BAD {2}running .*HUB_NOT_RUNNING/ })
})

t.test('a hub that is to end while it still starts ends in order', async (t) => {
  const data = join(hub.dir, 'early-hub')
  t.equal((await ask('hub', ['init', '--data', data, '--name', 'early'])).code, 0)
  const free = { host: HOST, port: 0 }
  const settings = { name: 'early', listen: { tcp: free, websocket: free }, management: free }
  writeFileSync(join(data, 'hub.yaml'), JSON.stringify(settings))
  const child = start('hub', ['start', '--data', data])
  t.teardown(() => void child.kill('SIGKILL'))
  child.stdout.resume()
  const ended = once(child, 'exit')
  await eventually('it opens its store', () => existsSync(join(data, 'store')))
  child.kill('SIGTERM')
  t.same(await inTime(ended, 'the end'), [0, null])
})

t.test('agents are listed with their rights, granted others, and revoked', async (t) => {
  await hub.enroll('clerk', { publish: ['forms/#'], consume: ['cli'] })
  const hubRun = (...args: string[]) => run('hub', [...args, '--data', hub.dataDir])
  t.match(await hubRun('agents'), { code: 0, stdout: /clerk +publish forms\/#; consume cli/ })
  const granted = await hubRun('grant', 'clerk', '--publish', 'forms/new', '--publish', 'cases/+')
  t.match(granted, { code: 0, stdout: /publish forms\/new cases\/\+; consume \(nothing\)\n.*next session/ })
  const [none, typo, other, meant] = await Promise.all([
    hubRun('grant', 'clerk'),
    hubRun('revoke', 'clerc'),
    hubRun('groups', 'add', 'north', 'clrek'),
    hubRun(
      'invite',
      'x',
      '--address',
      'h:1',
      '--consume',
      'cl',
      '--consume',
      'clii',
      '--consume',
      'cli',
      '--consume',
      'a/#',
    ),
  ])
  t.match(
    none,
    { code: 1, stderr: /RIGHTS_MISSING.*causeway-hub revoke clerk/ },
    'rights are not taken by leaving options out',
  )
  t.match(typo, { code: 1, stderr: /AGENT_UNKNOWN at clerc.*Did you mean clerk\?/ })
  t.match(other, { code: 1, stderr: /AGENT_UNKNOWN at clrek.*Did you mean clerk\?/ })
  t.match(meant, {
    code: 0,
    stderr: /no queue cl; did you mean cli\?.*\n.*no queue clii; did you mean cli\?.*\nGood once/,
  })
  t.match(await hubRun('agents'), { code: 0, stdout: /clerk +publish forms\/new/ })
  const revoked = await hubRun('revoke', 'clerk', '--json')
  t.same(JSON.parse(revoked.stdout), { name: 'clerk', revoked: true })
  t.match(await hubRun('agents'), { stdout: /clerk +revoked/ })
  t.ok(Array.isArray(JSON.parse((await hubRun('agents', '--json')).stdout)))
  const invited = await hubRun('invite', 'newcomer', '--publish', 'x', '--address', hub.tcpAddress, '--json')
  const invitation = JSON.parse(invited.stdout) as { token: string }
  t.match(invitation, { agent: 'newcomer', addresses: [hub.tcpAddress] })
  t.equal((await run('agent', ['enroll', '--data', join(hub.dir, 'n'), '--token', invitation.token])).code, 0)
})

t.test('the status for people names queues and agents', async (t) => {
  await hub.client('visible')
  const { code, stdout } = await run('hub', ['status', '--data', hub.dataDir])
  t.equal(code, 0)
  t.match(stdout, /cli +0 +0 +0/)
  t.match(stdout, /visible +tcp +127\.0\.0\.1:/)
})

t.test('management: health and metrics for everyone here, status for who holds the token', async (t) => {
  const url = `http://${HOST}:${hub.managementPort}`
  const client = await hub.client('measured')
  await client.publisher({ stream: 'm' }).publish({ topic: 'cli', body: Buffer.from('x') })
  const health = await fetch(`${url}/healthz`)
  t.same([health.status, await health.text()], [200, 'ok\n'])
  t.equal((await fetch(`${url}/status`)).status, 401)
  t.equal((await fetch(`${url}/status`, { headers: { authorization: 'Bearer wrong' } })).status, 401)
  const { token } = JSON.parse(readFileSync(join(hub.dataDir, 'run', 'management.json'), 'utf8')) as { token: string }
  const status = await fetch(`${url}/status`, { headers: { authorization: `Bearer ${token}` } })
  t.match(await status.json(), { name: 'test-hub', queues: Array, messages: { accepted: Number } })
  t.equal((await fetch(`${url}/healthz`, { method: 'POST' })).status, 405)
  t.equal((await fetch(`${url}/status`, { method: 'DELETE' })).status, 405)
  t.equal((await fetch(`${url}/secret`)).status, 404)
  t.equal((await fetch(`${url}/admin`, { method: 'POST', body: '{"command":"queues"}' })).status, 401)
  t.equal((await fetch(`${url}/admin`)).status, 405)
})

t.test('metrics are in the Prometheus text format', async (t) => {
  const client = await hub.client('counted')
  await client.publisher({ stream: 'm' }).publish({ topic: 'cli', body: Buffer.from('x') })
  const subscription = await client.subscribe({ queue: 'cli' })
  await bodiesOf(subscription, hub.queue('cli').depth)
  await eventually('all are settled', () => hub.queue('cli').depth === 0)
  subscription.close()
  await client.publisher({ stream: 'n' }).publish({ topic: 'cli', body: Buffer.from('y') })
  const response = await fetch(`http://${HOST}:${hub.managementPort}/metrics`)
  t.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  const metrics = parseMetrics(await response.text())
  for (const name of [
    'causeway_messages_accepted_total',
    'causeway_messages_duplicate_total',
    'causeway_messages_settled_total',
    'causeway_wire_received_bytes_total',
    'causeway_wire_sent_bytes_total',
    'causeway_store_groups_total',
    'causeway_sessions',
    'causeway_store_bytes',
    'process_resident_memory_bytes',
  ]) {
    t.ok(Number.isFinite(metrics.get(name)), name)
  }
  const { depth, bytes, counters } = hub.queue('cli')
  t.ok(depth > 0 && bytes > 0)
  t.equal(metrics.get('causeway_queue_depth{queue="cli"}'), depth)
  t.equal(metrics.get('causeway_queue_bytes{queue="cli"}'), bytes)
  t.equal(metrics.get('causeway_queue_in_total{queue="cli"}'), counters.in)
  t.equal(metrics.get('causeway_queue_processed_total{queue="cli"}'), counters.processed)
  t.equal(metrics.get('causeway_queue_settle_seconds_count{queue="cli"}'), counters.processed)
  t.equal(metrics.get('causeway_delivery_attempts_bucket{le="1"}'), counters.processed)
  t.ok((metrics.get('causeway_store_commit_seconds_count') ?? 0) > 0)
  t.equal(metrics.get('causeway_agent_accepted_total{agent="counted"}'), 2)
  t.equal(metrics.get('causeway_agent_processed_total{agent="counted"}'), counters.processed)
  t.equal(metrics.get('causeway_agent_connected{agent="counted"}'), 1)
  t.ok((metrics.get('causeway_queue_oldest_age_seconds{queue="cli"}') ?? -1) >= 0)
  t.equal(metrics.get('causeway_sessions'), hub.status().sessions.length)
})

/** Every sample by its name and labels; throws on a line that is none. */
function parseMetrics(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || /^# (HELP|TYPE) [a-z0-9_:]+ ./.test(line)) continue
    const match = /^([a-zA-Z_:][\w:]*(?:\{[^{}]*\})?) (-?[\d.e+-]+|NaN|[+-]Inf)( \d+)?$/.exec(line)
    if (match === null) throw new Error(`not a sample: ${line}`)
    samples.set(match[1] as string, Number(match[2]))
  }
  return samples
}

t.test('a client that stays silent on the management port is let go', async (t) => {
  const socket = connect(hub.managementPort, HOST).on('error', () => undefined)
  socket.write('GET /healthz HTTP/1.1\r\n')
  await inTime(once(socket.resume(), 'close'), 'the end')
  t.pass('it is closed')
})
