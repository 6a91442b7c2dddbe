// Whole handshakes in memory between the hub's real authority and an enrolled agent: what succeeds, and every way to
// cheat.

import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import t, { type Test } from 'tap'
import { declareFaults } from '#protocol/base/mod.ts'
import {
  FRAME_CLOSE,
  FRAME_ENROLL,
  FRAME_ENROLLED,
  FRAME_HELLO,
  FRAME_PROOF,
  FRAME_READY,
} from '#protocol/frame/mod.ts'
import { AgentHandshake, closeBody, closeOf, fingerprint, HubHandshake, peerClosed } from '#protocol/handshake/mod.ts'
import { decodeHello, decodeReady, encodeHello, encodeReady, type Hello, Role } from '#protocol/schema/mod.ts'
import type { Outcome, Sent, World } from './testing.ts'
import {
  agentSettings,
  DAY_MS,
  enrolAgent,
  enrolSettings,
  hubSettings,
  makeWorld,
  NOW_MS,
  newKey,
  run,
} from './testing.ts'
import { issueCertificate } from './x509.ts'

const world: World = makeWorld(`${t.testdir()}/security`)
const other: World = makeWorld(`${t.testdirName}/other`)

const fails = (t: Test, outcome: Outcome, by: 'agent' | 'hub', code: string): void => {
  t.equal(outcome.fault?.code, code, outcome.fault?.message ?? 'no fault')
  t.equal(outcome.by, by)
  t.equal(outcome.agent, null)
}

/** Rewrites a HELLO on its way. */
const hello =
  (from: 'agent' | 'hub', change: (hello: Hello) => Partial<Hello>) =>
  (sent: Sent): Buffer => {
    if (sent.from !== from || sent.kind !== FRAME_HELLO) return sent.body
    const value = decodeHello(sent.body)
    return encodeHello({ ...value, ...change(value) })
  }

t.test('a session: both know the other, the terms and the store', async (t) => {
  const { agent, hub, fault, sent } = run(world)
  t.equal(fault, null)
  if (agent?.kind !== 'session' || hub?.kind !== 'session') throw new Error('no session')
  t.equal(agent.hub.name, 'centre')
  t.equal(hub.agent.name, 'civil-affairs')
  t.equal(hub.agent.serial, new X509Certificate(world.agent.certificate).serialNumber)
  t.strictSame(agent.terms, hub.terms)
  t.equal(agent.terms.serverTimeMs, NOW_MS)
  t.same(agent.terms.storeId, Buffer.alloc(16, 4))
  t.same(
    sent.map(({ from, kind }) => [from, kind]),
    [
      ['agent', FRAME_HELLO],
      ['hub', FRAME_HELLO],
      ['hub', FRAME_PROOF],
      ['agent', FRAME_PROOF],
      ['hub', FRAME_READY],
    ],
  )
})

t.test('the smaller limit, the common features and the highest common version win', async (t) => {
  const agent = agentSettings(world)
  const { agent: done } = run(world, {
    agent: { ...agent, versions: { min: 1, max: 7 }, features: [0b110, 1], limits: { ...agent.limits, streamsMax: 2 } },
    hub: hubSettings(world, { versions: { min: 3, max: 5 }, features: [0b011] }),
  })
  if (done?.kind !== 'session') throw new Error('no session')
  t.equal(done.terms.version, 5)
  t.strictSame(done.terms.features, [0b010])
  t.equal(done.terms.limits.streamsMax, 2)
  t.equal(done.terms.limits.bodyBytesMax, agent.limits.bodyBytesMax)
})

t.test('enrolment: a token becomes a certificate, which then opens a session', async (t) => {
  const settings = enrolSettings(world, 'tax-office')
  const { agent, hub, fault } = run(world, { agent: settings })
  t.equal(fault, null)
  if (agent?.kind !== 'enrolled') throw new Error('not enrolled')
  t.equal(hub?.kind, 'enrolled')
  const ca = new X509Certificate(agent.caCertificate)
  const session = run(world, {
    agent: { ...settings, purpose: { kind: 'session', certificate: agent.certificate, ca } },
  })
  t.equal(session.agent?.kind, 'session')
  fails(t, run(world, { agent: { ...settings, key: newKey().key } }), 'hub', 'TOKEN_USED')
})

t.test('no flipped bit in any message of a session goes unnoticed', async (t) => {
  const { sent } = run(world)
  let tried = 0
  sent.forEach((original, index) => {
    for (let at = 0; at < original.body.length; at += 1) {
      const outcome = flipped({ index, at })
      if (index < 4) {
        if (outcome.fault === null) t.fail(`message ${index}, byte ${at}: accepted`)
      } else if (outcome.agent?.kind === 'session' && outcome.hub?.kind === 'session') {
        // READY is not signed: TLS protects it, and what was agreed cannot be moved at all.
        const { version, features, limits } = outcome.agent.terms
        const { terms } = outcome.hub
        if (version !== terms.version) t.fail(`byte ${at}: version`)
        t.strictSame([features, limits], [terms.features, terms.limits])
      }
      tried += 1
    }
  })
  t.ok(tried > 1000, `${tried} flips`)

  function flipped(where: { index: number; at: number }): Outcome {
    let count = -1
    return run(world, {
      tamper({ body }) {
        count += 1
        if (count !== where.index) return body
        const copy = Buffer.from(body)
        const at = where.at % copy.length
        copy[at] = (copy[at] ?? 0) ^ (1 << (where.at % 8))
        return copy
      },
    })
  }
})

t.test('no flipped bit in an enrolment goes unnoticed, and none spends the token', async (t) => {
  const settings = enrolSettings(world, 'flip-target')
  const lost = run(world, {
    agent: settings,
    tamper: ({ kind, body }) => (kind === FRAME_ENROLL ? Buffer.alloc(0) : body),
  })
  fails(t, lost, 'hub', 'HANDSHAKE_HELLO_INVALID')
  t.equal(lost.sent.length, 4)
  for (const [index, { body: whole }] of lost.sent.entries()) {
    for (let at = 0; at < whole.length; at += 1) {
      let count = -1
      const { fault } = run(world, {
        agent: settings,
        tamper({ body }) {
          count += 1
          if (count !== index) return body
          const copy = Buffer.from(body)
          copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8))
          return copy
        },
      })
      if (fault === null) t.fail(`message ${index}, byte ${at}: accepted`)
    }
  }
  t.equal(run(world, { agent: settings }).agent?.kind, 'enrolled')
})

t.test('no flipped bit in ENROLLED goes unnoticed', async (t) => {
  const settings = enrolSettings(world, 'flip-answer')
  let answer: Buffer = Buffer.alloc(0)
  run(world, {
    agent: settings,
    tamper(sent) {
      if (sent.kind === FRAME_ENROLLED) answer = sent.body
      return sent.body
    },
  })
  t.ok(answer.length > 800)
  for (let at = 0; at < answer.length; at += 7) {
    const { agent, by } = run(world, {
      agent: settings,
      tamper(sent) {
        if (sent.kind !== FRAME_ENROLLED) return sent.body
        const copy = Buffer.from(sent.body)
        copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8))
        return copy
      },
    })
    if (agent !== null || by !== 'agent') t.fail(`byte ${at}: accepted`)
  }
})

t.test('versions', async (t) => {
  const later = { versions: { min: 2, max: 3 } }
  const outcome = run(world, { agent: agentSettings(world, later) })
  fails(t, outcome, 'hub', 'VERSION_UNSUPPORTED')
  t.match(outcome.fault?.message, /this side speaks 1 to 1, the peer 2 to 3/)
  fails(
    t,
    run(world, { tamper: hello('hub', () => ({ versionMin: 2, versionMax: 3 })) }),
    'agent',
    'VERSION_UNSUPPORTED',
  )
  fails(
    t,
    run(world, { agent: agentSettings(world, { versions: { min: 2, max: 1 } }) }),
    'hub',
    'HANDSHAKE_HELLO_INVALID',
  )
  fails(
    t,
    run(world, { agent: agentSettings(world, { versions: { min: 0, max: 1 } }) }),
    'hub',
    'HANDSHAKE_HELLO_INVALID',
  )
})

t.test('downgrades', async (t) => {
  const smaller = (value: Hello): Partial<Hello> => ({ limits: value.limits && { ...value.limits, streamsMax: 1 } })
  fails(t, run(world, { tamper: hello('agent', smaller) }), 'agent', 'HANDSHAKE_PROOF_INVALID')
  fails(t, run(world, { tamper: hello('hub', smaller) }), 'agent', 'HANDSHAKE_PROOF_INVALID')
  fails(t, run(world, { tamper: hello('agent', () => ({ features: [] })) }), 'agent', 'HANDSHAKE_PROOF_INVALID')
  const ready = (change: object) => (sent: Sent) =>
    sent.kind === FRAME_READY ? encodeReady({ ...decodeReady(sent.body), ...change }) : sent.body
  fails(t, run(world, { tamper: ready({ features: [] }) }), 'agent', 'HANDSHAKE_DOWNGRADED')
  fails(t, run(world, { tamper: ready({ version: 0 }) }), 'agent', 'HANDSHAKE_DOWNGRADED')
  fails(t, run(world, { tamper: ready({ limits: null }) }), 'agent', 'HANDSHAKE_DOWNGRADED')
  fails(t, run(world, { tamper: ready({ keepaliveMs: 0 }) }), 'agent', 'HANDSHAKE_HELLO_INVALID')
  fails(t, run(world, { tamper: ready({ storeId: Buffer.alloc(15) }) }), 'agent', 'HANDSHAKE_HELLO_INVALID')
})

t.test('a limit that is missing or useless fails closed', async (t) => {
  const { limits } = agentSettings(world)
  for (const limit of Object.keys(limits)) {
    const outcome = run(world, { tamper: hello('agent', () => ({ limits: { ...limits, [limit]: 0 } })) })
    fails(t, outcome, 'hub', 'HANDSHAKE_LIMIT_MISSING')
    t.equal(outcome.fault?.details.limit, limit)
  }
  fails(t, run(world, { tamper: hello('agent', () => ({ limits: null })) }), 'hub', 'HANDSHAKE_LIMIT_MISSING')
  const tiny = { limits: { ...limits, frameBytesMax: 100 } }
  fails(t, run(world, { hub: hubSettings(world, tiny) }), 'agent', 'HANDSHAKE_LIMIT_MISSING')
})

t.test('greetings that contradict themselves', async (t) => {
  const invalid = (change: Partial<Hello>, from: 'agent' | 'hub' = 'agent'): void =>
    fails(
      t,
      run(world, { tamper: hello(from, () => change) }),
      from === 'agent' ? 'hub' : 'agent',
      'HANDSHAKE_HELLO_INVALID',
    )
  invalid({ nonce: Buffer.alloc(31) })
  invalid({ name: '../../etc' })
  invalid({ name: '' })
  invalid({ role: Role.HUB })
  invalid({ role: Role.AGENT }, 'hub')
  invalid({ purpose: 0 })
  invalid({ purpose: 2 }, 'hub')
  invalid({ certificates: [] })
  invalid({ certificates: [world.agent.certificate, world.agent.certificate] })
  fails(t, run(world, { tamper: () => Buffer.from([0xff]) }), 'hub', 'SCHEMA_INVALID')
})

t.test('channel binding', async (t) => {
  const binding = Buffer.alloc(32, 2)
  // Two TLS connections with someone between them.
  fails(t, run(world, { agent: agentSettings(world, { channelBinding: binding }) }), 'agent', 'HANDSHAKE_PROOF_INVALID')
  const none = { channelBinding: null, requireBinding: false }
  fails(t, run(world, { agent: agentSettings(world, none) }), 'hub', 'HANDSHAKE_BINDING_MISMATCH')
  fails(t, run(world, { agent: agentSettings(world, { channelBinding: null }) }), 'agent', 'HANDSHAKE_BINDING_REQUIRED')
  fails(t, run(world, { hub: hubSettings(world, { channelBinding: null }) }), 'hub', 'HANDSHAKE_BINDING_REQUIRED')
  t.equal(run(world, { agent: agentSettings(world, none), hub: hubSettings(world, none) }).agent?.kind, 'session')
})

t.test('other keys and other authorities', async (t) => {
  fails(t, run(world, { agent: agentSettings(world, { key: newKey().key }) }), 'hub', 'HANDSHAKE_PROOF_INVALID')
  fails(t, run(world, { hub: hubSettings(world, { key: newKey().key }) }), 'agent', 'HANDSHAKE_PROOF_INVALID')
  // Same names, other authority: on the hub's side, then on the agent's.
  fails(t, run(world, { agent: agentSettings(other) }), 'hub', 'CERTIFICATE_UNTRUSTED')
  fails(
    t,
    run(world, { hub: hubSettings(other, { caCertificate: world.authority.caCertificate }) }),
    'agent',
    'CERTIFICATE_UNTRUSTED',
  )
  fails(t, run(world, { agent: agentSettings(world, { hubName: 'province' }) }), 'agent', 'HANDSHAKE_HUB_WRONG')
  const token = enrolSettings(world, 'wrong-authority')
  const purpose = { ...token.purpose, caFingerprint: fingerprint(other.authority.caCertificate) }
  fails(t, run(world, { agent: { ...token, purpose } as typeof token }), 'agent', 'CERTIFICATE_UNTRUSTED')
})

t.test('swapped roles and borrowed names', async (t) => {
  const { authority, agent } = world
  // An agent's certificate and key cannot play hub, the hub's not agent, the authority's neither.
  fails(
    t,
    run(world, { hub: hubSettings(world, { certificate: agent.certificate, key: agent.key }) }),
    'agent',
    'CERTIFICATE_WRONG_ROLE',
  )
  const session = (certificate: Uint8Array): object => ({ purpose: { kind: 'session', certificate, ca: agent.ca } })
  const asAgent = { key: authority.hubKey, ...session(authority.hubCertificate) }
  fails(t, run(world, { agent: agentSettings(world, asAgent) }), 'hub', 'CERTIFICATE_WRONG_ROLE')
  fails(
    t,
    run(world, { agent: agentSettings(world, session(authority.caCertificate)) }),
    'hub',
    'CERTIFICATE_WRONG_ROLE',
  )
  fails(t, run(world, { agent: agentSettings(world, { name: 'someone-else' }) }), 'hub', 'CERTIFICATE_WRONG_NAME')
  fails(
    t,
    run(world, { agent: agentSettings(world, session(Buffer.from('no certificate'))) }),
    'hub',
    'CERTIFICATE_INVALID',
  )
  const trailing = Buffer.concat([agent.certificate, Buffer.from([0])])
  fails(t, run(world, { agent: agentSettings(world, session(trailing)) }), 'hub', 'CERTIFICATE_INVALID')
  fails(
    t,
    run(world, { tamper: hello('agent', () => ({ certificates: [Buffer.alloc(0)] })) }),
    'hub',
    'CERTIFICATE_INVALID',
  )
})

t.test('the role stands in the subject and in the key usage: either alone is not enough', async (t) => {
  const ca = newKey()
  const issuer = { commonName: 'centre', role: 'authority' as const }
  const terms = {
    fromMs: NOW_MS,
    toMs: NOW_MS + DAY_MS,
    hostNames: [],
    issuer,
    issuerKey: ca.key,
    serial: Buffer.alloc(16, 9),
  }
  const caCertificate = issueCertificate({ ...terms, subject: issuer, spki: ca.spki })
  const { key, spki } = newKey()
  const own = (role: 'agent' | 'hub', commonName: string): Buffer =>
    issueCertificate({ ...terms, subject: { commonName, role }, spki })
  const settings = hubSettings(world, { caCertificate })
  const asAgent = (certificate: Buffer) =>
    agentSettings(world, { key, purpose: { kind: 'session', certificate, ca: new X509Certificate(caCertificate) } })

  const agent = own('agent', 'civil-affairs')
  const serving = otherUsage(agent, ca.key)
  t.same(new X509Certificate(serving).keyUsage, ['1.3.6.1.5.5.7.3.1'])
  t.ok(new X509Certificate(serving).verify(new X509Certificate(caCertificate).publicKey))
  const hub = own('hub', 'civil-affairs')
  for (const certificate of [serving, hub, otherUsage(hub, ca.key)]) {
    fails(t, run(world, { agent: asAgent(certificate), hub: settings }), 'hub', 'CERTIFICATE_WRONG_ROLE')
  }
  for (const certificate of [otherUsage(own('hub', 'centre'), ca.key), otherUsage(own('agent', 'centre'), ca.key)]) {
    const playing = hubSettings(world, { caCertificate, certificate, key })
    fails(t, run(world, { agent: asAgent(agent), hub: playing }), 'agent', 'CERTIFICATE_WRONG_ROLE')
  }
})

t.test('a certificate with a key of an unknown or another kind is refused, not a crash', async (t) => {
  const { key, spki } = newKey()
  const unknown = Buffer.from(spki)
  // 1.3.101.112 is Ed25519, 1.3.101.120 nothing.
  unknown[8] = 0x78
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' })
  for (const odd of [unknown, rsa]) {
    const certificate = world.authority.issue({ name: world.agent.name, spki: odd })
    const settings = agentSettings(world, { key, purpose: { kind: 'session', certificate, ca: world.agent.ca } })
    fails(t, run(world, { agent: settings }), 'hub', 'CERTIFICATE_INVALID')
  }
})

t.test('dates, with a day for wrong clocks', async (t) => {
  const tenYears = 10 * 365 * DAY_MS
  const at = (agent: number, hub: number): Outcome =>
    run(world, { nowMs: { agent: NOW_MS + agent, hub: NOW_MS + hub } })
  t.equal(at(0, tenYears + DAY_MS - 1).hub?.kind, 'session')
  fails(t, at(0, tenYears + DAY_MS + 1000), 'hub', 'CERTIFICATE_EXPIRED')
  fails(t, at(tenYears + DAY_MS + 1000, 0), 'agent', 'CERTIFICATE_EXPIRED')
  // Issued a day back, a day of tolerance.
  t.equal(at(-2 * DAY_MS, 0).agent?.kind, 'session')
  fails(t, at(-2 * DAY_MS - 1000, 0), 'agent', 'CERTIFICATE_NOT_YET_VALID')
  fails(t, at(0, -2 * DAY_MS - 1000), 'hub', 'CERTIFICATE_NOT_YET_VALID')
  const strict = hubSettings(world, { clockSkewMs: 0 })
  fails(
    t,
    run(world, { hub: strict, nowMs: { agent: NOW_MS, hub: NOW_MS + tenYears + 1000 } }),
    'hub',
    'CERTIFICATE_EXPIRED',
  )
  fails(t, at(0, Number.NaN), 'hub', 'CERTIFICATE_EXPIRED')
})

t.test('a recorded proof is worthless in another session', async (t) => {
  const first = run(world)
  const recorded = (from: 'agent' | 'hub') =>
    first.sent.find((sent) => sent.from === from && sent.kind === FRAME_PROOF)?.body
  const replay = (from: 'agent' | 'hub') => (sent: Sent) =>
    sent.from === from && sent.kind === FRAME_PROOF ? (recorded(from) ?? sent.body) : sent.body
  fails(t, run(world, { tamper: replay('agent') }), 'hub', 'HANDSHAKE_PROOF_INVALID')
  fails(t, run(world, { tamper: replay('hub') }), 'agent', 'HANDSHAKE_PROOF_INVALID')
  // The same agent HELLO again, nonce included: the hub's new nonce makes it another transcript.
  const greeting = first.sent[0]?.body as Buffer
  const again = (sent: Sent): Buffer => {
    if (sent.from === 'hub') return sent.body
    return sent.kind === FRAME_HELLO ? greeting : (recorded('agent') as Buffer)
  }
  const hub = new HubHandshake(hubSettings(world))
  hub.receive(NOW_MS, FRAME_HELLO, greeting)
  t.throws(() => hub.receive(NOW_MS, FRAME_PROOF, recorded('agent') as Buffer), { code: 'HANDSHAKE_PROOF_INVALID' })
  t.equal(run(world, { tamper: again }).by, 'agent')
})

t.test("the hub's own proof sent back to it proves nothing", async (t) => {
  const hub = new HubHandshake(hubSettings(world))
  const agent = new AgentHandshake(agentSettings(world))
  const [, proof] = hub.receive(NOW_MS, FRAME_HELLO, agent.start().send[0]?.[1] as Buffer).send
  t.throws(() => hub.receive(NOW_MS, FRAME_PROOF, proof?.[1] as Buffer), { code: 'HANDSHAKE_PROOF_INVALID' })
})

t.test('frames out of order end the handshake for good', async (t) => {
  const greeting = (): Buffer => new AgentHandshake(agentSettings(world)).start().send[0]?.[1] as Buffer
  for (const kind of [FRAME_PROOF, FRAME_READY, FRAME_ENROLLED, 0x10, 0xff]) {
    const hub = new HubHandshake(hubSettings(world))
    t.throws(() => hub.receive(NOW_MS, kind, Buffer.alloc(0)), { code: 'HANDSHAKE_ORDER' })
    t.throws(() => hub.receive(NOW_MS, FRAME_HELLO, greeting()), { code: 'HANDSHAKE_ORDER' })
  }
  const hub = new HubHandshake(hubSettings(world))
  const agent = new AgentHandshake(agentSettings(world))
  const [first] = hub.receive(NOW_MS, FRAME_HELLO, agent.start().send[0]?.[1] as Buffer).send
  agent.receive(NOW_MS, FRAME_HELLO, first?.[1] as Buffer)
  t.throws(() => agent.receive(NOW_MS, FRAME_READY, Buffer.alloc(0)), { code: 'HANDSHAKE_ORDER' })
  t.notOk(agent.authenticated)
  t.throws(() => hub.receive(NOW_MS, FRAME_HELLO, greeting()), { code: 'HANDSHAKE_ORDER' })
})

t.test('the registry has the last word', async (t) => {
  const { authority } = world
  const agent = enrolAgent(authority, 'short-lived')
  const settings = agentSettings({ ...world, agent })
  t.equal(run(world, { agent: settings }).agent?.kind, 'session')
  authority.agents.revoke('short-lived', NOW_MS)
  fails(t, run(world, { agent: settings }), 'hub', 'AGENT_REVOKED')
  world.clock.at += 1
  const again = enrolAgent(authority, 'short-lived')
  t.equal(run(world, { agent: agentSettings({ ...world, agent: again }) }).agent?.kind, 'session')
  fails(t, run(world, { agent: settings }), 'hub', 'AGENT_SUPERSEDED')
  // Issued by the authority, but never entered: a restored backup of the registry.
  const unknown = newKey()
  const certificate = authority.issue({ name: 'never-entered', spki: unknown.spki })
  const purpose = { kind: 'session' as const, certificate, ca: agent.ca }
  const stranger = agentSettings(world, { name: 'never-entered', key: unknown.key, purpose })
  fails(t, run(world, { agent: stranger }), 'hub', 'AGENT_UNKNOWN')
})

t.test('CLOSE tells a stranger little, a known peer all, and is only text to its receiver', async (t) => {
  const fault = declareFaults('handshake-test', { TEST_INNER: { meaning: 'inner life', remedy: 'none' } })
  const secretive = run(world, { agent: agentSettings(world, { name: 'someone-else' }) }).fault
  if (secretive === null) throw new Error('no fault')
  const stranger = closeOf(secretive, { authenticated: false })
  t.equal(stranger.code, 'CERTIFICATE_WRONG_NAME')
  t.equal(stranger.message, 'a certificate carries another name than its bearer gives')
  t.equal(closeOf(fault('TEST_INNER', { why: '/var/lib' }), { authenticated: false }).code, 'INTERNAL')
  t.match(closeOf(fault('TEST_INNER', { why: 'details' }), { authenticated: true }).message, 'inner life: details')
  t.equal(closeOf(fault('TEST_INNER', { why: 'x'.repeat(5000) }), { authenticated: true }).message.length, 1024)

  const agent = new AgentHandshake(agentSettings(world))
  agent.start()
  const body = closeBody(fault('TEST_INNER', { why: 'a\nfake log line \u001b[31m\u202e', todo: 'do this' }), {
    authenticated: true,
  })
  const caught = t.throws(() => agent.receive(NOW_MS, FRAME_CLOSE, body), {
    code: 'HANDSHAKE_REFUSED',
    remedy: 'do this',
  })
  t.ok(caught)
  t.equal(peerClosed(body).details.peerCode, 'TEST_INNER')
  t.notMatch(peerClosed(body).message, /[\p{Cc}\p{Cf}]/u)
})

/** The certificate with its extended key usage turned from client to server or back, signed again. */
function otherUsage(certificate: Buffer, key: KeyObject): Buffer {
  const copy = Buffer.from(certificate)
  const last = copy.indexOf(Buffer.from('2b06010505070300', 'hex').subarray(0, 7)) + 7
  copy[last] = copy[last] === 1 ? 2 : 1
  // SEQUENCE { body, algorithm, signature }: both headers have 4 bytes here, the signature is the last 64.
  const body = copy.subarray(4, 8 + copy.readUInt16BE(6))
  sign(null, body, key).copy(copy, copy.length - 64)
  return copy
}
