// The agent's half: HELLO out; the hub's HELLO and PROOF in; then PROOF out and READY in, or ENROLL out and ENROLLED
// in. The hub is authenticated before the agent shows anything but its HELLO. Any fault ends the handshake for good.

import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto'
import { SUITE_ED25519, suiteOf } from '#protocol/crypto/mod.ts'
import {
  FRAME_CLOSE,
  FRAME_ENROLL,
  FRAME_ENROLLED,
  FRAME_HELLO,
  FRAME_PROOF,
  FRAME_READY,
} from '#protocol/frame/mod.ts'
import type { Hello } from '#protocol/schema/mod.ts'
import { decodeEnrolled, decodeReady, encodeEnroll, encodeHello, Purpose, Role } from '#protocol/schema/mod.ts'
import { type Agreement, agree, agreementsEqual } from './agreement.ts'
import { type CheckedCertificate, checkCertificate, fingerprint, readCertificate } from './certificate.ts'
import { peerClosed } from './close.ts'
import type { CommonSettings, HandshakeFrame, Peer, SessionTerms } from './common.ts'
import { checkId, checkProof, checkSettings, EMPTY, helloOf, outOfOrder, proofOf, readHello } from './common.ts'
import { handshakeFault } from './faults.ts'
import { CLOCK_SKEW_MS, KEEPALIVE_MS_MAX, SECRET_BYTES } from './limits.ts'
import { agentProofText, enrolProofText, hubProofText, transcriptHash } from './transcript.ts'

export type AgentSettings = CommonSettings & {
  readonly hubName: string
  /** The agent's private key; when enrolling, the new one. */
  readonly key: KeyObject
  readonly purpose:
    | { readonly kind: 'session'; readonly certificate: Uint8Array; readonly ca: X509Certificate }
    /** From the token. */
    | { readonly kind: 'enroll'; readonly secret: Uint8Array; readonly caFingerprint: Uint8Array }
}

export type AgentDone =
  | { readonly kind: 'session'; readonly hub: Peer; readonly terms: SessionTerms }
  | {
      readonly kind: 'enrolled'
      readonly hub: Peer
      readonly certificate: Buffer
      readonly caCertificate: Buffer
    }

export type AgentStep = { readonly send: readonly HandshakeFrame[]; readonly done: AgentDone | null }

type State = 'new' | 'hello' | 'proof' | 'ready' | 'enrolled' | 'over'

/** Hub facts that hold from its HELLO on; trusted from its PROOF on. */
type Hub = {
  readonly certificate: CheckedCertificate
  readonly ca: X509Certificate
  readonly agreement: Agreement
  readonly transcript: Buffer
  readonly software: string
}

export class AgentHandshake {
  readonly #settings: AgentSettings
  readonly #hello: Hello
  readonly #helloBytes: Buffer
  #state: State = 'new'
  #hub: Hub | null = null
  #authenticated = false

  /** Faults: HANDSHAKE_BINDING_REQUIRED. */
  constructor(settings: AgentSettings) {
    checkSettings(settings)
    const { purpose } = settings
    this.#settings = settings
    this.#hello = helloOf(settings, {
      role: Role.AGENT,
      purpose: purpose.kind === 'session' ? Purpose.SESSION : Purpose.ENROLL,
      certificates: purpose.kind === 'session' ? [purpose.certificate] : [],
    })
    this.#helloBytes = encodeHello(this.#hello)
  }

  /** True once the hub has proven who it is: from then on a fault may be told to it in full. */
  get authenticated(): boolean {
    return this.#authenticated
  }

  /** The first frame. */
  start(): AgentStep {
    if (this.#state !== 'new') throw new Error('a handshake starts once')
    this.#state = 'hello'
    return { send: [[FRAME_HELLO, this.#helloBytes]], done: null }
  }

  /**
   * Takes one frame of channel 0. `nowMs` is the wall clock. Throws a fault when the handshake has failed: send CLOSE
   * (`closeOf`), then end the connection. Faults: HANDSHAKE_*, CERTIFICATE_*, VERSION_UNSUPPORTED, SCHEMA_INVALID,
   * SUITE_UNKNOWN.
   */
  receive(nowMs: number, kind: number, body: Uint8Array): AgentStep {
    const state = this.#state
    // Whatever throws below leaves the handshake over.
    this.#state = 'over'
    if (kind === FRAME_CLOSE && state !== 'over') throw peerClosed(body)
    if (state === 'hello' && kind === FRAME_HELLO) return this.#onHello(nowMs, body)
    if (state === 'proof' && kind === FRAME_PROOF) return this.#onProof(body)
    if (state === 'ready' && kind === FRAME_READY) return this.#onReady(body)
    if (state === 'enrolled' && kind === FRAME_ENROLLED) return this.#onEnrolled(nowMs, body)
    return outOfOrder(state, kind)
  }

  #onHello(nowMs: number, body: Uint8Array): AgentStep {
    const settings = this.#settings
    const hello = readHello(body, { role: Role.AGENT, settings })
    const agreement = agree(this.#hello, hello)
    if (hello.purpose !== this.#hello.purpose) {
      throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: 'the hub answers another purpose' })
    }
    if (hello.name !== settings.hubName) {
      throw handshakeFault('HANDSHAKE_HUB_WRONG', { why: `expected ${settings.hubName}, found ${hello.name}` })
    }
    const ca = this.#authorityFor(hello)
    const certificate = checkCertificate(hello.certificates[0] ?? EMPTY, {
      ca,
      role: 'hub',
      name: hello.name,
      nowMs,
      clockSkewMs: settings.clockSkewMs ?? CLOCK_SKEW_MS,
    })
    const transcript = transcriptHash(this.#helloBytes, body, settings.channelBinding)
    this.#hub = { certificate, ca, agreement, transcript, software: hello.software }
    this.#state = 'proof'
    return { send: [], done: null }
  }

  /** The authority is what the identity holds; when enrolling, the one in the hub's HELLO if it is the token's. */
  #authorityFor(hello: Hello): X509Certificate {
    const { purpose } = this.#settings
    if (purpose.kind === 'session') return purpose.ca
    const der = hello.certificates[1]
    if (der === undefined)
      throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: 'the authority certificate is missing' })
    if (!fingerprint(der).equals(purpose.caFingerprint)) {
      throw handshakeFault('CERTIFICATE_UNTRUSTED', {
        where: 'authority certificate',
        why: 'it is not the one the token names',
        todo: 'Check the address and the token: this hub did not make it, or someone is in the middle',
      })
    }
    return readCertificate(der, 'authority certificate')
  }

  #onProof(body: Uint8Array): AgentStep {
    const { certificate, transcript } = this.#known()
    checkProof(body, certificate.publicKey, hubProofText(transcript))
    this.#authenticated = true
    const { key, purpose } = this.#settings
    if (purpose.kind === 'session') {
      this.#state = 'ready'
      return { send: [[FRAME_PROOF, proofOf(key, agentProofText(transcript))]], done: null }
    }
    if (purpose.secret.length !== SECRET_BYTES) throw handshakeFault('TOKEN_MALFORMED', { why: 'its secret is short' })
    this.#state = 'enrolled'
    const enroll = encodeEnroll({
      name: this.#settings.name,
      secret: purpose.secret,
      publicKeySpki: createPublicKey(key).export({ type: 'spki', format: 'der' }),
      suite: SUITE_ED25519,
      signature: suiteOf(SUITE_ED25519).sign(key, enrolProofText(transcript)),
    })
    return { send: [[FRAME_ENROLL, enroll]], done: null }
  }

  #onReady(body: Uint8Array): AgentStep {
    const { agreement } = this.#known()
    const ready = decodeReady(body)
    const confirmed =
      ready.limits === null ? null : { version: ready.version, features: ready.features, limits: ready.limits }
    if (confirmed === null || !agreementsEqual(agreement, confirmed)) throw handshakeFault('HANDSHAKE_DOWNGRADED')
    if (ready.keepaliveMs < 1 || ready.keepaliveMs > KEEPALIVE_MS_MAX) {
      throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: `keepalive of ${ready.keepaliveMs} ms` })
    }
    const terms: SessionTerms = {
      ...agreement,
      sessionId: checkId(ready.sessionId, 'session id'),
      storeId: checkId(ready.storeId, 'store id'),
      keepaliveMs: ready.keepaliveMs,
      serverTimeMs: ready.serverTimeMs,
    }
    return { send: [], done: { kind: 'session', hub: this.#peer(), terms } }
  }

  #onEnrolled(nowMs: number, body: Uint8Array): AgentStep {
    const { ca } = this.#known()
    const enrolled = decodeEnrolled(body)
    if (!ca.raw.equals(enrolled.caCertificate)) {
      throw handshakeFault('CERTIFICATE_UNTRUSTED', {
        where: 'authority certificate',
        why: 'it is not the one in the HELLO',
      })
    }
    const { name, key, clockSkewMs } = this.#settings
    const own = checkCertificate(enrolled.certificate, {
      ca,
      role: 'agent',
      name,
      nowMs,
      clockSkewMs: clockSkewMs ?? CLOCK_SKEW_MS,
    })
    if (!own.publicKey.equals(createPublicKey(key))) {
      throw handshakeFault('CERTIFICATE_INVALID', { where: 'agent certificate', why: 'it is for another key' })
    }
    const done: AgentDone = { kind: 'enrolled', hub: this.#peer(), certificate: own.der, caCertificate: ca.raw }
    return { send: [], done }
  }

  #known(): Hub {
    if (this.#hub === null) throw new Error('no hub HELLO yet')
    return this.#hub
  }

  #peer(): Peer {
    const { certificate, software } = this.#known()
    return { name: certificate.name, role: 'hub', serial: certificate.serial, certificate: certificate.der, software }
  }
}
