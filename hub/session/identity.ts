import type { SigningKey } from '#protocol/crypto/mod.ts'

/** Who the hub is, for what it signs itself. */
export type HubIdentity = { readonly name: string; readonly key: SigningKey; readonly certificate: Buffer }
