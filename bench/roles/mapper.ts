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

async function measured(ms: number): Promise<{ documents: number; cpuSeconds: number; seconds: number }> {
  const start = performance.now()
  const cpu = process.cpuUsage()
  let documents = 0
  while (performance.now() - start < ms) {
    await batch.run()
    documents += batch.documents
  }
  const { user, system } = process.cpuUsage(cpu)
  return { documents, cpuSeconds: (user + system) / 1e6, seconds: (performance.now() - start) / 1000 }
}
