// Who may be believed: the certificates the hub has presented on a connection, each checked against the authority this agent
// trusts. One that is no good is remembered with the reason, so that what it signed can be refused without ending the connection.

import { type KeyObject, X509Certificate } from 'node:crypto'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { type BatchHead, keyIdIn } from '#protocol/codec/mod.ts'
import { keyIdOf } from '#protocol/crypto/mod.ts'
import { checkCertificate } from '#protocol/handshake/mod.ts'
import { decodeOrigin } from '#protocol/schema/mod.ts'
import { clientFault } from './faults.ts'

/** Names whose certificate was refused, kept for the reason only. */
const REFUSED_MAX = 256
const CLOCK_SKEW_MS = 86_400_000

/** Certificates the hub presented on this connection, by key id. */
export class Origins {
  private readonly keys = new Map<string, { name: string; key: KeyObject }>()
  private readonly refused = new Map<string, Fault>()
  private readonly ca: X509Certificate
  private readonly hubName: string

  constructor(ca: X509Certificate, hubName: string) {
    this.ca = ca
    this.hubName = hubName
  }

  /** Takes an ORIGIN frame. Gives why its certificate is not believed, or `null`. Faults: `SCHEMA_INVALID`. */
  introduce(body: Buffer): Fault | null {
    const { name, certificate } = decodeOrigin(body)
    try {
      const key = this.check(name, certificate)
      this.keys.set(keyIdOf(key).toString('hex'), { name, key })
      return null
    } catch (error) {
      const fault = asFault(error, `origin ${name}`)
      if (this.refused.size >= REFUSED_MAX) this.refused.clear()
      this.refused.set(name, fault)
      return fault
    }
  }

  /** The key a batch is signed with. Faults: `ORIGIN_UNKNOWN`, or why the origin's certificate was not believed. */
  keyOf(head: BatchHead): KeyObject {
    return this.keyFor(head.origin, keyIdIn(head))
  }

  /** The key of this id, if it is that agent's. Faults: as `keyOf`. */
  keyFor(origin: string, keyId: Uint8Array): KeyObject {
    const known = this.keys.get(Buffer.from(keyId).toString('hex'))
    if (known !== undefined && known.name === origin) return known.key
    throw this.refused.get(origin) ?? clientFault('ORIGIN_UNKNOWN', { where: origin })
  }

  private check(name: string, certificate: Uint8Array): KeyObject {
    const role = name === this.hubName ? 'hub' : 'agent'
    // What was signed while the certificate was valid stays true afterwards: its own dates are no reason to refuse.
    const nowMs = Math.min(Date.now(), validUntilMs(certificate))
    const expected = { ca: this.ca, role, name, nowMs, clockSkewMs: CLOCK_SKEW_MS } as const
    return checkCertificate(Buffer.from(certificate), expected).publicKey
  }
}

/** Of what is no certificate it says nothing: the check that follows does. */
function validUntilMs(certificate: Uint8Array): number {
  try {
    return Date.parse(new X509Certificate(certificate).validTo)
  } catch {
    return Number.MAX_SAFE_INTEGER
  }
}
