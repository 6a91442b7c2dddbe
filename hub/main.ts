// causeway-hub: argv, env and signals only.

import { readFileSync } from 'node:fs'
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
import { startHub } from './compose.ts'
import { commands, configOf, data, json } from './management/mod.ts'
import { openLog } from './telemetry/mod.ts'

const start = command({
  summary: 'run the hub in the foreground until SIGTERM or SIGINT',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const config = await configOf(settings.data, settings.json)
    if (config === null) return EXIT_USAGE
    const log = openLog({ name: config.name, level: config.log.level })
    // Also one that comes while it starts ends it in order; a second one at once.
    const ended = new Promise<string>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name))
    })
    const hub = await startHub({ dataDir: settings.data, config, log })
    const signal = await ended
    log('info', 'hub stopping', { signal })
    await hub.stop()
    return EXIT_OK
  },
})

mindOutput(process.stdout, (fault) => {
  process.exitCode = EXIT_FAILED
  console.error(faultsText([fault], { json: process.argv.includes('--json') }))
})
mindOutput(process.stderr, () => undefined)

const { init, ...others } = commands
const code = await runProgram('causeway-hub', { init, start, ...others }, process.argv.slice(2), {
  out: (text) => console.log(text),
  err: (text) => console.error(text),
  version: () => String(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version),
})
process.exitCode ||= code
