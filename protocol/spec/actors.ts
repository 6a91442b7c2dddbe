// Who plays in the test vectors: keys made from names, and certificates made once with them. Fixed for ever, secret to nobody,
// so that every run makes the same bytes.

import { createHash, createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'

/** The private key of `name`: Ed25519 with the seed SHA-256("causeway test vector key: " ‖ name). */
export function actorKey(name: string): KeyObject {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), actorSeed(name)])
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
}

export const actorSeed = (name: string): Buffer =>
  createHash('sha256').update(`causeway test vector key: ${name}`).digest()

export const spkiOf = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' })

export const HUB_NAME = 'centre'
export const AGENT_NAME = 'civil-affairs'
/** A moment at which the certificates are valid: 2026-06-01T00:00:00Z. They are from 2026-01-01 to 2126-01-01. */
export const NOW_MS = 1_780_272_000_000

const der = (lines: readonly string[]): Buffer => Buffer.from(lines.join(''), 'base64')

/** CN=centre, OU=authority, key `authority`. */
export const CA_CERTIFICATE = der([
  'MIIBljCCAUigAwIBAgIQURERERERERERERERERERETAFBgMrZXAwODERMA8GA1UECgwIQ2F1c2V3YXkxEjAQBgNVBAsMCWF1dGhvcml0eTEPMA0G',
  'A1UEAwwGY2VudHJlMCAXDTI2MDEwMTAwMDAwMFoYDzIxMjYwMTAxMDAwMDAwWjA4MREwDwYDVQQKDAhDYXVzZXdheTESMBAGA1UECwwJYXV0aG9y',
  'aXR5MQ8wDQYDVQQDDAZjZW50cmUwKjAFBgMrZXADIQBChRRvPGxGEfiR88fMmPbhnrsBSUuPvfsM0pqWyULoxaNmMGQwEgYDVR0TAQH/BAgwBgEB',
  '/wIBADAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFGhvDKrEToueA8R2l/r2/ZSVsEE5MB8GA1UdIwQYMBaAFGhvDKrEToueA8R2l/r2/ZSVsEE5',
  'MAUGAytlcANBAA6S4RykrOU0mvczcWUHbBhrH3jA35KBcV70hQGdVZLho2spoeFe2fcLT7IMRdZH7FZeqbzLcjnU9k6K88nAWgc=',
])

/** CN=centre, OU=hub, key `hub`. */
export const HUB_CERTIFICATE = der([
  'MIIBojCCAVSgAwIBAgIQYiIiIiIiIiIiIiIiIiIiIjAFBgMrZXAwODERMA8GA1UECgwIQ2F1c2V3YXkxEjAQBgNVBAsMCWF1dGhvcml0eTEPMA0G',
  'A1UEAwwGY2VudHJlMCAXDTI2MDEwMTAwMDAwMFoYDzIxMjYwMTAxMDAwMDAwWjAyMREwDwYDVQQKDAhDYXVzZXdheTEMMAoGA1UECwwDaHViMQ8w',
  'DQYDVQQDDAZjZW50cmUwKjAFBgMrZXADIQB/Hb7OEofy1+U0fVRaEA9nf0PfHSMw1SXqnc6k2rfYOKN4MHYwDAYDVR0TAQH/BAIwADAOBgNVHQ8B',
  'Af8EBAMCB4AwFgYDVR0lAQH/BAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFHPPSdt9lUr1c6eDY52ZQ+sC1fDRMB8GA1UdIwQYMBaAFGhvDKrEToue',
  'A8R2l/r2/ZSVsEE5MAUGAytlcANBAJzeo0+ulfwchumi7fht0NeCSgu7wHsaZWgamqc+cpe1E1Yq31t20dJQBkLpDw3lYRud+oyEixPFUr468Ht2',
  '9Qk=',
])

/** CN=civil-affairs, OU=agent, key `agent`. */
export const AGENT_CERTIFICATE = der([
  'MIIBqzCCAV2gAwIBAgIQczMzMzMzMzMzMzMzMzMzMzAFBgMrZXAwODERMA8GA1UECgwIQ2F1c2V3YXkxEjAQBgNVBAsMCWF1dGhvcml0eTEPMA0G',
  'A1UEAwwGY2VudHJlMCAXDTI2MDEwMTAwMDAwMFoYDzIxMjYwMTAxMDAwMDAwWjA7MREwDwYDVQQKDAhDYXVzZXdheTEOMAwGA1UECwwFYWdlbnQx',
  'FjAUBgNVBAMMDWNpdmlsLWFmZmFpcnMwKjAFBgMrZXADIQCdbHUG4tJwHRfmVB6pvTtndJVG0GWmqNyMJMgrDVQc/KN4MHYwDAYDVR0TAQH/BAIw',
  'ADAOBgNVHQ8BAf8EBAMCB4AwFgYDVR0lAQH/BAwwCgYIKwYBBQUHAwIwHQYDVR0OBBYEFEmQSQ/ks3IYSGXzzPkPbmY78c4CMB8GA1UdIwQYMBaA',
  'FGhvDKrEToueA8R2l/r2/ZSVsEE5MAUGAytlcANBAGBiJGTn0M++wgv7wJd5fnFW9wX2FUh0vCTigsjDQcuZQ54Xi4sXFTTbwzX8kRZqRd4wO0zL',
  'AtVkZiy18FzrlQk=',
])

export const CA = new X509Certificate(CA_CERTIFICATE)
