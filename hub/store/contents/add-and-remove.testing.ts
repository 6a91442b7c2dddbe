// The child of kill.test.ts: begins, adds, seals and removes contents until it is killed, and says what it was promised.
// Run: node hub/store/contents/add-and-remove.testing.ts FOLDER SEED

import { writeSync } from 'node:fs'
import { Random } from '#protocol/bytes/testing.ts'
import { ContentStore } from './content-store.ts'
import { digestOf, infoOf, MIB, numberedAdd, numberedChunk } from './contents.testing.ts'

const [, , folder = '', seed = '1'] = process.argv
const random = new Random(Number(seed))
const store = ContentStore.open({ folder, bytesMax: 256 * MIB, freeBytesMin: 0, segmentBytes: MIB })

// At once: what was promised must be known when the next moment never comes.
const say = (...words: (string | number)[]): void => void writeSync(1, `${words.join(' ')}\n`)

async function one(id: string): Promise<void> {
  say('begins', id)
  await store.begin(infoOf({ id, size: 2 ** 30 }))
  say('begun', id)
  const adds: Promise<void>[] = []
  for (let index = random.below(30); index >= 0; index--) {
    // Of few chunks: most are shared.
    const number = random.below(60)
    const added = store.add(id, index, numberedAdd(number)).then(() => say('added', id, index, number))
    adds.push(added)
    if (random.oneIn(4)) await added
    if (!random.oneIn(40)) continue
    // As if somebody had read it and found it damaged.
    const bad = random.below(60)
    say('damages', bad)
    adds.push(store.damaged(digestOf(numberedChunk(bad))))
  }
  await Promise.all(adds)
}

const ids = [...store.all()].map(({ id }) => id)
const lanes = Array.from({ length: 3 }, async (_, lane) => {
  for (let round = 0; ; round++) {
    const id = [Number(seed), lane, round]
      .map((part) => part.toString(16).padStart(8, '0'))
      .join('')
      .padStart(32, '0')
    await one(id)
    ids.push(id)
    while (ids.length > 6) {
      const [gone] = ids.splice(random.below(ids.length), 1) as [string]
      say('removes', gone)
      const removal = store.remove(gone).then(() => say('removed', gone))
      if (random.oneIn(2)) await removal
    }
  }
})
await Promise.all(lanes)
