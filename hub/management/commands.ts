// The commands of causeway-hub that work on a data folder or ask a running hub.

import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { defaultHubConfigText, type HubConfig, loadHubConfig } from '#hub/config/mod.ts'
import { initAuthority, openAuthority } from '#hub/security/mod.ts'
import type { HubStatus } from '#hub/telemetry/mod.ts'
import { asFault } from '#protocol/base/mod.ts'
import { patternProblem } from '#protocol/codec/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, EXIT_USAGE, f, faultsText, formatBytes } from '#protocol/fields/mod.ts'
import { managementFault } from './faults.ts'
import { fetchStatus } from './server.ts'

const DAY_MS = 86_400_000

export const data = f.text({ doc: "the hub's data folder", maxLength: 4096, default: './hub-data' })
export const json = f.boolean({ doc: 'print JSON for machines', default: false })
const agent = f.text({
  doc: 'name of the agent',
  pattern: /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/,
  example: 'tax-office',
})
const patterns = (doc: string) =>
  f.list(f.text({ doc: 'topic pattern', check: patternProblem }), { doc, min: 0, max: 200, default: [] })
const publish = patterns('topics it may publish to; may be repeated')
const consume = patterns('topics and queues it may consume; may be repeated')

export const configPath = (dataDir: string): string => join(dataDir, 'hub.yaml')
const securityPath = (dataDir: string): string => join(dataDir, 'security')

/** The configuration of a data folder, or what is wrong with it (already worded). */
export async function configOf(dataDir: string, asJson: boolean): Promise<HubConfig | null> {
  if (!existsSync(configPath(dataDir))) throw managementFault('DATA_FOLDER_MISSING', { where: dataDir })
  const loaded = await loadHubConfig(configPath(dataDir))
  if (loaded.ok) return loaded.value
  console.error(faultsText(loaded.fault, { json: asJson }))
  return null
}

const init = command({
  summary: 'make a hub: data folder, hub.yaml, identity, certificate authority',
  spec: f.object({
    data,
    name: f.text({ doc: 'name of the hub', default: 'hub', pattern: /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/ }),
    host: f.list(f.text({ doc: 'host name or address' }), {
      doc: 'names and addresses agents reach it by, for its TLS certificate; may be repeated',
      min: 0,
      max: 20,
      default: [],
    }),
    json,
  }),
  run: async (settings) => {
    if (existsSync(configPath(settings.data))) throw managementFault('DATA_FOLDER_EXISTS', { where: settings.data })
    mkdirSync(settings.data, { recursive: true, mode: 0o700 })
    const machine = hostname()
    const named = isIP(machine) === 0 && /^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(machine) ? [machine] : []
    initAuthority(securityPath(settings.data), { hubName: settings.name, hostNames: [...named, ...settings.host] })
    writeFileSync(
      configPath(settings.data),
      defaultHubConfigText({ name: settings.name, set: addresses(settings.host) }),
      { mode: 0o600, flag: 'wx' },
    )
    const next = `causeway-hub start --data ${settings.data}`
    if (settings.json)
      console.log(JSON.stringify({ data: settings.data, name: settings.name, config: configPath(settings.data) }))
    else {
      console.log(`Hub "${settings.name}" made in ${settings.data}.`)
      console.log(`Settings:  ${configPath(settings.data)}`)
      console.log(`Next:      ${next}`)
      console.log(`Then:      causeway-hub invite AGENT --data ${settings.data} --publish 'topic/#'`)
    }
    return EXIT_OK
  },
})

/** Where agents will look for the hub: under the names it was given. */
function addresses(hosts: readonly string[]): Readonly<Record<string, readonly string[]>> {
  return hosts.length === 0
    ? {}
    : { advertise: hosts.slice(0, 8).map((host) => `${host.includes(':') ? `[${host}]` : host}:7400`) }
}

const invite = command({
  summary: 'make a one-time token with which an agent enrols',
  positionals: ['agent'],
  spec: f.object({
    agent,
    data,
    publish,
    consume,
    expires: f.duration({ doc: 'how long the token is good', min: 60_000, max: 30 * DAY_MS, default: DAY_MS }),
    address: f.list(f.text({ doc: 'host:port' }), {
      doc: 'where the agent finds the hub, instead of advertise in hub.yaml; may be repeated',
      min: 0,
      max: 8,
      default: [],
    }),
    json,
  }),
  run: async (settings) => {
    if (settings.publish.length + settings.consume.length === 0) {
      throw managementFault('RIGHTS_MISSING', { where: `agent ${settings.agent}` })
    }
    const config = await configOf(settings.data, settings.json)
    if (config === null) return EXIT_USAGE
    const addresses = settings.address.length > 0 ? settings.address : config.advertise
    const { token, expiresAtMs } = openAuthority(securityPath(settings.data)).invite({
      agent: settings.agent,
      publish: settings.publish,
      consume: settings.consume,
      addresses,
      expiresInMs: settings.expires,
    })
    if (settings.json) console.log(JSON.stringify({ agent: settings.agent, token, expiresAtMs, addresses }))
    else {
      console.log(token)
      console.error(`Good once, until ${new Date(expiresAtMs).toISOString()}. On the agent's machine:`)
      console.error('  causeway-agent enroll --data FOLDER --token TOKEN')
    }
    return EXIT_OK
  },
})

const grant = command({
  summary: "set an agent's rights (from its next session on)",
  positionals: ['agent'],
  spec: f.object({ agent, data, publish, consume, json }),
  run: async (settings) => {
    const record = openAuthority(securityPath(settings.data)).agents.grant(settings.agent, settings)
    const { name, publish, consume } = record
    const when = 'These rights count from its next session on.'
    console.log(settings.json ? JSON.stringify({ name, publish, consume }) : `${name}: ${rightsText(record)}\n${when}`)
    return EXIT_OK
  },
})

const revoke = command({
  summary: 'shut an agent out: its session ends within seconds, and it is refused from then on',
  positionals: ['agent'],
  spec: f.object({ agent, data, json }),
  run: async (settings) => {
    const { name } = openAuthority(securityPath(settings.data)).revoke(settings.agent)
    console.log(settings.json ? JSON.stringify({ name, revoked: true }) : `${name} is revoked`)
    return EXIT_OK
  },
})

const agents = command({
  summary: 'list the enrolled agents and their rights',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const list = openAuthority(securityPath(settings.data)).agents.list()
    if (settings.json) console.log(JSON.stringify(list))
    else if (list.length === 0) console.log('No agent is enrolled yet: causeway-hub invite AGENT')
    for (const record of settings.json ? [] : list) {
      console.log(`${record.name.padEnd(24)} ${record.revokedAtMs === null ? rightsText(record) : 'revoked'}`)
    }
    return EXIT_OK
  },
})

const status = command({
  summary: 'what the running hub is doing',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const now = await fetchStatus(settings.data)
    console.log(settings.json ? JSON.stringify(now) : statusText(now))
    return EXIT_OK
  },
})

type Finding = { readonly check: string; readonly ok: boolean; readonly detail: string }

const doctor = command({
  summary: 'check the data folder, settings, certificates and disk, and say what to mend',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const findings = await examine(settings.data)
    if (settings.json) console.log(JSON.stringify({ findings }))
    else
      for (const { check, ok, detail } of findings) console.log(`${ok ? 'ok  ' : 'BAD '} ${check.padEnd(14)} ${detail}`)
    return findings.every(({ ok }) => ok) ? EXIT_OK : EXIT_FAILED
  },
})

async function examine(dataDir: string): Promise<Finding[]> {
  const findings: Finding[] = []
  const check = async (name: string, work: () => Promise<string> | string) => {
    try {
      findings.push({ check: name, ok: true, detail: await work() })
    } catch (error) {
      findings.push({ check: name, ok: false, detail: faultsText([asFault(error)], { json: false }) })
    }
  }
  await check('settings', async () => {
    if (!existsSync(configPath(dataDir))) throw managementFault('DATA_FOLDER_MISSING', { where: dataDir })
    const loaded = await loadHubConfig(configPath(dataDir))
    if (!loaded.ok) throw loaded.fault[0]
    return `${configPath(dataDir)}, ${loaded.value.queues.length} queues`
  })
  await check('certificates', () => {
    const authority = openAuthority(securityPath(dataDir))
    const { validTo } = new X509Certificate(authority.hubCertificate)
    return `hub "${authority.hubName}", valid to ${new Date(validTo).toISOString().slice(0, 10)}, ${authority.agents.list().length} agents`
  })
  await check('disk', () => {
    const { bavail, bsize } = statfsSync(dataDir)
    const freeBytes = bavail * bsize
    if (freeBytes < FREE_BYTES_MIN) throw managementFault('DISK_NEARLY_FULL', { where: dataDir, freeBytes })
    return `${formatBytes(Math.floor(freeBytes / 2 ** 20) * 2 ** 20)} free`
  })
  await check('running', async () => {
    const now = await fetchStatus(dataDir)
    return `process ${now.processId}, ${now.sessions.length} agents connected`
  })
  return findings
}

const FREE_BYTES_MIN = 1024 ** 3

function rightsText({ publish, consume }: { publish: readonly string[]; consume: readonly string[] }): string {
  return `publish ${publish.join(' ') || '(nothing)'}; consume ${consume.join(' ') || '(nothing)'}`
}

function statusText(now: HubStatus): string {
  const lines = [
    `Hub ${now.name}, process ${now.processId}, since ${new Date(now.startedAtMs).toISOString()}`,
    `TCP ${now.listen.tcp}, WebSocket ${now.listen.websocket ?? 'off'}, memory ${Math.round(now.rssBytes / 2 ** 20)} MiB`,
    `Messages: ${now.messages.accepted} accepted, ${now.messages.settled} settled, ${now.messages.duplicate} repeated`,
    `Wire: ${now.wire.bytesIn} bytes in, ${now.wire.bytesOut} bytes out; store: ${now.store.bytes} bytes`,
    '',
    `${'QUEUE'.padEnd(36)} ${'WAITING'.padStart(10)} ${'IN FLIGHT'.padStart(10)} ${'CONSUMERS'.padStart(9)}`,
    ...now.queues.map(
      (queue) =>
        `${queue.name.padEnd(36)} ${String(queue.depth - queue.inFlight).padStart(10)} ${String(queue.inFlight).padStart(10)} ${String(queue.consumers).padStart(9)}`,
    ),
    '',
    `${'AGENT'.padEnd(24)} ${'TRANSPORT'.padEnd(10)} ${'REMOTE'.padEnd(24)} ${'CONSUMERS'.padStart(9)}`,
    ...now.sessions.map(
      ({ agent: name, transport, remote, consumers }) =>
        `${name.padEnd(24)} ${transport.padEnd(10)} ${remote.padEnd(24)} ${String(consumers).padStart(9)}`,
    ),
  ]
  return lines.join('\n')
}

export const commands = { init, invite, agents, grant, revoke, status, doctor }
