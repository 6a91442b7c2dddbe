// Checks a peer's certificate: issuer, dates, role, name, key. One level deep: the hub's authority issues every leaf.

import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import { handshakeFault } from './faults.ts'
import { CERTIFICATE_BYTES_MAX, NAME_PATTERN } from './limits.ts'

export type CertificateRole = 'agent' | 'hub'

/** Extended key usage, RFC 5280 section 4.2.1.12. */
export const EKU_SERVER = '1.3.6.1.5.5.7.3.1'
export const EKU_CLIENT = '1.3.6.1.5.5.7.3.2'

/**
 * The usage each role must have and the other must not: a stolen agent certificate cannot play hub, nor the reverse.
 */
const ROLE_USAGE: Readonly<Record<CertificateRole, string>> = { agent: EKU_CLIENT, hub: EKU_SERVER }

export type CheckedCertificate = {
  readonly name: string
  readonly role: CertificateRole
  readonly publicKey: KeyObject
  /** Upper-case hexadecimal, as OpenSSL prints it. */
  readonly serial: string
  readonly der: Buffer
}

export type CertificateRules = {
  readonly ca: X509Certificate
  readonly role: CertificateRole
  /** What the bearer calls itself. */
  readonly name: string
  readonly nowMs: number
  readonly clockSkewMs: number
}

/** Reads one DER certificate and nothing beside it. Faults: CERTIFICATE_INVALID. */
export function readCertificate(der: Uint8Array, where: string): X509Certificate {
  if (der.length === 0 || der.length > CERTIFICATE_BYTES_MAX) {
    throw handshakeFault('CERTIFICATE_INVALID', {
      where,
      why: `${der.length} bytes, 1 to ${CERTIFICATE_BYTES_MAX} expected`,
    })
  }
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(der)
  } catch (error) {
    throw handshakeFault('CERTIFICATE_INVALID', { where, why: 'not an X.509 certificate', cause: error })
  }
  // The parser accepts PEM and trailing bytes; what was hashed and signed must be exactly the certificate.
  if (!certificate.raw.equals(der)) {
    throw handshakeFault('CERTIFICATE_INVALID', { where, why: 'not one certificate in DER' })
  }
  return certificate
}

/**
 * Checks a leaf against `rules`. Faults: CERTIFICATE_INVALID, _UNTRUSTED, _EXPIRED, _NOT_YET_VALID, _WRONG_ROLE,
 * _WRONG_NAME. Whether it was revoked is the hub's registry's business.
 */
export function checkCertificate(der: Uint8Array, rules: CertificateRules): CheckedCertificate {
  const where = `${rules.role} certificate`
  const certificate = readCertificate(der, where)
  if (!rules.ca.ca || !certificate.checkIssued(rules.ca) || !certificate.verify(rules.ca.publicKey)) {
    throw handshakeFault('CERTIFICATE_UNTRUSTED', { where })
  }
  if (certificate.ca) throw handshakeFault('CERTIFICATE_WRONG_ROLE', { where, why: 'it is an authority' })
  checkDates(certificate, rules, where)
  checkDates(rules.ca, rules, 'authority certificate')

  const subject = subjectOf(certificate)
  const usage: readonly string[] = certificate.keyUsage ?? []
  if (subject.unit !== rules.role || usage.length !== 1 || usage[0] !== ROLE_USAGE[rules.role]) {
    throw handshakeFault('CERTIFICATE_WRONG_ROLE', { where })
  }
  const { name } = subject
  if (name === null || !NAME_PATTERN.test(name)) {
    throw handshakeFault('CERTIFICATE_INVALID', { where, why: 'its common name is not a valid name' })
  }
  if (name !== rules.name) throw handshakeFault('CERTIFICATE_WRONG_NAME', { where })
  const publicKey = keyOf(certificate, where)
  return { name, role: rules.role, publicKey, serial: certificate.serialNumber, der: certificate.raw }
}

function keyOf(certificate: X509Certificate, where: string): KeyObject {
  let publicKey: KeyObject
  try {
    publicKey = certificate.publicKey
  } catch (error) {
    throw handshakeFault('CERTIFICATE_INVALID', { where, why: 'its key is of an unknown kind', cause: error })
  }
  if (publicKey.asymmetricKeyType !== 'ed25519') {
    throw handshakeFault('CERTIFICATE_INVALID', { where, why: 'only Ed25519 keys are supported' })
  }
  return publicKey
}

/**
 * Unit and common name of the subject; `null` unless there is exactly one. Not through `toLegacyObject`: that crashes
 * the process (Node 24.21) on a certificate whose key algorithm it does not know.
 */
export function subjectOf(certificate: X509Certificate): { unit: string | null; name: string | null } {
  // One attribute a line; OpenSSL escapes line breaks inside values, and names that need escapes are refused anyway.
  const lines = certificate.subject.split('\n')
  const only = (prefix: string): string | null => {
    const found = lines.filter((line) => line.startsWith(prefix))
    return found.length === 1 && found[0] !== undefined ? found[0].slice(prefix.length) : null
  }
  return { unit: only('OU='), name: only('CN=') }
}

function checkDates(certificate: X509Certificate, rules: CertificateRules, where: string): void {
  const { nowMs, clockSkewMs } = rules
  const from = Date.parse(certificate.validFrom)
  const to = Date.parse(certificate.validTo)
  // Not a comparison with NaN: dates that cannot be read count as passed.
  if (!(nowMs <= to + clockSkewMs)) {
    throw handshakeFault('CERTIFICATE_EXPIRED', { where, why: `valid to ${certificate.validTo}` })
  }
  if (!(nowMs >= from - clockSkewMs)) {
    throw handshakeFault('CERTIFICATE_NOT_YET_VALID', { where, why: `valid from ${certificate.validFrom}` })
  }
}

/** SHA-256 of a certificate (DER) or public key (SPKI): how one is named in a token or a registry. */
export function fingerprint(der: Uint8Array): Buffer {
  return createHash('sha256').update(der).digest()
}
