// causeway-agent as an operator meets it: enrolment, help, mistakes, exit codes, machine-readable output.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ask, commandLine, run, start } from './cli.ts'
import { eventually, localHub, nextOf } from './support.ts'

const hub = await localHub(t, { queues: [{ name: 'cli', topics: ['cli'] }] })
const dirOf = (name: string) => join(hub.dir, name)
const commands = [
  'enroll',
  'start',
  'status',
  'send',
  'receive',
  'send file',
  'receive file',
  'flow lint',
  'flow test',
  'flow run',
]

t.test('every command explains itself', async (t) => {
  const overview = await run('agent', ['--help'])
  t.equal(overview.code, 0)
  for (const command of commands) t.match(overview.stdout, `  ${command} `)
  const helps = await Promise.all(
    commands.map((command) => (command === 'start' ? run : ask)('agent', [...command.split(' '), '--help'])),
  )
  for (const [i, { code, stdout, stderr }] of helps.entries()) {
    t.equal(code, 0, `${commands[i]}`)
    t.match(stdout, `Usage: causeway-agent ${commands[i]}`)
    t.equal(stderr, '')
    t.ok(stdout.split('\n').every((line) => line.length <= 80))
  }
})

t.test('mistakes on the command line: exit code 2, and what was meant', async (t) => {
  const [command, option, missing, both, value] = await Promise.all([
    run('agent', ['recieve']),
    ask('agent', ['send', '--topik', 'x', '--body', 'y']),
    ask('agent', ['send', '--body', 'y']),
    run('agent', ['receive', '--queue', 'a', '--topic', 'b']),
    ask('agent', ['receive', '--queue', 'a', '--count', 'many', '--json']),
  ])
  const reserved = await ask('agent', ['send', '--topic', 'x', '--body', 'y', '--header', ':priority=urgent'])
  t.match(reserved, {
    code: 2,
    stderr: /FIELD_CHECK at --header.*:priority is no header to give here: --priority says it/,
  })
  for (const { code, stdout } of [command, option, missing, both, value]) {
    t.equal(code, 2)
    t.equal(stdout, '')
  }
  t.match(command.stderr, /ARG_COMMAND.*did you mean "receive"/)
  t.match(option.stderr, /--topik.*--topic/s)
  t.match(missing.stderr, /ARG_MISSING at --topic/)
  t.match(both.stderr, /RECEIVE_SOURCE_UNCLEAR.*either --queue or --topic/)
  t.match(JSON.parse(value.stderr), { faults: [{ where: '--count' }] })
})

t.test('without an identity, a running agent or a flow: exit code 1 or 2, with what to do', async (t) => {
  const nowhere = dirOf('nowhere')
  const [send, status, start, flow] = await Promise.all([
    ask('agent', ['send', '--data', nowhere, '--topic', 'cli', '--body', 'x']),
    ask('agent', ['status', '--data', nowhere]),
    run('agent', ['start', '--data', nowhere, '--json']),
    run('agent', ['flow', 'run', join(nowhere, 'x.yaml'), '--data', nowhere]),
  ])
  t.match(send, { code: 1, stderr: /IDENTITY_MISSING.*enroll/s })
  t.match(status, { code: 1, stderr: /AGENT_NOT_RUNNING.*causeway-agent start/s })
  t.equal(start.code, 2)
  t.match(JSON.parse(start.stderr), { faults: [{ code: 'FLOWS_MISSING' }] })
  t.match(flow, { code: 2, stderr: /FLOW_FILE_UNREADABLE/ })
})

t.test('the status of an agent that was killed is not taken for a running one', async (t) => {
  const dir = dirOf('killed')
  mkdirSync(dir, { recursive: true })
  // Process ids end below 2^22.
  writeFileSync(join(dir, 'status.json'), JSON.stringify({ pid: 2 ** 30 }))
  t.match(await ask('agent', ['status', '--data', dir]), { code: 1, stderr: /AGENT_NOT_RUNNING/ })
})

t.test('enrolment: once, with the token; then send and receive', async (t) => {
  const dir = dirOf('cli-agent')
  const token = hub.invite('cli-agent')
  const enrolled = await run('agent', ['enroll', '--data', dir, '--token', '-', '--json'], `${token}\n`)
  t.equal(enrolled.code, 0, enrolled.stderr)
  t.same(JSON.parse(enrolled.stdout), { name: 'cli-agent', hub: 'test-hub', addresses: [hub.tcpAddress] })
  const lines = ['one', '', '三', 'four', 'five']
  const sent = await run(
    'agent',
    ['send', '--data', dir, '--topic', 'cli', '--header', 'a=b', '--json'],
    lines.join('\n'),
  )
  t.equal(sent.code, 0, sent.stderr)
  t.same(JSON.parse(sent.stdout), { sent: 5, unrouted: 0 })
  const receive = ['receive', '--data', dir, '--queue', 'cli', '--count']
  const two = await run('agent', [...receive, '2'])
  t.equal(two.code, 0, two.stderr)
  const rows = two.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { body: string })
  t.same(
    rows.map(({ body }) => body),
    ['one', ''],
  )
  t.match(rows[0], { topic: 'cli', from: 'cli-agent', headers: { a: 'b' }, position: 0 })
  const rest = await run('agent', [...receive, '9', '--timeout', '1s'])
  t.equal(rest.code, 1, 'fewer than asked for')
  const printed = rest.stdout.split('\n').slice(0, -1).length
  // On a machine that stands still meanwhile not all come within the second.
  const late =
    printed < 3 ? (await run('agent', [...receive, String(3 - printed)])).stdout.split('\n').slice(0, -1) : []
  t.equal(printed + late.length, 3, 'those taken before are settled, the others came back')
  await eventually('nothing is left', () => hub.queue('cli').depth === 0)
  const unrouted = await run('agent', ['send', '--data', dir, '--topic', 'nowhere', '--body', 'x'])
  t.match(unrouted, { code: 0, stdout: /no queue wanted 1 of them/ })
  t.match(await run('agent', ['send', '--data', dir, '--topic', 'cli'], ''), { code: 1, stderr: /INPUT_EMPTY/ })
})

t.test('receive prints no more than --count, also when the messages come one by one', async (t) => {
  await hub.enroll('counting')
  const producer = await hub.client('counted')
  const publisher = producer.publisher({ stream: 'counted' })
  await producer.subscribe({ name: 'mine', topics: ['counted'] })
  await publisher.publish({ topic: 'counted', body: Buffer.from('0') })
  const receive = ['receive', '--data', dirOf('counting'), '--name', 'n', '--topic', 'counted', '--count', '3']
  const counting = run('agent', receive)
  await hub.logged(({ message, details }) => message === 'session' && details.agent === 'counting')
  await eventually('subscribed', () =>
    hub.status().queues.some(({ name, consumers }) => name === 'counting:n' && consumers > 0),
  )
  await publisher.publish({ topic: 'counted', body: Buffer.from('1') })
  // Its credit is renewed: now it may be given more than is still wanted.
  await eventually('the first is settled', () => hub.queue('counting:n').depth === 0)
  for (const body of ['2', '3', '4', '5']) void publisher.publish({ topic: 'counted', body: Buffer.from(body) })
  await publisher.flush()
  const { code, stdout } = await counting
  t.equal(code, 0)
  t.same(
    stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { body: string }).body),
    ['1', '2', '3'],
  )
  t.equal(hub.queue('counting:n').depth, 2, 'the others wait')
})

t.test('sending what is not allowed fails, from standard input as well', async (t) => {
  await hub.enroll('not-allowed', { publish: ['other'] })
  const send = ['send', '--data', dirOf('not-allowed'), '--topic', 'cli']
  const [one, many] = await Promise.all([
    run('agent', [...send, '--body', 'x']),
    run('agent', [...send, '--json'], 'line\n'.repeat(20_000)),
  ])
  t.match(one, { code: 1, stdout: '', stderr: /RIGHT_MISSING.*causeway-hub grant/s })
  t.equal(many.code, 1)
  t.match(JSON.parse(many.stderr), { faults: [{ code: 'PUBLISH_REFUSED', hubCode: 'RIGHT_MISSING' }] })
})

t.test('tokens: used, mistyped, expired, of a hub that is away', async (t) => {
  const used = hub.invite('once-only')
  const enroll = (dir: string, token: string) => run('agent', ['enroll', '--data', dirOf(dir), '--token', token])
  t.equal((await enroll('first-machine', used)).code, 0)
  const secret = hub.invite('typo')
  const addresses = [hub.tcpAddress]
  const short = { agent: 'late', publish: ['a'], consume: [], addresses, expiresInMs: 1 }
  const { token: expired, expiresAtMs } = hub.authority.invite(short)
  await eventually('it has expired', () => Date.now() > expiresAtMs)
  const away = hub.authority.invite({ ...short, agent: 'away', expiresInMs: 60_000, addresses: ['tcp://127.0.0.1:1'] })
  const [again, mistyped, cut, late, unreachable] = await Promise.all([
    enroll('second-machine', used),
    enroll(
      'typo',
      secret.replace(/.(?=.{7}$)/, (char) => (char === 'A' ? 'B' : 'A')),
    ),
    ask('agent', ['enroll', '--data', dirOf('typo-2'), '--token', secret.slice(0, 40)]),
    enroll('late', expired),
    enroll('away', away.token),
  ])
  t.match(again, { code: 1, stderr: /TOKEN_USED.*Ask for a new token/s })
  t.match(mistyped, { code: 1, stderr: /TOKEN_(MALFORMED|UNKNOWN)/ })
  t.match(cut, { code: 1, stderr: /TOKEN_MALFORMED.*Copy the whole token again/s })
  t.match(late, { code: 1, stderr: /TOKEN_EXPIRED.*for a new token/s })
  t.match(unreachable, { code: 1, stderr: /HUB_UNREACHABLE.*127\.0\.0\.1:1/s })
  t.equal((await enroll('typo', secret)).code, 0, 'a mistyped token is not spent')
  t.equal((await enroll('first-machine', used)).code, 1, 'a machine that is enrolled stays as it is')
})

t.test('flow lint names file, line, column and what was meant', async (t) => {
  const dir = dirOf('flows')
  mkdirSync(dir, { recursive: true })
  const good = join(dir, 'good.yaml')
  const bad = join(dir, 'bad.yaml')
  const source = 'flow: rows\nsource:\n  sqlite:\n    file: rows.db\n    table: rows\n    key: id\n'
  writeFileSync(good, `${source}destination:\n  hub:\n    topic: rows\n`)
  writeFileSync(
    bad,
    `${source.replace('table', 'tabel')}destination:\n  hub:\n    topic: 'rows/#'\n    compresion: none\n`,
  )
  t.match(await run('agent', ['flow', 'lint', good]), { code: 0, stdout: /1 flow file\(s\), no fault/ })
  const [people, machines] = await Promise.all([
    run('agent', ['flow', 'lint', good, bad]),
    run('agent', ['flow', 'lint', good, bad, '--json']),
  ])
  t.equal(people.code, 1)
  t.match(people.stderr, `${bad}:5:5`)
  t.match(people.stderr, /did you mean "?`?table/i)
  t.match(people.stderr, `${bad}:10:5`)
  const { files, faults } = JSON.parse(machines.stdout) as { files: number; faults: { where: string }[] }
  t.equal(files, 2)
  t.ok(faults.length >= 2 && faults.every(({ where }) => where.startsWith(`${bad}:`)), JSON.stringify(faults))
})

t.test('what arrived can be told from what did not: a message sent by the program is proven', async (t) => {
  const reader = await hub.client('prover')
  const subscription = await reader.subscribe({ name: 'proof', topics: ['proof'], where: { pick: 'me' } })
  await hub.enroll('sealer')
  const send = ['send', '--data', dirOf('sealer'), '--topic', 'proof']
  const ran = await run('agent', [...send, '--header', 'pick=me', '--key', 'k', '--body', '证'])
  t.equal(ran.code, 0, ran.stderr)
  const delivery = await nextOf(subscription)
  t.equal(delivery.origin, 'sealer')
  t.equal(delivery.message(0).body.toString(), '证')
  t.equal(delivery.message(0).key.toString(), 'k')
})

t.test('flow lint: encodings, topics, expressions, what cannot be read', async (t) => {
  const file = (name: string, text: string | Buffer): string => {
    const path = join(hub.dir, name)
    writeFileSync(path, text)
    return path
  }
  const flow = (topic: string, more = '') =>
    `flow: a\nsource:\n  directory: { path: x }\n${more}destination:\n  hub: { topic: '${topic}' }\n`
  const where = 'channels:\n  - filter: { where: "a != " }\n'
  const gbk = Buffer.concat([Buffer.from('flow: a\n# '), Buffer.from([0xd5, 0xc5]), Buffer.from('\n')])
  const cases: [string, RegExp][] = [
    [file('gbk.yaml', gbk), /YAML_ENCODING at .*gbk\.yaml.*GBK/],
    [file('pattern.yaml', flow('permits/#')), /FIELD_CHECK at .*pattern\.yaml:5:.* destination\.hub\.topic.*\+ #/],
    [file('levels.yaml', flow('permits//{a}')), /FIELD_CHECK.*a level is empty/],
    [file('where.yaml', flow('permits/{a}', where)), /EXPRESSION_SYNTAX at .*where\.yaml: filter/],
    [join(hub.dir, 'none.yaml'), /FLOW_FILE_UNREADABLE at .*none\.yaml.*ENOENT/],
    [hub.dir, /FLOW_FILE_UNREADABLE.*EISDIR/],
  ]
  const good = file('good.yaml', flow('{a}/{b}'))
  const linted = await run('agent', ['flow', 'lint', good, ...cases.map(([path]) => path)])
  t.equal(linted.code, 1)
  const lines = linted.stderr.trim().split('\n')
  t.equal(lines.length, cases.length, linted.stderr)
  for (const [i, [, wanted]] of cases.entries()) t.match(lines[i], wanted)
})

t.test('what nobody could read stays in the queue', async (t) => {
  await hub.enroll('reader', { publish: ['cli'], consume: ['cli'] })
  const as = ['--data', dirOf('reader')]
  const count = 3000
  const lines = Array.from({ length: count }, (_, i) => `${i} ${'x'.repeat(200)}`).join('\n')
  t.match(await run('agent', ['send', '--topic', 'cli', ...as], lines), { code: 0 })
  const receive = ['receive', '--queue', 'cli', '--timeout', '60s', ...as]
  const child = start('agent', receive)
  const complaints = text(child.stderr)
  const ended = once(child, 'close')
  await once(child.stdout, 'readable')
  child.stdout.destroy()
  const [code] = (await ended) as [number]
  t.equal(await complaints, '', 'a reader that goes away is no failure, and no stack is shown')
  t.equal(code, 0)
  await eventually('the rest came back', () => hub.queue('cli').consumers === 0 && hub.queue('cli').inFlight === 0)
  const { depth } = hub.queue('cli')
  t.ok(depth > count / 2, `${depth} of ${count} are still there`)
  const all = await run('agent', ['receive', '--queue', 'cli', '--count', String(depth), ...as])
  const rest = all.stdout.trim().split('\n')
  t.equal(rest.length, depth)
  t.equal(JSON.parse(rest.at(-1) ?? '').seq, count)
})

t.test('bytes that are no text arrive as they were sent', async (t) => {
  await hub.enroll('bytes', { publish: ['cli'], consume: ['cli'] })
  const as = ['--data', dirOf('bytes')]
  const gbk = Buffer.from([0xd5, 0xc5, 0xc8, 0xfd])
  t.match(await run('agent', ['send', '--topic', 'cli', ...as], Buffer.concat([gbk, Buffer.from('\n')])), { code: 0 })
  const { stdout } = await run('agent', ['receive', '--queue', 'cli', '--count', '1', '--timeout', '60s', ...as])
  const { body, bodyBase64 } = JSON.parse(stdout)
  t.equal(body, undefined)
  t.same(Buffer.from(bodyBase64, 'base64'), gbk)
})

t.test(
  'a disk without room for what is printed',
  { skip: existsSync('/dev/full') ? false : 'no /dev/full' },
  async (t) => {
    await hub.enroll('printer', { publish: ['cli'], consume: ['cli'] })
    const as = ['--data', dirOf('printer')]
    t.match(await run('agent', ['send', '--topic', 'cli', '--body', 'precious', ...as]), { code: 0 })
    const full = openSync('/dev/full', 'w')
    t.teardown(() => closeSync(full))
    const receive = ['receive', '--queue', 'cli', '--count', '1', '--timeout', '60s', ...as]
    const child = spawn(process.execPath, commandLine('agent', receive), { stdio: ['ignore', full, 'pipe'] })
    const [complaint, [code]] = await Promise.all([
      text(child.stderr as NonNullable<typeof child.stderr>),
      once(child, 'close'),
    ])
    t.match(complaint, /^OUTPUT_FAILED: .*ENOSPC/)
    t.equal(code, 1)
    t.match(await run('agent', receive), { code: 0, stdout: /precious/ }, 'it was not settled')
  },
)
