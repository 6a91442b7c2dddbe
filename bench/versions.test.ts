import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { digestOf } from './content.ts'
import { firstVersion, insertBytes, replacePlaces } from './versions.ts'

t.test('versions of a file are the same at each making, and differ where they should', async (t) => {
  const bytes = 40e6
  const make = async (folder: string) => {
    const path = join(folder, 'disk.img')
    const first = await firstVersion(path, bytes)
    const before = readFileSync(path)
    const second = await replacePlaces(first)
    const between = readFileSync(path)
    const third = await insertBytes(second)
    t.equal(third.sha256, await digestOf(path))
    return { before, between, after: readFileSync(path), digests: [first, second, third].map(({ sha256 }) => sha256) }
  }
  const { before, between, after, digests } = await make(t.testdir())
  t.equal(between.length, bytes)
  t.equal(after.length, bytes + 1e6, 'at one place 1 MB')
  let differing = 0
  for (let at = 0; at < bytes; at++) if (before[at] !== between[at]) differing++
  // Of 4 places of 105 kB; one byte in 256 is the same by chance.
  t.ok(Math.abs(differing - (4 * 105_000 * 255) / 256) < 500, `${differing} bytes differ`)
  let at = 0
  while (between[at] === after[at]) at++
  t.ok(between.subarray(at).equals(after.subarray(at + 1e6)))
  t.strictSame((await make(t.testdir({}))).digests, digests)
})
