// The handshake, sans I/O: greetings → mutual identity → session terms; or a one-time token → certificate.

export { type AgentDone, AgentHandshake, type AgentSettings, type AgentStep } from './agent.ts'
export { type Agreement, hasFeature, type Versions } from './agreement.ts'
export type { CertificateRole, CertificateRules, CheckedCertificate } from './certificate.ts'
export { checkCertificate, EKU_CLIENT, EKU_SERVER, fingerprint, readCertificate, subjectOf } from './certificate.ts'
export { closeBody, closeOf, peerClosed } from './close.ts'
export type { CommonSettings, HandshakeFrame, Peer, SessionTerms } from './common.ts'
export { type Enrolment, type EnrolRequest, type HubDone, HubHandshake, type HubSettings, type HubStep } from './hub.ts'
export {
  ADDRESS_FORM,
  BINDING_BYTES,
  CERTIFICATE_BYTES_MAX,
  CLOCK_SKEW_MS,
  FINGERPRINT_BYTES,
  ID_BYTES,
  KEEPALIVE_MS_MAX,
  NAME_PATTERN,
  NONCE_BYTES,
  SECRET_BYTES,
  TOKEN_ADDRESSES_MAX,
} from './limits.ts'
export { encodeToken, parseToken } from './token.ts'

/** RFC 9266: `socket.exportKeyingMaterial(BINDING_BYTES, EXPORTER_LABEL)` gives `channelBinding`. TLS 1.3 only. */
export const EXPORTER_LABEL = 'EXPORTER-Channel-Binding'
export { FEATURE_ENCODED_CHUNKS, FEATURE_TRANSFERS, featureWords } from './features.ts'
