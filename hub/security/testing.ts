// For tests: a hub with one enrolled agent, both halves of a handshake, and a wire between them that can be tampered
// with.

import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, X509Certificate } from 'node:crypto'
import { asFault, type Clock, type Fault, millis } from '#protocol/base/mod.ts'
import type {
  AgentDone,
  AgentSettings,
  CommonSettings,
  HandshakeFrame,
  HubDone,
  HubSettings,
} from '#protocol/handshake/mod.ts'
import { AgentHandshake, fingerprint, HubHandshake, parseToken } from '#protocol/handshake/mod.ts'
import { type Authority, initAuthority, openAuthority } from './mod.ts'

export const NOW_MS = Date.UTC(2026, 5, 1)
export const DAY_MS = 86_400_000

/** A clock that stands still until it is moved. */
export type StillClock = Clock & { at: number }
export const stillClock = (): StillClock => {
  const clock: StillClock = { at: NOW_MS, wallMs: () => millis(clock.at), nowMs: () => millis(clock.at) }
  return clock
}

export type World = { authority: Authority; folder: string; clock: StillClock; agent: TestAgent }
export type TestAgent = { name: string; key: KeyObject; spki: Buffer; certificate: Buffer; ca: X509Certificate }

export const newKey = (): { key: KeyObject; spki: Buffer } => {
  const key = generateKeyPairSync('ed25519').privateKey
  return { key, spki: createPublicKey(key).export({ type: 'spki', format: 'der' }) }
}

export function makeWorld(folder: string, hubName = 'centre'): World {
  const clock = stillClock()
  initAuthority(folder, { hubName, hostNames: ['hub.example'], clock })
  const authority = openAuthority(folder, { clock })
  return { authority, folder, clock, agent: enrolAgent(authority, 'civil-affairs') }
}

export function invite(authority: Authority, agent: string, expiresInMs = DAY_MS): ReturnType<typeof parseToken> {
  const order = { agent, addresses: ['tls://127.0.0.1:7710'], publish: ['a.#'], consume: [], expiresInMs }
  return parseToken(authority.invite(order).token)
}

export function enrolAgent(authority: Authority, name: string): TestAgent {
  const { key, spki } = newKey()
  const secret = Buffer.from(invite(authority, name).secret)
  const { certificate } = authority.enrol({ name, secret, publicKeySpki: spki })
  return { name, key, spki, certificate: Buffer.from(certificate), ca: new X509Certificate(authority.caCertificate) }
}

const common = (name: string): CommonSettings => ({
  name,
  versions: { min: 1, max: 1 },
  features: [0b111],
  limits: {
    frameBytesMax: 262_144,
    batchBytesMax: 1_000_000,
    bodyBytesMax: 100_000,
    batchMessagesMax: 1000,
    headersBytesMax: 4096,
    creditBytesMax: 8_000_000,
    streamsMax: 16,
    subscriptionsMax: 16,
  },
  software: 'test/1',
  nonce: randomBytes(32),
  channelBinding: Buffer.alloc(32, 1),
})

export const agentSettings = (world: World, changes: Partial<AgentSettings> = {}): AgentSettings => ({
  ...common(world.agent.name),
  hubName: world.authority.hubName,
  key: world.agent.key,
  purpose: { kind: 'session', certificate: world.agent.certificate, ca: world.agent.ca },
  ...changes,
})

export const enrolSettings = (world: World, name: string, changes: Partial<AgentSettings> = {}): AgentSettings => ({
  ...agentSettings(world),
  name,
  key: newKey().key,
  purpose: {
    kind: 'enroll',
    secret: invite(world.authority, name).secret,
    caFingerprint: fingerprint(world.authority.caCertificate),
  },
  ...changes,
})

export const hubSettings = (world: World, changes: Partial<HubSettings> = {}): HubSettings => ({
  ...common(world.authority.hubName),
  key: world.authority.hubKey,
  certificate: world.authority.hubCertificate,
  caCertificate: world.authority.caCertificate,
  sessionId: Buffer.alloc(16, 3),
  storeId: Buffer.alloc(16, 4),
  keepaliveMs: 5000,
  admit: (agent) => void world.authority.agents.admit(agent),
  ...changes,
})

export type Sent = { from: 'agent' | 'hub'; kind: number; body: Buffer }
export type Outcome = {
  sent: Sent[]
  agent: AgentDone | null
  hub: HubDone | null
  /** The first fault and who raised it. */
  fault: Fault | null
  by: 'agent' | 'hub' | null
}

/** Runs both halves to their end; `tamper` sees every frame on its way and gives what arrives. */
export function run(
  world: World,
  options: {
    agent?: AgentSettings
    hub?: HubSettings
    tamper?: (sent: Sent) => Buffer
    nowMs?: { agent: number; hub: number }
  } = {},
): Outcome {
  const nowMs = options.nowMs ?? { agent: NOW_MS, hub: NOW_MS }
  const outcome: Outcome = { sent: [], agent: null, hub: null, fault: null, by: null }
  const wire: Sent[] = []
  const put = (from: Sent['from'], frames: readonly HandshakeFrame[]): void => {
    for (const [kind, body] of frames) {
      const sent: Sent = { from, kind, body }
      outcome.sent.push(sent)
      wire.push({ from, kind, body: options.tamper?.(sent) ?? body })
    }
  }
  const attempt = (by: Sent['from'], step: () => void): void => {
    try {
      step()
    } catch (error) {
      outcome.fault = asFault(error)
      outcome.by = by
    }
  }
  attempt('agent', () => {
    const agent = new AgentHandshake(options.agent ?? agentSettings(world))
    attempt('hub', () => {
      const hub = new HubHandshake(options.hub ?? hubSettings(world))
      attempt('agent', () => put('agent', agent.start().send))
      for (let frame = wire.shift(); frame !== undefined && outcome.fault === null; frame = wire.shift()) {
        const { from, kind, body } = frame
        if (from === 'agent') attempt('hub', () => hubStep(hub, kind, body))
        else attempt('agent', () => agentStep(agent, kind, body))
      }
    })
  })
  return outcome

  function hubStep(hub: HubHandshake, kind: number, body: Buffer): void {
    let step = hub.receive(nowMs.hub, kind, body)
    if (step.enrol !== null) step = hub.enrolled(world.authority.enrol(step.enrol))
    outcome.hub = step.done
    put('hub', step.send)
  }

  function agentStep(agent: AgentHandshake, kind: number, body: Buffer): void {
    const step = agent.receive(nowMs.agent, kind, body)
    outcome.agent = step.done
    put('agent', step.send)
  }
}
