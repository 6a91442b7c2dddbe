// `causeway-agent transfer cancel`: what becomes of a file that somebody gives up, here, at the hub, and at who waits for it.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { readCommands, WishFolder } from '#agent/telemetry/mod.ts'
import { Agents } from './agents.ts'
import { run, start } from './cli.ts'
import { drop, FileFlows, MIB, seen, sha256 } from './file-flows.ts'
import { eventually, localHub } from './support.ts'

const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
const agents = new Agents(t, hub)
const flows = new FileFlows(hub, agents)

const limit = (agent: string, rate: string) =>
  writeFileSync(join(agents.dataOf(agent), 'agent.yaml'), `transfers: { rate: ${rate} }`)
const wishes = (agent: string): string[] => readdirSync(join(agents.dataOf(agent), 'wishes'))
/** Who stands still follows late: the command says so, and is given again. */
async function cancel(agent: string, what: string, ...more: string[]) {
  for (;;) {
    const ran = await run('agent', ['transfer', 'cancel', what, '--data', agents.dataOf(agent), ...more])
    if (!ran.stderr.startsWith('WISH_NOT_FOLLOWED')) return ran
  }
}

async function contentsAtHub(): Promise<{ id: string; name: string; state: string }[]> {
  const { stdout } = await run('hub', ['contents', 'list', '--data', hub.dataDir, '--json'])
  return JSON.parse(stdout).contents
}

t.test(
  'a file that a flow sends goes to bad/ with its reason, is freed at the hub, and does not come again',
  async (t) => {
    await hub.enroll('planner')
    const from = flows.toHub('planner', { own: true })
    limit('planner', '256KiB')
    drop(from, new Map([['map.tif', randomBytes(20 * MIB)]]))
    const agent = agents.start('planner')
    const now = () => agents.statusOf('planner')?.transfers?.[0]
    await eventually('a part of it is at the hub', () => (now()?.doneBytes ?? 0) > 0)
    t.match(await contentsAtHub(), [{ name: 'map.tif' }])
    t.match(await cancel('planner', 'map.tif'), { code: 0, stdout: 'map.tif: given up.\n', stderr: '' })
    await eventually('it is set aside', () => existsSync(join(from, 'bad', 'map.tif')))
    t.match(readFileSync(join(from, 'bad', 'map.tif.reason.txt'), 'utf8'), /TRANSFER_CANCELLED.*transfer cancel/s)
    await eventually('the hub has let go of it', async () => (await contentsAtHub()).length === 0)
    await eventually('nothing is wished any more', () => wishes('planner').length === 0)
    t.match(agents.statusOf('planner')?.flows.out, { state: 'idle', rejected: 1, lastFault: null })
    await agent.end()
    rmSync(join(agents.dataOf('planner'), 'agent.yaml'))
    const again = agents.start('planner')
    drop(from, new Map([['next.tif', Buffer.from('next')]]))
    await eventually('others go', () => existsSync(join(from, 'done', 'next.tif')))
    t.ok(existsSync(join(from, 'bad', 'map.tif')))
    // Whoever wants it after all drops it again.
    drop(from, new Map([['map.tif', readFileSync(join(from, 'bad', 'map.tif'))]]))
    await eventually('dropped again it is sent', () => existsSync(join(from, 'done', 'map.tif')))
    await again.end()
  },
)

t.test('what was to be given up when the agent died is given up when it is there again', async (t) => {
  await hub.enroll('mortal')
  const from = flows.toHub('mortal', { own: true })
  limit('mortal', '256KiB')
  drop(from, new Map([['dead.tif', randomBytes(20 * MIB)]]))
  const agent = agents.start('mortal')
  const now = () => agents.statusOf('mortal')?.transfers?.[0]
  await eventually('a part of it is at the hub', () => (now()?.doneBytes ?? 0) > 0)
  const { id } = now() as { id: string }
  await agent.end('SIGKILL')
  const parts = async () => (await contentsAtHub()).filter(({ name }) => name === 'dead.tif')
  t.equal((await parts()).length, 1)
  new WishFolder(agents.dataOf('mortal')).add(id, { cancelled: true })
  const again = agents.start('mortal')
  await eventually('it is set aside', () => existsSync(join(from, 'bad', 'dead.tif')))
  await eventually('the hub has let go of it', async () => (await parts()).length === 0)
  await eventually('nothing is wished any more', () => wishes('mortal').length === 0)
  await again.end()
})

t.test('a file that a flow receives is refused, its message set aside; sent back it comes', async (t) => {
  await hub.enroll('office')
  const sender = await hub.client('sender')
  const to = flows.fromHub('office')
  limit('office', '256KiB')
  const path = join(hub.dir, 'scan.tif')
  const bytes = randomBytes(20 * MIB)
  writeFileSync(path, bytes)
  const upload = sender.upload({ path })
  await upload.sealed
  const publisher = sender.publisher({ stream: 'scans', proof: 'message' })
  await publisher.publish({ topic: 'files/scan', body: Buffer.alloc(0), contents: [upload.id] })
  const dead = hub.queue('$dead').depth
  const agent = agents.start('office')
  const now = () => agents.statusOf('office')?.transfers?.[0]
  await eventually('a part of it is here', () => (now()?.doneBytes ?? 0) > 0)
  const given = await cancel('office', upload.id.slice(0, 8), '--json')
  t.strictSame(JSON.parse(given.stdout), { id: upload.id, name: 'scan.tif', cancelled: true })
  await eventually('the message is set aside', () => hub.queue('$dead').depth === dead + 1)
  const { stdout } = await run('hub', ['peek', '$dead', '--data', hub.dataDir, '--json'])
  t.match(stdout, /TRANSFER_CANCELLED/)
  await eventually('nothing is wished any more', () => wishes('office').length === 0)
  t.strictSame(seen(to), {})
  const staging = readdirSync(join(to, '.causeway'), { recursive: true, encoding: 'utf8' })
  t.notOk(
    staging.some((name) => name.includes(upload.id)),
    'nothing of it lies here',
  )
  await agent.end()
  rmSync(join(agents.dataOf('office'), 'agent.yaml'))
  const again = agents.start('office')
  const back = await run('hub', ['redrive', '$dead', '--all', '--data', hub.dataDir])
  t.equal(back.code, 0, back.stderr)
  await eventually('it is here', () => existsSync(join(to, 'scan.tif')))
  t.strictSame(seen(to), { 'scan.tif': sha256(bytes) })
  await again.end()
})

t.test('who receives a file before all of it is at the hub is told that it does not come', async (t) => {
  await hub.enroll('desk')
  await hub.enroll('reader')
  const path = join(hub.dir, 'early.bin')
  writeFileSync(path, randomBytes(20 * MIB))
  const data = agents.dataOf('desk')
  const send = start('agent', [
    'send',
    'file',
    path,
    '--data',
    data,
    '--topic',
    'files/e',
    '--rate',
    '256KiB',
    '--early',
  ])
  t.teardown(() => void send.kill('SIGKILL'))
  const [sendSaid, sendEnded] = [text(send.stderr), once(send, 'close')]
  const to = join(hub.dir, 'early-in')
  const readerData = agents.dataOf('reader')
  const args = ['receive', 'file', '--data', readerData, '--queue', 'files', '--to', to, '--count', '1']
  const receive = start('agent', args)
  t.teardown(() => void receive.kill('SIGKILL'))
  let receiveSaid = ''
  receive.stderr.on('data', (chunk) => (receiveSaid += chunk))
  const receiveEnded = once(receive, 'close')
  await eventually('it follows', () => (readCommands(readerData)[0]?.transfers[0]?.doneBytes ?? 0) > 0)
  t.match(await cancel('desk', 'early.bin'), { code: 0, stdout: 'early.bin: given up.\n' })
  t.strictSame((await sendEnded)[0], 1)
  t.match(await sendSaid, /^TRANSFER_CANCELLED/)
  await eventually('it is refused', () => receiveSaid.includes('CONTENT_CANCELLED'))
  receive.kill('SIGINT')
  t.strictSame((await receiveEnded)[0], 1)
  t.match(receiveSaid, /^Rejected, set aside by the hub: .*CONTENT_CANCELLED/s)
  t.strictSame(await contentsAtHub().then((all) => all.filter(({ name }) => name === 'early.bin')), [])
  t.strictSame(wishes('desk'), [], 'the next time it is sent')
})

t.test('what is given up while the hub is away is freed there when it is back', async () => {
  const client = await hub.client('offline')
  const path = join(hub.dir, 'offline.bin')
  writeFileSync(path, randomBytes(20 * MIB))
  const upload = client.upload({ path, bytesPerSecondMax: MIB / 4 })
  await eventually('a part of it is at the hub', () => upload.progress.storedBytes > 0)
  await hub.stop()
  await eventually('the line is down', () => !client.connected)
  await upload.cancel()
  await hub.start()
  await eventually('the hub has let go of it', async () => {
    return !(await contentsAtHub()).some(({ name }) => name === 'offline.bin')
  })
  await client.close()
})

t.test('what nobody moves cannot be given up', async (t) => {
  t.match(await cancel('desk', 'nothing.bin'), { code: 1, stderr: /^TRANSFER_NOT_FOUND/ })
})
