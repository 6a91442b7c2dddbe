// How much an upload compresses by itself: on a slow line as far as it pays, on a fast one what does not hold it up; and what is said
// explicitly holds on both.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SlowLine } from './slow-line.ts'
import { localHub, refer } from './support.ts'

const MIB = 2 ** 20
const SLOW_BYTES_PER_S = MIB
const hub = await localHub(t, { queues: [{ name: 'files', topics: ['shared'] }] })
const rights = { publish: ['shared'], consume: ['files', '$unrouted'] }

/** Records as systems write them: another content for each `seed`, so that nothing is known of it. */
function records(name: string, bytes: number, seed: number): { path: string; content: Buffer } {
  const all: string[] = []
  for (let i = 0, length = 0; length < bytes; i++) {
    const value = (i * 7919 + seed * 104_729) % 1_000_003
    const line = `{"id":${seed * 1_000_000 + i},"name":"户籍 ${value % 977}","at":"2026-11-${(value % 28) + 1}","sum":${(value * 31_337) % 99_991}}\n`
    all.push(line)
    length += Buffer.byteLength(line)
  }
  const content = Buffer.from(all.join('')).subarray(0, bytes)
  const path = join(hub.dir, name)
  writeFileSync(path, content)
  return { path, content }
}

async function overSlowLine(t: Test, name: string) {
  const line = await SlowLine.open(t, hub.tcpPort, SLOW_BYTES_PER_S)
  return await hub.client(name, rights, { addresses: [line.address] })
}

t.test('on a slow line far fewer bytes travel, and more work is done for each than at first', async (t) => {
  const client = await overSlowLine(t, 'far')
  const { path, content } = records('far.jsonl', 16 * MIB, 1)
  const upload = client.upload({ path })
  await upload.sealed
  const { sentBytes, wireBytes, encodedFromBytes, encodedToBytes, compressionLevel } = upload.progress
  t.comment(
    `${sentBytes} bytes as ${wireBytes}, ${encodedFromBytes} of them as ${encodedToBytes}, at level ${compressionLevel} in the end`,
  )
  t.equal(sentBytes, content.length)
  t.ok(wireBytes < content.length / 4, `${wireBytes} of ${content.length} bytes`)
  t.ok(compressionLevel > 0)
  t.equal(wireBytes, encodedToBytes + (sentBytes - encodedFromBytes))
  await refer(client, upload.id)
  const near = await hub.client('near', rights)
  const { path: there } = await near.download({ id: upload.id, to: hub.dir, as: 'folder' }).done
  t.ok(readFileSync(there).equals(content), 'whatever the levels its chunks were encoded at')
})

t.test('what is said explicitly holds', async (t) => {
  const client = await overSlowLine(t, 'explicit')
  const { path, content } = records('explicit.jsonl', MIB, 2)
  const off = client.upload({ path, compress: 'off' })
  await off.sealed
  t.match(off.progress, { wireBytes: content.length, encodedFromBytes: 0, encodedToBytes: 0, compressionLevel: 0 })
  const other = records('explicit-19.jsonl', MIB, 3)
  const high = client.upload({ path: other.path, compress: 19 })
  await high.sealed
  t.equal(high.progress.compressionLevel, 19)
  t.equal(high.progress.encodedFromBytes, other.content.length)
  for (const compress of [0, 20, 1.5, 'fast', null]) {
    t.throws(() => client.upload({ path, compress: compress as 'auto' }), { code: 'UPLOAD_INVALID' }, `${compress}`)
  }
})

t.test('on loopback all of it arrives, in whatever forms', async (t) => {
  const client = await hub.client('loopback', rights)
  const { path, content } = records('loopback.jsonl', 24 * MIB, 4)
  const upload = client.upload({ path })
  await upload.sealed
  const { wireBytes, encodedFromBytes, compressionLevel } = upload.progress
  t.comment(
    `${content.length} bytes as ${wireBytes}, ${encodedFromBytes} of them encoded, at level ${compressionLevel} in the end`,
  )
  await refer(client, upload.id)
  const { path: there } = await client.download({ id: upload.id, to: hub.dir, as: 'folder' }).done
  t.ok(readFileSync(there).equals(content))
})
