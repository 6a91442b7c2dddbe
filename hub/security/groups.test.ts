// Groups of agents: kept in the agent's record, through enrolments and hubs that knew no groups, and told to who follows.

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openAgents } from './agents.ts'
import { GROUPS_PER_AGENT_MAX } from './limits.ts'
import type { AgentRecord } from './parse.ts'

const NOW_MS = Date.parse('2026-03-01T00:00:00Z')

function registry(t: { teardown(fn: () => void): void }) {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-groups-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const agents = openAgents(folder)
  const enter = (name: string, key = 'a') => {
    const times = { invitedAtMs: NOW_MS, nowMs: NOW_MS }
    return agents.enter({ name, keyFingerprint: key.repeat(64), serial: 'AB', publish: ['#'], consume: [], ...times })
  }
  return { folder, agents, enter, file: (name: string) => join(folder, `${name}.json`) }
}

t.test('agents join and leave groups', async (t) => {
  const { agents, enter } = registry(t)
  enter('office')
  t.same(agents.groupsOf('office'), [])
  t.same(agents.groupsOf('nobody'), [])
  agents.join('office', 'north')
  agents.join('office', '民政.局')
  t.same(agents.join('office', 'north').groups, ['north', '民政.局'], 'twice is once')
  t.same(agents.leave('office', 'south').groups, ['north', '民政.局'])
  t.same(agents.leave('office', 'north').groups, ['民政.局'])
  t.same(agents.groupsOf('office'), ['民政.局'])
  t.throws(() => agents.join('nobody', 'north'), { code: 'AGENT_UNKNOWN' })
  for (const name of ['', 'a/b', 'a+', '#', 'North', 'a b', 'e\u0301', 'x'.repeat(65), 'a\u202eb', 'a\n']) {
    t.throws(() => agents.join('office', name), { code: 'GROUP_NAME_INVALID' }, JSON.stringify(name))
  }
  for (let i = 1; i < GROUPS_PER_AGENT_MAX; i++) agents.join('office', `g${i}`)
  t.throws(() => agents.join('office', 'one-more'), { code: 'GROUPS_FULL' })
})

t.test('a new machine keeps the groups, one that was shut out does not', async (t) => {
  const { agents, enter } = registry(t)
  enter('office')
  agents.join('office', 'north')
  t.same(enter('office', 'b').groups, ['north'])
  t.same(agents.grant('office', { publish: [], consume: ['x'] }).groups, ['north'])
  agents.revoke('office', NOW_MS)
  t.same(agents.groupsOf('office'), [])
  t.throws(() => agents.join('office', 'south'), { code: 'AGENT_REVOKED' })
  t.same(enter('office', 'c').groups, [])
})

t.test('records of hubs that knew no groups; records that were tampered with', async (t) => {
  const { agents, enter, file } = registry(t)
  enter('office')
  const { groups: _groups, ...record } = JSON.parse(readFileSync(file('office'), 'utf8')) as AgentRecord
  writeFileSync(file('office'), JSON.stringify(record))
  t.same(agents.get('office')?.groups, [])
  for (const groups of [null, 'north', ['a/b'], Array.from({ length: 65 }, (_, i) => `g${i}`)]) {
    writeFileSync(file('office'), JSON.stringify({ ...record, groups }))
    t.throws(() => agents.get('office'), { code: 'AGENT_RECORD_INVALID' }, JSON.stringify(groups))
  }
})

/** Until what changes now has another time than what has changed: whoever follows looks once a second, not at once. */
function tick(folder: string): void {
  const probe = `${folder}.probe`
  const { mtimeNs } = statSync(folder, { bigint: true })
  do writeFileSync(probe, '')
  while (statSync(probe, { bigint: true }).mtimeNs <= mtimeNs)
  rmSync(probe)
}

t.test('who follows is told of every agent, then of changes by whomever', async (t) => {
  const { agents, enter, folder, file } = registry(t)
  const other = openAgents(folder)
  enter('a')
  enter('gone')
  agents.revoke('gone', NOW_MS)
  const told: string[] = []
  const failed: string[] = []
  const poll = agents.follow(
    ({ name, groups, revokedAtMs }) => told.push(`${name} ${revokedAtMs === null ? groups : 'revoked'}`),
    ({ code }) => failed.push(code),
  )
  const since = () => {
    poll()
    if (existsSync(folder)) tick(folder)
    return told.splice(0)
  }
  t.same(told.splice(0), ['a '], 'those that count')
  t.same(since(), [])
  other.join('a', 'north')
  enter('b')
  t.same(since(), ['a north', 'b '])
  other.grant('a', { publish: ['x'], consume: [] })
  t.same(since(), [], 'rights are not groups')
  other.revoke('a', NOW_MS)
  t.same(since(), ['a revoked'])
  enter('a', 'b')
  t.same(since(), ['a '])
  const text = readFileSync(file('b'), 'utf8')
  // As a write by hand in the same moment would look: the folder's time does not change with the content of a file.
  writeFileSync(file('b'), 'nonsense')
  enter('c')
  t.same(since(), ['c '], 'one bad record hides no other')
  t.same(failed.splice(0), ['AGENT_RECORD_INVALID'])
  writeFileSync(file('b'), text.replace('"groups": []', '"groups": ["south"]'))
  t.same(since(), ['b south'], 'what could not be read is read again')
  rmSync(folder, { recursive: true })
  t.same([since(), since()], [[], []])
  t.same(failed, ['SYSTEM_REFUSED'], 'that the folder is gone is told once')
})
