import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DEFAULT_POLICY, policyOf, type QueuePolicy } from '#hub/store/policy.ts'
import { fieldRows, TEXT_BYTES_MAX } from '#protocol/fields/mod.ts'
import { addressProblem, hostProblem } from './address.ts'
import {
  advertised,
  deadLettersPolicy,
  defaultHubConfigText,
  type HubConfig,
  hubSpec,
  inboxPolicy,
  isLoopback,
  loadHubConfig,
  parseHubConfig,
  type QueueSettings,
  queuePolicy,
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

/** What a queue does that is told nothing but its name and topics. */
const PLAIN = {
  where: {},
  order: 'none',
  limits: { messages: 0, bytes: 0, ageMs: 0 },
  onFull: 'block',
  maxDeliver: 0,
  deadLetter: '$dead',
  onExpire: 'dead-letter',
  retain: { ms: 0, bytes: 0 },
}

t.test('a name is enough', async (t) => {
  const { advertise, ...rest } = config('name: hub-1')
  t.ok(advertise.length === 0 || advertise[0]?.endsWith(':7400'))
  t.strictSame(rest, {
    name: 'hub-1',
    listen: {
      tcp: { host: '0.0.0.0', port: 7400, tls: true },
      websocket: { enabled: true, host: '0.0.0.0', port: 7401, tls: true, path: '/causeway' },
      http: {
        enabled: false,
        host: '0.0.0.0',
        port: 7403,
        tls: true,
        certificate: '',
        key: '',
        url: '',
        bytesMax: 68_719_476_736,
      },
    },
    management: { host: '127.0.0.1', port: 7402 },
    store: { mapBytesMax: 68_719_476_736, cacheBytes: 33_554_432, freeBytesMin: 268_435_456 },
    contents: { bytesMax: 274_877_906_944, keepMs: 604_800_000, share: 'own' },
    inbox: { messages: 100_000, bytes: 268_435_456, ageMs: 2_592_000_000 },
    receipts: { bytesMax: 67_108_864 },
    deadLetters: { keepMs: 0, bytesMax: 0 },
    trace: { keepMs: 604_800_000, bytesMax: 268_435_456 },
    limits: { sessionsMax: 20_000, handshakeMs: 10_000, keepaliveMs: 20_000 },
    routing: {
      threads: 0,
      timeMs: 10_000,
      memoryBytes: 512 * 2 ** 20,
      documentsBytesMax: 64 * 2 ** 20,
      stallMs: 600_000,
    },
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
  t.strictSame(queues, [
    { ...PLAIN, name: 'library/divisions', topics: ['divisions/#'], where: { region: ['north', 'south'] } },
  ])
  for (const { path } of fieldRows(hubSpec)) {
    const name = path.match(/^queues\[\]\.(?:.*\.)?(\w+)$/)?.[1]
    if (name !== undefined) t.match(text, new RegExp(`^# .*\\b${name}:`, 'm'), path)
  }
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
  t.match(faults('name: a\nlisten: { http: { enabled: true, tls: false } }'), [{ code: 'CONFIG_PLAIN_NOT_LOOPBACK' }])
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost', '::ffff:127.0.0.1']) t.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost.evil.org', '127.evil.org', ''])
    t.notOk(isLoopback(host), host)
})

t.test('a certificate for browsers comes with its key', async (t) => {
  const half = (name: string) => faults(`name: a\nlisten: { http: { ${name}: http.pem } }`)
  t.match(half('certificate'), [{ code: 'CONFIG_CERTIFICATE_HALF', where: /listen\.http/, message: /key is empty/ }])
  t.match(half('key'), [{ code: 'CONFIG_CERTIFICATE_HALF', message: /certificate is empty/ }])
  t.strictSame(faults('name: a\nlisten: { http: { certificate: http.crt, key: http.key } }'), [])
  for (const url of ['ftp://a', 'https://a/b', 'https://a b', 'javascript:1']) {
    t.match(faults(`name: a\nlisten: { http: { url: '${url}' } }`), [{ where: /listen\.http\.url/ }], url)
  }
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
  t.strictSame(faults('name: a\nlisten: { http: { port: 7400 } }'), [])
  t.match(faults('name: a\nlisten: { http: { enabled: true, port: 7400 } }'), [{ code: 'CONFIG_PORT_CLASH' }])
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
    { ...PLAIN, name: '人口/变更', topics: ['人口/#'] },
  ])
  t.match(config('name: a\nqueues: [{ name: q }]').queues, [{ name: 'q', topics: [] }], 'a queue for rules alone')
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

t.test('policies of queues', async (t) => {
  const [first, second] = config(`
name: a
queues:
  - { name: plain, topics: a }
  - name: full
    topics: b
    order: key
    partitions: 4
    limits: { messages: 10, bytes: 1 MiB, ageMs: 1h }
    onFull: dead-letter
    maxDeliver: 5
    deadLetter: plain
    onExpire: drop
    retain: { ms: 7d, bytes: 1 GiB }
`).queues
  // Assigned to the store's own type: what the file says is what the store understands.
  const policies: Partial<QueuePolicy>[] = [first, second].map((queue) => queuePolicy(queue as QueueSettings))
  t.strictSame(policies.map(policyOf), [
    DEFAULT_POLICY,
    {
      order: 'key',
      partitions: 4,
      messagesMax: 10,
      bytesMax: 1_048_576,
      ageMsMax: 3_600_000,
      onFull: 'dead-letter',
      maxDeliver: 5,
      deadLetter: 'plain',
      onExpire: 'drop',
      retainMs: 604_800_000,
      retainBytes: 1_073_741_824,
    },
  ])
  const inboxes = config('name: a\ninbox: { messages: 5, ageMs: 0 }\ndeadLetters: { keepMs: 1d }')
  const inbox: Partial<QueuePolicy> = inboxPolicy(inboxes)
  t.match(inbox, { messagesMax: 5, bytesMax: 268_435_456, ageMsMax: 0, onFull: 'drop-oldest' })
  const dead: Partial<QueuePolicy> = deadLettersPolicy(inboxes)
  t.match(dead, { ageMsMax: 86_400_000, bytesMax: 0, onExpire: 'drop' })
  for (const order of ['', ', order: none']) {
    t.match(faults(`name: a\nqueues: [{ name: q, topics: t, partitions: 2${order} }]`), [
      { code: 'CONFIG_PARTITIONS_UNORDERED', where: 'hub.yaml:2:44 queues[0].partitions' },
    ])
  }
  for (const bad of [
    'partitions: 65, order: key',
    'maxDeliver: -1',
    'retain: { ms: -1 }',
    'limits: { messages: 1.5 }',
  ]) {
    t.match(faults(`name: a\nqueues: [{ name: q, topics: t, ${bad} }]`), [{ code: /^FIELD_/ }], bad)
  }
  t.match(faults('name: a\nqueues: [{ name: q, topics: t, onFull: drop }]'), [{ code: 'FIELD_CHOICE' }])
  t.match(faults('name: a\nqueues: [{ name: q, topics: t, limit: {} }]'), [{ remedy: /Did you mean limits/ }])
})

t.test('dead letters end somewhere', async (t) => {
  const queues = (...pairs: [string, string][]): string => {
    return `name: a\nqueues: ${JSON.stringify(pairs.map(([name, deadLetter]) => ({ name, topics: ['#'], deadLetter })))}`
  }
  t.strictSame(faults(queues(['a', 'b'], ['b', '$dead'], ['c', 'b'])), [])
  t.match(faults(queues(['failures', '$dead'], ['b', 'failure'])), [
    { code: 'CONFIG_DEAD_LETTER_UNKNOWN', where: /queues\[1\]\.deadLetter$/, remedy: /Did you mean failures\?/ },
  ])
  t.match(faults(queues(['a', '$unrouted'])), [{ code: 'CONFIG_DEAD_LETTER_UNKNOWN' }])
  t.match(faults(queues(['a', 'a'])), [{ code: 'CONFIG_DEAD_LETTER_LOOP', message: /a → a$/ }])
  const ring = faults(queues(['leads-in', 'x'], ['x', 'y'], ['y', 'z'], ['z', 'x']))
  t.match(ring, [
    { where: /queues\[1\]/, message: /x → y → z → x$/ },
    { where: /queues\[2\]/ },
    { where: /queues\[3\]/ },
  ])
  t.equal(ring.length, 3)
  const long = Array.from({ length: 10_000 }, (_, i): [string, string] => [`q${i}`, i === 9999 ? '$dead' : `q${i + 1}`])
  const startedAt = performance.now()
  t.strictSame(faults(queues(...long)), [])
  t.comment(`10,000 queues in a row: ${Math.round(performance.now() - startedAt)} ms`)
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
