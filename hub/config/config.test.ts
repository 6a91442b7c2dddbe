import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fieldRows, TEXT_BYTES_MAX } from '#protocol/fields/mod.ts'
import { addressProblem, hostProblem } from './address.ts'
import {
  advertised,
  defaultHubConfigText,
  type HubConfig,
  hubSpec,
  isLoopback,
  loadHubConfig,
  parseHubConfig,
} from './mod.ts'

function config(text: string): HubConfig {
  const result = parseHubConfig(text, { file: 'hub.yaml' })
  if (!result.ok) throw new Error(result.fault.map((one) => one.describe()).join('\n'))
  return result.value
}

function faults(text: string): { code: string; where: string | null }[] {
  const result = parseHubConfig(text, { file: 'hub.yaml' })
  return result.ok ? [] : result.fault.map(({ code, where, message, remedy }) => ({ code, where, message, remedy }))
}

t.test('a name is enough', async (t) => {
  const { advertise, ...rest } = config('name: hub-1')
  t.ok(advertise.length === 0 || advertise[0]?.endsWith(':7400'))
  t.strictSame(rest, {
    name: 'hub-1',
    listen: {
      tcp: { host: '0.0.0.0', port: 7400, tls: true },
      websocket: { enabled: true, host: '0.0.0.0', port: 7401, tls: true, path: '/causeway' },
    },
    management: { host: '127.0.0.1', port: 7402 },
    store: { mapBytesMax: 68_719_476_736, cacheBytes: 33_554_432 },
    limits: { sessionsMax: 20_000, handshakeMs: 10_000, keepaliveMs: 20_000 },
    queues: [],
    log: { level: 'info' },
  })
})

t.test('the file that init writes', async (t) => {
  const text = defaultHubConfigText({ name: 'null' })
  t.strictSame(config(text), config('name: "null"'))
  for (const { path } of fieldRows(hubSpec)) {
    if (!path.includes('[')) t.match(text, new RegExp(`^[ #]*${path.split('.').at(-1)}:`, 'm'), path)
  }
  // With every # taken away that hides a setting it must still be valid, and mean the same where defaults are meant.
  const live = text.replace(/^( *)# ((?: {2})*(?:- )?[a-zA-Z]+:(?: |$)| {2}- )/gm, '$1$2')
  t.match(live, /^queues:\n {2}- name: library\/divisions\n {4}topics:/m)
  const { advertise, queues, ...rest } = config(live)
  t.strictSame(advertise, ['hub.example.org:7400'])
  t.strictSame(queues, [{ name: 'library/divisions', topics: ['divisions/#'], where: { region: ['north', 'south'] } }])
  const { advertise: _a, queues: _q, ...defaults } = config('name: "null"')
  t.strictSame(rest, defaults)
  const set = { 'listen.tcp.port': 0, 'listen.tcp.host': '127.0.0.1', queues: [{ name: 'a', topics: ['#'] }] }
  t.match(config(defaultHubConfigText({ name: 'a', set })), {
    listen: { tcp: { host: '127.0.0.1', port: 0 } },
    queues: [{ name: 'a', topics: ['#'], where: {} }],
    advertise: [],
  })
  t.throws(() => defaultHubConfigText({ name: 'a', set: { 'listen.tcp.prot': 0 } }))
})

t.test('plain connections stay on the machine', async (t) => {
  t.match(faults('name: a\nlisten: { tcp: { tls: false } }'), [
    { code: 'CONFIG_PLAIN_NOT_LOOPBACK', where: 'hub.yaml:2:23 listen.tcp.tls' },
  ])
  t.match(faults('name: a\nlisten: { websocket: { tls: false } }'), [{ code: 'CONFIG_PLAIN_NOT_LOOPBACK' }])
  t.strictSame(faults('name: a\nlisten: { websocket: { tls: false, enabled: false } }'), [])
  t.strictSame(faults('name: a\nlisten: { tcp: { tls: false, host: 127.0.0.1 } }'), [])
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost', '::ffff:127.0.0.1']) t.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost.evil.org', '127.evil.org', ''])
    t.notOk(isLoopback(host), host)
})

t.test('ports, queues, addresses', async (t) => {
  t.match(faults('name: a\nmanagement: { port: 7400 }'), [
    { code: 'CONFIG_PORT_CLASH', where: 'hub.yaml:2:21 management.port' },
  ])
  t.match(faults('name: a\nlisten: { websocket: { port: 7400 } }'), [
    {
      code: 'CONFIG_PORT_CLASH',
      where: 'hub.yaml:2:30 listen.websocket.port',
      message: /7400 is also listen\.tcp\.port/,
    },
  ])
  t.strictSame(faults('name: a\nlisten: { tcp: { port: 0 }, websocket: { port: 0 } }\nmanagement: { port: 0 }'), [])
  const queues = 'name: a\nqueues:\n  - { name: q/1, topics: a/+/# }\n  - { name: q/1, topics: [b], where: { k: v } }'
  t.match(faults(queues), [{ code: 'CONFIG_QUEUE_DUPLICATE', where: 'hub.yaml:4:13 queues[1].name' }])
  const bad = ['a/#/b', 'a//b', 'a+', '/a', 'a/']
  t.match(
    faults(`name: a\nqueues: [{ name: q, topics: ${JSON.stringify(bad)} }]`),
    bad.map((_, i) => ({ code: 'FIELD_CHECK', where: new RegExp(`queues\\[0\\]\\.topics\\[${i}\\]$`) })),
  )
  for (const name of ['a b', 'a/', '/a', 'a+', 'a#', '字'.repeat(67)]) {
    t.match(faults(`name: a\nqueues: [{ name: "${name}", topics: ["#"] }]`), [{ code: 'FIELD_CHECK' }], name)
  }
  t.strictSame(config('name: a\nqueues: [{ name: 人口/变更, topics: 人口/# }]').queues, [
    { name: '人口/变更', topics: ['人口/#'], where: {} },
  ])
  t.match(faults('name: a\nqueues: [{ name: q }]'), [{ code: 'FIELD_MISSING', where: /queues\[0\]\.topics$/ }])
  for (const address of ['a:1', 'a.b-c.org:65535', '10.0.0.1:7400', '[::1]:7400'])
    t.equal(addressProblem(address), null)
  for (const address of ['a', 'a:', 'a:0', 'a:65536', ':1', '::1:7400', '[a]:1', 'a b:1', 'http://a:1', '1.2.3:1']) {
    t.type(addressProblem(address), 'string', address)
  }
  for (const host of ['', '-a', 'a-', 'a..b', '.a', '300.1.1.1', 'a_b', 'x'.repeat(64)])
    t.type(hostProblem(host), 'string', host)
  t.strictSame(advertised('10.0.0.1', 7400), ['10.0.0.1:7400'])
  t.strictSame(advertised('::1', 7400), ['[::1]:7400'])
  t.strictSame(advertised('10.0.0.1', 0), [])
})

t.test('misspelt and misplaced settings', async (t) => {
  t.match(faults('name: a\nlisten:\n  tcp:\n    prot: 1'), [
    { code: 'FIELD_UNKNOWN', where: 'hub.yaml:4:5 listen.tcp.prot', remedy: /Did you mean port\?/ },
  ])
  t.match(faults('name: a\nlog: { level: verbose }'), [{ code: 'FIELD_CHOICE' }])
  t.match(faults('name: Hub_1'), [{ code: 'FIELD_PATTERN', remedy: /such as hub-1/ }])
})

t.test('from disk', async (t) => {
  const folder = t.testdir({
    'good.yaml': 'name: a\n',
    'gbk.yaml': Buffer.from([0x6e, 0x61, 0x6d, 0x65, 0x3a, 0x20, 0xb4, 0xe5]),
    'large.yaml': `name: a\n${'#'.repeat(TEXT_BYTES_MAX)}`,
    folder: {},
  })
  const load = async (name: string): Promise<unknown> => {
    const result = await loadHubConfig(join(folder, name))
    return result.ok ? result.value.name : result.fault.map((one) => one.code)
  }
  t.equal(await load('good.yaml'), 'a')
  t.strictSame(await load('none.yaml'), ['CONFIG_FILE_MISSING'])
  t.strictSame(await load('good.yaml/x'), ['CONFIG_FILE_MISSING'])
  t.strictSame(await load('folder'), ['CONFIG_FILE_UNREADABLE'])
  t.strictSame(await load('gbk.yaml'), ['YAML_ENCODING'])
  t.strictSame(await load('large.yaml'), ['FIELD_TOO_LARGE'])
  const locked = join(folder, 'locked.yaml')
  writeFileSync(locked, 'name: a\n')
  chmodSync(locked, 0)
  // Root may read everything.
  if (process.getuid?.() !== 0) t.strictSame(await load('locked.yaml'), ['CONFIG_FILE_UNREADABLE'])
  execFileSync('mkfifo', [join(folder, 'pipe')])
  t.strictSame(await load('pipe'), ['CONFIG_FILE_UNREADABLE'])
})
