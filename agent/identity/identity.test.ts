// The identity folder: made, interrupted, completed, damaged. The certificates below were issued once, for this test
// only.

import { createPrivateKey, createPublicKey } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createIdentity, type EnrolmentResult, loadIdentity, saveEnrolment } from './mod.ts'

const key = createPrivateKey({
  key: Buffer.from('MC4CAQAwBQYDK2VwBCIEIBwml6PI+CJ9hM9UsLIHx/ZDJedyHHtYwIyTQSZre2Ej', 'base64'),
  format: 'der',
  type: 'pkcs8',
})

const CERTIFICATE = `
MIIBqTCCAVugAwIBAgIQT+7Xx57H8UKVlT6cnYubLTAFBgMrZXAwODERMA8GA1UECgwIQ2F1c2V3YXkxEjAQBgNVBAsMCWF1dGhvcml0eTEPMA0GA1UE
AwwGY2VudHJlMB4XDTI2MDEwMTAwMDAwMFoXDTQ5MDEwMTAwMDAwMFowOzERMA8GA1UECgwIQ2F1c2V3YXkxDjAMBgNVBAsMBWFnZW50MRYwFAYDVQQD
DA1jaXZpbC1hZmZhaXJzMCowBQYDK2VwAyEARYrnV9gL/6ZO+VHoYmr20I6BeRMOJyoHysQ23gwn6j6jeDB2MAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/
BAQDAgeAMBYGA1UdJQEB/wQMMAoGCCsGAQUFBwMCMB0GA1UdDgQWBBStL0qr8FbfV+cCSgS3wtmH8nAWMTAfBgNVHSMEGDAWgBTAyA6zNJ4TqFXhpZVK
/uT8hDrsODAFBgMrZXADQQCAFJWyA+N6FizBv55jOcIQSi/pg/5fkNyIavJQKLm8jj/2kWklfwQ5sq/O86Bj5B3NIvD9oPCe/paZCVb5V1kI`

const AUTHORITY = `
MIIBlDCCAUagAwIBAgIQSQN4zAaWV4Frgfdmuw3qlDAFBgMrZXAwODERMA8GA1UECgwIQ2F1c2V3YXkxEjAQBgNVBAsMCWF1dGhvcml0eTEPMA0GA1UE
AwwGY2VudHJlMB4XDTI2MDEwMTAwMDAwMFoXDTQ5MDEwMTAwMDAwMFowODERMA8GA1UECgwIQ2F1c2V3YXkxEjAQBgNVBAsMCWF1dGhvcml0eTEPMA0G
A1UEAwwGY2VudHJlMCowBQYDK2VwAyEAIm2S3Xm5J0HeTCi3D9nwGBJ9spNRW5wEddnBiyWURY+jZjBkMBIGA1UdEwEB/wQIMAYBAf8CAQAwDgYDVR0P
AQH/BAQDAgEGMB0GA1UdDgQWBBTAyA6zNJ4TqFXhpZVK/uT8hDrsODAfBgNVHSMEGDAWgBTAyA6zNJ4TqFXhpZVK/uT8hDrsODAFBgMrZXADQQAHWvPg
NQOBwysAMXkE8f3KWaQBUfsfVTbCVtyTQr4SGRwVHRkp9rgouHxvcBKnSQKKwWGQLRrHS8mAO2GSxlMD`

const result: EnrolmentResult = {
  name: 'civil-affairs',
  hubName: 'centre',
  addresses: ['tls://hub.example:7710'],
  certificate: Buffer.from(CERTIFICATE, 'base64'),
  caCertificate: Buffer.from(AUTHORITY, 'base64'),
  enrolledAtMs: Date.UTC(2026, 5, 1),
}

let folders = 0
const base = t.testdir()

/** A folder whose enrolment was interrupted after the key above was made. */
function pending(): string {
  folders += 1
  const folder = join(base, `identity-${folders}`)
  mkdirSync(folder, { mode: 0o700 })
  const pem = key.export({ type: 'pkcs8', format: 'pem' })
  writeFileSync(join(folder, 'agent.key'), pem, { mode: 0o600 })
  return folder
}

function enrolled(): string {
  const folder = pending()
  saveEnrolment(folder, result)
  return folder
}

t.test('a new key is private and stays the same until it is enrolled', async (t) => {
  const folder = join(base, 'deep', 'new')
  const first = createIdentity(folder, 'civil-affairs')
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.equal(statSync(join(folder, 'agent.key')).mode & 0o777, 0o600)
  const second = createIdentity(folder, 'civil-affairs')
  t.ok(second.key.equals(first.key), 'the hub gives the same key its certificate again')
  t.same(first.publicKeySpki, createPublicKey(first.key).export({ type: 'spki', format: 'der' }))
  t.throws(() => loadIdentity(folder), { code: 'IDENTITY_MISSING' })
  t.throws(() => loadIdentity(join(base, 'nowhere')), { code: 'IDENTITY_MISSING' })
  t.throws(() => createIdentity(folder, '../x'), { code: 'IDENTITY_INVALID' })
})

t.test('an enrolment is saved whole and loaded again', async (t) => {
  const folder = pending()
  t.ok(createIdentity(folder, result.name).key.equals(key))
  const saved = saveEnrolment(folder, result)
  const loaded = loadIdentity(folder)
  for (const identity of [saved, loaded]) {
    t.equal(identity.name, 'civil-affairs')
    t.equal(identity.hubName, 'centre')
    t.strictSame(identity.addresses, result.addresses)
    t.same(identity.certificate, result.certificate)
    t.same(identity.caCertificate.raw, result.caCertificate)
    t.ok(identity.key.equals(key))
    t.equal(identity.enrolledAtMs, result.enrolledAtMs)
  }
  for (const path of Object.values(loaded.storePaths)) t.equal(statSync(path).mode & 0o777, 0o600, path)
  t.strictSame(readdirSync(folder).sort(), ['agent.crt', 'agent.key', 'ca.crt', 'identity.json'])
  t.throws(() => createIdentity(folder, result.name), { code: 'IDENTITY_EXISTS' })
  t.throws(() => saveEnrolment(folder, result), { code: 'IDENTITY_EXISTS' })
})

t.test('an enrolment that does not fit is not saved', async (t) => {
  const refused = (folder: string, change: Partial<EnrolmentResult>): void => {
    t.throws(() => saveEnrolment(folder, { ...result, ...change }), { code: 'IDENTITY_INVALID' })
    t.notOk(readdirSync(folder).includes('identity.json'))
  }
  const other = join(base, 'other-key')
  createIdentity(other, 'civil-affairs')
  refused(other, {})
  refused(pending(), { name: 'tax-office' })
  refused(pending(), { certificate: result.caCertificate })
  refused(pending(), { caCertificate: result.certificate })
  refused(pending(), { certificate: Buffer.from('x') })
  refused(pending(), { addresses: [] })
  refused(pending(), { hubName: '' })
})

t.test('damage is named', async (t) => {
  const damaged = (file: string, spoil: (path: string) => void, code = 'IDENTITY_INVALID'): void => {
    const path = join(enrolled(), file)
    spoil(path)
    t.throws(() => loadIdentity(join(path, '..')), { code, where: path })
  }
  damaged('identity.json', (path) => writeFileSync(path, '{'))
  damaged('identity.json', (path) => writeFileSync(path, 'null'))
  damaged('identity.json', (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('"hubName"', '"hubname"')))
  damaged('identity.json', (path) => writeFileSync(path, ' '.repeat(100_000)))
  damaged('agent.key', (path) => rmSync(path))
  damaged('agent.key', (path) => writeFileSync(path, 'nonsense'))
  damaged('agent.crt', (path) => rmSync(path))
  damaged('agent.crt', (path) => writeFileSync(path, 'nonsense'))
  damaged('ca.crt', (path) => rmSync(path))
  if (process.platform !== 'win32') damaged('agent.key', (path) => chmodSync(path, 0o644), 'IDENTITY_KEY_EXPOSED')
})
