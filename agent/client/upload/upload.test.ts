// Uploads of real files, read by the real thread, over a real connection, to a hub's end played by the test.

import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { Upload } from './mod.ts'
import { pairOf } from './testing.ts'

const seed = testSeed()
t.comment(`SEED=${seed}`)
const random = new Random(seed)
const KIB = 1024
const MIB = 1024 * KIB
const CHUNK = 64 * KIB

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

function fileOf(t: Test, bytes: Uint8Array, name = 'a file.bin'): string {
  const folder = mkdtempSync(join(tmpdir(), 'upload-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * MIB + 17]) {
  for (const cut of ['fixed', 'content'] as const) {
    t.test(`${size} bytes, cut ${cut}`, async (t) => {
      const { hub, client } = await pairOf(t)
      const bytes = random.bytes(size)
      const upload = new Upload(client, { path: fileOf(t, bytes), mediaType: 'text/x-test', cut })
      await upload.sealed
      const found = hub.sealed.get(upload.id)
      t.equal(found?.name, 'a file.bin')
      t.equal(found?.mediaType, 'text/x-test')
      t.equal(sha256(found?.bytes ?? Buffer.from('?')), sha256(bytes))
      t.match(upload.progress, {
        size,
        hashedBytes: size,
        sentBytes: size,
        storedBytes: size,
        reusedBytes: 0,
        hashedAgainBytes: 0,
        readAgainBytes: 0,
        state: 'sealed',
      })
      t.strictSame(hub.faults, [])
    })
  }
}
