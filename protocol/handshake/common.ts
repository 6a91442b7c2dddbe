// What both ends of a handshake share: settings, results, and the steps that are the same on either side.

import type { KeyObject } from 'node:crypto'
import { SUITE_ED25519, suiteOf } from '#protocol/crypto/mod.ts'
import type { Hello } from '#protocol/schema/mod.ts'
import { Binding, decodeHello, decodeProof, encodeProof, Purpose, Role } from '#protocol/schema/mod.ts'
import type { Agreement, Versions } from './agreement.ts'
import { handshakeFault } from './faults.ts'
import { BINDING_BYTES, ID_BYTES, NAME_PATTERN, NONCE_BYTES } from './limits.ts'

/** A frame for channel 0. */
export type HandshakeFrame = readonly [kind: number, body: Buffer]

/** What either side brings along. */
export type CommonSettings = {
  readonly name: string
  readonly versions: Versions
  /** Bit b of word w is feature 32·w+b. */
  readonly features: readonly number[]
  readonly limits: NonNullable<Hello['limits']>
  readonly software: string
  /** 32 fresh random bytes: what makes a recorded proof worthless. */
  readonly nonce: Uint8Array
  /** `exportKeyingMaterial(32, EXPORTER_LABEL)` of this connection, or `null` without TLS of its own. */
  readonly channelBinding: Uint8Array | null
  /** Default true. False admits connections whose TLS ends at a proxy; the peer must say so too. */
  readonly requireBinding?: boolean
  /** Default one day. */
  readonly clockSkewMs?: number
}

/** Who is at the other end, proven. */
export type Peer = {
  readonly name: string
  readonly role: 'agent' | 'hub'
  /** Upper-case hexadecimal serial number of the certificate; empty for an agent that is enrolling. */
  readonly serial: string
  readonly certificate: Buffer
  /** For logs only: not proven. */
  readonly software: string
}

/** What READY establishes. */
export type SessionTerms = Agreement & {
  readonly sessionId: Buffer
  /** The hub's epoch: another value means that the hub's store is another one. */
  readonly storeId: Buffer
  readonly keepaliveMs: number
  /** The hub's wall clock at READY. */
  readonly serverTimeMs: number
}

export const EMPTY = Buffer.alloc(0)

/** Checks settings; a mistake here is ours. */
export function checkSettings(settings: CommonSettings): void {
  const { name, nonce, channelBinding } = settings
  if (!NAME_PATTERN.test(name)) throw new Error(`not a valid name: ${name}`)
  if (nonce.length !== NONCE_BYTES) throw new Error(`nonce must have ${NONCE_BYTES} bytes`)
  if (channelBinding !== null && channelBinding.length !== BINDING_BYTES) {
    throw new Error(`channel binding must have ${BINDING_BYTES} bytes`)
  }
  if (channelBinding === null && settings.requireBinding !== false) throw handshakeFault('HANDSHAKE_BINDING_REQUIRED')
}

/** Our own HELLO. */
export function helloOf(
  settings: CommonSettings,
  part: { role: Role; purpose: Purpose; certificates: readonly Uint8Array[] },
): Hello {
  return {
    versionMin: settings.versions.min,
    versionMax: settings.versions.max,
    features: settings.features,
    limits: settings.limits,
    name: settings.name,
    role: part.role,
    certificates: part.certificates,
    nonce: settings.nonce,
    purpose: part.purpose,
    binding: settings.channelBinding === null ? Binding.NONE : Binding.TLS_EXPORTER,
    software: settings.software,
  }
}

/** Decodes the peer's HELLO and checks what does not depend on certificates. Faults: SCHEMA_INVALID, HANDSHAKE_*. */
export function readHello(body: Uint8Array, own: { role: Role; settings: CommonSettings }): Hello {
  const hello = decodeHello(body)
  const expected = own.role === Role.HUB ? Role.AGENT : Role.HUB
  if (hello.role !== expected) throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: 'the peer has the same role' })
  if (!NAME_PATTERN.test(hello.name)) throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: 'not a valid name' })
  if (hello.nonce.length !== NONCE_BYTES) throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: 'the nonce is short' })
  if (hello.purpose === Purpose.UNSPECIFIED) throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: 'no purpose' })
  const binding = own.settings.channelBinding === null ? Binding.NONE : Binding.TLS_EXPORTER
  if (hello.binding !== binding) throw handshakeFault('HANDSHAKE_BINDING_MISMATCH')
  return hello
}

/** PROOF: a signature by the certificate's key. */
export function proofOf(key: KeyObject, text: Buffer): Buffer {
  return encodeProof({ suite: SUITE_ED25519, signature: suiteOf(SUITE_ED25519).sign(key, text) })
}

/** Faults: SCHEMA_INVALID, SUITE_UNKNOWN, HANDSHAKE_PROOF_INVALID. */
export function checkProof(body: Uint8Array, publicKey: KeyObject, text: Buffer): void {
  const { suite, signature } = decodeProof(body)
  checkSignature({ suite, signature, publicKey, text })
}

export function checkSignature(of: { suite: number; signature: Uint8Array; publicKey: KeyObject; text: Buffer }): void {
  const suite = suiteOf(of.suite)
  if (of.signature.length !== suite.signatureBytes || !suite.verify(of.publicKey, of.text, of.signature)) {
    throw handshakeFault('HANDSHAKE_PROOF_INVALID')
  }
}

export function checkId(id: Uint8Array, what: string): Buffer {
  if (id.length !== ID_BYTES) throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: `${what} has ${id.length} bytes` })
  return Buffer.from(id)
}

export function outOfOrder(state: string, kind: number): never {
  throw handshakeFault('HANDSHAKE_ORDER', {
    why: `frame kind 0x${kind.toString(16).padStart(2, '0')} in state ${state}`,
  })
}
