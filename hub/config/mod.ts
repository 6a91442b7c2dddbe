// Settings of the hub: hub.yaml → `HubConfig`.

export { isLoopback, isWildcard, joinAddress } from './address.ts'
export type { HubConfig } from './load.ts'
export { advertised, loadHubConfig, parseHubConfig } from './load.ts'
export { deadLettersPolicy, inboxPolicy, queuePolicy } from './policy.ts'
export type { QueueSettings } from './spec.ts'
export { hubSpec } from './spec.ts'
export { defaultHubConfigText } from './text.ts'
