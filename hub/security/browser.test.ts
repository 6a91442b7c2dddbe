import { X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import t from 'tap'
import { initAuthority, openAuthority, renewHubCertificate } from './authority.ts'
import { browserIdentity } from './browser.ts'
import { BROWSER_VALID_MS } from './limits.ts'
import { DAY_MS, stillClock } from './testing.ts'

t.test('a certificate that browsers can read, for the names of the hub', (t) => {
  const folder = t.testdir()
  initAuthority(folder, { hubName: 'centre', hostNames: ['hub.example'] })
  const hub = () => openAuthority(folder).hubCertificate
  const first = browserIdentity(folder, { hubName: 'centre', hub: hub() })
  const certificate = new X509Certificate(first.cert)
  t.ok(certificate.verify(certificate.publicKey))
  t.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  for (const name of ['hub.example', 'centre', 'localhost']) t.equal(certificate.checkHost(name), name)
  for (const address of ['127.0.0.1', '::1']) t.equal(certificate.checkIP(address), address)
  t.equal(statSync(join(folder, 'http.key')).mode & 0o077, 0)
  t.strictSame(browserIdentity(folder, { hubName: 'centre', hub: hub() }), first, 'it stays')
  renewHubCertificate(folder, { hostNames: ['other.example'] })
  const second = browserIdentity(folder, { hubName: 'centre', hub: hub() })
  t.equal(new X509Certificate(second.cert).checkHost('other.example'), 'other.example')
  t.end()
})

t.test('it is made anew before it ends', (t) => {
  const folder = t.testdir()
  const clock = stillClock()
  initAuthority(folder, { hubName: 'centre', hostNames: [], clock })
  const { hubCertificate: hub } = openAuthority(folder, { clock })
  const first = browserIdentity(folder, { hubName: 'centre', hub, clock })
  clock.at += BROWSER_VALID_MS - 61 * DAY_MS
  t.strictSame(browserIdentity(folder, { hubName: 'centre', hub, clock }), first)
  clock.at += 2 * DAY_MS
  t.strictNotSame(browserIdentity(folder, { hubName: 'centre', hub, clock }), first)
  t.end()
})

t.test('one port shows each client the certificate it can read', async (t) => {
  const folder = t.testdir()
  initAuthority(folder, { hubName: 'centre', hostNames: [] })
  const authority = openAuthority(folder)
  const browser = browserIdentity(folder, { hubName: 'centre', hub: authority.hubCertificate })
  const server = createServer({
    key: [authority.tls.key, browser.key],
    cert: [authority.tls.cert, browser.cert],
    sigalgs: 'ed25519:ecdsa_secp256r1_sha256',
    honorCipherOrder: true,
    minVersion: 'TLSv1.3',
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const curveSeen = (sigalgs: string | undefined) =>
    new Promise((resolve, reject) => {
      const given = sigalgs === undefined ? {} : { sigalgs }
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...given }, () => {
        resolve(socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType)
        socket.destroy()
      })
      socket.on('error', reject)
    })
  t.equal(await curveSeen(undefined), 'ed25519', 'programs see the certificate of the hub')
  t.equal(await curveSeen('ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256'), 'ec', 'browsers the other')
})
