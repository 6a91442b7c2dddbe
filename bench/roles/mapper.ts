// Maps one document again and again in one way, and says how many documents it did in how much processor time, its own helpers
// (garbage collection, compiling) with it. Started by the scenario `transform` with settings as JSON.

import { batchOf, type Way } from '../transform/ways.ts'
import { sampleDocument, works } from '../transform/work.ts'

const settings = JSON.parse(process.argv[2] ?? '{}') as {
  way: Way
  work: string
  compiledStylesheet: string
  warmUpMs: number
  measuredMs: number
}
const work = works.find(({ name }) => name === settings.work)
if (work === undefined) throw new Error(`no work is called ${settings.work}`)
const batch = batchOf(settings.way, work, sampleDocument(), settings.compiledStylesheet)
const result = await batch.run()
await measured(settings.warmUpMs)
process.send?.({ ...(await measured(settings.measuredMs)), result: result.toString() })
process.disconnect?.()

/** For so much processor time: on a busy machine no less is compiled and measured. */
async function measured(ms: number): Promise<{ documents: number; cpuSeconds: number }> {
  const start = process.cpuUsage()
  let documents = 0
  let cpuSeconds = 0
  while (cpuSeconds * 1000 < ms) {
    await batch.run()
    documents += batch.documents
    const { user, system } = process.cpuUsage(start)
    cpuSeconds = (user + system) / 1e6
  }
  return { documents, cpuSeconds }
}
