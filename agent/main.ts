// causeway-agent: argv, env and signals only.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Fault } from '#protocol/base/mod.ts'
import {
  command,
  EXIT_FAILED,
  EXIT_OK,
  EXIT_USAGE,
  f,
  faultsText,
  mindOutput,
  runProgram,
} from '#protocol/fields/mod.ts'
import { commands, data, json, spoolBytes } from './cli/commands.ts'
import { flowPaths, readFlow, startAgent } from './compose.ts'
import { agentFault, openLog } from './telemetry/mod.ts'

const start = command({
  summary: 'run the flows of a folder in the foreground until SIGTERM or SIGINT',
  spec: f.object({
    data,
    flows: f.text({ doc: 'folder with flow files; without it DATA/flows', maxLength: 4096, optional: true }),
    spoolBytes,
    log: f.choice(['debug', 'info', 'warn', 'error'] as const, { doc: 'least severity logged', default: 'info' }),
    json,
  }),
  run: async (settings) => {
    const flowsDir = settings.flows ?? join(settings.data, 'flows')
    const { flows, faults } = await readFlows(flowsDir)
    if (faults.length > 0) {
      console.error(faultsText(faults, { json: settings.json }))
      return EXIT_USAGE
    }
    const log = openLog('agent', settings.log)
    // Also one that comes while it starts ends it in order; a second one at once.
    const ended = new Promise<string>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name))
    })
    const agent = await startAgent({
      paths: { dataDir: settings.data, flowsDir },
      flows,
      spoolBytesMax: settings.spoolBytes,
      log,
    })
    log('info', 'agent started', { flows: flows.map(({ flow }) => flow.name) })
    const signal = await ended
    log('info', 'agent stopping', { signal })
    await agent.stop()
    return EXIT_OK
  },
})

async function readFlows(flowsDir: string) {
  const flows: { path: string; flow: NonNullable<Awaited<ReturnType<typeof readFlow>>['flow']> }[] = []
  const faults: Fault[] = []
  let paths: string[] = []
  try {
    paths = flowPaths(flowsDir)
  } catch (cause) {
    faults.push(agentFault('FLOWS_MISSING', { where: flowsDir, cause }))
  }
  for (const path of paths) {
    const read = await readFlow(path)
    faults.push(...read.faults)
    if (read.flow === null) continue
    const { name } = read.flow
    const same = flows.find((other) => other.flow.name === name)
    if (same !== undefined)
      faults.push(agentFault('FLOW_NAME_TWICE', { where: path, why: `"${name}" is also in ${same.path}` }))
    flows.push({ path, flow: read.flow })
  }
  if (flows.length + faults.length === 0) faults.push(agentFault('FLOWS_MISSING', { where: flowsDir }))
  return { flows, faults }
}

mindOutput(process.stdout, (fault) => {
  process.exitCode = EXIT_FAILED
  console.error(faultsText([fault], { json: process.argv.includes('--json') }))
})
mindOutput(process.stderr, () => undefined)

const { enroll, ...others } = commands
const code = await runProgram('causeway-agent', { enroll, start, ...others }, process.argv.slice(2), {
  out: (text) => console.log(text),
  err: (text) => console.error(text),
  version: () => String(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version),
})
process.exitCode ||= code
