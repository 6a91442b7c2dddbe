// The management port over real sockets, with an operator that does as the test says.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askHub, contactPath, HubFaults } from './contact.ts'
import { managementFault } from './faults.ts'
import { configPath } from './folder.ts'
import { OPERATIONS_MAX, REQUEST_BYTES_MAX } from './limits.ts'
import { formatId, idProblem, parseId } from './message-id.ts'
import type { Progress } from './operator.ts'
import { type ManagementOptions, ManagementServer } from './server.ts'
import { FakeOperator, NO_CONTENTS, NO_ROUTES, queueView } from './testing.ts'

async function port(t: Test) {
  const dataDir = mkdtempSync(join(tmpdir(), 'causeway-management-'))
  const operator = new FakeOperator()
  const logged: unknown[] = []
  const server = new ManagementServer({
    dataDir,
    operators: { queues: operator, contents: NO_CONTENTS, routes: NO_ROUTES },
    status: (() => ({ queues: operator.queues() })) as unknown as ManagementOptions['status'],
    metrics: { contentType: 'text/plain', text: () => Promise.resolve('') },
    log: (level, message, details) => logged.push({ level, message, ...details }),
  })
  t.teardown(async () => {
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  const url = `http://127.0.0.1:${await server.start('127.0.0.1', 0)}`
  const { token } = JSON.parse(readFileSync(contactPath(dataDir), 'utf8')) as { token: string }
  /** One request, as another program would make it. */
  const post = async (
    body: string | Buffer,
    headers: Record<string, string> = { authorization: `Bearer ${token}` },
  ) => {
    const response = await fetch(`${url}/admin`, {
      method: 'POST',
      body: typeof body === 'string' ? body : new Uint8Array(body),
      headers,
    })
    return { status: response.status, text: await response.text() }
  }
  return { dataDir, operator, server, url, token, post, logged }
}

/** What the hub refused. */
async function refused(work: Promise<unknown>): Promise<{ codes: string[]; usage: boolean; text: string }> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof HubFaults)) throw error
    const text = error.faults.map((fault) => fault.describe()).join('\n')
    return { codes: error.faults.map(({ code }) => code), usage: error.usage, text }
  }
  throw new Error('it was not refused')
}

t.test('only who holds the token may do anything', async (t) => {
  const { post, url, operator } = await port(t)
  const request = JSON.stringify({ command: 'purge', queue: 'permits', all: true })
  t.equal((await post(request, {})).status, 401)
  t.equal((await post(request, { authorization: 'Bearer x' })).status, 401)
  t.equal((await fetch(`${url}/admin`)).status, 405)
  t.equal((await fetch(`${url}/status`, { method: 'POST' })).status, 405)
  t.same(operator.asked, [])
})

t.test('requests that are none', async (t) => {
  const { post, operator } = await port(t)
  const codes = async (body: string | Buffer) => {
    const { status, text } = await post(body)
    const { faults } = JSON.parse(text) as { faults: { code: string }[] }
    return [status, ...faults.map(({ code }) => code)]
  }
  for (const body of ['', '{', '[]', 'null', '"purge"', '{}', Buffer.from([0x7b, 0xff, 0x7d])]) {
    t.same(await codes(body), [400, 'ADMIN_REQUEST_INVALID'], String(body))
  }
  for (const command of ['constructor', '__proto__', 'toString', 1, null]) {
    t.same(await codes(JSON.stringify({ command })), [400, 'ADMIN_REQUEST_INVALID'], String(command))
  }
  const purge = { command: 'purge', queue: 'permits', filter: {} }
  const cases: readonly (readonly [Record<string, unknown>, ...string[]])[] = [
    [{ ...purge, all: 'yes', more: 1 }, 'FIELD_TYPE', 'FIELD_UNKNOWN'],
    [{ ...purge }, 'MESSAGES_UNNAMED'],
    [{ ...purge, all: true, filter: { topic: 'a' } }, 'MESSAGES_UNNAMED'],
    [{ ...purge, filter: { topic: 'a/#/b' } }, 'FIELD_CHECK'],
    [{ ...purge, filter: { id: ['office/x'] } }, 'FIELD_CHECK'],
    [{ ...purge, filter: { id: Array.from({ length: 1001 }, () => 'a/b/1') } }, 'FIELD_RANGE'],
    [{ command: 'peek', queue: 'permits', filter: {}, limit: 1001 }, 'FIELD_RANGE'],
    [{ command: 'replay', queue: 'permits' }, 'REPLAY_START_UNNAMED'],
    [{ command: 'replay', queue: 'permits', fromMs: 1, fromPosition: 1 }, 'REPLAY_START_UNNAMED'],
  ]
  for (const [request, ...wanted] of cases) {
    const [status, ...found] = await codes(JSON.stringify(request))
    t.same([status, found.sort()], [400, wanted.sort()], JSON.stringify(request).slice(0, 100))
  }
  const [status] = await codes(JSON.stringify({ command: 'peek', queue: 'x'.repeat(REQUEST_BYTES_MAX) }))
  t.equal(status, 413)
  t.same(operator.asked, [])
})

t.test('what is asked reaches the operator, and its answer the command', async (t) => {
  const { dataDir, operator, logged } = await port(t)
  const filter = { id: ['office/permits/out/3/17'], reason: 'LATE', olderThan: 5 }
  const ids = [{ origin: 'office', stream: 'permits/out', epoch: 3, seq: 17 }]
  t.match(await askHub(dataDir, { command: 'peek', queue: 'permits', filter }), { depth: 3, messages: [{ key: 'k1' }] })
  t.same(await askHub(dataDir, { command: 'redrive', queue: '$dead', all: true, to: 'permits', filter: {} }), {
    moved: 1,
    left: 2,
    reasons: { NO_ROUTE: 2 },
  })
  await askHub(dataDir, { command: 'replay', queue: 'permits', fromPosition: 7 })
  t.same(operator.asked, [
    ['peek', 'permits', { limit: 10, filter: { ids, reason: 'LATE', olderThanMs: 5 } }],
    ['redrive', '$dead', { filter: {}, to: 'permits' }],
    ['replay', 'permits', { fromPosition: 7 }],
  ])
  t.match(logged, [{}, { message: 'operator', request: /redrive/, moved: 1, left: 2 }, { messages: 5 }])
  t.notMatch(JSON.stringify(logged), 'district', 'no log shows what was in a message')
})

t.test('queues: empty inboxes and receipts are left out, one is told of alone', async (t) => {
  const { dataDir, operator, url, token } = await port(t)
  operator.views.push(queueView('receipts/office', { retained: 1 }))
  const names = async (request: Record<string, unknown>) => {
    const { queues, hidden } = await askHub<{ queues: { name: string }[]; hidden: number }>(dataDir, {
      command: 'queues',
      ...request,
    })
    return [...queues.map(({ name }) => name), hidden]
  }
  t.same(await names({}), ['permits', '$dead', 'receipts/office', 1])
  t.same(await names({ all: true }), ['permits', '$dead', 'inbox/office', 'receipts/office', 0])
  t.same(await names({ queue: 'inbox/office' }), ['inbox/office', 0])
  const status = await fetch(`${url}/status`, { headers: { authorization: `Bearer ${token}` } })
  const { queues, queuesHidden } = (await status.json()) as { queues: object[]; queuesHidden: number }
  t.equal(queuesHidden, 1)
  t.notOk(queues.some((queue) => 'lanes' in queue))
})

t.test('what is not there is named, with what may be meant', async (t) => {
  const { dataDir, operator } = await port(t)
  const missing = await refused(askHub(dataDir, { command: 'forget', queue: 'permit' }))
  t.match(missing, { codes: ['QUEUE_MISSING'], usage: false, text: /queue permit: .*Did you mean permits\?/ })
  const target = { command: 'redrive', queue: '$dead', all: true, to: 'nowhere', filter: {} } as const
  t.match(await refused(askHub(dataDir, target)), { codes: ['QUEUE_MISSING'], text: /nowhere/ })
  t.match(await refused(askHub(dataDir, { command: 'trace', id: 'office/permits/1' })), { codes: ['MESSAGE_MISSING'] })
  const newest = { command: 'purge', queue: 'permits', filter: { id: ['office/permits/17'] } } as const
  t.match(await refused(askHub(dataDir, newest)), { codes: ['MESSAGE_MISSING'] })
  const id = { origin: 'office', stream: 'permits', epoch: 9, seq: 17 }
  operator.tracing = { id, batch: { count: 1, acceptedAtMs: 0 }, copies: [], events: [] }
  await askHub(dataDir, newest)
  t.same(operator.asked, [['purge', 'permits', { ids: [id] }]], 'the newest epoch was put in')
})

t.test('a long operation tells how far it is, and stops when nobody waits', async (t) => {
  const { dataDir, operator, url, token } = await port(t)
  const begun = Promise.withResolvers<Progress>()
  const goOn = Promise.withResolvers<number>()
  operator.purging = (progress) => {
    begun.resolve(progress)
    progress.report(250)
    return goOn.promise
  }
  const told: number[] = []
  const done = askHub(dataDir, { command: 'purge', queue: 'permits', all: true, filter: {} }, ({ messages }) => {
    told.push(messages)
    goOn.resolve(400)
  })
  t.same(await done, { messages: 400 })
  t.same(told, [250])
  t.notOk((await begun.promise).cancelled)

  const second = Promise.withResolvers<Progress>()
  operator.purging = (progress) => {
    second.resolve(progress)
    return new Promise((resolve) => {
      const look = setInterval(() => {
        if (!progress.cancelled) return
        clearInterval(look)
        resolve(0)
      }, 5)
    })
  }
  const left = new AbortController()
  const request = fetch(`${url}/admin`, {
    method: 'POST',
    body: JSON.stringify({ command: 'purge', queue: 'permits', all: true, filter: {} }),
    headers: { authorization: `Bearer ${token}` },
    signal: left.signal,
  })
  const progress = await second.promise
  t.equal(progress.cancelled, false)
  left.abort()
  await t.rejects(request)
  while (!progress.cancelled) await new Promise((resolve) => setImmediate(resolve))
  t.pass('it was told to stop')
})

t.test('a fault after progress comes as the last line, one before with a status', async (t) => {
  const { dataDir, operator, post } = await port(t)
  const request = { command: 'purge', queue: 'permits', all: true, filter: {} } as const
  operator.purging = () => Promise.reject(managementFault('DISK_NEARLY_FULL', { where: 'disk', freeBytes: 5 }))
  t.match(await post(JSON.stringify(request)), { status: 409, text: /DISK_NEARLY_FULL/ })
  operator.purging = () => Promise.reject(new Error('a bug'))
  t.match(await post(JSON.stringify(request)), { status: 500, text: /INTERNAL/ })
  const late = Promise.withResolvers<number>()
  operator.purging = () => late.promise
  const failing = askHub(dataDir, request, () => {
    late.reject(managementFault('DISK_NEARLY_FULL', { where: 'disk', freeBytes: 5 }))
  })
  t.match(await refused(failing), { codes: ['DISK_NEARLY_FULL'], usage: false, text: /at disk: .*Free space/ })
})

t.test('operations at a time are bounded', async (t) => {
  const { dataDir, operator } = await port(t)
  const end = Promise.withResolvers<number>()
  const all = Promise.withResolvers<void>()
  let running = 0
  operator.purging = () => {
    running++
    if (running === OPERATIONS_MAX) all.resolve()
    return end.promise
  }
  const request = { command: 'purge', queue: 'permits', all: true, filter: {} } as const
  const working = Array.from({ length: OPERATIONS_MAX }, () => askHub(dataDir, request))
  await all.promise
  t.match(await refused(askHub(dataDir, { command: 'queues' })), { codes: ['ADMIN_BUSY'] })
  end.resolve(1)
  await Promise.all(working)
  t.match(await askHub(dataDir, { command: 'queues' }), { hidden: 1 })
})

t.test('a hub that ends in the middle, or is none', async (t) => {
  const { dataDir, operator, server } = await port(t)
  const begun = Promise.withResolvers<void>()
  operator.purging = () => {
    begun.resolve()
    return new Promise(() => undefined)
  }
  const working = askHub(
    dataDir,
    { command: 'purge', queue: 'permits', all: true, filter: {} },
    () => void server.stop(),
  )
  await begun.promise
  await t.rejects(working, { code: 'HUB_ANSWER_BROKEN' })
  await t.rejects(askHub(dataDir, { command: 'queues' }), { code: 'DATA_FOLDER_MISSING' })
  writeFileSync(configPath(dataDir), '')
  await t.rejects(askHub(dataDir, { command: 'queues' }), { code: 'HUB_NOT_RUNNING' })
  for (const text of ['', 'null', '{"url":"file:///etc"}', '{"url":"http://127.0.0.1:1"}']) {
    writeFileSync(contactPath(dataDir), text)
    await t.rejects(askHub(dataDir, { command: 'queues' }), { code: 'HUB_NOT_RUNNING' }, text)
  }
})

t.test('names of messages', async (t) => {
  const id = { origin: 'office', stream: 'flow/permits-out', epoch: 281_474_976_710_655, seq: 1042 }
  t.same(parseId(formatId(id)), id)
  t.same(parseId('office/s/7'), { origin: 'office', stream: 's', seq: 7 })
  t.same(parseId('office/2026/0/7'), { origin: 'office', stream: '2026', epoch: 0, seq: 7 })
  t.same(parseId('office/2026/7'), { origin: 'office', stream: '2026', seq: 7 }, 'one word is the stream')
  t.same(parseId('office//a//1/7'), { origin: 'office', stream: '/a/', epoch: 1, seq: 7 })
  for (const bad of ['', 'a', 'a/1', 'a/s', 'a/s/x', '/s/1', 'a/s/01', 'a/s/-1', 'a/s/99999999999999999', 'a//1']) {
    t.equal(parseId(bad), null, bad)
  }
  t.match(idProblem('x'), /ORIGIN/)
})
