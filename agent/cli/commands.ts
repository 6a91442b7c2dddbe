// The commands of causeway-agent besides `start`.

import { readFileSync } from 'node:fs'
import { enroll as enrollAgent } from '#agent/client/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, EXIT_USAGE, f, faultsText } from '#protocol/fields/mod.ts'
import { readFlow, startAgent, tryComponents } from '../compose.ts'
import { openLog } from '../telemetry/mod.ts'
import { data, identityPath, json } from './common.ts'
import { test } from './flow-test.ts'
import { mappingImport, mappingXslt } from './mapping.ts'
import { receive, send } from './messages.ts'
import { receiveFile } from './receive-file.ts'
import { sendFile } from './send-file.ts'
import { status } from './status.ts'
import { cancel, pause, prioritize, resume } from './transfer.ts'

export { data, json }

export const spoolBytes = f.bytes({
  doc: 'bound of the spool on this disk; flows wait when it is full',
  min: 2 ** 20,
  max: 2 ** 42,
  default: 2 ** 30,
})

const enroll = command({
  summary: 'become a known agent of a hub, with a one-time token',
  spec: f.object({
    data,
    token: f.text({
      doc: 'token from causeway-hub invite; - reads it from standard input',
      maxLength: 8192,
      secret: true,
    }),
    address: f.list(f.text({ doc: 'host:port' }), {
      doc: 'where the hub is, instead of the addresses in the token; may be repeated',
      min: 0,
      max: 8,
      default: [],
    }),
    json,
  }),
  run: async (settings) => {
    const tokenText = (settings.token === '-' ? readFileSync(0, 'utf8') : settings.token).trim()
    const identity = await enrollAgent({
      folder: identityPath(settings.data),
      tokenText,
      ...(settings.address.length > 0 ? { addresses: settings.address } : {}),
    })
    const { name, hubName, addresses } = identity
    if (settings.json) console.log(JSON.stringify({ name, hub: hubName, addresses }))
    else {
      console.log(`Enrolled as "${name}" at hub "${hubName}" (${addresses.join(', ')}).`)
      console.log(`Next: causeway-agent start --data ${settings.data} --flows FOLDER`)
    }
    return EXIT_OK
  },
})

const lint = command({
  summary: 'check flow files without running them',
  positionals: ['file'],
  spec: f.object({
    file: f.list(f.text({ doc: 'flow file' }), { doc: 'flow files', min: 1, max: 1000 }),
    json,
  }),
  run: async (settings) => {
    const faults = []
    for (const path of settings.file) {
      const read = await readFlow(path)
      const made = read.flow === null ? null : tryComponents(read.flow, path)
      faults.push(...read.faults, ...(made === null ? [] : [made]))
    }
    if (settings.json) console.log(JSON.stringify({ files: settings.file.length, faults }))
    else if (faults.length === 0) console.log(`${settings.file.length} flow file(s), no fault found.`)
    else console.error(faultsText(faults, { json: false }))
    return faults.length === 0 ? EXIT_OK : EXIT_FAILED
  },
})

const run = command({
  summary: 'run one flow in the foreground until its source ends (or SIGTERM)',
  positionals: ['file'],
  spec: f.object({ file: f.text({ doc: 'flow file' }), data, spoolBytes, json }),
  run: async (settings) => {
    const { flow, faults } = await readFlow(settings.file)
    if (flow === null) {
      console.error(faultsText(faults, { json: settings.json }))
      return EXIT_USAGE
    }
    const agent = await startAgent({
      paths: { dataDir: settings.data, flowsDir: '' },
      flows: [{ path: settings.file, flow }],
      spoolBytesMax: settings.spoolBytes,
      log: openLog(flow.name, settings.json ? 'info' : 'warn', 'beside'),
    })
    try {
      const stop = () => void agent.supervisor.stopFlow(flow.name)
      process.once('SIGINT', stop).once('SIGTERM', stop)
      const last = await agent.supervisor.ended(flow.name)
      const interrupted = new AbortController()
      process.once('SIGINT', () => interrupted.abort()).once('SIGTERM', () => interrupted.abort())
      const refused = await agent.drained(flow.name, interrupted.signal)
      const { state, rowsIn, rowsOut, rejected, lastFault } = last
      if (settings.json)
        console.log(JSON.stringify({ flow: flow.name, state, rowsIn, rowsOut, rejected, lastFault, refused }))
      else console.log(`${flow.name}: ${rowsIn} rows in, ${rowsOut} out, ${rejected} set aside (${state}).`)
      const fault = state === 'failed' ? lastFault : refused
      if (fault !== null && !settings.json) console.error(faultsText([fault], { json: false }))
      return fault === null ? EXIT_OK : EXIT_FAILED
    } finally {
      await agent.stop()
    }
  },
})

export const commands = {
  enroll,
  status,
  send,
  receive,
  'send file': sendFile,
  'receive file': receiveFile,
  'transfer prioritize': prioritize,
  'transfer pause': pause,
  'transfer resume': resume,
  'transfer cancel': cancel,
  'flow lint': lint,
  'flow test': test,
  'flow run': run,
  'mapping xslt': mappingXslt,
  'mapping import': mappingImport,
}
