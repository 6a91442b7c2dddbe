// The hub's half: the agent's HELLO in; HELLO and PROOF out; then PROOF in and READY out, or ENROLL in and ENROLLED
// out. Whether a known agent may still come, and what a token is worth, is asked of the hub (`admit`, `step.enrol`).

import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import {
  FRAME_CLOSE,
  FRAME_ENROLL,
  FRAME_ENROLLED,
  FRAME_HELLO,
  FRAME_PROOF,
  FRAME_READY,
} from '#protocol/frame/mod.ts'
import type { Hello } from '#protocol/schema/mod.ts'
import { decodeEnroll, encodeEnrolled, encodeHello, encodeReady, Purpose, Role } from '#protocol/schema/mod.ts'
import { type Agreement, agree } from './agreement.ts'
import { type CheckedCertificate, checkCertificate } from './certificate.ts'
import { peerClosed } from './close.ts'
import type { CommonSettings, HandshakeFrame, Peer, SessionTerms } from './common.ts'
import { checkProof, checkSettings, checkSignature, EMPTY, helloOf, outOfOrder, proofOf, readHello } from './common.ts'
import { handshakeFault } from './faults.ts'
import { CLOCK_SKEW_MS, ID_BYTES, SECRET_BYTES, SPKI_BYTES_MAX } from './limits.ts'
import { agentProofText, enrolProofText, hubProofText, transcriptHash } from './transcript.ts'

export type HubSettings = CommonSettings & {
  readonly key: KeyObject
  readonly certificate: Uint8Array
  readonly caCertificate: Uint8Array
  /** 16 fresh random bytes. */
  readonly sessionId: Uint8Array
  /** 16 bytes made with the store. */
  readonly storeId: Uint8Array
  readonly keepaliveMs: number
  /** Called after the agent's proof: throws a fault when the registry no longer knows this certificate. */
  admit(agent: Peer): void
}

/** What an enrolling agent asks; the key's possession and the name's form are already checked. */
export type EnrolRequest = { readonly name: string; readonly secret: Buffer; readonly publicKeySpki: Buffer }

/** The hub's answer to it. */
export type Enrolment = { readonly certificate: Uint8Array; readonly caCertificate: Uint8Array }

export type HubDone =
  | { readonly kind: 'session'; readonly agent: Peer; readonly terms: SessionTerms }
  | { readonly kind: 'enrolled'; readonly agent: Peer }

export type HubStep = {
  readonly send: readonly HandshakeFrame[]
  /** Set: redeem the token, issue the certificate, then call `enrolled` (or close with the fault). */
  readonly enrol: EnrolRequest | null
  readonly done: HubDone | null
}

type State = 'hello' | 'proof' | 'enroll' | 'deciding' | 'over'

type Agent = {
  readonly hello: Hello
  /** `null` when enrolling. */
  readonly certificate: CheckedCertificate | null
  readonly agreement: Agreement
  readonly transcript: Buffer
}

export class HubHandshake {
  readonly #settings: HubSettings
  readonly #ca: X509Certificate
  #state: State = 'hello'
  #agent: Agent | null = null
  #authenticated = false

  /** Faults: HANDSHAKE_BINDING_REQUIRED. */
  constructor(settings: HubSettings) {
    checkSettings(settings)
    if (settings.sessionId.length !== ID_BYTES || settings.storeId.length !== ID_BYTES) {
      throw new Error(`session and store ids must have ${ID_BYTES} bytes`)
    }
    this.#settings = settings
    this.#ca = new X509Certificate(settings.caCertificate)
  }

  /** True once the agent has proven who it is: from then on a fault may be told to it in full. */
  get authenticated(): boolean {
    return this.#authenticated
  }

  /**
   * Takes one frame of channel 0. `nowMs` is the wall clock. Throws a fault when the handshake has failed: send CLOSE
   * (`closeOf`), then end the connection. Faults: HANDSHAKE_*, CERTIFICATE_*, VERSION_UNSUPPORTED, SCHEMA_INVALID,
   * SUITE_UNKNOWN, and those of `admit`.
   */
  receive(nowMs: number, kind: number, body: Uint8Array): HubStep {
    const state = this.#state
    // Whatever throws below leaves the handshake over.
    this.#state = 'over'
    if (kind === FRAME_CLOSE && state !== 'over') throw peerClosed(body)
    if (state === 'hello' && kind === FRAME_HELLO) return this.#onHello(nowMs, body)
    if (state === 'proof' && kind === FRAME_PROOF) return this.#onProof(nowMs, body)
    if (state === 'enroll' && kind === FRAME_ENROLL) return this.#onEnroll(body)
    return outOfOrder(state, kind)
  }

  /** Completes an enrolment; only while the connection still stands and nothing else was received meanwhile. */
  enrolled(enrolment: Enrolment): HubStep {
    if (this.#state !== 'deciding') throw new Error('no enrolment is waiting')
    this.#state = 'over'
    const frame: HandshakeFrame = [FRAME_ENROLLED, encodeEnrolled(enrolment)]
    return { send: [frame], enrol: null, done: { kind: 'enrolled', agent: this.#peer() } }
  }

  #onHello(nowMs: number, body: Uint8Array): HubStep {
    const settings = this.#settings
    const hello = readHello(body, { role: Role.HUB, settings })
    const enrolling = hello.purpose === Purpose.ENROLL
    const own = helloOf(settings, {
      role: Role.HUB,
      purpose: hello.purpose,
      certificates: enrolling ? [settings.certificate, settings.caCertificate] : [settings.certificate],
    })
    const agreement = agree(own, hello)
    if (hello.certificates.length !== (enrolling ? 0 : 1)) {
      throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: `${hello.certificates.length} certificates` })
    }
    const certificate = enrolling
      ? null
      : checkCertificate(hello.certificates[0] ?? EMPTY, {
          ca: this.#ca,
          role: 'agent',
          name: hello.name,
          nowMs,
          clockSkewMs: settings.clockSkewMs ?? CLOCK_SKEW_MS,
        })
    const ownBytes = encodeHello(own)
    const transcript = transcriptHash(body, ownBytes, settings.channelBinding)
    this.#agent = { hello, certificate, agreement, transcript }
    this.#state = enrolling ? 'enroll' : 'proof'
    const proof = proofOf(settings.key, hubProofText(transcript))
    return {
      send: [
        [FRAME_HELLO, ownBytes],
        [FRAME_PROOF, proof],
      ],
      enrol: null,
      done: null,
    }
  }

  #onProof(nowMs: number, body: Uint8Array): HubStep {
    const { certificate, transcript, agreement } = this.#known()
    if (certificate === null) throw new Error('no certificate in a session handshake')
    checkProof(body, certificate.publicKey, agentProofText(transcript))
    const agent = this.#peer()
    this.#settings.admit(agent)
    this.#authenticated = true
    const { sessionId, storeId, keepaliveMs } = this.#settings
    const terms: SessionTerms = {
      ...agreement,
      sessionId: Buffer.from(sessionId),
      storeId: Buffer.from(storeId),
      keepaliveMs,
      serverTimeMs: Math.max(0, Math.floor(nowMs)),
    }
    return { send: [[FRAME_READY, encodeReady(terms)]], enrol: null, done: { kind: 'session', agent, terms } }
  }

  #onEnroll(body: Uint8Array): HubStep {
    const { hello, transcript } = this.#known()
    const { name, secret, publicKeySpki, suite, signature } = decodeEnroll(body)
    if (name !== hello.name) throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: 'two names in one enrolment' })
    if (secret.length !== SECRET_BYTES) throw handshakeFault('TOKEN_MALFORMED', { why: 'its secret is short' })
    const publicKey = readPublicKey(publicKeySpki)
    checkSignature({ suite, signature, publicKey, text: enrolProofText(transcript) })
    this.#state = 'deciding'
    const enrol = { name, secret: Buffer.from(secret), publicKeySpki: Buffer.from(publicKeySpki) }
    return { send: [], enrol, done: null }
  }

  #known(): Agent {
    if (this.#agent === null) throw new Error('no agent HELLO yet')
    return this.#agent
  }

  #peer(): Peer {
    const { hello, certificate } = this.#known()
    return {
      name: hello.name,
      role: 'agent',
      serial: certificate?.serial ?? '',
      certificate: certificate?.der ?? EMPTY,
      software: hello.software,
    }
  }
}

/** Ed25519 only, and exactly the canonical encoding: two encodings of one key would be two identities. */
function readPublicKey(spki: Uint8Array): KeyObject {
  const where = 'enrolling key'
  if (spki.length > SPKI_BYTES_MAX) throw handshakeFault('CERTIFICATE_INVALID', { where, why: 'the key is too long' })
  let key: KeyObject
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  } catch (error) {
    throw handshakeFault('CERTIFICATE_INVALID', { where, why: 'not a public key', cause: error })
  }
  if (key.asymmetricKeyType !== 'ed25519' || !key.export({ type: 'spki', format: 'der' }).equals(spki)) {
    throw handshakeFault('CERTIFICATE_INVALID', { where, why: 'only Ed25519 keys are supported' })
  }
  return key
}
