import { declareFaults } from '#protocol/base/mod.ts'

export const agentConfigFault = declareFaults('agent-config', {
  AGENT_CONFIG_UNREADABLE: {
    meaning: 'agent.yaml is there and cannot be read',
    remedy: 'Give the user that runs the agent the right to read it, or remove it: every setting has a default',
  },
})
