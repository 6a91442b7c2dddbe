// `causeway-agent send file` with several paths, patterns and folders.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { contentsOf } from '#agent/client/mod.ts'
import { Agents } from './agents.ts'
import { run, start } from './cli.ts'
import { digests, FileFlows, KIB, seen } from './file-flows.ts'
import { eventually, inTime, localHub, nextOf } from './support.ts'

const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
await hub.enroll('desk', { publish: ['files/#'] })
const data = join(hub.dir, 'desk')
const send = (paths: readonly string[], ...more: string[]) =>
  run('agent', ['send', 'file', ...paths, '--data', data, '--topic', 'files/x', ...more])

function tree(name: string, files: ReadonlyMap<string, Buffer>): string {
  const folder = join(hub.dir, name)
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), bytes)
  }
  return folder
}

/** Takes what is in the queue: what its messages say. */
async function taken(count: number) {
  const reader = await hub.client('reader')
  const subscription = await reader.subscribe({ queue: 'files' })
  const out: { name: string; file: unknown; contents: number }[] = []
  while (out.length < count) {
    const delivery = await nextOf(subscription)
    for (const message of delivery) {
      const { name } = JSON.parse(message.body.toString())
      out.push({ name, file: message.envelope.headers[':file'] ?? null, contents: contentsOf(message).length })
    }
    delivery.settle()
  }
  subscription.close()
  return out.sort((a, b) => (`${a.file ?? a.name}` < `${b.file ?? b.name}` ? -1 : 1))
}

t.test('several paths: one that cannot be sent is named and keeps no other', async (t) => {
  const names = ['a.bin', 'b.bin', 'empty', 'c.bin', 'd.bin', 'e.bin']
  const files = new Map(names.map((name) => [name, randomBytes(name === 'empty' ? 0 : 300 * KIB)]))
  const folder = tree('several', files)
  mkdirSync(join(folder, 'folder'))
  const paths = [...names, 'missing.bin', 'folder', 'none*.bin'].map((name) => join(folder, name))
  const sent = await send(paths, '--json')
  t.equal(sent.code, 1)
  const facts = sent.stdout.trimEnd().split('\n')
  t.strictSame(facts.map((line) => JSON.parse(line).name).sort(), [...names].sort())
  t.match(JSON.parse(facts[0] as string), { id: /^[0-9a-f]{32}$/, path: /several/, unrouted: 0 })
  const faults = sent.stderr
    .trimEnd()
    .split('\n')
    .flatMap((line) => JSON.parse(line).faults)
  t.match(
    faults.sort((a, b) => (a.where < b.where ? -1 : 1)),
    [
      { code: 'CONTENT_UNREADABLE', where: join(folder, 'folder'), message: /--recursive/ },
      { code: 'CONTENT_UNREADABLE', where: join(folder, 'missing.bin') },
      { code: 'FILES_NONE', where: join(folder, 'none*.bin') },
    ],
  )
  t.strictSame(
    await taken(6),
    [...names].sort().map((name) => ({ name, file: null, contents: 1 })),
  )
  const again = await send(paths.slice(0, 2))
  t.equal(again.code, 0, again.stderr)
  t.match(
    again.stdout,
    /^(?:[ab]\.bin: 300\.0 KiB .*; the hub had 300\.0 KiB of it\.\n){2}2 of 2 files sent, 600\.0 KiB in /,
  )
  await taken(2)
  t.match(await send([join(folder, '*.none')]), { code: 1, stdout: '', stderr: /^FILES_NONE at .*\*\.none/ })
})

t.test('a folder arrives as it is at a flow that takes files, a pattern from where it begins', async (t) => {
  const files = new Map(
    ['1.dwg', 'north/2.dwg', 'north/old/3.dwg', 'south/2.dwg'].map((name) => [name, randomBytes(100 * KIB)]),
  )
  const folder = tree('plans', files)
  const agents = new Agents(t, hub)
  const flows = new FileFlows(hub, agents)
  await hub.enroll('office')
  const to = flows.fromHub('office')
  const office = agents.start('office')
  const sent = await send([folder], '--recursive')
  t.equal(sent.code, 0, sent.stderr)
  t.match(sent.stdout, /^plans\/north\/old\/3\.dwg: 100\.0 KiB/m)
  t.match(sent.stdout, /\n4 of 4 files sent, 400\.0 KiB in \d+s \(.*\/s\)\.\n$/)
  const there = digests(new Map([...files].map(([name, bytes]) => [`plans/${name}`, bytes])))
  await eventually('all are there', () => Object.keys(seen(to)).length === 4)
  t.strictSame(seen(to), there)
  const pattern = await send([join(folder, '**', '2.dwg')], '--header', 'kind=plan')
  t.equal(pattern.code, 0, pattern.stderr)
  await eventually('those, too', () => existsSync(join(to, 'north/2.dwg')) && existsSync(join(to, 'south/2.dwg')))
  await office.end()
})

t.test('while the hub has no room the sender is told why, on no terminal, too', async (t) => {
  const full = await localHub(t, { config: { contents: { bytesMax: '40 MiB' } } })
  await full.enroll('desk')
  const files = ['a.bin', 'b.bin', 'c.bin', 'd.bin'].map((name) => {
    const path = join(full.dir, name)
    writeFileSync(path, randomBytes(12 * 1024 * KIB))
    return path
  })
  const child = start('agent', ['send', 'file', ...files, '--data', join(full.dir, 'desk'), '--topic', 'x'])
  t.teardown(() => void child.kill('SIGKILL'))
  const told = Promise.withResolvers<void>()
  let errors = ''
  child.stderr.on('data', (bytes) => {
    errors += bytes
    if (/^Waiting: .*contents\.bytesMax/m.test(errors)) told.resolve()
  })
  const ended = once(child, 'close')
  await inTime(told.promise, 'it says why', 60_000)
  child.kill('SIGINT')
  t.strictSame((await inTime(ended, 'it ends', 60_000))[0], 1)
  t.match(errors, /Interrupted\. The same command goes on where it was\.\n$/)
})

t.test('what is wrong with a command is told before anything is sent', async (t) => {
  const folder = tree('early', new Map([['a.bin', Buffer.from('a')]]))
  const wrong = await run('agent', ['send', 'file', folder, '--data', data, '--topic', 'bad//topic'])
  t.match(wrong, { code: 2, stderr: /FIELD_CHECK at --topic.*a level is empty/ })
  const dot = await run('agent', ['send', 'file', `${folder}/.`, '--data', data, '--topic', 'files/x'])
  t.match(dot, { code: 1, stderr: /^CONTENT_UNREADABLE .*it is a folder: send file --recursive/ })
})

t.test('a name that nobody could take is told before it is sent, a right that is missing once', async (t) => {
  const folder = tree(
    'odd',
    new Map([
      ['con/a.bin', Buffer.from('a')],
      ['ok/b.bin', Buffer.from('b')],
    ]),
  )
  const sent = await send([folder], '--recursive')
  t.match(sent, {
    code: 1,
    stdout: /^odd\/ok\/b\.bin: .*\n1 of 2 files sent/s,
    stderr: /^CONTENT_NAME_INVALID at .*con/,
  })
  await taken(1)
  const many = tree('many', new Map(Array.from({ length: 20 }, (_, i) => [`${i}.bin`, randomBytes(10)])))
  const args = ['send', 'file', join(many, '*.bin'), '--data', data, '--topic', 'other/x']
  const refused = await run('agent', args)
  t.match(refused, { code: 1, stdout: '0 of 20 files sent.\n' })
  t.equal(refused.stderr.match(/RIGHT_MISSING/g)?.length, 1, refused.stderr)
})
