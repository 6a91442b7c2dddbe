// causeway-hub: argv, env and signals only.

import { asFault } from '#protocol/base/mod.ts'
import { chooseCommand, command, EXIT_FAILED, EXIT_OK, EXIT_USAGE, f, faultsText } from '#protocol/fields/mod.ts'
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
    const hub = await startHub({ dataDir: settings.data, config, log })
    const signal = await new Promise<string>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name))
    })
    log('info', 'hub stopping', { signal })
    await hub.stop()
    return EXIT_OK
  },
})

const argv = process.argv.slice(2)
const asJson = argv.includes('--json')
const choice = chooseCommand('causeway-hub', { ...commands, start }, argv)
switch (choice.kind) {
  case 'help':
    console.log(choice.text)
    break
  case 'faults':
    console.error(faultsText(choice.faults, { json: asJson }))
    process.exitCode = EXIT_USAGE
    break
  case 'run':
    try {
      process.exitCode = await choice.run()
    } catch (error) {
      console.error(faultsText([asFault(error)], { json: asJson }))
      process.exitCode = EXIT_FAILED
    }
}
