// The hub's own certificate authority and identity: security/ca.key, ca.crt, hub.key, hub.crt (PEM). hub.crt is written
// last: when it is there, everything is.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { type Clock, systemClock } from '#protocol/base/mod.ts'
import type { Enrolment, EnrolRequest } from '#protocol/handshake/mod.ts'
import {
  ADDRESS_FORM,
  CLOCK_SKEW_MS,
  checkCertificate,
  encodeToken,
  fingerprint,
  NAME_PATTERN,
  SECRET_BYTES,
  subjectOf,
  TOKEN_ADDRESSES_MAX,
} from '#protocol/handshake/mod.ts'
import { type AgentRegistry, openAgents } from './agents.ts'
import { securityFault } from './faults.ts'
import { makeFolder, refuseExposed, writeDurably } from './files.ts'
import { type Invitations, openInvitations } from './invitations.ts'
import { AUTHORITY_VALID_MS, BACKDATE_MS, HOST_NAME_LENGTH_MAX, HOST_NAMES_MAX, LEAF_VALID_MS } from './limits.ts'
import type { AgentRecord, Rights } from './parse.ts'
import { issueCertificate, pemOf, type Subject } from './x509.ts'

/**
 * What TLS needs of the hub. A client trusts `ca` alone and asks for `servername` hub name, or for one of the host
 * names.
 */
export type HubTls = { readonly key: string; readonly cert: string; readonly minVersion: 'TLSv1.3' }

export type InvitationOrder = Rights & {
  readonly agent: string
  /** Where the agent finds the hub, as its connector understands it; the first one is tried first. */
  readonly addresses: readonly string[]
  readonly expiresInMs: number
}

export type Authority = {
  readonly hubName: string
  readonly hubKey: KeyObject
  /** DER. */
  readonly hubCertificate: Buffer
  /** DER. */
  readonly caCertificate: Buffer
  readonly tls: HubTls
  readonly agents: AgentRegistry
  readonly invitations: Invitations
  /** A certificate (DER) for an agent's key. It admits nobody until the registry knows it: use `enrol`. */
  issue(request: { spki: Uint8Array; name: string }): Buffer
  /** A one-time token. Faults: INVITATION_SETTING, INVITATIONS_FULL. */
  invite(order: InvitationOrder): { token: string; expiresAtMs: number }
  /** Redeems a token: claim, certificate, registry. May be repeated with the same key. Faults: TOKEN_*, AGENT_*. */
  enrol(request: EnrolRequest): Enrolment
  /**
   * Shuts an agent out and withdraws its invitations. Sessions that are open are the caller's to close. Faults:
   * AGENT_UNKNOWN.
   */
  revoke(name: string): AgentRecord
}

type Paths = { readonly caKey: string; readonly ca: string; readonly hubKey: string; readonly hub: string }

const pathsOf = (folder: string): Paths => ({
  caKey: join(folder, 'ca.key'),
  ca: join(folder, 'ca.crt'),
  hubKey: join(folder, 'hub.key'),
  hub: join(folder, 'hub.crt'),
})

/**
 * Makes the authority and the hub's identity in `folder`. `localhost` and the loopback addresses are always among the
 * host names. A run that was interrupted is started over. Faults: AUTHORITY_EXISTS, AUTHORITY_SETTING.
 */
export function initAuthority(
  folder: string,
  options: { hubName: string; hostNames: readonly string[]; clock?: Clock },
): void {
  const { hubName, hostNames, clock = systemClock } = options
  if (!NAME_PATTERN.test(hubName)) throw badSetting('hub name', hubName)
  const hosts = checkHosts(hubName, hostNames)
  const paths = pathsOf(folder)
  if (existsSync(paths.hub)) throw securityFault('AUTHORITY_EXISTS', { where: folder })
  makeFolder(folder)
  const nowMs = clock.wallMs()
  const ca = generateKeyPairSync('ed25519')
  const issuer: Subject = { commonName: hubName, role: 'authority' }
  const certificate = issueCertificate({
    subject: issuer,
    issuer,
    issuerKey: ca.privateKey,
    spki: spkiOf(ca.publicKey),
    serial: randomBytes(16),
    fromMs: nowMs - BACKDATE_MS,
    toMs: nowMs + AUTHORITY_VALID_MS,
    hostNames: [],
  })
  const hub = generateKeyPairSync('ed25519')
  writeDurably(paths.caKey, pkcs8(ca.privateKey))
  writeDurably(paths.ca, pemOf(certificate))
  writeDurably(paths.hubKey, pkcs8(hub.privateKey))
  writeDurably(
    paths.hub,
    pemOf(hubCertificate({ hubName, hosts, caKey: ca.privateKey, spki: spkiOf(hub.publicKey), nowMs })),
  )
}

/**
 * Issues the hub's certificate anew for the same key: other host names, or a new term. Agents notice nothing.
 * Faults: AUTHORITY_MISSING, AUTHORITY_INVALID, AUTHORITY_SETTING, KEY_EXPOSED.
 */
export function renewHubCertificate(folder: string, options: { hostNames: readonly string[]; clock?: Clock }): void {
  const { hubName, hubKey, paths } = readParts(folder)
  const certificate = hubCertificate({
    hubName,
    hosts: checkHosts(hubName, options.hostNames),
    caKey: readKey(paths.caKey),
    spki: spkiOf(createPublicKey(hubKey)),
    nowMs: (options.clock ?? systemClock).wallMs(),
  })
  writeDurably(paths.hub, pemOf(certificate))
}

/**
 * Opens what `initAuthority` made and checks that it fits together. The authority's key is read only while it issues.
 * Faults: AUTHORITY_MISSING, AUTHORITY_INVALID, KEY_EXPOSED, CERTIFICATE_EXPIRED and other CERTIFICATE_*.
 */
export function openAuthority(folder: string, options: { clock?: Clock } = {}): Authority {
  const { clock = systemClock } = options
  const parts = readParts(folder)
  const { hubName, hubKey, hub, ca } = parts
  checkCertificate(hub.raw, { ca, role: 'hub', name: hubName, nowMs: clock.wallMs(), clockSkewMs: CLOCK_SKEW_MS })
  const open: Open = {
    ...parts,
    clock,
    agents: openAgents(join(folder, 'agents')),
    invitations: openInvitations(join(folder, 'invitations')),
  }
  const { agents, invitations } = open
  return {
    hubName,
    hubKey,
    hubCertificate: hub.raw,
    caCertificate: ca.raw,
    tls: { key: pkcs8(hubKey), cert: pemOf(hub.raw), minVersion: 'TLSv1.3' },
    agents,
    invitations,
    issue: (request) => issue(open, request),
    invite: (order) => invite(open, order),
    enrol: (request) => enrol(open, request),
    revoke(name) {
      const record = agents.revoke(name, clock.wallMs())
      invitations.withdraw(name)
      return record
    },
  }
}

type Parts = {
  readonly paths: Paths
  readonly hubName: string
  readonly hubKey: KeyObject
  readonly hub: X509Certificate
  readonly ca: X509Certificate
}

type Open = Parts & { readonly clock: Clock; readonly agents: AgentRegistry; readonly invitations: Invitations }

function readParts(folder: string): Parts {
  const paths = pathsOf(folder)
  if (!existsSync(paths.hub)) throw securityFault('AUTHORITY_MISSING', { where: folder })
  const hubKey = readKey(paths.hubKey)
  const ca = readCrt(paths.ca)
  const hub = readCrt(paths.hub)
  const { name: hubName } = subjectOf(hub)
  if (hubName === null) {
    throw securityFault('AUTHORITY_INVALID', { where: paths.hub, why: 'it carries no name' })
  }
  if (!hub.checkPrivateKey(hubKey)) {
    throw securityFault('AUTHORITY_INVALID', { where: paths.hubKey, why: 'not the key of hub.crt' })
  }
  return { paths, hubName, hubKey, hub, ca }
}

function issue(open: Open, request: { spki: Uint8Array; name: string }): Buffer {
  const { paths, ca, hubName, clock } = open
  const issuerKey = readKey(paths.caKey)
  if (!ca.checkPrivateKey(issuerKey)) {
    throw securityFault('AUTHORITY_INVALID', { where: paths.caKey, why: 'not the key of ca.crt' })
  }
  const nowMs = clock.wallMs()
  return issueCertificate({
    subject: { commonName: request.name, role: 'agent' },
    issuer: { commonName: hubName, role: 'authority' },
    issuerKey,
    spki: request.spki,
    serial: randomBytes(16),
    fromMs: nowMs - BACKDATE_MS,
    toMs: Math.min(nowMs + LEAF_VALID_MS, Date.parse(ca.validTo)),
    hostNames: [],
  })
}

function invite(open: Open, order: InvitationOrder): { token: string; expiresAtMs: number } {
  const { addresses, ...entry } = order
  const bad = addresses.find((address) => !ADDRESS_FORM.test(address))
  if (bad !== undefined) throw securityFault('INVITATION_SETTING', { where: 'addresses', why: JSON.stringify(bad) })
  if (addresses.length < 1 || addresses.length > TOKEN_ADDRESSES_MAX) {
    throw securityFault('INVITATION_SETTING', { where: 'addresses', why: `1 to ${TOKEN_ADDRESSES_MAX} are needed` })
  }
  const nowMs = open.clock.wallMs()
  const former = open.agents.get(entry.agent)
  // Later than everything that was decided about the agent before, also when the clock was put back since.
  const createdAtMs = Math.max(nowMs, former?.invitedAtMs ?? 0, (former?.revokedAtMs ?? -1) + 1)
  const secret = randomBytes(SECRET_BYTES)
  const { expiresAtMs } = open.invitations.create({ ...entry, secret, createdAtMs, nowMs })
  const caFingerprint = fingerprint(open.ca.raw)
  const token = encodeToken({
    addresses,
    hubName: open.hubName,
    agent: entry.agent,
    secret,
    caFingerprint,
    expiresAtMs,
  })
  return { token, expiresAtMs }
}

function enrol(open: Open, request: EnrolRequest): Enrolment {
  const { agents, invitations, clock, ca } = open
  const { name, secret, publicKeySpki } = request
  const nowMs = clock.wallMs()
  const keyFingerprint = fingerprint(publicKeySpki).toString('hex')
  const { publish, consume, createdAtMs } = invitations.redeem({ agent: name, secret, keyFingerprint, nowMs })
  const former = agents.get(name)
  // Only an invitation made after the revocation admits the agent again, and an older one never undoes a later one.
  if (former !== null && former.revokedAtMs !== null && createdAtMs <= former.revokedAtMs) {
    throw securityFault('AGENT_REVOKED', { where: name })
  }
  if (former !== null && createdAtMs < former.invitedAtMs) throw securityFault('TOKEN_SUPERSEDED', { where: name })
  const certificate = issue(open, { spki: publicKeySpki, name })
  const serial = new X509Certificate(certificate).serialNumber
  agents.enter({ name, publish, consume, keyFingerprint, serial, invitedAtMs: createdAtMs, nowMs })
  return { certificate, caCertificate: ca.raw }
}

function hubCertificate(of: {
  hubName: string
  hosts: readonly string[]
  caKey: KeyObject
  spki: Buffer
  nowMs: number
}): Buffer {
  return issueCertificate({
    subject: { commonName: of.hubName, role: 'hub' },
    issuer: { commonName: of.hubName, role: 'authority' },
    issuerKey: of.caKey,
    spki: of.spki,
    serial: randomBytes(16),
    fromMs: of.nowMs - BACKDATE_MS,
    toMs: of.nowMs + LEAF_VALID_MS,
    hostNames: of.hosts,
  })
}

/** The hub's name is a host name too: a TLS client that knows only the name asks for it (`servername`). */
function checkHosts(hubName: string, hostNames: readonly string[]): string[] {
  const hosts = [...new Set([hubName, 'localhost', '127.0.0.1', '::1', ...hostNames])]
  if (hosts.length > HOST_NAMES_MAX)
    throw badSetting('host names', `${hosts.length} of them, at most ${HOST_NAMES_MAX}`)
  for (const host of hosts) {
    const sound = isIP(host) !== 0 ? !host.includes('%') : /^[A-Za-z0-9*]([A-Za-z0-9._*-]*[A-Za-z0-9])?$/.test(host)
    if (!sound || host.length > HOST_NAME_LENGTH_MAX) throw badSetting('host name', host)
  }
  return hosts
}

const badSetting = (where: string, value: string) =>
  securityFault('AUTHORITY_SETTING', { where, why: JSON.stringify(value) })

const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })

const pkcs8 = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()

function readKey(path: string): KeyObject {
  refuseExposed(path)
  try {
    return createPrivateKey(readFileSync(path))
  } catch (error) {
    throw securityFault('AUTHORITY_INVALID', { where: path, why: 'not a private key', cause: error })
  }
}

function readCrt(path: string): X509Certificate {
  try {
    return new X509Certificate(readFileSync(path))
  } catch (error) {
    throw securityFault('AUTHORITY_INVALID', { where: path, why: 'not a certificate', cause: error })
  }
}
