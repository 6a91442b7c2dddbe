// causeway-agent status.

import { asFault } from '#protocol/base/mod.ts'
import { columns, command, EXIT_OK, f } from '#protocol/fields/mod.ts'
import {
  type AgentStatus,
  type CommandStatus,
  readCommands,
  readStatus,
  type TransferStatus,
} from '../telemetry/mod.ts'
import { roughBytes, roughTime } from './bar.ts'
import { data, json } from './common.ts'
import { holdOf } from './standing.ts'

export const status = command({
  summary: 'what the running agent is doing, and its commands that transfer files',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const commands = readCommands(settings.data)
    const now = agentStatus(settings.data, commands)
    if (settings.json) console.log(JSON.stringify({ running: now !== null, ...now, commands }))
    else console.log(statusText(now, commands))
    return EXIT_OK
  },
})

/** `null`: none runs, but commands do. Faults: `AGENT_NOT_RUNNING`. */
function agentStatus(dataDir: string, commands: readonly CommandStatus[]): AgentStatus | null {
  try {
    return readStatus(dataDir)
  } catch (error) {
    if (commands.length > 0 && asFault(error).code === 'AGENT_NOT_RUNNING') return null
    throw error
  }
}

export function statusText(now: AgentStatus | null, commands: readonly CommandStatus[]): string {
  const lines = now === null ? ['No agent runs on this data folder.'] : agentLines(now)
  for (const { command: name, pid, transfers } of commands) {
    lines.push('', `Command ${name}, process ${pid}`, ...transferLines(transfers))
    if (transfers.length === 0) lines.push('no transfer at the moment')
  }
  return lines.join('\n')
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

function agentLines(now: AgentStatus): string[] {
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
    if (flow.lastFault === null) continue
    const { code, where, message, remedy } = flow.lastFault
    const at = typeof where === 'string' ? ` at ${where}` : ''
    lines.push(`  ${String(code)}${at}: ${String(message)}`, `  ${String(remedy)}`)
  }
  // An agent of an earlier version, still running, writes none.
  const { transfers = [] } = now
  if (transfers.length > 0) lines.push('', ...transferLines(transfers))
  for (const [stream, fault] of Object.entries(now.refused)) {
    lines.push('', `The hub refuses what ${stream} sends: ${String(fault.message)}`, `  ${String(fault.remedy)}`)
  }
  for (const fault of Object.values(now.lost ?? {})) lines.push('', String(fault.message), `  ${String(fault.remedy)}`)
  return lines
}

const NAME_COLUMNS = 26

/** At most 80 columns where names are not longer than their column. */
function transferLines(transfers: readonly TransferStatus[]): string[] {
  if (transfers.length === 0) return []
  const lines = [
    `${'TRANSFER'.padEnd(NAME_COLUMNS)} ${'WAY'.padEnd(8)} ${'DONE'.padStart(4)} ${'SIZE'.padStart(10)}  STATE`,
  ]
  for (const {
    name,
    id,
    direction,
    priority,
    size,
    doneBytes,
    bytesPerSecond,
    secondsLeft,
    state,
    fault,
  } of transfers) {
    const done = size === 0 ? 0 : Math.min(1, doneBytes / size)
    const left = secondsLeft === null ? '' : `, ${roughTime(secondsLeft)} left`
    const hold = holdOf(state, fault === null ? null : String(fault.hubCode || fault.code))
    const going = hold ?? `${roughBytes(bytesPerSecond)}/s${left}`
    const wish = priority === 'normal' ? '' : `, ${priority}`
    lines.push(
      `${cell(name === '' ? id : name)} ${direction.padEnd(8)} ${`${Math.floor(100 * done)}%`.padStart(4)} ${roughBytes(size).padStart(10)}  ${going}${wish}`,
    )
    if (fault !== null) lines.push(`  ${String(fault.code)}: ${String(fault.message)}`)
  }
  return lines
}

/** A text in a column of its own, cut where it is too long. */
function cell(text: string): string {
  let out = text
  while (columns(out) > NAME_COLUMNS) out = `${[...out].slice(0, -2).join('')}…`
  return out + ' '.repeat(NAME_COLUMNS - columns(out))
}
