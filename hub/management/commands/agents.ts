// Agents, their rights and their groups: records in the data folder, which a running hub sees at once.

import type { HubConfig } from '#hub/config/mod.ts'
import { type Authority, openAuthority } from '#hub/security/mod.ts'
import { Fault } from '#protocol/base/mod.ts'
import { patternProblem } from '#protocol/codec/mod.ts'
import { command, EXIT_OK, EXIT_USAGE, f, nearest } from '#protocol/fields/mod.ts'
import { managementFault } from '../faults.ts'
import { checkDataFolder, securityPath } from '../folder.ts'
import { grid } from '../show.ts'
import { agentName as agent, configOf, data, json } from './settings.ts'

const DAY_MS = 86_400_000
const AGENTS_NAMED_MAX = 1000

const patterns = (doc: string) =>
  f.list(f.text({ doc: 'topic pattern', check: patternProblem }), { doc, min: 0, max: 200, default: [] })
const publish = patterns('topics it may publish to; may be repeated')
const consume = patterns('topics and queues it may consume; may be repeated')

export const invite = command({
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
    for (const name of settings.consume) {
      const meant = queueMeant(name, config)
      if (meant !== null)
        console.error(`hub.yaml has no queue ${name}; did you mean ${meant}? The token is for ${name}.`)
    }
    const addresses = settings.address.length > 0 ? settings.address : config.advertise
    const { token, expiresAtMs } = authorityOf(settings.data).invite({
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

export const grant = command({
  summary: "set an agent's rights (from its next session on)",
  positionals: ['agent'],
  spec: f.object({ agent, data, publish, consume, json }),
  run: async (settings) => {
    if (settings.publish.length + settings.consume.length === 0) {
      const todo = `Name all the rights it shall have; to shut it out: causeway-hub revoke ${settings.agent}`
      throw managementFault('RIGHTS_MISSING', { where: `agent ${settings.agent}`, todo })
    }
    const { agents } = authorityOf(settings.data)
    const record = named(agents, settings.agent, () => agents.grant(settings.agent, settings))
    const { name, publish, consume } = record
    const when = 'These rights count from its next session on.'
    console.log(settings.json ? JSON.stringify({ name, publish, consume }) : `${name}: ${rightsText(record)}\n${when}`)
    return EXIT_OK
  },
})

export const revoke = command({
  summary: 'shut an agent out: its session ends within seconds, and it is refused from then on',
  positionals: ['agent'],
  spec: f.object({ agent, data, json }),
  run: async (settings) => {
    const authority = authorityOf(settings.data)
    const { name } = named(authority.agents, settings.agent, () => authority.revoke(settings.agent))
    console.log(settings.json ? JSON.stringify({ name, revoked: true }) : `${name} is revoked`)
    return EXIT_OK
  },
})

export const agents = command({
  summary: 'list the enrolled agents and their rights',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const list = authorityOf(settings.data).agents.list()
    if (settings.json) console.log(JSON.stringify(list))
    else if (list.length === 0) console.log('No agent is enrolled yet: causeway-hub invite AGENT')
    for (const record of settings.json ? [] : list) {
      console.log(`${record.name.padEnd(24)} ${record.revokedAtMs === null ? rightsText(record) : 'revoked'}`)
      if (record.revokedAtMs === null && record.groups.length > 0) {
        console.log(`${' '.repeat(25)}groups ${record.groups.join(' ')}`)
      }
    }
    return EXIT_OK
  },
})

/** A right may be for a queue that is yet to come, so this is said and no fault. */
function queueMeant(name: string, { queues }: HubConfig): string | null {
  const names = queues.map((queue) => queue.name)
  return names.includes(name) || /[/+#]/.test(name) ? null : nearest(name, names)
}

const group = f.text({ doc: 'name of the group', example: 'north' })
const members = f.list(agent, { doc: 'agents', min: 1, max: AGENTS_NAMED_MAX })

export const groups = command({
  summary: 'list the groups of agents: what is published to group/NAME/… reaches all in it',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const found = new Map<string, string[]>()
    for (const { name, groups, revokedAtMs } of authorityOf(settings.data).agents.list()) {
      if (revokedAtMs === null) for (const one of groups) found.set(one, [...(found.get(one) ?? []), name])
    }
    const sorted = [...found].sort(([a], [b]) => (a < b ? -1 : 1))
    if (settings.json) console.log(JSON.stringify(sorted.map(([group, agents]) => ({ group, agents }))))
    else if (sorted.length === 0) console.log('There is no group yet: causeway-hub groups add GROUP AGENT')
    else {
      const rows = sorted.map(([group, agents]) => [group, String(agents.length), agents.join(' ')])
      console.log(grid([{ title: 'GROUP' }, { title: 'AGENTS', right: true }, { title: '' }], rows).join('\n'))
    }
    return EXIT_OK
  },
})

const regroup = (how: 'join' | 'leave') => ({
  positionals: ['group', 'agent'] as const,
  spec: f.object({ group, agent: members, data, json }),
  run: async (settings: { group: string; agent: string[]; data: string; json: boolean }) => {
    const registry = authorityOf(settings.data).agents
    // Nobody is changed when one of the names is wrong.
    for (const name of settings.agent) {
      if (registry.get(name) === null) named(registry, name, () => registry.join(name, settings.group))
    }
    const records = settings.agent.map((name) => registry[how](name, settings.group))
    if (settings.json) console.log(JSON.stringify(records.map(({ name, groups }) => ({ name, groups }))))
    for (const { name, groups } of settings.json ? [] : records) {
      console.log(`${name}: ${groups.length === 0 ? '(in no group)' : groups.join(' ')}`)
    }
    return EXIT_OK
  },
})

export const groupsAdd = command({ summary: 'make agents members of a group, within seconds', ...regroup('join') })
export const groupsRemove = command({ summary: 'take agents out of a group', ...regroup('leave') })

/** Faults: `DATA_FOLDER_MISSING`, as `openAuthority`. */
function authorityOf(dataDir: string): Authority {
  checkDataFolder(dataDir)
  return openAuthority(securityPath(dataDir))
}

/** Does it, and proposes the agent that was meant when there is none of that name. */
function named<T>(registry: Authority['agents'], name: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'AGENT_UNKNOWN') throw error
    const known = registry.list().map((record) => record.name)
    const near = nearest(name, known)
    const todo = `${near === null ? '' : `Did you mean ${near}? `}See causeway-hub agents`
    throw new Fault(error.code, { meaning: error.message, remedy: todo }, { where: name, cause: error })
  }
}

function rightsText({ publish, consume }: { publish: readonly string[]; consume: readonly string[] }): string {
  return `publish ${publish.join(' ') || '(nothing)'}; consume ${consume.join(' ') || '(nothing)'}`
}
