// Routes the same messages again and again in one way, and says how many it did in how much processor time. Started by the scenario
// `route` with settings as JSON.

import { type Way, workOf } from '../route/ways.ts'

const settings = JSON.parse(process.argv[2] ?? '{}') as {
  way: Way
  rules: number
  warmUpMs: number
  measuredMs: number
}
const work = await workOf(settings.way, settings.rules)
const fit = await work.run()
await measured(settings.warmUpMs)
process.send?.({ ...(await measured(settings.measuredMs)), fit })
process.disconnect?.()

async function measured(ms: number): Promise<{ messages: number; cpuSeconds: number; seconds: number }> {
  const start = performance.now()
  const cpu = process.cpuUsage()
  let messages = 0
  while (performance.now() - start < ms) {
    await work.run()
    messages += work.messages
  }
  const { user, system } = process.cpuUsage(cpu)
  return { messages, cpuSeconds: (user + system) / 1e6, seconds: (performance.now() - start) / 1000 }
}
