import { declareFaults } from '#protocol/base/mod.ts'

export const listenerFault = declareFaults('listener', {
  LISTEN_FAILED: {
    meaning: 'the hub cannot listen on an address',
    remedy: 'Choose another port in hub.yaml, or stop the program that uses it',
  },
  HUB_BUSY: {
    meaning: 'the hub has as many connections as it may',
    remedy: 'Raise limits.sessionsMax in hub.yaml, or add a hub; the agent tries again by itself',
  },
  HUB_STOPPING: {
    meaning: 'the hub is being stopped',
    remedy: 'Nothing to do: the agent reconnects when the hub is back',
  },
})
