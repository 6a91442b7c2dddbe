// The hub's identity, its certificate authority, one-time invitations, and the registry of agents with their rights.

export type { AgentRegistry } from './agents.ts'
export type { Authority, HubTls, InvitationOrder } from './authority.ts'
export { initAuthority, openAuthority, renewHubCertificate } from './authority.ts'
export { browserIdentity } from './browser.ts'
export { isMissing, makeFolder, readIfThere, writeDurably } from './files.ts'
export type { LinkRecord } from './link-ledger.ts'
export { recordedContent, usedTimes, usesIn, usesPath } from './link-uses.ts'
export type { DownloadLink, Link, Links, PartLink, UploadLink } from './links.ts'
export { openLinks } from './links.ts'
export type { AgentRecord, InvitationRecord, Rights } from './parse.ts'
