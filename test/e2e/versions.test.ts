// Later versions of a file end to end: what of them travels on the hub's sockets, to the hub and from it. The content is the same
// in every run, so are its cuts.

import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { localHub, noise, refer } from './support.ts'

const MIB = 2 ** 20
const SIZE = 48 * MIB
const hub = await localHub(t)

/** 1 % of it: places of 105 kB as they would be 100 in 1 GB. */
function replaced(before: Buffer): Buffer {
  const bytes = Buffer.from(before)
  const places = 5
  for (let i = 0; i < places; i++) {
    noise(`place ${i}`, 105_000).copy(bytes, Math.floor(((i + 0.4) / places) * bytes.length) + 12_345 * i)
  }
  return bytes
}

/** 1 % put in at two places, which moves all that is behind. */
function inserted(before: Buffer): Buffer {
  const at = [0.3, 0.71].map((share) => Math.floor(share * before.length))
  const [first = 0, second = 0] = at
  const [a, b] = [noise('a', 250_001), noise('b', 250_002)]
  return Buffer.concat([before.subarray(0, first), a, before.subarray(first, second), b, before.subarray(second)])
}

/** Sends it and receives it; gives the share of it that travelled, each way, with all frames around it. */
async function travel(t: Test, agents: Awaited<ReturnType<typeof agentsOf>>, bytes: Buffer) {
  const { desk, office, path, to } = agents
  writeFileSync(path, bytes)
  const before = hub.status().wire
  const upload = desk.upload({ path, cut: 'content' })
  await upload.sealed
  await refer(desk, upload.id)
  const sent = hub.status().wire
  const download = office.download({ id: upload.id, to })
  const done = await download.done
  const received = hub.status().wire
  t.ok(readFileSync(done.path).equals(bytes))
  t.equal(download.progress.hashedAgainBytes, 0)
  return {
    sent: (100 * (sent.bytesIn - before.bytesIn)) / bytes.length,
    received: (100 * (received.bytesOut - sent.bytesOut)) / bytes.length,
  }
}

async function agentsOf(name: string) {
  const to = join(hub.dir, name)
  mkdirSync(to)
  const [desk, office] = [await hub.client(`desk-${name}`), await hub.client(`office-${name}`)]
  return { desk, office, path: join(hub.dir, `${name}.img`), to }
}

t.test('of a version with 1 % changed at most 3 % travel each way, and of the one after it', async (t) => {
  const agents = await agentsOf('disk')
  const first = noise('first', SIZE)
  const whole = await travel(t, agents, first)
  t.ok(whole.sent > 100 && whole.sent < 101 && whole.received > 100 && whole.received < 101)
  const second = replaced(first)
  for (const version of [second, inserted(second), replaced(Buffer.concat([noise('c', 100_000), inserted(second)]))]) {
    const { sent, received } = await travel(t, agents, version)
    t.comment(`${sent.toFixed(2)} % sent, ${received.toFixed(2)} % received`)
    t.ok(sent <= 3, `${sent} % sent`)
    t.ok(received <= 3, `${received} % received`)
  }
})

t.test('of a sparse file one chunk of zeros travels, however it is cut, and it stays sparse', async (t) => {
  const { desk, office, path, to } = await agentsOf('sparse')
  writeFileSync(path, noise('head', 1000))
  truncateSync(path, 256 * MIB)
  for (const cut of ['fixed', 'content'] as const) {
    const before = hub.status().wire
    const upload = desk.upload({ path, cut, compress: 'off' })
    await upload.sealed
    await refer(desk, upload.id)
    const download = office.download({ id: upload.id, to })
    const done = await download.done
    const { bytesIn, bytesOut } = hub.status().wire
    t.ok(bytesIn - before.bytesIn < MIB, `${bytesIn - before.bytesIn} bytes sent`)
    t.ok(bytesOut - before.bytesOut < MIB, `${bytesOut - before.bytesOut} bytes received`)
    t.ok(readFileSync(done.path).equals(readFileSync(path)))
    // Unless this file system knows no sparse files.
    const taken = Math.min(statSync(path).blocks * 512, 256 * MIB)
    t.ok(statSync(done.path).blocks * 512 < taken + MIB, `${statSync(done.path).blocks} blocks`)
  }
})
