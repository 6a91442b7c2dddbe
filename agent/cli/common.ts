// What several commands of causeway-agent share.

import { join } from 'node:path'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { f } from '#protocol/fields/mod.ts'
import { agentFault, isRunning } from '../telemetry/mod.ts'

export const data = f.text({ doc: "the agent's data folder", maxLength: 4096, default: './agent-data' })
export const json = f.boolean({ doc: 'print JSON for machines', default: false })

export const identityPath = (dataDir: string): string => join(dataDir, 'identity')

/** A connection for one command. An agent that runs with the same identity would be cut off by it. Faults: `AGENT_RUNNING`. */
export function connect(dataDir: string): Promise<Client> {
  if (isRunning(dataDir)) throw agentFault('AGENT_RUNNING', { where: dataDir })
  return Client.connect({ identity: loadIdentity(identityPath(dataDir)) })
}
