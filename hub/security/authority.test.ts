// The authority's files, TLS with its certificates, invitations under crash and contention, and the registry.

import { execFileSync, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { BINDING_BYTES, EXPORTER_LABEL, fingerprint, parseToken } from '#protocol/handshake/mod.ts'
import { openInvitations } from './invitations.ts'
import { initAuthority, openAuthority, renewHubCertificate } from './mod.ts'
import { DAY_MS, enrolAgent, invite, makeWorld, NOW_MS, newKey, stillClock, type World } from './testing.ts'

/** A fresh folder with a hub and one agent, removed afterwards. */
function freshWorld(t: { teardown(fn: () => void): void }): World {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-security-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return makeWorld(join(folder, 'security'))
}

function withoutOpenssl(): string | false {
  const { error } = spawnSync('openssl', ['version'])
  return error === undefined ? false : `no openssl command: ${error.message}`
}

t.test('init makes private files, once; open finds them whole', async (t) => {
  const { folder, authority } = freshWorld(t)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  for (const file of ['ca.key', 'ca.crt', 'hub.key', 'hub.crt', 'agents/civil-affairs.json']) {
    t.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file)
  }
  t.equal(authority.hubName, 'centre')
  const hub = new X509Certificate(authority.hubCertificate)
  t.equal(hub.checkHost('centre'), 'centre')
  t.equal(hub.checkHost('hub.example'), 'hub.example')
  t.equal(hub.checkIP('127.0.0.1'), '127.0.0.1')
  t.equal(hub.checkIP('::1'), '::1')
  t.throws(() => initAuthority(folder, { hubName: 'centre', hostNames: [] }), { code: 'AUTHORITY_EXISTS' })
  t.notOk(readdirSync(folder).some((file) => file.endsWith('.tmp')))
})

t.test('an interrupted init is started over', async (t) => {
  const { folder, authority } = freshWorld(t)
  rmSync(join(folder, 'hub.crt'))
  t.throws(() => openAuthority(folder), { code: 'AUTHORITY_MISSING' })
  initAuthority(folder, { hubName: 'centre', hostNames: [], clock: stillClock() })
  t.notSame(openAuthority(folder, { clock: stillClock() }).caCertificate, authority.caCertificate)
})

t.test('what does not fit together is refused', async (t) => {
  const clock = stillClock()
  const bad = (spoil: (folder: string) => void, code: string): void => {
    const { folder } = freshWorld(t)
    spoil(folder)
    t.throws(() => openAuthority(folder, { clock }), { code })
  }
  const foreign = freshWorld(t)
  const swap = (file: string) => (folder: string) =>
    writeFileSync(join(folder, file), readFileSync(join(foreign.folder, file)))
  bad(swap('hub.key'), 'AUTHORITY_INVALID')
  bad(swap('ca.crt'), 'CERTIFICATE_UNTRUSTED')
  bad((folder) => writeFileSync(join(folder, 'hub.crt'), 'nonsense'), 'AUTHORITY_INVALID')
  bad((folder) => writeFileSync(join(folder, 'hub.key'), 'nonsense'), 'AUTHORITY_INVALID')
  if (process.platform !== 'win32') bad((folder) => chmodSync(join(folder, 'hub.key'), 0o640), 'KEY_EXPOSED')
  const { folder, authority } = freshWorld(t)
  swap('ca.key')(folder)
  t.throws(() => authority.issue({ name: 'x', spki: newKey().spki }), { code: 'AUTHORITY_INVALID' })
  clock.at += 11 * 365 * DAY_MS
  t.throws(() => openAuthority(folder, { clock }), { code: 'CERTIFICATE_EXPIRED' })
})

t.test('names that cannot be', async (t) => {
  const init = (hubName: string, hostNames: string[]) => () =>
    initAuthority(join(t.testdir(), 'x'), { hubName, hostNames })
  t.throws(init('Hub One', []), { code: 'AUTHORITY_SETTING' })
  t.throws(init('../up', []), { code: 'AUTHORITY_SETTING' })
  t.throws(init('hub', ['with space']), { code: 'AUTHORITY_SETTING' })
  t.throws(init('hub', ['民政.cn']), { code: 'AUTHORITY_SETTING' })
  t.throws(
    init(
      'hub',
      Array.from({ length: 65 }, (_, i) => `h${i}`),
    ),
    { code: 'AUTHORITY_SETTING' },
  )
})

t.test('OpenSSL finds the certificates strictly correct', { skip: withoutOpenssl() }, async (t) => {
  const { folder, authority, agent } = freshWorld(t)
  const file = join(folder, 'agent.crt')
  writeFileSync(file, new X509Certificate(agent.certificate).toString())
  const verify = (purpose: string, certificate: string): string => {
    const at = String(NOW_MS / 1000)
    const rules = ['-x509_strict', '-attime', at, '-purpose', purpose, '-CAfile', join(folder, 'ca.crt')]
    return execFileSync('openssl', ['verify', ...rules, certificate], { encoding: 'utf8', stdio: 'pipe' })
  }
  t.match(verify('sslserver', join(folder, 'hub.crt')), /: OK/)
  t.match(verify('sslclient', file), /: OK/)
  t.throws(() => verify('sslclient', join(folder, 'hub.crt')))
  t.throws(() => verify('sslserver', file))
  t.ok(new X509Certificate(authority.caCertificate).ca)
})

t.test('TLS 1.3 with these certificates: verified by name, and the exporter binds both ends', async (t) => {
  // Real certificates need the real time: TLS reads the clock itself.
  const folder = join(t.testdir(), 'security')
  initAuthority(folder, { hubName: 'centre', hostNames: [] })
  const authority = openAuthority(folder)
  const server = tls.createServer(authority.tls)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const ca = new X509Certificate(authority.caCertificate).toString()
  const connect = async (options: tls.ConnectionOptions): Promise<[tls.TLSSocket, tls.TLSSocket]> => {
    const client = tls.connect({ host: '127.0.0.1', port, minVersion: 'TLSv1.3', ...options })
    const [[served]] = await Promise.all([once(server, 'secureConnection'), once(client, 'secureConnect')])
    t.teardown(() => {
      client.destroy()
      served.destroy()
    })
    return [client, served]
  }
  const exported = (socket: tls.TLSSocket): Buffer =>
    socket.exportKeyingMaterial(BINDING_BYTES, EXPORTER_LABEL, Buffer.alloc(0))

  const seen = new Set<string>()
  for (const servername of ['centre', 'localhost']) {
    const [client, served] = await connect({ ca, servername })
    t.equal(client.getProtocol(), 'TLSv1.3')
    t.ok(client.authorized)
    t.same(exported(client), exported(served))
    seen.add(exported(client).toString('hex'))
  }
  // Enrolment: no authority is known yet; the handshake inside checks the hub instead.
  const [client, served] = await connect({ rejectUnauthorized: false })
  t.same(exported(client), exported(served))
  seen.add(exported(client).toString('hex'))
  t.equal(seen.size, 3, 'each connection has its own binding')

  const refused = async (options: tls.ConnectionOptions): Promise<string> => {
    const socket = tls.connect({ host: '127.0.0.1', port, ...options })
    const [error] = await once(socket, 'error')
    socket.destroy()
    return error.code
  }
  t.equal(await refused({ ca, servername: 'elsewhere.example' }), 'ERR_TLS_CERT_ALTNAME_INVALID')
  t.match(await refused({ servername: 'centre' }), /SELF_SIGNED|UNABLE_TO/)
  t.match(await refused({ ca, servername: 'centre', maxVersion: 'TLSv1.2' }), /ERR_SSL|ECONNRESET/)
})

t.test('renewing the hub certificate, expired or not, keeps key and authority', async (t) => {
  const { folder, authority, clock } = freshWorld(t)
  clock.at += 11 * 365 * DAY_MS
  t.throws(() => openAuthority(folder, { clock }), { code: 'CERTIFICATE_EXPIRED' })
  renewHubCertificate(folder, { hostNames: ['10.1.2.3'], clock })
  const renewed = openAuthority(folder, { clock })
  t.same(renewed.caCertificate, authority.caCertificate)
  t.ok(renewed.hubKey.equals(authority.hubKey))
  t.equal(new X509Certificate(renewed.hubCertificate).checkIP('10.1.2.3'), '10.1.2.3')
})

t.test('the hub keeps no secret of an invitation', async (t) => {
  const { folder, authority } = freshWorld(t)
  const order = { agent: 'a', addresses: ['tls://hub:1'], publish: ['x.#'], consume: [], expiresInMs: DAY_MS }
  const { token, expiresAtMs } = authority.invite(order)
  const { secret, caFingerprint, hubName, addresses } = parseToken(token)
  t.equal(hubName, 'centre')
  t.strictSame(addresses, ['tls://hub:1'])
  t.equal(expiresAtMs, NOW_MS + DAY_MS)
  t.same(caFingerprint, fingerprint(authority.caCertificate))
  const [name = ''] = readdirSync(join(folder, 'invitations')).filter((file) => file.endsWith('.json'))
  t.equal(name, `${fingerprint(secret).toString('hex')}.json`)
  const stored = readFileSync(join(folder, 'invitations', name), 'utf8')
  for (const form of ['hex', 'base64', 'base64url'] as const)
    t.notOk(stored.includes(Buffer.from(secret).toString(form)))
})

t.test('invitations that cannot be', async (t) => {
  const { authority } = freshWorld(t)
  const order = { agent: 'a', addresses: ['tls://hub:1'], publish: [], consume: [], expiresInMs: 1000 }
  const refused = (change: Partial<typeof order> | { publish: string[] }): void => {
    t.throws(() => authority.invite({ ...order, ...change }), { code: 'INVITATION_SETTING' }, JSON.stringify(change))
  }
  refused({ agent: '../a' })
  refused({ addresses: [] })
  refused({ addresses: ['has space'] })
  refused({ expiresInMs: 0 })
  refused({ expiresInMs: 91 * DAY_MS })
  refused({ publish: ['line\nbreak'] })
  refused({ publish: [''] })
  refused({ publish: Array<string>(257).fill('x') })
})

t.test('a token is worth one key, for its agent, for its time', async (t) => {
  const { authority, clock, folder } = freshWorld(t)
  const { key: _, spki } = newKey()
  const secret = Buffer.from(invite(authority, 'b', 1000).secret)
  const request = { name: 'b', secret, publicKeySpki: spki }
  t.throws(() => authority.enrol({ ...request, secret: Buffer.alloc(32) }), { code: 'TOKEN_UNKNOWN' })
  t.throws(() => authority.enrol({ ...request, name: 'c' }), { code: 'TOKEN_WRONG_AGENT' })
  clock.at += 1001
  t.throws(() => authority.enrol(request), { code: 'TOKEN_EXPIRED' })
  clock.at -= 1
  t.equal(authority.invitations.open().length, 1, 'none of these spent it')

  // The answer was lost on the way: the same key asks a hub that was restarted.
  const first = authority.enrol(request)
  const restarted = openAuthority(folder, { clock })
  const second = restarted.enrol(request)
  t.notSame(first.certificate, second.certificate)
  for (const { certificate } of [first, second]) {
    const serial = new X509Certificate(certificate).serialNumber
    t.strictSame(restarted.agents.admit({ name: 'b', serial }).publish, ['a.#'])
  }
  t.throws(() => restarted.enrol({ ...request, publicKeySpki: newKey().spki }), { code: 'TOKEN_USED' })
  t.throws(() => restarted.enrol({ ...request, name: 'c' }), { code: 'TOKEN_WRONG_AGENT' })
  clock.at += 1
  t.throws(() => restarted.enrol(request), { code: 'TOKEN_EXPIRED' })
})

t.test('a crash between the claim and the certificate loses nothing', async (t) => {
  const { authority, folder } = freshWorld(t)
  const { spki } = newKey()
  const secret = Buffer.from(invite(authority, 'd').secret)
  const keyFingerprint = fingerprint(spki).toString('hex')
  openInvitations(join(folder, 'invitations')).redeem({ agent: 'd', secret, keyFingerprint, nowMs: NOW_MS })
  t.equal(authority.agents.get('d'), null)
  t.throws(() => authority.enrol({ name: 'd', secret, publicKeySpki: newKey().spki }), { code: 'TOKEN_USED' })
  t.ok(authority.enrol({ name: 'd', secret, publicKeySpki: spki }).certificate)
})

t.test('of many who redeem at once, one wins', async (t) => {
  const { authority, folder } = freshWorld(t)
  const rounds = 40
  const workers = 4
  const secrets = Array.from({ length: rounds }, () => invite(authority, 'raced').secret)
  const arrived = new SharedArrayBuffer(4 * rounds)
  const results = await Promise.all(
    Array.from({ length: workers }, async (_, i) => {
      const workerData = {
        ...{ folder: join(folder, 'invitations'), agent: 'raced', secrets, workers, arrived, nowMs: NOW_MS },
        keyFingerprint: fingerprint(Buffer.from([i])).toString('hex'),
      }
      const worker = new Worker(new URL('./redeem-worker.ts', import.meta.url), { workerData })
      const [outcomes] = await once(worker, 'message')
      return outcomes as string[]
    }),
  )
  for (let round = 0; round < rounds; round += 1) {
    const outcomes = results.map((of) => of[round]).sort()
    t.strictSame(outcomes, [...Array<string>(workers - 1).fill('TOKEN_USED'), 'won'])
  }
})

t.test('an older token undoes neither a later one nor a revocation', async (t) => {
  const { authority, clock } = freshWorld(t)
  const early = Buffer.from(invite(authority, 'e').secret)
  const pending = Buffer.from(invite(authority, 'e').secret)
  const key = newKey()
  authority.enrol({ name: 'e', secret: early, publicKeySpki: key.spki })
  clock.at += 1
  const later = enrolAgent(authority, 'e')
  const again = { name: 'e', secret: early, publicKeySpki: key.spki }
  t.throws(() => authority.enrol(again), { code: 'TOKEN_SUPERSEDED' })
  t.throws(() => authority.enrol({ ...again, secret: pending }), { code: 'TOKEN_SUPERSEDED' })
  const serial = new X509Certificate(later.certificate).serialNumber
  t.ok(authority.agents.admit({ name: 'e', serial }))
  const open = Buffer.from(invite(authority, 'e').secret)
  authority.agents.revoke('e', clock.at)
  for (const secret of [early, pending, open]) {
    t.throws(() => authority.enrol({ ...again, secret }), { code: 'AGENT_REVOKED' })
  }
  t.throws(() => authority.agents.admit({ name: 'e', serial }), { code: 'AGENT_REVOKED' })
  invite(authority, 'unconcerned')
  authority.revoke('e')
  t.throws(() => authority.enrol(again), { code: 'TOKEN_UNKNOWN' })
  t.strictSame(
    authority.invitations.open().map(({ agent }) => agent),
    ['unconcerned'],
  )
})

t.test('a clock that is put back does not lock a new invitation out', async (t) => {
  const { authority, clock } = freshWorld(t)
  clock.at += 300 * DAY_MS
  enrolAgent(authority, 'h')
  authority.revoke('h')
  clock.at = NOW_MS
  t.equal(enrolAgent(authority, 'h').name, 'h')
  t.equal(authority.revoke('h').revokedAtMs, NOW_MS + 300 * DAY_MS + 1)
})

t.test('long expired invitations are forgotten', async (t) => {
  const { authority, clock, folder } = freshWorld(t)
  invite(authority, 'f')
  const count = (): number => readdirSync(join(folder, 'invitations')).filter((file) => file.endsWith('.json')).length
  t.equal(count(), 1)
  t.equal(readdirSync(join(folder, 'invitations', 'used')).length, 1)
  clock.at += 32 * DAY_MS
  invite(authority, 'g')
  t.equal(count(), 1)
  t.equal(readdirSync(join(folder, 'invitations', 'used')).length, 0)
})

t.test('the registry: rights, changes by others, damage', async (t) => {
  const { authority, folder } = freshWorld(t)
  const file = join(folder, 'agents', 'civil-affairs.json')
  const first = authority.agents.get('civil-affairs')
  t.strictSame(first?.publish, ['a.#'])
  t.strictSame(first?.consume, [], 'no patterns, no rights')
  t.equal(authority.agents.get('civil-affairs'), first, 'cached while the file stands')
  t.equal(authority.agents.get('../hub'), null)
  t.equal(authority.agents.get('nobody'), null)
  t.throws(() => authority.agents.revoke('nobody', NOW_MS), { code: 'AGENT_UNKNOWN' })
  // Another process, such as the command line, revokes.
  openAuthority(folder, { clock: stillClock() }).agents.revoke('civil-affairs', NOW_MS)
  t.equal(authority.agents.get('civil-affairs')?.revokedAtMs, NOW_MS)
  enrolAgent(authority, 'another')
  t.strictSame(
    authority.agents.list().map((agent) => agent.name),
    ['another', 'civil-affairs'],
  )

  const good = readFileSync(file, 'utf8')
  const damaged = ['', '{', '[]', 'null', good.replace('"publish"', '"publsh"'), good.replace('civil-affairs', 'other')]
  for (const text of [
    ...damaged,
    good.replace('"serials": [', '"serials": [7,'),
    good.replace(/"enrolledAtMs": \d+/, '"enrolledAtMs": -1'),
  ]) {
    writeFileSync(file, text)
    t.throws(() => authority.agents.get('civil-affairs'), { code: 'AGENT_RECORD_INVALID', where: file })
  }
  rmSync(file)
  t.equal(authority.agents.get('civil-affairs'), null)
  t.notOk(existsSync(file))
})
