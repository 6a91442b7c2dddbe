// The commands of causeway-agent besides `start`.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Client, enroll as enrollAgent } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { patternProblem } from '#protocol/codec/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, EXIT_USAGE, f, faultsText } from '#protocol/fields/mod.ts'
import { readFlow, startAgent, tryComponents } from '../compose.ts'
import { type AgentStatus, agentFault, isRunning, openLog, readStatus } from '../telemetry/mod.ts'

export const data = f.text({ doc: "the agent's data folder", maxLength: 4096, default: './agent-data' })
export const json = f.boolean({ doc: 'print JSON for machines', default: false })
export const spoolBytes = f.bytes({
  doc: 'bound of the spool on this disk; flows wait when it is full',
  min: 2 ** 20,
  max: 2 ** 42,
  default: 2 ** 30,
})
const topic = f.text({ doc: 'topic', maxLength: 255, example: 'division/village' })

const identityPath = (dataDir: string): string => join(dataDir, 'identity')

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

const status = command({
  summary: 'what the running agent is doing',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const now = readStatus(settings.data)
    console.log(settings.json ? JSON.stringify(now) : statusText(now))
    return EXIT_OK
  },
})

/** A connection for one command. An agent that runs with the same identity would be cut off by it. Faults: `AGENT_RUNNING`. */
function connect(dataDir: string): Promise<Client> {
  if (isRunning(dataDir)) throw agentFault('AGENT_RUNNING', { where: dataDir })
  return Client.connect({ identity: loadIdentity(identityPath(dataDir)) })
}

const send = command({
  summary: 'send one message, or one for each line of standard input',
  spec: f.object({
    data,
    topic,
    body: f.text({
      doc: 'the message; without it, every line of standard input is one',
      minLength: 0,
      maxLength: 2 ** 20,
      optional: true,
    }),
    key: f.text({ doc: 'key of the message', maxLength: 1024, optional: true }),
    header: f.record(f.text({ doc: 'value', minLength: 0 }), { doc: 'headers, as name=value', max: 64, default: {} }),
    json,
  }),
  run: async (settings) => {
    const client = await connect(settings.data)
    try {
      const publisher = client.publisher({
        stream: `send-${process.pid}-${Date.now()}`,
        proof: 'message',
        compression: 'zstd',
      })
      const { header: headers, key } = settings
      let sent = 0
      for await (const line of bodies(settings.body)) {
        await publisher.room()
        const message = { topic: settings.topic, body: Buffer.from(line), headers }
        // Told of a failure by `flush`.
        void publisher.publish(key === undefined ? message : { ...message, key: Buffer.from(key) })
        sent++
      }
      if (sent === 0) throw agentFault('INPUT_EMPTY')
      await publisher.flush()
      const unrouted = publisher.unroutedMessages
      if (settings.json) console.log(JSON.stringify({ sent, unrouted }))
      else
        console.log(`${sent} sent and stored by the hub${unrouted > 0 ? `; no queue wanted ${unrouted} of them` : ''}.`)
      return EXIT_OK
    } finally {
      await client.close()
    }
  },
})

const receive = command({
  summary: 'receive messages and print them, one JSON object a line',
  spec: f.object({
    data,
    queue: f.text({ doc: 'a queue of the hub', maxLength: 200, optional: true }),
    name: f.text({
      doc: 'with --topic: a durable subscription of this name, which goes on collecting; without it ends with this command',
      maxLength: 100,
      optional: true,
    }),
    topic: f.list(f.text({ doc: 'topic pattern', check: patternProblem }), {
      doc: 'topics; may be repeated',
      min: 0,
      max: 64,
      default: [],
    }),
    where: f.record(f.text({ doc: 'value' }), { doc: 'only with this header, as name=value', max: 16, default: {} }),
    count: f.integer({ doc: 'stop after this many; 0 goes on until Ctrl-C', min: 0, max: 2 ** 31, default: 0 }),
    timeout: f.duration({
      doc: 'stop when nothing came for so long; 0 waits for ever',
      min: 0,
      max: 86_400_000,
      default: 0,
    }),
    json,
  }),
  run: async (settings) => {
    const { queue, name, where } = settings
    if ((queue === undefined) === (settings.topic.length === 0)) {
      console.error('Give either --queue or --topic.')
      return EXIT_USAGE
    }
    const client = await connect(settings.data)
    try {
      const own = { name: name ?? `receive-${process.pid}`, ephemeral: name === undefined }
      const source = queue === undefined ? { ...own, topics: settings.topic, where } : { queue }
      const limits = settings.count > 0 ? { creditMessages: settings.count } : {}
      const subscription = await client.subscribe({ ...source, ...limits })
      const stop = () => subscription.close()
      process.once('SIGINT', stop).once('SIGTERM', stop)
      let timer = armed(settings.timeout, stop)
      let received = 0
      for await (const delivery of subscription) {
        if (timer !== null) clearTimeout(timer)
        // More than was asked for goes back to the queue when the subscription closes.
        const taken = settings.count > 0 ? Math.min(delivery.count, settings.count - received) : delivery.count
        for (let i = 0; i < taken; i++) {
          const { envelope, key, body } = delivery.message(i)
          const line = {
            topic: envelope.topic,
            from: delivery.origin,
            position: delivery.position + i,
            headers: envelope.headers,
            ...(key.length > 0 ? { key: key.toString() } : {}),
            body: body.toString(),
          }
          console.log(JSON.stringify(line))
        }
        delivery.settle(0, taken)
        received += taken
        if (settings.count > 0 && received >= settings.count) break
        timer = armed(settings.timeout, stop)
      }
      subscription.close()
      return settings.count > 0 && received < settings.count ? EXIT_FAILED : EXIT_OK
    } finally {
      await client.close()
    }
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
      log: openLog(flow.name, settings.json ? 'info' : 'warn'),
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

async function* bodies(body: string | undefined): AsyncGenerator<string> {
  if (body !== undefined) yield body
  else
    for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) yield line
}

function armed(ms: number, stop: () => void): NodeJS.Timeout | null {
  return ms === 0 ? null : setTimeout(stop, ms)
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

function statusText(now: AgentStatus): string {
  const state = now.connected
    ? 'connected'
    : `not connected${now.lastFault === null ? '' : `: ${String(now.lastFault.message)}`}`
  const lines = [
    `Agent ${now.name} of hub ${now.hub}, process ${now.pid}, ${state}`,
    `Spool: ${now.spool.messages} messages, ${mib(now.spool.bytes)} of ${mib(now.spool.bytesMax)}; memory ${Math.round(now.rssBytes / 2 ** 20)} MiB`,
    '',
    `${'FLOW'.padEnd(28)} ${'STATE'.padEnd(9)} ${'ROWS IN'.padStart(11)} ${'ROWS OUT'.padStart(11)} ${'SET ASIDE'.padStart(10)}`,
  ]
  for (const [name, flow] of Object.entries(now.flows)) {
    lines.push(
      `${name.padEnd(28)} ${flow.state.padEnd(9)} ${String(flow.rowsIn).padStart(11)} ${String(flow.rowsOut).padStart(11)} ${String(flow.rejected).padStart(10)}`,
    )
    if (flow.lastFault !== null) lines.push(`  ${String(flow.lastFault.code)}: ${String(flow.lastFault.message)}`)
  }
  for (const [stream, fault] of Object.entries(now.refused)) {
    lines.push('', `The hub refuses what ${stream} sends: ${String(fault.message)}`, `  ${String(fault.remedy)}`)
  }
  return lines.join('\n')
}

export const commands = { enroll, status, send, receive, 'flow lint': lint, 'flow run': run }
