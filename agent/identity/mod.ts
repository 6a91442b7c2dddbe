// Who this agent is: its key, its certificate, its hub; and the token that made it so.

export { parseToken } from '#protocol/handshake/mod.ts'
export type { EnrolmentResult, Identity, NewIdentity, StorePaths } from './identity.ts'
export { createIdentity, loadIdentity, saveEnrolment } from './identity.ts'
