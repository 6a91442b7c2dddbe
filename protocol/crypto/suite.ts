// Signature and digest suites behind one interface. The number is what stands in a batch's head and in a handshake.

import { hash, type KeyObject, sign, verify } from 'node:crypto'
import { cryptoFault } from './faults.ts'

export const SUITE_NONE = 0
export const SUITE_ED25519 = 1

/** A digest and a signature scheme that go together. All digests are 32 bytes. */
export type Suite = {
  readonly id: number
  readonly name: string
  readonly signatureBytes: number
  digest(data: Uint8Array): Buffer
  /** The digest as a latin1 string of 32 characters: three times faster than a Buffer, for trees of many leaves. */
  digestLatin1(data: Uint8Array): string
  sign(privateKey: KeyObject, data: Uint8Array): Buffer
  verify(publicKey: KeyObject, data: Uint8Array, signature: Uint8Array): boolean
}

export const DIGEST_BYTES = 32

/** Ed25519 (RFC 8032) with SHA-256 (FIPS 180-4), through OpenSSL. */
export const ed25519: Suite = {
  id: SUITE_ED25519,
  name: 'ed25519-sha256',
  signatureBytes: 64,
  digest: (data) => hash('sha256', data, 'buffer'),
  digestLatin1: (data) => hash('sha256', data, 'binary'),
  sign: (privateKey, data) => sign(null, data, privateKey),
  verify: (publicKey, data, signature) => verify(null, data, publicKey, signature),
}

/** The suite with that number. Faults: `SUITE_UNKNOWN`. */
export function suiteOf(id: number): Suite {
  if (id === SUITE_ED25519) return ed25519
  throw cryptoFault('SUITE_UNKNOWN', { why: `suite ${id}` })
}
