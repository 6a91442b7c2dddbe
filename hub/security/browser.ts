// What the hub shows browsers: none of them takes a certificate with Ed25519, so for them there is one with ECDSA P-256 beside
// the hub's own, signed by itself: security/http.key and http.crt. A browser warns of it; where that will not do, the settings
// name a certificate of an authority that it trusts.

import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { type Clock, systemClock } from '#protocol/base/mod.ts'
import { readIfThere, refuseExposed, writeDurably } from './files.ts'
import { BACKDATE_MS, BROWSER_REST_MS, BROWSER_VALID_MS } from './limits.ts'
import { issueCertificate, pemOf, type Subject } from './x509.ts'

/**
 * Key and certificate (PEM) for the host names of `hub`, the hub's own certificate in DER. Made when there are none, when the
 * host names are others now, and when they do not last much longer. Faults: `KEY_EXPOSED`.
 */
export function browserIdentity(
  folder: string,
  options: { hubName: string; hub: Buffer; clock?: Clock },
): { readonly key: string; readonly cert: string } {
  const { hubName, hub, clock = systemClock } = options
  const paths = { key: join(folder, 'http.key'), cert: join(folder, 'http.crt') }
  const nowMs = clock.wallMs()
  const names = new X509Certificate(hub).subjectAltName ?? ''
  const [key, cert] = [readIfThere(paths.key), readIfThere(paths.cert)]
  if (key !== null && cert !== null) {
    refuseExposed(paths.key)
    const known = new X509Certificate(cert)
    const lasts = Date.parse(known.validTo) - nowMs > BROWSER_REST_MS && Date.parse(known.validFrom) <= nowMs
    if (lasts && known.subjectAltName === names) return { key, cert }
  }
  return make(paths, { hubName, hostNames: hostNamesIn(names), nowMs })
}

function make(
  paths: { key: string; cert: string },
  { hubName, hostNames, nowMs }: { hubName: string; hostNames: readonly string[]; nowMs: number },
) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const subject: Subject = { commonName: hubName, role: 'hub' }
  const der = issueCertificate({
    subject,
    issuer: subject,
    issuerKey: privateKey,
    spki: publicKey.export({ type: 'spki', format: 'der' }),
    serial: randomBytes(16),
    fromMs: nowMs - BACKDATE_MS,
    toMs: nowMs + BROWSER_VALID_MS,
    hostNames,
  })
  const made = { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert: pemOf(der) }
  // The certificate last: with it the key is there, and with another key it is not looked at.
  writeDurably(paths.key, made.key)
  writeDurably(paths.cert, made.cert)
  return made
}

/** `DNS:hub, IP Address:127.0.0.1` → names and addresses. */
function hostNamesIn(names: string): string[] {
  return names.split(', ').flatMap((name) => /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1] ?? [])
}
