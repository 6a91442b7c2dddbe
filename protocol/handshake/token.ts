// Enrolment tokens: `cwt1.` and base64url of u16be length ‖ Invitation (protobuf) ‖ first 4 bytes of SHA-256 over both.
// The length tells a truncated token from a mistyped one; the checksum finds any slip before a connection is made.

import { hash } from 'node:crypto'
import { Fault } from '#protocol/base/mod.ts'
import { decodeInvitation, encodeInvitation, type Invitation } from '#protocol/schema/mod.ts'
import { handshakeFault } from './faults.ts'
import {
  ADDRESS_FORM,
  FINGERPRINT_BYTES,
  NAME_PATTERN,
  SECRET_BYTES,
  TOKEN_PAYLOAD_BYTES_MAX,
  TOKEN_TEXT_LENGTH_MAX,
} from './limits.ts'

const PREFIX = 'cwt1.'
const CHECKSUM_BYTES = 4

const checksum = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer').subarray(0, CHECKSUM_BYTES)

/** The token's text. Faults: SCHEMA_UNENCODABLE. */
export function encodeToken(invitation: Invitation): string {
  const payload = encodeInvitation(invitation)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(payload.length)
  const body = Buffer.concat([length, payload])
  return `${PREFIX}${Buffer.concat([body, checksum(body)]).toString('base64url')}`
}

/** Reads a token as people paste it: line breaks and spaces are dropped. Faults: TOKEN_MALFORMED, TOKEN_VERSION. */
export function parseToken(text: string): Invitation {
  if (text.length > TOKEN_TEXT_LENGTH_MAX) throw malformed(`${text.length} characters are too many`)
  const compact = text.replace(/\s+/g, '')
  const version = /^cwt(\d+)\./.exec(compact)
  if (version === null) throw malformed('it does not start with cwt1.')
  if (!compact.startsWith(PREFIX)) throw handshakeFault('TOKEN_VERSION', { why: `version ${version[1]}` })
  const encoded = compact.slice(PREFIX.length)
  const stray = /[^A-Za-z0-9_-]/.exec(encoded)
  if (stray !== null) {
    throw malformed(
      `character ${JSON.stringify(stray[0])} at position ${PREFIX.length + stray.index + 1} does not belong there`,
    )
  }
  const bytes = Buffer.from(encoded, 'base64url')
  const length = bytes.length < 2 ? 0 : bytes.readUInt16BE(0)
  const expected = 2 + length + CHECKSUM_BYTES
  if (length === 0 || bytes.length < expected) throw malformed('its end is missing')
  if (length > TOKEN_PAYLOAD_BYTES_MAX || bytes.length > expected)
    throw malformed('it has more at its end than belongs there')
  const body = bytes.subarray(0, 2 + length)
  // The last character's unused bits are no part of the bytes: compare the text too.
  if (!checksum(body).equals(bytes.subarray(2 + length)) || bytes.toString('base64url') !== encoded) {
    throw malformed('a character is wrong: the checksum does not match')
  }
  return checkInvitation(body.subarray(2))
}

function checkInvitation(payload: Uint8Array): Invitation {
  let invitation: Invitation
  try {
    invitation = decodeInvitation(payload)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw handshakeFault('TOKEN_MALFORMED', { why: 'its contents cannot be read', cause: error })
  }
  const { addresses, hubName, agent, secret, caFingerprint } = invitation
  const sound =
    addresses.length > 0 &&
    addresses.every((address) => ADDRESS_FORM.test(address)) &&
    NAME_PATTERN.test(hubName) &&
    NAME_PATTERN.test(agent) &&
    secret.length === SECRET_BYTES &&
    caFingerprint.length === FINGERPRINT_BYTES
  if (!sound) throw malformed('its contents are incomplete')
  return invitation
}

const malformed = (why: string): Fault => handshakeFault('TOKEN_MALFORMED', { why })
