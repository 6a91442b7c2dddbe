// Making a hub, and finding out what is wrong with one.

import { X509Certificate } from 'node:crypto'
import { statfsSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { defaultHubConfigText, loadHubConfig } from '#hub/config/mod.ts'
import { initAuthority, makeFolder, openAuthority } from '#hub/security/mod.ts'
import { asFault } from '#protocol/base/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, f, faultsText, formatBytes } from '#protocol/fields/mod.ts'
import { fetchStatus } from '../contact.ts'
import { managementFault } from '../faults.ts'
import { checkDataFolder, configPath, isThere, securityPath } from '../folder.ts'
import { data, json } from './settings.ts'

const FREE_BYTES_MIN = 1024 ** 3

export const init = command({
  summary: 'make a hub: data folder, hub.yaml, identity, certificate authority',
  spec: f.object({
    data,
    name: f.text({
      doc: 'name of the hub',
      default: 'hub',
      pattern: /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/,
      example: 'hub-1',
    }),
    host: f.list(f.text({ doc: 'host name or address' }), {
      doc: 'names and addresses agents reach it by, for its TLS certificate; may be repeated',
      min: 0,
      max: 20,
      default: [],
    }),
    json,
  }),
  run: async (settings) => {
    if (isThere(configPath(settings.data))) throw managementFault('DATA_FOLDER_EXISTS', { where: settings.data })
    makeFolder(settings.data)
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

type Finding = { readonly check: string; readonly ok: boolean; readonly detail: string }

export const doctor = command({
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
    checkDataFolder(dataDir)
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
