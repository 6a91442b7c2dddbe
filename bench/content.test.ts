import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { bytesToSend, digestOf, makeContent, scaleText, settleDisk } from './content.ts'

const BYTES = 5_000_001

t.test('content has its size and digest, cannot be compressed, and differs by name only', async (t) => {
  const dir = t.testdir()
  const content = await makeContent(join(dir, 'a.bin'), BYTES)
  const bytes = readFileSync(content.path)
  t.equal(bytes.length, BYTES)
  t.equal(content.sha256, createHash('sha256').update(bytes).digest('hex'))
  t.equal(await digestOf(content.path), content.sha256)
  t.ok(zstdCompressSync(bytes).length >= BYTES)
  t.ok(zstdCompressSync(bytes.subarray(0, 1000)).length >= 1000)
  t.not((await makeContent(join(dir, 'b.bin'), BYTES)).sha256, content.sha256)
  await settleDisk(content)
  t.equal(statSync(content.path).size, BYTES)
})

t.test('BYTES= says how much is sent, if the disk has the room', async (t) => {
  const { BYTES: before } = process.env
  t.teardown(() => {
    if (before === undefined) delete process.env.BYTES
    else process.env.BYTES = before
  })
  const ask = (bytes: string) => {
    process.env.BYTES = bytes
    return bytesToSend('transfer', t.testdirName, { inAll: 1e9 })
  }
  t.testdir()
  t.equal(ask('1e6'), 1_000_000)
  t.throws(() => ask('many'), /is no number of bytes/)
  t.throws(() => ask('0'), /is no number of bytes/)
  t.throws(() => ask('9e15'), /are needed: free some, or give BYTES=/)
  t.equal(scaleText({ bytes: 1e9 }), '1 GB, scaled to 0.1 of 10 GB (BYTES= sets it)')
  t.equal(scaleText({ bytes: 10e9 }), '10 GB')
})
