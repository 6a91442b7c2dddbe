// The agent's identity: agent.key (PKCS#8), agent.crt, ca.crt (PEM) and identity.json, which is written last: when it
// is there, the agent is enrolled. The key is made before the token is spent, and kept when enrolling is interrupted:
// the hub gives the same key its certificate again.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { ADDRESS_FORM, NAME_PATTERN, subjectOf, TOKEN_ADDRESSES_MAX } from '#protocol/handshake/mod.ts'
import { identityFault } from './faults.ts'
import { makeFolder, readIfThere, refuseExposed, writeDurably } from './files.ts'

export type StorePaths = {
  readonly key: string
  readonly certificate: string
  readonly caCertificate: string
  readonly identity: string
}

/** A key that is not enrolled yet. */
export type NewIdentity = { readonly name: string; readonly key: KeyObject; readonly publicKeySpki: Buffer }

export type Identity = {
  readonly name: string
  readonly hubName: string
  /** Where the hub is; the first one is tried first. */
  readonly addresses: readonly string[]
  readonly key: KeyObject
  /** DER. */
  readonly certificate: Buffer
  readonly caCertificate: X509Certificate
  readonly enrolledAtMs: number
  readonly storePaths: StorePaths
}

/** What an enrolment brought. Certificates in DER. */
export type EnrolmentResult = {
  readonly name: string
  readonly hubName: string
  readonly addresses: readonly string[]
  readonly certificate: Uint8Array
  readonly caCertificate: Uint8Array
  readonly enrolledAtMs: number
}

const pathsOf = (folder: string): StorePaths => ({
  key: join(folder, 'agent.key'),
  certificate: join(folder, 'agent.crt'),
  caCertificate: join(folder, 'ca.crt'),
  identity: join(folder, 'identity.json'),
})

/**
 * Makes the key pair, or gives the one an interrupted enrolment left. Faults: IDENTITY_EXISTS, IDENTITY_INVALID,
 * IDENTITY_KEY_EXPOSED.
 */
export function createIdentity(folder: string, name: string): NewIdentity {
  if (!NAME_PATTERN.test(name)) throw identityFault('IDENTITY_INVALID', { where: 'name', why: JSON.stringify(name) })
  const paths = pathsOf(folder)
  if (readIfThere(paths.identity) !== null) throw identityFault('IDENTITY_EXISTS', { where: folder })
  makeFolder(folder)
  const key = readKey(paths.key) ?? generateKeyPairSync('ed25519').privateKey
  // Written again when it was there: the same bytes, and no case to tell apart.
  writeDurably(paths.key, key.export({ type: 'pkcs8', format: 'pem' }).toString())
  return { name, key, publicKeySpki: createPublicKey(key).export({ type: 'spki', format: 'der' }) }
}

/** Completes it. Faults: IDENTITY_EXISTS, IDENTITY_INVALID. */
export function saveEnrolment(folder: string, result: EnrolmentResult): Identity {
  const paths = pathsOf(folder)
  if (readIfThere(paths.identity) !== null) throw identityFault('IDENTITY_EXISTS', { where: folder })
  const { name, hubName, addresses, enrolledAtMs } = result
  const text = `${JSON.stringify({ name, hubName, addresses, enrolledAtMs }, null, 2)}\n`
  const identity = assemble(folder, {
    key: readKey(paths.key),
    certificate: readCertificate(paths.certificate, result.certificate),
    caCertificate: readCertificate(paths.caCertificate, result.caCertificate),
    text,
  })
  writeDurably(paths.certificate, new X509Certificate(result.certificate).toString())
  writeDurably(paths.caCertificate, identity.caCertificate.toString())
  writeDurably(paths.identity, text)
  return identity
}

/** Faults: IDENTITY_MISSING, IDENTITY_INVALID, IDENTITY_KEY_EXPOSED. */
export function loadIdentity(folder: string): Identity {
  const paths = pathsOf(folder)
  const text = readIfThere(paths.identity)
  if (text === null) throw identityFault('IDENTITY_MISSING', { where: folder })
  const certificate = (path: string): X509Certificate => readCertificate(path, readIfThere(path))
  return assemble(folder, {
    key: readKey(paths.key),
    certificate: certificate(paths.certificate),
    caCertificate: certificate(paths.caCertificate),
    text,
  })
}

/** Checks that the parts belong together. Dates are the handshake's business: the clock may be put right meanwhile. */
function assemble(
  folder: string,
  parts: { key: KeyObject | null; certificate: X509Certificate; caCertificate: X509Certificate; text: string },
): Identity {
  const storePaths = pathsOf(folder)
  const { key, certificate, caCertificate } = parts
  const facts = parseFacts(parts.text, storePaths.identity)
  if (key === null) throw identityFault('IDENTITY_INVALID', { where: storePaths.key, why: 'there is no key' })
  if (!certificate.checkPrivateKey(key)) {
    throw identityFault('IDENTITY_INVALID', { where: storePaths.certificate, why: 'it is for another key' })
  }
  if (!certificate.checkIssued(caCertificate) || !certificate.verify(caCertificate.publicKey)) {
    throw identityFault('IDENTITY_INVALID', { where: storePaths.certificate, why: 'ca.crt did not issue it' })
  }
  if (subjectOf(certificate).name !== facts.name) {
    throw identityFault('IDENTITY_INVALID', { where: storePaths.certificate, why: `it is not for ${facts.name}` })
  }
  return { ...facts, key, certificate: certificate.raw, caCertificate, storePaths }
}

type Facts = Pick<Identity, 'name' | 'hubName' | 'addresses' | 'enrolledAtMs'>

function parseFacts(text: string, where: string): Facts {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw identityFault('IDENTITY_INVALID', { where, why: 'not JSON', cause: error })
  }
  const { name, hubName, addresses, enrolledAtMs } = (value ?? {}) as Record<string, unknown>
  const isName = (it: unknown): it is string => typeof it === 'string' && NAME_PATTERN.test(it)
  const isAddress = (it: unknown): it is string => typeof it === 'string' && ADDRESS_FORM.test(it)
  if (!isName(name)) throw identityFault('IDENTITY_INVALID', { where, why: 'name is missing or not valid' })
  if (!isName(hubName)) throw identityFault('IDENTITY_INVALID', { where, why: 'hubName is missing or not valid' })
  const listed = Array.isArray(addresses) && addresses.length > 0 && addresses.length <= TOKEN_ADDRESSES_MAX
  if (!listed || !addresses.every(isAddress)) {
    throw identityFault('IDENTITY_INVALID', { where, why: 'addresses is not a list of addresses' })
  }
  if (typeof enrolledAtMs !== 'number' || !Number.isSafeInteger(enrolledAtMs)) {
    throw identityFault('IDENTITY_INVALID', { where, why: 'enrolledAtMs is not a time' })
  }
  return { name, hubName, addresses, enrolledAtMs }
}

function readKey(path: string): KeyObject | null {
  const text = readIfThere(path)
  if (text === null) return null
  refuseExposed(path)
  try {
    return createPrivateKey(text)
  } catch (error) {
    throw identityFault('IDENTITY_INVALID', { where: path, why: 'not a private key', cause: error })
  }
}

function readCertificate(where: string, content: string | Uint8Array | null): X509Certificate {
  if (content === null) throw identityFault('IDENTITY_INVALID', { where, why: 'there is no certificate' })
  try {
    return new X509Certificate(content)
  } catch (error) {
    throw identityFault('IDENTITY_INVALID', { where, why: 'not a certificate', cause: error })
  }
}
