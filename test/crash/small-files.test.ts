// Very many small files through a hub, with kills: each is there once and as it was, and memory does not grow with their number.
// CRASH_SEED= repeats names, contents and victims; FILES= and FILES_KILLS= ask for more.

import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { carrySmallFiles, type Shape } from './small-files.ts'

const seed = Number(process.env.CRASH_SEED ?? testSeed())
const FILES = Number(process.env.FILES ?? 4_000)
const KILLS = Number(process.env.FILES_KILLS ?? 3)
/** In the many folders of a tree: each of them is opened, made and flushed. */
const NESTED = Math.ceil(FILES / 5)
const MIB = 2 ** 20
/** Of an agent it is what they are promised; the hub keeps more of what passed than it uses, the faster the more. */
const RSS_BYTES_MAX = { sender: 256 * MIB, hub: 384 * MIB, receiver: 256 * MIB }
const SHAPES = (process.env.FILES_SHAPES ?? 'flat,nested').split(',') as Shape[]

const MS_MAX = 400_000 + 6 * FILES + 10_000 * KILLS
t.setTimeout(2 * MS_MAX)

for (const shape of SHAPES) {
  t.test(`${shape}: nothing is lost, nothing there twice`, { timeout: MS_MAX }, async (t) => {
    t.comment(`CRASH_SEED=${seed}`)
    const files = shape === 'flat' ? FILES : NESTED
    const say = (text: string): void => t.comment(`${shape}: ${text}`)
    judge(t, shape, await carrySmallFiles({ shape, files, kills: KILLS, random: new Random(seed), say }))
  })
}

function judge(t: Test, shape: Shape, result: Awaited<ReturnType<typeof carrySmallFiles>>): void {
  const { expected, takenBack, there, done, rssBytesMax, seconds, statusMsMax } = result
  const all = { whole: expected, lost: 0, twice: 0, damaged: 0, strays: [] }
  t.strictSame(there, all, 'where they were sent')
  t.strictSame(done, all, 'in done/')
  t.equal(result.stored, expected, 'the hub stored none twice')
  t.equal(result.left, 0, 'none is left')
  const mib = Object.entries(rssBytesMax).map(([name, bytes]) => `${name} ${Math.round(bytes / MIB)} MiB`)
  for (const name of ['sender', 'hub', 'receiver'] as const) {
    t.ok(rssBytesMax[name] <= RSS_BYTES_MAX[name], `${name} has ${rssBytesMax[name]} bytes`)
  }
  t.comment(
    `files=${expected} shape=${shape} lost=${there.lost} twice=${there.twice} damaged=${there.damaged} takenBack=${takenBack}` +
      ` seconds=${Math.round(seconds)} filesPerSecond=${Math.round(expected / seconds)} statusMs=${Math.round(statusMsMax)} rss: ${mib.join(', ')}`,
  )
}
