// Agents that carry files and are killed in the middle of it, again and again: each file is there once, and as it was.

import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { Agents } from './agents.ts'
import { digests, drop, FileFlows, MIB, pathsIn, retry, seen, tree } from './file-flows.ts'
import { eventually, localHub } from './support.ts'

const hub = await localHub(t)
const agents = new Agents(t, hub)
const flows = new FileFlows(hub, agents)

t.test('agents that are killed on the way go on where they were: each file once', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  await hub.enroll('killed-desk')
  await hub.enroll('killed-office')
  const from = flows.toHub('killed-desk', { own: true, batchRows: 40 })
  const to = flows.fromHub('killed-office', { subscribe: { name: 'all', topics: ['own/killed-desk'] } })
  let office = agents.start('killed-office')
  const queue = 'killed-office:all'
  await eventually('subscribed', () => flows.subscribed(queue))
  const files = tree(50 * MIB)
  drop(from, files)
  for (let kills = 0; kills < 3; kills++) {
    const desk = agents.start('killed-desk')
    // An agent takes half a second to start.
    await sleep(500 + random.below(700))
    await Promise.all([desk.end('SIGKILL'), office.end('SIGKILL')])
    office = agents.start('killed-office')
  }
  const desk = agents.start('killed-desk')
  const { there, done, sent } = await flows.landed({ files, from, to, queue })
  t.strictSame(there, sent)
  t.strictSame(done, sent)
  t.equal(hub.queue(queue).tail, files.size, 'the hub stored none twice')
  await Promise.all([desk.end(), office.end()])
})

t.test('an agent that is killed while it copies leaves no file out and makes none twice', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  await hub.enroll('killed-copier')
  const [from, to] = [join(agents.dataOf('killed-copier'), 'drop'), join(agents.dataOf('killed-copier'), 'copies')]
  mkdirSync(from, { recursive: true })
  agents.writeFlow('killed-copier', {
    flow: 'copy',
    source: { directory: { path: from, format: 'file', subfolders: true, stableMs: 0, pollMs: 50, batchRows: 20 } },
    destination: { directory: { path: to, format: 'file' } },
    retry,
  } as { flow: string })
  const files = new Map<string, Buffer>()
  for (let i = 0; i < 1200; i++) files.set(`${i % 11}/file ${i}`, Buffer.from(`content ${i}`))
  for (let i = 0; i < 5; i++) files.set(`large ${i}`, randomBytes(2 * MIB))
  drop(from, files)
  let copied = 0
  while (copied < files.size) {
    const copier = agents.start('killed-copier')
    // As long as it copies, and not before.
    const enough = Math.min(files.size, copied + 50 + random.below(300))
    await eventually('some are copied', () => pathsIn(to).length >= enough)
    await sleep(random.below(20))
    await copier.end('SIGKILL')
    copied = pathsIn(to).length
  }
  const last = agents.start('killed-copier')
  await eventually('all are done', () => pathsIn(join(from, 'done')).length >= files.size)
  await last.end('SIGKILL')
  t.strictSame(seen(to), digests(files))
  t.strictSame(seen(join(from, 'done')), digests(files))
})
