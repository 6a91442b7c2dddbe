// SIGKILL at random moments: every part that was promised is there and whole, nothing that was removed comes back, references
// are what a recount says, and no byte leaks.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { recordBytes } from '../segment-file.ts'
import { ContentStore } from './content-store.ts'
import { digestOf, infoOf, MIB, numberedAdd, numberedChunk, plainOf, wrongIn } from './contents.testing.ts'

const CHILD = fileURLToPath(new URL('add-and-remove.testing.ts', import.meta.url))
const ROUNDS = 12
const PARTS_MAX = 1000
/** Of two milliseconds each, for what comes at once on a quiet machine. */
const WAITS_MAX = 30_000

/** What the child was promised, over all its lives. */
class Ledger {
  /** Chunk's number by index, by content. */
  readonly parts = new Map<string, Map<number, number>>()
  readonly removing = new Set<string>()
  readonly removed = new Set<string>()
  /** Chunks that were given up; they may have come again. */
  readonly damaged = new Set<number>()
  promises = 0

  note(line: string): void {
    const [what, id = '', index, number] = line.split(' ')
    this.promises++
    if (what === 'damages') this.damaged.add(Number(id))
    else if (what === 'begun') this.parts.set(id, new Map())
    else if (what === 'added') this.parts.get(id)?.set(Number(index), Number(number))
    else if (what === 'removes') this.removing.add(id)
    else if (what === 'removed') this.removed.add(id)
  }
}

async function runAndKill(ledger: Ledger, folder: string, seed: number, promises: number, afterMs: number) {
  const args = ['--disable-warning=ExperimentalWarning', CHILD, folder, String(seed)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let left = promises
  for await (const line of createInterface({ input: child.stdout })) {
    ledger.note(line)
    left--
    if (left === 0) setTimeout(() => child.kill('SIGKILL'), afterMs)
  }
  const [, signal] = (await exited) as [number | null, string | null]
  if (signal !== 'SIGKILL') throw new Error('the child ended by itself')
}

/** Brings all chunks again that were given up: then every part that was promised is there. */
async function heal(store: ContentStore, { damaged, parts, removing }: Ledger): Promise<void> {
  const id = 'f'.repeat(32)
  await store.begin(infoOf({ id, size: 2 ** 30 }))
  await Promise.all([...damaged].map((number) => store.add(id, number, numberedAdd(number))))
  const isMissing = () =>
    [...parts].some(([content, promised]) => {
      return !removing.has(content) && [...promised.keys()].some((index) => store.part(content, index) === null)
    })
  const isUncounted = () => [...store.all()].some((view) => store.parts(view.id, 0, PARTS_MAX).length !== view.chunks)
  for (let i = 0; i < WAITS_MAX && (store.usage().lostChunks > 0 || isMissing() || isUncounted()); i++) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await store.remove(id)
}

/** What the store says against the ledger; empty when nothing does. */
async function judge(folder: string, ledger: Ledger): Promise<string[]> {
  const wrong = await wrongIn(folder)
  const store = ContentStore.open({ folder, bytesMax: 256 * MIB, freeBytesMin: 0, segmentBytes: MIB })
  try {
    await heal(store, ledger)
    const live = new Map<string, number>()
    for (const view of store.all()) {
      const parts = store.parts(view.id, 0, PARTS_MAX)
      if (parts.length !== view.chunks) wrong.push(`${view.id} has ${parts.length} parts and says ${view.chunks}`)
      for (const { digest } of parts) {
        live.set(digest.toString('hex'), recordBytes((await store.read(digest)).bytes.length))
      }
      if (ledger.removed.has(view.id)) wrong.push(`${view.id} came back`)
    }
    for (const [id, promised] of ledger.parts) {
      if (ledger.removing.has(id)) continue
      for (const [index, number] of promised) {
        const digest = digestOf(numberedChunk(number))
        const part = store.part(id, index)
        if (part === null || !part.digest.equals(digest)) wrong.push(`${id}, chunk ${index} is gone or another`)
        else if (!digestOf(plainOf(await store.read(digest))).equals(digest))
          wrong.push(`${id}, chunk ${index} is not whole`)
      }
    }
    const liveBytes = [...live.values()].reduce((sum, bytes) => sum + bytes, 0)
    // What was being removed goes on being removed.
    for (let i = 0; i < WAITS_MAX && store.usage().chunks !== live.size; i++) await new Promise((r) => setTimeout(r, 2))
    const usage = store.usage()
    if (usage.chunks !== live.size) wrong.push(`${usage.chunks} chunks for ${live.size} in use`)
    if (usage.liveBytes !== liveBytes) wrong.push(`${usage.liveBytes} bytes are live, ${liveBytes} in use`)
  } finally {
    await store.close()
  }
  return [...wrong, ...(await wrongIn(folder))]
}

t.setTimeout(580_000)
t.test('killed again and again', { timeout: 570_000 }, async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  // A folder of its own: another run of this test must not take it away in between.
  const folder = mkdtempSync(join(tmpdir(), 'causeway-kill-contents-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const ledger = new Ledger()
  for (let round = 1; round <= ROUNDS; round++) {
    await runAndKill(ledger, folder, seed + round, 1 + random.below(200), random.below(40))
    t.strictSame(await judge(folder, ledger), [], `round ${round}: ${ledger.promises} promises kept`)
  }
  t.ok(ledger.removed.size > 5, `${ledger.removed.size} contents removed`)
})
