// What both sides sign: a hash over everything that was said before, so that a changed byte or another connection
// shows.

import { ed25519 } from '#protocol/crypto/mod.ts'
import { PREFACE } from '#protocol/frame/mod.ts'

const LABEL = Buffer.from('causeway handshake v1\0')
const HUB_PROOF = Buffer.from('causeway hub proof v1\0')
const AGENT_PROOF = Buffer.from('causeway agent proof v1\0')
const ENROL_PROOF = Buffer.from('causeway enrol v1\0')

/**
 * SHA-256(label ‖ preface ‖ u32le length ‖ agent HELLO ‖ u32le length ‖ hub HELLO ‖ channel binding).
 * The HELLOs are the bytes as they stood in the frames; the binding has 32 bytes or none, as the HELLOs say.
 */
export function transcriptHash(agentHello: Uint8Array, hubHello: Uint8Array, binding: Uint8Array | null): Buffer {
  const parts = [LABEL, PREFACE, lengthOf(agentHello), agentHello, lengthOf(hubHello), hubHello]
  return ed25519.digest(Buffer.concat(binding === null ? parts : [...parts, binding]))
}

/** What the hub signs; a different label than the agent's, so that a proof cannot be sent back to its maker. */
export const hubProofText = (transcript: Buffer): Buffer => Buffer.concat([HUB_PROOF, transcript])
export const agentProofText = (transcript: Buffer): Buffer => Buffer.concat([AGENT_PROOF, transcript])
export const enrolProofText = (transcript: Buffer): Buffer => Buffer.concat([ENROL_PROOF, transcript])

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return length
}
