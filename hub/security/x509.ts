// Issues X.509 v3 certificates (RFC 5280) with Ed25519 (RFC 8410), or with ECDSA for what browsers shall take (RFC 5758).
//
// By hand because @peculiar/x509 refuses to load without a global Reflect-metadata polyfill and brings a dependency
// container for what are these few structures. OpenSSL parses and verifies the result in every handshake.

import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { isIP, isIPv4 } from 'node:net'
import { EKU_CLIENT, EKU_SERVER } from '#protocol/handshake/mod.ts'
import {
  bits,
  boolean,
  der,
  explicit,
  implicit,
  integer,
  namedBits,
  octets,
  oid,
  sequence,
  set,
  time,
  utf8,
} from './der.ts'

const OID_COMMON_NAME = '2.5.4.3'
const OID_ORGANIZATION = '2.5.4.10'
const OID_UNIT = '2.5.4.11'
const OID_ED25519 = '1.3.101.112'
const OID_ECDSA_SHA256 = '1.2.840.10045.4.3.2'
const OID_SUBJECT_KEY_ID = '2.5.29.14'
const OID_KEY_USAGE = '2.5.29.15'
const OID_ALTERNATIVE_NAMES = '2.5.29.17'
const OID_BASIC_CONSTRAINTS = '2.5.29.19'
const OID_AUTHORITY_KEY_ID = '2.5.29.35'
const OID_EXTENDED_KEY_USAGE = '2.5.29.37'

const USAGE_SIGNATURE = 0
const USAGE_SIGN_CERTIFICATES = 5
const USAGE_SIGN_REVOCATIONS = 6

export type Subject = { readonly commonName: string; readonly role: 'authority' | 'hub' | 'agent' }

export type CertificateRequest = {
  readonly subject: Subject
  /** SubjectPublicKeyInfo DER of the bearer. */
  readonly spki: Uint8Array
  readonly issuer: Subject
  readonly issuerKey: KeyObject
  /** 16 random bytes; the first bit is cleared and the second set, so that the number is positive and 128 bits long. */
  readonly serial: Uint8Array
  readonly fromMs: number
  readonly toMs: number
  /** DNS names and IP addresses for TLS clients that check them. */
  readonly hostNames: readonly string[]
}

/** The certificate in DER. */
export function issueCertificate(request: CertificateRequest): Buffer {
  const isEc = request.issuerKey.asymmetricKeyType === 'ec'
  const algorithm = sequence(oid(isEc ? OID_ECDSA_SHA256 : OID_ED25519))
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(positive(request.serial)),
    algorithm,
    nameOf(request.issuer),
    sequence(time(request.fromMs), time(request.toMs)),
    nameOf(request.subject),
    request.spki,
    explicit(3, sequence(...extensionsOf(request))),
  )
  return sequence(body, algorithm, bits(sign(isEc ? 'sha256' : null, body, request.issuerKey)))
}

/** DER as PEM, for files and for TLS. */
export const pemOf = (certificate: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${(
    Buffer.from(certificate)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  ).join('\n')}\n-----END CERTIFICATE-----\n`

function extensionsOf(request: CertificateRequest): Buffer[] {
  const issuerSpki = createPublicKey(request.issuerKey).export({ type: 'spki', format: 'der' })
  const keyIds = [
    extension(OID_SUBJECT_KEY_ID, false, octets(keyId(request.spki))),
    extension(OID_AUTHORITY_KEY_ID, false, sequence(implicit(0, keyId(issuerSpki)))),
  ]
  const { role } = request.subject
  if (role === 'authority') {
    return [
      // pathLen 0: it issues leaves only.
      extension(OID_BASIC_CONSTRAINTS, true, sequence(boolean(true), integer(Buffer.from([0])))),
      extension(OID_KEY_USAGE, true, namedBits(USAGE_SIGN_CERTIFICATES, USAGE_SIGN_REVOCATIONS)),
      ...keyIds,
    ]
  }
  const leaf = [
    extension(OID_BASIC_CONSTRAINTS, true, sequence()),
    extension(OID_KEY_USAGE, true, namedBits(USAGE_SIGNATURE)),
    extension(OID_EXTENDED_KEY_USAGE, true, sequence(oid(role === 'hub' ? EKU_SERVER : EKU_CLIENT))),
    ...keyIds,
  ]
  if (request.hostNames.length === 0) return leaf
  return [...leaf, extension(OID_ALTERNATIVE_NAMES, false, sequence(...request.hostNames.map(generalName)))]
}

const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value))

function nameOf(subject: Subject): Buffer {
  const part = (id: string, value: string): Buffer => set(sequence(oid(id), utf8(value)))
  return sequence(
    part(OID_ORGANIZATION, 'Causeway'),
    part(OID_UNIT, subject.role),
    part(OID_COMMON_NAME, subject.commonName),
  )
}

/** RFC 5280 section 4.2.1.2, method 1 with SHA-256 cut to 160 bits (RFC 7093). */
const keyId = (spki: Uint8Array): Buffer => createHash('sha256').update(spki).digest().subarray(0, 20)

function positive(serial: Uint8Array): Buffer {
  const bytes = Buffer.from(serial)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes
}

/** dNSName is `[2] IA5String`, iPAddress `[7] OCTET STRING`. */
function generalName(host: string): Buffer {
  return isIP(host) === 0 ? der(0x82, Buffer.from(host, 'ascii')) : der(0x87, addressBytes(host))
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  // The URL parser writes IPv6 addresses in one canonical form, with IPv4 tails turned into groups.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const left = groups(head)
  const right = groups(tail ?? '')
  const words = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  return Buffer.concat(words.map((word) => Buffer.from(word.padStart(4, '0'), 'hex')))
}
