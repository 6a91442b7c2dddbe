// Plays every story of this folder. TRANSCRIPTS_UPDATE=1 writes what happened into the files instead of comparing: read the
// difference before believing it.

import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeCast } from '../simulation/stage.ts'
import { CAST, playStory } from './play.ts'
import { parseStory, writeStory } from './story.ts'

const folder = import.meta.dirname
const update = process.env.TRANSCRIPTS_UPDATE === '1'
const { cast, end } = makeCast(CAST)
t.teardown(end)

for (const file of globSync('*.txt', { cwd: folder }).sort()) {
  t.test(file, async (t) => {
    const path = join(folder, file)
    const text = readFileSync(path, 'utf8')
    const blocks = parseStory(text, file)
    const played = await playStory(cast, blocks)
    const now = writeStory(played)
    if (update) {
      if (now !== text) writeFileSync(path, now)
      t.comment(now === text ? 'as before' : 'rewritten')
      return
    }
    for (const [i, { commands, output }] of blocks.entries()) {
      t.strictSame(played[i]?.output, output, `${i + 1}. ${commands[0]}`)
    }
    t.equal(now, text, 'and is written as such a file is')
  })
}
