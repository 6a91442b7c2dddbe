// What several commands of causeway-agent share.

import { join } from 'node:path'
import { Client } from '#agent/client/mod.ts'
import { loadAgentConfig, lowerRate, rateOf, type Schedule, transferLimitsOf } from '#agent/config/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { f } from '#protocol/fields/mod.ts'
import { agentFault, isRunning, readCommands, WishFolder } from '../telemetry/mod.ts'

export const data = f.text({ doc: "the agent's data folder", maxLength: 4096, default: './agent-data' })
export const json = f.boolean({ doc: 'print JSON for machines', default: false })

export const identityPath = (dataDir: string): string => join(dataDir, 'identity')

/** A connection for one command, whose uploads keep to `uploads` below what agent.yaml allows. An agent that runs with the same identity, or a file on its way, would be cut off by it. Faults: `AGENT_RUNNING`, as `loadAgentConfig`. */
export function connect(dataDir: string, uploads: Schedule = { rate: 0 }): Promise<Client> {
  if (isRunning(dataDir)) throw agentFault('AGENT_RUNNING', { where: dataDir })
  const [other] = readCommands(dataDir)
  if (other !== undefined) {
    const why = `causeway-agent ${other.command}, process ${other.pid}`
    throw agentFault('AGENT_RUNNING', {
      where: dataDir,
      why,
      todo: 'Let it end, or stop it: what it sent is not sent again',
    })
  }
  const limits = transferLimitsOf(loadAgentConfig(dataDir))
  const transfers = {
    ...limits,
    uploadBytesPerSecondMax: lowerRate(limits.uploadBytesPerSecondMax, rateOf(uploads)),
  }
  return Client.connect({ identity: loadIdentity(identityPath(dataDir)), transfers, wishes: new WishFolder(dataDir) })
}
