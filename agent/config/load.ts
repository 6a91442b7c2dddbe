// agent.yaml of an agent's data folder: every setting has a default, so that the file need not be there. It is read when a program
// starts.

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { decodeText, parseFields, TEXT_BYTES_MAX } from '#protocol/fields/mod.ts'
import { agentConfigFault } from './faults.ts'
import { type AgentConfig, agentSpec } from './spec.ts'
import { rateOf } from './windows.ts'

/** Faults: `AGENT_CONFIG_UNREADABLE`, `FIELD_*`, `YAML_*` with file, line and column; the first of several. */
export function loadAgentConfig(dataDir: string): AgentConfig {
  const path = join(dataDir, 'agent.yaml')
  const bytes = readIfThere(path)
  const decoded = bytes === null ? ({ ok: true, value: '' } as const) : decodeText(bytes, { file: path })
  const parsed = decoded.ok ? parseFields(agentSpec, decoded.value, { file: path }) : decoded
  if (!parsed.ok) throw parsed.fault[0]
  return parsed.value
}

/** What a client keeps its transfers to. */
export function transferLimitsOf({ transfers }: AgentConfig, now?: () => Date) {
  const { rate, uploadRate = rate, downloadRate = rate, windows, rateOutside } = transfers
  return {
    uploadBytesPerSecondMax: rateOf({ rate: uploadRate, windows, rateOutside }, now),
    downloadBytesPerSecondMax: rateOf({ rate: downloadRate, windows, rateOutside }, now),
  }
}

function readIfThere(path: string): Buffer | null {
  try {
    const stat = statSync(path)
    if (!stat.isFile()) throw agentConfigFault('AGENT_CONFIG_UNREADABLE', { where: path, why: 'it is no file' })
    // A byte more than is allowed: the parser then says that it is too much.
    return readFileSync(path).subarray(0, TEXT_BYTES_MAX + 1)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    if (code === 'AGENT_CONFIG_UNREADABLE') throw cause
    throw agentConfigFault('AGENT_CONFIG_UNREADABLE', { where: path, why: code, cause })
  }
}
