// Keys as batches name them: eight bytes of the public key's digest, so that a verifier finds the right certificate among
// those an agent has had.

import { createPublicKey, type KeyObject } from 'node:crypto'
import { ed25519 } from './suite.ts'

export const KEY_ID_BYTES = 8

export type SigningKey = { readonly privateKey: KeyObject; readonly keyId: Buffer }

export function signingKey(privateKey: KeyObject): SigningKey {
  return { privateKey, keyId: keyIdOf(createPublicKey(privateKey)) }
}

/** The first eight bytes of SHA-256 over the SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in DER. */
export function keyIdOf(publicKey: KeyObject): Buffer {
  return ed25519.digest(publicKey.export({ type: 'spki', format: 'der' })).subarray(0, KEY_ID_BYTES)
}
