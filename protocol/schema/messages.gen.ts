// Generated from handshake.proto, session.proto, transfer.proto by generate.ts. Do not edit: node protocol/schema/generate.ts

import { checkLength, checkUint32, checkUint64, codecs, copied, own, raisers } from './runtime.ts'
import type { Raise, Raw } from './runtime.ts'

// biome-ignore format: as generated
const descriptor = {
  "nested": {
    "causeway": {
      "nested": {
        "v1": {
          "nested": {
            "Role": {
              "values": { "ROLE_UNSPECIFIED": 0, "ROLE_AGENT": 1, "ROLE_HUB": 2 }
            },
            "Purpose": {
              "values": { "PURPOSE_UNSPECIFIED": 0, "PURPOSE_SESSION": 1, "PURPOSE_ENROLL": 2 }
            },
            "Binding": {
              "values": { "BINDING_UNSPECIFIED": 0, "BINDING_NONE": 1, "BINDING_TLS_EXPORTER": 2 }
            },
            "Limits": {
              "fields": {
                "frameBytesMax": { "type": "uint32", "id": 1, "protoName": "frame_bytes_max" },
                "batchBytesMax": { "type": "uint32", "id": 2, "protoName": "batch_bytes_max" },
                "bodyBytesMax": { "type": "uint32", "id": 3, "protoName": "body_bytes_max" },
                "batchMessagesMax": { "type": "uint32", "id": 4, "protoName": "batch_messages_max" },
                "headersBytesMax": { "type": "uint32", "id": 5, "protoName": "headers_bytes_max" },
                "creditBytesMax": { "type": "uint64", "id": 6, "protoName": "credit_bytes_max" },
                "streamsMax": { "type": "uint32", "id": 7, "protoName": "streams_max" },
                "subscriptionsMax": { "type": "uint32", "id": 8, "protoName": "subscriptions_max" }
              }
            },
            "Hello": {
              "fields": {
                "versionMin": { "type": "uint32", "id": 1, "protoName": "version_min" },
                "versionMax": { "type": "uint32", "id": 2, "protoName": "version_max" },
                "features": { "rule": "repeated", "type": "uint32", "id": 3 },
                "limits": { "type": "Limits", "id": 4 },
                "name": { "type": "string", "id": 5 },
                "role": { "type": "Role", "id": 6 },
                "certificates": { "rule": "repeated", "type": "bytes", "id": 7 },
                "nonce": { "type": "bytes", "id": 8 },
                "purpose": { "type": "Purpose", "id": 9 },
                "binding": { "type": "Binding", "id": 10 },
                "software": { "type": "string", "id": 11 }
              }
            },
            "Proof": {
              "fields": {
                "suite": { "type": "uint32", "id": 1 },
                "signature": { "type": "bytes", "id": 2 }
              }
            },
            "Ready": {
              "fields": {
                "sessionId": { "type": "bytes", "id": 1, "protoName": "session_id" },
                "storeId": { "type": "bytes", "id": 2, "protoName": "store_id" },
                "keepaliveMs": { "type": "uint32", "id": 3, "protoName": "keepalive_ms" },
                "version": { "type": "uint32", "id": 4 },
                "features": { "rule": "repeated", "type": "uint32", "id": 5 },
                "limits": { "type": "Limits", "id": 6 },
                "serverTimeMs": { "type": "uint64", "id": 7, "protoName": "server_time_ms" }
              }
            },
            "Enroll": {
              "fields": {
                "name": { "type": "string", "id": 1 },
                "secret": { "type": "bytes", "id": 2 },
                "publicKeySpki": { "type": "bytes", "id": 3, "protoName": "public_key_spki" },
                "suite": { "type": "uint32", "id": 4 },
                "signature": { "type": "bytes", "id": 5 }
              }
            },
            "Enrolled": {
              "fields": {
                "certificate": { "type": "bytes", "id": 1 },
                "caCertificate": { "type": "bytes", "id": 2, "protoName": "ca_certificate" }
              }
            },
            "Close": {
              "fields": {
                "code": { "type": "string", "id": 1 },
                "message": { "type": "string", "id": 2 },
                "remedy": { "type": "string", "id": 3 }
              }
            },
            "Invitation": {
              "fields": {
                "addresses": { "rule": "repeated", "type": "string", "id": 1 },
                "hubName": { "type": "string", "id": 2, "protoName": "hub_name" },
                "agent": { "type": "string", "id": 3 },
                "secret": { "type": "bytes", "id": 4 },
                "caFingerprint": { "type": "bytes", "id": 5, "protoName": "ca_fingerprint" },
                "expiresAtMs": { "type": "uint64", "id": 6, "protoName": "expires_at_ms" }
              }
            },
            "FaultReport": {
              "fields": {
                "code": { "type": "string", "id": 1 },
                "message": { "type": "string", "id": 2 },
                "remedy": { "type": "string", "id": 3 },
                "retry": { "type": "bool", "id": 4 }
              }
            },
            "Credit": {
              "fields": {
                "consumer": { "type": "uint32", "id": 1 },
                "bytes": { "type": "uint64", "id": 2 },
                "messages": { "type": "uint64", "id": 3 }
              }
            },
            "Failed": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "fault": { "type": "FaultReport", "id": 2 }
              }
            },
            "OpenStream": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "stream": { "type": "string", "id": 2 },
                "epoch": { "type": "uint64", "id": 3 },
                "knownSeq": { "type": "uint64", "id": 4, "protoName": "known_seq" },
                "knownStore": { "type": "bytes", "id": 5, "protoName": "known_store" },
                "skip": { "type": "bool", "id": 6 }
              }
            },
            "StreamOpened": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "streamId": { "type": "uint32", "id": 2, "protoName": "stream_id" },
                "lastSeq": { "type": "uint64", "id": 3, "protoName": "last_seq" }
              }
            },
            "Accepted": {
              "fields": {
                "streamId": { "type": "uint32", "id": 1, "protoName": "stream_id" },
                "lastSeq": { "type": "uint64", "id": 2, "protoName": "last_seq" },
                "creditBytes": { "type": "uint64", "id": 3, "protoName": "credit_bytes" },
                "unrouted": { "type": "uint64", "id": 4 }
              }
            },
            "Refused": {
              "fields": {
                "streamId": { "type": "uint32", "id": 1, "protoName": "stream_id" },
                "firstSeq": { "type": "uint64", "id": 2, "protoName": "first_seq" },
                "fault": { "type": "FaultReport", "id": 3 },
                "lastSeq": { "type": "uint64", "id": 4, "protoName": "last_seq" }
              }
            },
            "HeaderRule": {
              "fields": {
                "name": { "type": "string", "id": 1 },
                "values": { "rule": "repeated", "type": "string", "id": 2 }
              }
            },
            "QueueOrder": {
              "values": { "QUEUE_ORDER_NONE": 0, "QUEUE_ORDER_STREAM": 1, "QUEUE_ORDER_KEY": 2 }
            },
            "OnFull": {
              "values": { "ON_FULL_BLOCK": 0, "ON_FULL_DROP_OLDEST": 1, "ON_FULL_DEAD_LETTER": 2 }
            },
            "OnExpire": {
              "values": { "ON_EXPIRE_DEAD_LETTER": 0, "ON_EXPIRE_DROP": 1 }
            },
            "QueuePolicy": {
              "fields": {
                "order": { "type": "QueueOrder", "id": 1 },
                "partitions": { "type": "uint32", "id": 2 },
                "messagesMax": { "type": "uint64", "id": 3, "protoName": "messages_max" },
                "bytesMax": { "type": "uint64", "id": 4, "protoName": "bytes_max" },
                "ageMsMax": { "type": "uint64", "id": 5, "protoName": "age_ms_max" },
                "onFull": { "type": "OnFull", "id": 6, "protoName": "on_full" },
                "maxDeliver": { "type": "uint32", "id": 7, "protoName": "max_deliver" },
                "onExpire": { "type": "OnExpire", "id": 8, "protoName": "on_expire" },
                "retainMs": { "type": "uint64", "id": 9, "protoName": "retain_ms" },
                "retainBytes": { "type": "uint64", "id": 10, "protoName": "retain_bytes" }
              }
            },
            "Subscribe": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "queue": { "type": "string", "id": 2 },
                "name": { "type": "string", "id": 3 },
                "topics": { "rule": "repeated", "type": "string", "id": 4 },
                "where": { "rule": "repeated", "type": "HeaderRule", "id": 5 },
                "ephemeral": { "type": "bool", "id": 6 },
                "creditBytes": { "type": "uint64", "id": 7, "protoName": "credit_bytes" },
                "creditMessages": { "type": "uint64", "id": 8, "protoName": "credit_messages" },
                "policy": { "type": "QueuePolicy", "id": 9 }
              }
            },
            "Subscribed": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "consumer": { "type": "uint32", "id": 2 },
                "queue": { "type": "string", "id": 3 }
              }
            },
            "Unsubscribe": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "consumer": { "type": "uint32", "id": 2 },
                "forget": { "type": "bool", "id": 3 }
              }
            },
            "Outcome": {
              "values": { "OUTCOME_UNSPECIFIED": 0, "OUTCOME_PROCESSED": 1, "OUTCOME_REJECTED": 2, "OUTCOME_RETRY": 3 }
            },
            "Settlement": {
              "fields": {
                "from": { "type": "uint64", "id": 1 },
                "count": { "type": "uint64", "id": 2 },
                "outcome": { "type": "Outcome", "id": 3 },
                "reason": { "type": "string", "id": 4 },
                "lane": { "type": "uint32", "id": 5 },
                "delayMs": { "type": "uint64", "id": 6, "protoName": "delay_ms" }
              }
            },
            "Settle": {
              "fields": {
                "consumer": { "type": "uint32", "id": 1 },
                "settleId": { "type": "uint64", "id": 2, "protoName": "settle_id" },
                "ranges": { "rule": "repeated", "type": "Settlement", "id": 3 }
              }
            },
            "Settled": {
              "fields": {
                "consumer": { "type": "uint32", "id": 1 },
                "settleId": { "type": "uint64", "id": 2, "protoName": "settle_id" }
              }
            },
            "Origin": {
              "fields": {
                "name": { "type": "string", "id": 1 },
                "certificate": { "type": "bytes", "id": 2 }
              }
            },
            "Replay": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "consumer": { "type": "uint32", "id": 2 },
                "fromPosition": { "type": "uint64", "id": 3, "protoName": "from_position" },
                "fromMs": { "type": "uint64", "id": 4, "protoName": "from_ms" }
              }
            },
            "Replayed": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "messages": { "type": "uint64", "id": 2 }
              }
            },
            "OpenTransfer": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "content": { "type": "bytes", "id": 2 },
                "name": { "type": "string", "id": 3 },
                "mediaType": { "type": "string", "id": 4, "protoName": "media_type" },
                "size": { "type": "uint64", "id": 5 },
                "chunkBytes": { "type": "uint32", "id": 6, "protoName": "chunk_bytes" },
                "keepMs": { "type": "uint64", "id": 7, "protoName": "keep_ms" },
                "expiresMs": { "type": "uint64", "id": 8, "protoName": "expires_ms" }
              }
            },
            "TransferOpened": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "transfer": { "type": "uint32", "id": 2 },
                "creditBytes": { "type": "uint64", "id": 3, "protoName": "credit_bytes" },
                "sealed": { "type": "bool", "id": 4 }
              }
            },
            "Fetch": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "content": { "type": "bytes", "id": 2 },
                "creditBytes": { "type": "uint64", "id": 3, "protoName": "credit_bytes" },
                "priority": { "type": "uint32", "id": 4 }
              }
            },
            "Fetched": {
              "fields": {
                "request": { "type": "uint32", "id": 1 },
                "transfer": { "type": "uint32", "id": 2 },
                "origin": { "type": "string", "id": 3 },
                "name": { "type": "string", "id": 4 },
                "mediaType": { "type": "string", "id": 5, "protoName": "media_type" },
                "size": { "type": "uint64", "id": 6 },
                "chunkBytes": { "type": "uint32", "id": 7, "protoName": "chunk_bytes" }
              }
            },
            "Chunks": {
              "fields": {
                "transfer": { "type": "uint32", "id": 1 },
                "first": { "type": "uint32", "id": 2 },
                "digests": { "type": "bytes", "id": 3 },
                "lengths": { "rule": "repeated", "type": "uint32", "id": 4 }
              }
            },
            "ChunkRange": {
              "fields": {
                "from": { "type": "uint32", "id": 1 },
                "count": { "type": "uint32", "id": 2 }
              }
            },
            "ChunkPart": {
              "fields": {
                "chunk": { "type": "uint32", "id": 1 },
                "bytes": { "type": "uint32", "id": 2 },
                "encodedBytes": { "type": "uint32", "id": 3, "protoName": "encoded_bytes" }
              }
            },
            "Want": {
              "fields": {
                "transfer": { "type": "uint32", "id": 1 },
                "ranges": { "rule": "repeated", "type": "ChunkRange", "id": 2 },
                "part": { "type": "ChunkPart", "id": 3 },
                "priority": { "type": "uint32", "id": 4 }
              }
            },
            "Stored": {
              "fields": {
                "transfer": { "type": "uint32", "id": 1 },
                "ranges": { "rule": "repeated", "type": "ChunkRange", "id": 2 },
                "creditBytes": { "type": "uint64", "id": 3, "protoName": "credit_bytes" }
              }
            },
            "Seal": {
              "fields": {
                "transfer": { "type": "uint32", "id": 1 },
                "manifest": { "type": "bytes", "id": 2 }
              }
            },
            "Sealed": {
              "fields": {
                "transfer": { "type": "uint32", "id": 1 }
              }
            },
            "EndTransfer": {
              "fields": {
                "transfer": { "type": "uint32", "id": 1 },
                "fault": { "type": "FaultReport", "id": 2 },
                "cancel": { "type": "bool", "id": 3 }
              }
            }
          }
        }
      }
    }
  }
}

const codec = codecs(descriptor, 'causeway.v1')

export const Role = {
  UNSPECIFIED: 0,
  AGENT: 1,
  HUB: 2,
} as const
export type Role = (typeof Role)[keyof typeof Role]

export const Purpose = {
  UNSPECIFIED: 0,
  /** Both sides have certificates: mutual authentication, then READY. */
  SESSION: 1,
  /** The agent has a one-time token and wants a certificate. */
  ENROLL: 2,
} as const
export type Purpose = (typeof Purpose)[keyof typeof Purpose]

/** What ties the handshake to the connection below it. Both sides must say the same. */
export const Binding = {
  UNSPECIFIED: 0,
  /** Nothing: the transport is not TLS or ends at a proxy. */
  NONE: 1,
  /** RFC 9266: 32 bytes exported under EXPORTER-Channel-Binding. */
  TLS_EXPORTER: 2,
} as const
export type Binding = (typeof Binding)[keyof typeof Binding]

/** What a side can take. The smaller of both wins; 0 or absent is refused, never "unlimited". */
export type Limits = {
  /** Longest frame body in bytes. */
  readonly frameBytesMax: number
  /** Longest sealed batch in bytes. */
  readonly batchBytesMax: number
  /** Longest message body in bytes. */
  readonly bodyBytesMax: number
  /** Most messages in a batch. */
  readonly batchMessagesMax: number
  /** Longest encoded header map of a message in bytes. */
  readonly headersBytesMax: number
  /** Most bytes the side buffers for the connection before credit is renewed. */
  readonly creditBytesMax: number
  /** Most producer streams open at once. */
  readonly streamsMax: number
  /** Most subscriptions (consumers) open at once. */
  readonly subscriptionsMax: number
}

const codecLimits = codec('Limits')
const raiseLimits = raisers('Limits')

function shapeLimits(raw: Raw): Limits {
  return {
    frameBytesMax: raw.frameBytesMax,
    batchBytesMax: raw.batchBytesMax,
    bodyBytesMax: raw.bodyBytesMax,
    batchMessagesMax: raw.batchMessagesMax,
    headersBytesMax: raw.headersBytesMax,
    creditBytesMax: raw.creditBytesMax,
    streamsMax: raw.streamsMax,
    subscriptionsMax: raw.subscriptionsMax,
  }
}

function checkLimits(value: Limits, raise: Raise): void {
  checkUint32(value.frameBytesMax, 'frameBytesMax', raise)
  checkUint32(value.batchBytesMax, 'batchBytesMax', raise)
  checkUint32(value.bodyBytesMax, 'bodyBytesMax', raise)
  checkUint32(value.batchMessagesMax, 'batchMessagesMax', raise)
  checkUint32(value.headersBytesMax, 'headersBytesMax', raise)
  checkUint64(value.creditBytesMax, 'creditBytesMax', raise)
  checkUint32(value.streamsMax, 'streamsMax', raise)
  checkUint32(value.subscriptionsMax, 'subscriptionsMax', raise)
}

export function encodeLimits(value: Limits): Buffer {
  checkLimits(value, raiseLimits.unencodable)
  return codecLimits.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeLimits(bytes: Uint8Array): Limits {
  const value = shapeLimits(codecLimits.decode(bytes))
  checkLimits(value, raiseLimits.invalid)
  return value
}

/** HELLO, kind 0x01, agent first. */
export type Hello = {
  readonly versionMin: number
  readonly versionMax: number
  /**
   * Bit b of word w is feature 32*w+b. Both must have a bit for it to be used.
   * @max 8
   */
  readonly features: readonly number[]
  readonly limits: Limits | null
  /**
   * The name in the certificate.
   * @max 63
   */
  readonly name: string
  readonly role: Role
  /**
   * X.509 DER: the side's own certificate; a hub that is asked to enrol adds its authority's. Empty from an agent that enrols.
   * @max 2
   * @each 8192
   */
  readonly certificates: readonly Uint8Array[]
  /**
   * 32 random bytes.
   * @max 32
   */
  readonly nonce: Uint8Array
  readonly purpose: Purpose
  readonly binding: Binding
  /**
   * Program and version, for logs only.
   * @max 128
   */
  readonly software: string
}

const codecHello = codec('Hello')
const raiseHello = raisers('Hello')

function shapeHello(raw: Raw): Hello {
  return {
    versionMin: raw.versionMin,
    versionMax: raw.versionMax,
    features: raw.features,
    limits: own(raw, 'limits') === null ? null : shapeLimits(raw.limits),
    name: raw.name,
    role: raw.role,
    certificates: raw.certificates.map(copied),
    nonce: copied(raw.nonce),
    purpose: raw.purpose,
    binding: raw.binding,
    software: raw.software,
  }
}

function checkHello(value: Hello, raise: Raise): void {
  checkUint32(value.versionMin, 'versionMin', raise)
  checkUint32(value.versionMax, 'versionMax', raise)
  checkLength(value.features.length, 8, 'features', raise)
  for (const item of value.features) {
    checkUint32(item, 'features', raise)
  }
  if (value.limits !== null) {
    checkLimits(value.limits, raise)
  }
  checkLength(value.name.length, 63, 'name', raise)
  if (value.role !== 0 && value.role !== 1 && value.role !== 2) {
    throw raise('role', `unknown value ${value.role}`)
  }
  checkLength(value.certificates.length, 2, 'certificates', raise)
  for (const item of value.certificates) {
    checkLength(item.length, 8192, 'certificates', raise)
  }
  checkLength(value.nonce.length, 32, 'nonce', raise)
  if (value.purpose !== 0 && value.purpose !== 1 && value.purpose !== 2) {
    throw raise('purpose', `unknown value ${value.purpose}`)
  }
  if (value.binding !== 0 && value.binding !== 1 && value.binding !== 2) {
    throw raise('binding', `unknown value ${value.binding}`)
  }
  checkLength(value.software.length, 128, 'software', raise)
}

export function encodeHello(value: Hello): Buffer {
  checkHello(value, raiseHello.unencodable)
  return codecHello.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeHello(bytes: Uint8Array): Hello {
  const value = shapeHello(codecHello.decode(bytes))
  checkHello(value, raiseHello.invalid)
  return value
}

/** PROOF, kind 0x02, hub first: possession of the certificate's key, bound to this handshake. */
export type Proof = {
  /** Signature suite: 1 is Ed25519. */
  readonly suite: number
  /** @max 512 */
  readonly signature: Uint8Array
}

const codecProof = codec('Proof')
const raiseProof = raisers('Proof')

function shapeProof(raw: Raw): Proof {
  return {
    suite: raw.suite,
    signature: copied(raw.signature),
  }
}

function checkProof(value: Proof, raise: Raise): void {
  checkUint32(value.suite, 'suite', raise)
  checkLength(value.signature.length, 512, 'signature', raise)
}

export function encodeProof(value: Proof): Buffer {
  checkProof(value, raiseProof.unencodable)
  return codecProof.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeProof(bytes: Uint8Array): Proof {
  const value = shapeProof(codecProof.decode(bytes))
  checkProof(value, raiseProof.invalid)
  return value
}

/** READY, kind 0x03, from the hub: the session exists. */
export type Ready = {
  /**
   * 16 bytes.
   * @max 16
   */
  readonly sessionId: Uint8Array
  /**
   * 16 bytes made with the hub's store: another value means that what was agreed before is gone.
   * @max 16
   */
  readonly storeId: Uint8Array
  readonly keepaliveMs: number
  readonly version: number
  /** @max 8 */
  readonly features: readonly number[]
  readonly limits: Limits | null
  /** The hub's clock, milliseconds since 1970. */
  readonly serverTimeMs: number
}

const codecReady = codec('Ready')
const raiseReady = raisers('Ready')

function shapeReady(raw: Raw): Ready {
  return {
    sessionId: copied(raw.sessionId),
    storeId: copied(raw.storeId),
    keepaliveMs: raw.keepaliveMs,
    version: raw.version,
    features: raw.features,
    limits: own(raw, 'limits') === null ? null : shapeLimits(raw.limits),
    serverTimeMs: raw.serverTimeMs,
  }
}

function checkReady(value: Ready, raise: Raise): void {
  checkLength(value.sessionId.length, 16, 'sessionId', raise)
  checkLength(value.storeId.length, 16, 'storeId', raise)
  checkUint32(value.keepaliveMs, 'keepaliveMs', raise)
  checkUint32(value.version, 'version', raise)
  checkLength(value.features.length, 8, 'features', raise)
  for (const item of value.features) {
    checkUint32(item, 'features', raise)
  }
  if (value.limits !== null) {
    checkLimits(value.limits, raise)
  }
  checkUint64(value.serverTimeMs, 'serverTimeMs', raise)
}

export function encodeReady(value: Ready): Buffer {
  checkReady(value, raiseReady.unencodable)
  return codecReady.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeReady(bytes: Uint8Array): Ready {
  const value = shapeReady(codecReady.decode(bytes))
  checkReady(value, raiseReady.invalid)
  return value
}

/** ENROLL, kind 0x04, from the agent after the hub's proof. */
export type Enroll = {
  /** @max 63 */
  readonly name: string
  /**
   * The token's 32 secret bytes.
   * @max 32
   */
  readonly secret: Uint8Array
  /**
   * SubjectPublicKeyInfo DER of the agent's new key.
   * @max 512
   */
  readonly publicKeySpki: Uint8Array
  readonly suite: number
  /**
   * Possession of that key, bound to this handshake.
   * @max 512
   */
  readonly signature: Uint8Array
}

const codecEnroll = codec('Enroll')
const raiseEnroll = raisers('Enroll')

function shapeEnroll(raw: Raw): Enroll {
  return {
    name: raw.name,
    secret: copied(raw.secret),
    publicKeySpki: copied(raw.publicKeySpki),
    suite: raw.suite,
    signature: copied(raw.signature),
  }
}

function checkEnroll(value: Enroll, raise: Raise): void {
  checkLength(value.name.length, 63, 'name', raise)
  checkLength(value.secret.length, 32, 'secret', raise)
  checkLength(value.publicKeySpki.length, 512, 'publicKeySpki', raise)
  checkUint32(value.suite, 'suite', raise)
  checkLength(value.signature.length, 512, 'signature', raise)
}

export function encodeEnroll(value: Enroll): Buffer {
  checkEnroll(value, raiseEnroll.unencodable)
  return codecEnroll.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeEnroll(bytes: Uint8Array): Enroll {
  const value = shapeEnroll(codecEnroll.decode(bytes))
  checkEnroll(value, raiseEnroll.invalid)
  return value
}

/** ENROLLED, kind 0x05, from the hub. */
export type Enrolled = {
  /** @max 8192 */
  readonly certificate: Uint8Array
  /** @max 8192 */
  readonly caCertificate: Uint8Array
}

const codecEnrolled = codec('Enrolled')
const raiseEnrolled = raisers('Enrolled')

function shapeEnrolled(raw: Raw): Enrolled {
  return {
    certificate: copied(raw.certificate),
    caCertificate: copied(raw.caCertificate),
  }
}

function checkEnrolled(value: Enrolled, raise: Raise): void {
  checkLength(value.certificate.length, 8192, 'certificate', raise)
  checkLength(value.caCertificate.length, 8192, 'caCertificate', raise)
}

export function encodeEnrolled(value: Enrolled): Buffer {
  checkEnrolled(value, raiseEnrolled.unencodable)
  return codecEnrolled.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeEnrolled(bytes: Uint8Array): Enrolled {
  const value = shapeEnrolled(codecEnrolled.decode(bytes))
  checkEnrolled(value, raiseEnrolled.invalid)
  return value
}

/** CLOSE, kind 0x08: the last frame of a side that gives up, with a fault for people. */
export type Close = {
  /** @max 64 */
  readonly code: string
  /** @max 1024 */
  readonly message: string
  /** @max 1024 */
  readonly remedy: string
}

const codecClose = codec('Close')
const raiseClose = raisers('Close')

function shapeClose(raw: Raw): Close {
  return {
    code: raw.code,
    message: raw.message,
    remedy: raw.remedy,
  }
}

function checkClose(value: Close, raise: Raise): void {
  checkLength(value.code.length, 64, 'code', raise)
  checkLength(value.message.length, 1024, 'message', raise)
  checkLength(value.remedy.length, 1024, 'remedy', raise)
}

export function encodeClose(value: Close): Buffer {
  checkClose(value, raiseClose.unencodable)
  return codecClose.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeClose(bytes: Uint8Array): Close {
  const value = shapeClose(codecClose.decode(bytes))
  checkClose(value, raiseClose.invalid)
  return value
}

/** What an enrolment token carries (never sent in a frame). */
export type Invitation = {
  /**
   * @max 8
   * @each 256
   */
  readonly addresses: readonly string[]
  /** @max 63 */
  readonly hubName: string
  /** @max 63 */
  readonly agent: string
  /**
   * 32 bytes.
   * @max 32
   */
  readonly secret: Uint8Array
  /**
   * SHA-256 of the authority's certificate (DER).
   * @max 32
   */
  readonly caFingerprint: Uint8Array
  readonly expiresAtMs: number
}

const codecInvitation = codec('Invitation')
const raiseInvitation = raisers('Invitation')

function shapeInvitation(raw: Raw): Invitation {
  return {
    addresses: raw.addresses,
    hubName: raw.hubName,
    agent: raw.agent,
    secret: copied(raw.secret),
    caFingerprint: copied(raw.caFingerprint),
    expiresAtMs: raw.expiresAtMs,
  }
}

function checkInvitation(value: Invitation, raise: Raise): void {
  checkLength(value.addresses.length, 8, 'addresses', raise)
  for (const item of value.addresses) {
    checkLength(item.length, 256, 'addresses', raise)
  }
  checkLength(value.hubName.length, 63, 'hubName', raise)
  checkLength(value.agent.length, 63, 'agent', raise)
  checkLength(value.secret.length, 32, 'secret', raise)
  checkLength(value.caFingerprint.length, 32, 'caFingerprint', raise)
  checkUint64(value.expiresAtMs, 'expiresAtMs', raise)
}

export function encodeInvitation(value: Invitation): Buffer {
  checkInvitation(value, raiseInvitation.unencodable)
  return codecInvitation.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeInvitation(bytes: Uint8Array): Invitation {
  const value = shapeInvitation(codecInvitation.decode(bytes))
  checkInvitation(value, raiseInvitation.invalid)
  return value
}

/** A fault as it travels: enough for a person to act on, nothing that should not leave the sender. */
export type FaultReport = {
  /** @max 64 */
  readonly code: string
  /** @max 1024 */
  readonly message: string
  /** @max 1024 */
  readonly remedy: string
  /** Whether the same request may succeed later. */
  readonly retry: boolean
}

const codecFaultReport = codec('FaultReport')
const raiseFaultReport = raisers('FaultReport')

function shapeFaultReport(raw: Raw): FaultReport {
  return {
    code: raw.code,
    message: raw.message,
    remedy: raw.remedy,
    retry: raw.retry,
  }
}

function checkFaultReport(value: FaultReport, raise: Raise): void {
  checkLength(value.code.length, 64, 'code', raise)
  checkLength(value.message.length, 1024, 'message', raise)
  checkLength(value.remedy.length, 1024, 'remedy', raise)
}

export function encodeFaultReport(value: FaultReport): Buffer {
  checkFaultReport(value, raiseFaultReport.unencodable)
  return codecFaultReport.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeFaultReport(bytes: Uint8Array): FaultReport {
  const value = shapeFaultReport(codecFaultReport.decode(bytes))
  checkFaultReport(value, raiseFaultReport.invalid)
  return value
}

/** CREDIT, kind 0x09: absolute totals since READY, never lowered. Consumer 0 is the producing direction (hub to agent). */
export type Credit = {
  readonly consumer: number
  readonly bytes: number
  readonly messages: number
}

const codecCredit = codec('Credit')
const raiseCredit = raisers('Credit')

function shapeCredit(raw: Raw): Credit {
  return {
    consumer: raw.consumer,
    bytes: raw.bytes,
    messages: raw.messages,
  }
}

function checkCredit(value: Credit, raise: Raise): void {
  checkUint32(value.consumer, 'consumer', raise)
  checkUint64(value.bytes, 'bytes', raise)
  checkUint64(value.messages, 'messages', raise)
}

export function encodeCredit(value: Credit): Buffer {
  checkCredit(value, raiseCredit.unencodable)
  return codecCredit.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeCredit(bytes: Uint8Array): Credit {
  const value = shapeCredit(codecCredit.decode(bytes))
  checkCredit(value, raiseCredit.invalid)
  return value
}

/** FAILED, kind 0x0a: the answer to a request that could not be done. */
export type Failed = {
  readonly request: number
  readonly fault: FaultReport | null
}

const codecFailed = codec('Failed')
const raiseFailed = raisers('Failed')

function shapeFailed(raw: Raw): Failed {
  return {
    request: raw.request,
    fault: own(raw, 'fault') === null ? null : shapeFaultReport(raw.fault),
  }
}

function checkFailed(value: Failed, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  if (value.fault !== null) {
    checkFaultReport(value.fault, raise)
  }
}

export function encodeFailed(value: Failed): Buffer {
  checkFailed(value, raiseFailed.unencodable)
  return codecFailed.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeFailed(bytes: Uint8Array): Failed {
  const value = shapeFailed(codecFailed.decode(bytes))
  checkFailed(value, raiseFailed.invalid)
  return value
}

/** OPEN_STREAM, kind 0x10, agent: continue a producer stream. */
export type OpenStream = {
  readonly request: number
  /** @max 200 */
  readonly stream: string
  readonly epoch: number
  /** The last sequence number of this stream and epoch that was acknowledged and that the agent has forgotten; 0 when none. */
  readonly knownSeq: number
  /**
   * The store id (READY) under which it was acknowledged; empty when the agent does not know it any more.
   * @max 16
   */
  readonly knownStore: Uint8Array
  /** Go on behind known_seq although the hub has less: the agent cannot send what lies between any more. */
  readonly skip: boolean
}

const codecOpenStream = codec('OpenStream')
const raiseOpenStream = raisers('OpenStream')

function shapeOpenStream(raw: Raw): OpenStream {
  return {
    request: raw.request,
    stream: raw.stream,
    epoch: raw.epoch,
    knownSeq: raw.knownSeq,
    knownStore: copied(raw.knownStore),
    skip: raw.skip,
  }
}

function checkOpenStream(value: OpenStream, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkLength(value.stream.length, 200, 'stream', raise)
  checkUint64(value.epoch, 'epoch', raise)
  checkUint64(value.knownSeq, 'knownSeq', raise)
  checkLength(value.knownStore.length, 16, 'knownStore', raise)
}

export function encodeOpenStream(value: OpenStream): Buffer {
  checkOpenStream(value, raiseOpenStream.unencodable)
  return codecOpenStream.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeOpenStream(bytes: Uint8Array): OpenStream {
  const value = shapeOpenStream(codecOpenStream.decode(bytes))
  checkOpenStream(value, raiseOpenStream.invalid)
  return value
}

/** STREAM_OPENED, kind 0x11, hub. */
export type StreamOpened = {
  readonly request: number
  /** Names the stream in BATCH, ACCEPTED and REFUSED of this session; from 1. */
  readonly streamId: number
  /** The last sequence number the hub has durably, or has skipped to; 0 when it has none. Sending goes on after it. */
  readonly lastSeq: number
}

const codecStreamOpened = codec('StreamOpened')
const raiseStreamOpened = raisers('StreamOpened')

function shapeStreamOpened(raw: Raw): StreamOpened {
  return {
    request: raw.request,
    streamId: raw.streamId,
    lastSeq: raw.lastSeq,
  }
}

function checkStreamOpened(value: StreamOpened, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkUint32(value.streamId, 'streamId', raise)
  checkUint64(value.lastSeq, 'lastSeq', raise)
}

export function encodeStreamOpened(value: StreamOpened): Buffer {
  checkStreamOpened(value, raiseStreamOpened.unencodable)
  return codecStreamOpened.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeStreamOpened(bytes: Uint8Array): StreamOpened {
  const value = shapeStreamOpened(codecStreamOpened.decode(bytes))
  checkStreamOpened(value, raiseStreamOpened.invalid)
  return value
}

/** ACCEPTED, kind 0x13, hub: everything up to the sequence number is durable. */
export type Accepted = {
  readonly streamId: number
  readonly lastSeq: number
  /** Producing credit as in CREDIT.bytes; 0 when unchanged. */
  readonly creditBytes: number
  /** Messages of this acknowledgement that no queue wanted; they lie in the hub's queue of unrouted messages. */
  readonly unrouted: number
}

const codecAccepted = codec('Accepted')
const raiseAccepted = raisers('Accepted')

function shapeAccepted(raw: Raw): Accepted {
  return {
    streamId: raw.streamId,
    lastSeq: raw.lastSeq,
    creditBytes: raw.creditBytes,
    unrouted: raw.unrouted,
  }
}

function checkAccepted(value: Accepted, raise: Raise): void {
  checkUint32(value.streamId, 'streamId', raise)
  checkUint64(value.lastSeq, 'lastSeq', raise)
  checkUint64(value.creditBytes, 'creditBytes', raise)
  checkUint64(value.unrouted, 'unrouted', raise)
}

export function encodeAccepted(value: Accepted): Buffer {
  checkAccepted(value, raiseAccepted.unencodable)
  return codecAccepted.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeAccepted(bytes: Uint8Array): Accepted {
  const value = shapeAccepted(codecAccepted.decode(bytes))
  checkAccepted(value, raiseAccepted.invalid)
  return value
}

/** REFUSED, kind 0x14, hub: this batch was not stored. */
export type Refused = {
  readonly streamId: number
  readonly firstSeq: number
  readonly fault: FaultReport | null
  /** The last sequence number the hub has durably. */
  readonly lastSeq: number
}

const codecRefused = codec('Refused')
const raiseRefused = raisers('Refused')

function shapeRefused(raw: Raw): Refused {
  return {
    streamId: raw.streamId,
    firstSeq: raw.firstSeq,
    fault: own(raw, 'fault') === null ? null : shapeFaultReport(raw.fault),
    lastSeq: raw.lastSeq,
  }
}

function checkRefused(value: Refused, raise: Raise): void {
  checkUint32(value.streamId, 'streamId', raise)
  checkUint64(value.firstSeq, 'firstSeq', raise)
  if (value.fault !== null) {
    checkFaultReport(value.fault, raise)
  }
  checkUint64(value.lastSeq, 'lastSeq', raise)
}

export function encodeRefused(value: Refused): Buffer {
  checkRefused(value, raiseRefused.unencodable)
  return codecRefused.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeRefused(bytes: Uint8Array): Refused {
  const value = shapeRefused(codecRefused.decode(bytes))
  checkRefused(value, raiseRefused.invalid)
  return value
}

/** One condition on a header: it must be one of the values. */
export type HeaderRule = {
  /** @max 255 */
  readonly name: string
  /**
   * @max 256
   * @each 1024
   */
  readonly values: readonly string[]
}

const codecHeaderRule = codec('HeaderRule')
const raiseHeaderRule = raisers('HeaderRule')

function shapeHeaderRule(raw: Raw): HeaderRule {
  return {
    name: raw.name,
    values: raw.values,
  }
}

function checkHeaderRule(value: HeaderRule, raise: Raise): void {
  checkLength(value.name.length, 255, 'name', raise)
  checkLength(value.values.length, 256, 'values', raise)
  for (const item of value.values) {
    checkLength(item.length, 1024, 'values', raise)
  }
}

export function encodeHeaderRule(value: HeaderRule): Buffer {
  checkHeaderRule(value, raiseHeaderRule.unencodable)
  return codecHeaderRule.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeHeaderRule(bytes: Uint8Array): HeaderRule {
  const value = shapeHeaderRule(codecHeaderRule.decode(bytes))
  checkHeaderRule(value, raiseHeaderRule.invalid)
  return value
}

/** How competing consumers share a queue. */
export const QueueOrder = {
  /** Nothing waits for anything. */
  NONE: 0,
  /** Messages of one producer stream are out at one consumer at a time. */
  STREAM: 1,
  /** Messages with equal keys are. */
  KEY: 2,
} as const
export type QueueOrder = (typeof QueueOrder)[keyof typeof QueueOrder]

/** What happens to messages that do not fit the limits of a queue. */
export const OnFull = {
  /** Their batches are refused until there is room; the senders keep them. */
  BLOCK: 0,
  /** The oldest that wait make room. */
  DROP_OLDEST: 1,
  /** They go to the dead letters. */
  DEAD_LETTER: 2,
} as const
export type OnFull = (typeof OnFull)[keyof typeof OnFull]

/** What happens to messages whose time is over. */
export const OnExpire = {
  DEAD_LETTER: 0,
  DROP: 1,
} as const
export type OnExpire = (typeof OnExpire)[keyof typeof OnExpire]

/** What a queue does beside keeping its messages: section "Queues" of the specification. Zero is no limit. */
export type QueuePolicy = {
  readonly order: QueueOrder
  /** With an order: how many parts the queue is divided into, 1 to 64; 0 takes 16. */
  readonly partitions: number
  readonly messagesMax: number
  readonly bytesMax: number
  readonly ageMsMax: number
  readonly onFull: OnFull
  /** Deliveries of one message before it goes to the dead letters. */
  readonly maxDeliver: number
  readonly onExpire: OnExpire
  /** Settled messages are kept for replay so long, or so many bytes of them. */
  readonly retainMs: number
  readonly retainBytes: number
}

const codecQueuePolicy = codec('QueuePolicy')
const raiseQueuePolicy = raisers('QueuePolicy')

function shapeQueuePolicy(raw: Raw): QueuePolicy {
  return {
    order: raw.order,
    partitions: raw.partitions,
    messagesMax: raw.messagesMax,
    bytesMax: raw.bytesMax,
    ageMsMax: raw.ageMsMax,
    onFull: raw.onFull,
    maxDeliver: raw.maxDeliver,
    onExpire: raw.onExpire,
    retainMs: raw.retainMs,
    retainBytes: raw.retainBytes,
  }
}

function checkQueuePolicy(value: QueuePolicy, raise: Raise): void {
  if (value.order !== 0 && value.order !== 1 && value.order !== 2) {
    throw raise('order', `unknown value ${value.order}`)
  }
  checkUint32(value.partitions, 'partitions', raise)
  checkUint64(value.messagesMax, 'messagesMax', raise)
  checkUint64(value.bytesMax, 'bytesMax', raise)
  checkUint64(value.ageMsMax, 'ageMsMax', raise)
  if (value.onFull !== 0 && value.onFull !== 1 && value.onFull !== 2) {
    throw raise('onFull', `unknown value ${value.onFull}`)
  }
  checkUint32(value.maxDeliver, 'maxDeliver', raise)
  if (value.onExpire !== 0 && value.onExpire !== 1) {
    throw raise('onExpire', `unknown value ${value.onExpire}`)
  }
  checkUint64(value.retainMs, 'retainMs', raise)
  checkUint64(value.retainBytes, 'retainBytes', raise)
}

export function encodeQueuePolicy(value: QueuePolicy): Buffer {
  checkQueuePolicy(value, raiseQueuePolicy.unencodable)
  return codecQueuePolicy.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeQueuePolicy(bytes: Uint8Array): QueuePolicy {
  const value = shapeQueuePolicy(codecQueuePolicy.decode(bytes))
  checkQueuePolicy(value, raiseQueuePolicy.invalid)
  return value
}

/** SUBSCRIBE, kind 0x20, agent: consume a queue, or a durable subscription of the agent's own, which is made when new. */
export type Subscribe = {
  readonly request: number
  /**
   * Name of an existing queue; empty for a subscription.
   * @max 200
   */
  readonly queue: string
  /**
   * Name of the subscription, the agent's own.
   * @max 200
   */
  readonly name: string
  /**
   * Topic patterns; at least one for a subscription.
   * @max 64
   * @each 255
   */
  readonly topics: readonly string[]
  /**
   * All must hold.
   * @max 16
   */
  readonly where: readonly HeaderRule[]
  /** Whether the subscription ends with the session. */
  readonly ephemeral: boolean
  /** First credit, as in CREDIT. */
  readonly creditBytes: number
  readonly creditMessages: number
  /** For a subscription; the default policy when absent. */
  readonly policy: QueuePolicy | null
}

const codecSubscribe = codec('Subscribe')
const raiseSubscribe = raisers('Subscribe')

function shapeSubscribe(raw: Raw): Subscribe {
  return {
    request: raw.request,
    queue: raw.queue,
    name: raw.name,
    topics: raw.topics,
    where: raw.where.map(shapeHeaderRule),
    ephemeral: raw.ephemeral,
    creditBytes: raw.creditBytes,
    creditMessages: raw.creditMessages,
    policy: own(raw, 'policy') === null ? null : shapeQueuePolicy(raw.policy),
  }
}

function checkSubscribe(value: Subscribe, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkLength(value.queue.length, 200, 'queue', raise)
  checkLength(value.name.length, 200, 'name', raise)
  checkLength(value.topics.length, 64, 'topics', raise)
  for (const item of value.topics) {
    checkLength(item.length, 255, 'topics', raise)
  }
  checkLength(value.where.length, 16, 'where', raise)
  for (const item of value.where) {
    checkHeaderRule(item, raise)
  }
  checkUint64(value.creditBytes, 'creditBytes', raise)
  checkUint64(value.creditMessages, 'creditMessages', raise)
  if (value.policy !== null) {
    checkQueuePolicy(value.policy, raise)
  }
}

export function encodeSubscribe(value: Subscribe): Buffer {
  checkSubscribe(value, raiseSubscribe.unencodable)
  return codecSubscribe.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeSubscribe(bytes: Uint8Array): Subscribe {
  const value = shapeSubscribe(codecSubscribe.decode(bytes))
  checkSubscribe(value, raiseSubscribe.invalid)
  return value
}

/** SUBSCRIBED, kind 0x21, hub. */
export type Subscribed = {
  readonly request: number
  /** Names the consumer in DELIVER, SETTLE, SETTLED, CREDIT and UNSUBSCRIBE of this session; from 1. */
  readonly consumer: number
  /**
   * The queue's full name.
   * @max 512
   */
  readonly queue: string
}

const codecSubscribed = codec('Subscribed')
const raiseSubscribed = raisers('Subscribed')

function shapeSubscribed(raw: Raw): Subscribed {
  return {
    request: raw.request,
    consumer: raw.consumer,
    queue: raw.queue,
  }
}

function checkSubscribed(value: Subscribed, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkUint32(value.consumer, 'consumer', raise)
  checkLength(value.queue.length, 512, 'queue', raise)
}

export function encodeSubscribed(value: Subscribed): Buffer {
  checkSubscribed(value, raiseSubscribed.unencodable)
  return codecSubscribed.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeSubscribed(bytes: Uint8Array): Subscribed {
  const value = shapeSubscribed(codecSubscribed.decode(bytes))
  checkSubscribed(value, raiseSubscribed.invalid)
  return value
}

/** UNSUBSCRIBE, kind 0x22, agent: stop delivering. Unsettled messages go back to the queue. */
export type Unsubscribe = {
  readonly request: number
  readonly consumer: number
  /** Also forget the subscription and what waits in it. */
  readonly forget: boolean
}

const codecUnsubscribe = codec('Unsubscribe')
const raiseUnsubscribe = raisers('Unsubscribe')

function shapeUnsubscribe(raw: Raw): Unsubscribe {
  return {
    request: raw.request,
    consumer: raw.consumer,
    forget: raw.forget,
  }
}

function checkUnsubscribe(value: Unsubscribe, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkUint32(value.consumer, 'consumer', raise)
}

export function encodeUnsubscribe(value: Unsubscribe): Buffer {
  checkUnsubscribe(value, raiseUnsubscribe.unencodable)
  return codecUnsubscribe.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeUnsubscribe(bytes: Uint8Array): Unsubscribe {
  const value = shapeUnsubscribe(codecUnsubscribe.decode(bytes))
  checkUnsubscribe(value, raiseUnsubscribe.invalid)
  return value
}

export const Outcome = {
  UNSPECIFIED: 0,
  PROCESSED: 1,
  REJECTED: 2,
  /** Deliver again, later. */
  RETRY: 3,
} as const
export type Outcome = (typeof Outcome)[keyof typeof Outcome]

/** Positions from .. from+count-1 of a lane of the consumer's queue. */
export type Settlement = {
  readonly from: number
  readonly count: number
  readonly outcome: Outcome
  /** @max 512 */
  readonly reason: string
  /** As in DELIVER. */
  readonly lane: number
  /** With OUTCOME_RETRY: time until the messages are delivered again. */
  readonly delayMs: number
}

const codecSettlement = codec('Settlement')
const raiseSettlement = raisers('Settlement')

function shapeSettlement(raw: Raw): Settlement {
  return {
    from: raw.from,
    count: raw.count,
    outcome: raw.outcome,
    reason: raw.reason,
    lane: raw.lane,
    delayMs: raw.delayMs,
  }
}

function checkSettlement(value: Settlement, raise: Raise): void {
  checkUint64(value.from, 'from', raise)
  checkUint64(value.count, 'count', raise)
  if (value.outcome !== 0 && value.outcome !== 1 && value.outcome !== 2 && value.outcome !== 3) {
    throw raise('outcome', `unknown value ${value.outcome}`)
  }
  checkLength(value.reason.length, 512, 'reason', raise)
  checkUint32(value.lane, 'lane', raise)
  checkUint64(value.delayMs, 'delayMs', raise)
}

export function encodeSettlement(value: Settlement): Buffer {
  checkSettlement(value, raiseSettlement.unencodable)
  return codecSettlement.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeSettlement(bytes: Uint8Array): Settlement {
  const value = shapeSettlement(codecSettlement.decode(bytes))
  checkSettlement(value, raiseSettlement.invalid)
  return value
}

/** SETTLE, kind 0x24, agent. */
export type Settle = {
  readonly consumer: number
  /** Ascending within the session; confirmed by SETTLED. */
  readonly settleId: number
  /** @max 2048 */
  readonly ranges: readonly Settlement[]
}

const codecSettle = codec('Settle')
const raiseSettle = raisers('Settle')

function shapeSettle(raw: Raw): Settle {
  return {
    consumer: raw.consumer,
    settleId: raw.settleId,
    ranges: raw.ranges.map(shapeSettlement),
  }
}

function checkSettle(value: Settle, raise: Raise): void {
  checkUint32(value.consumer, 'consumer', raise)
  checkUint64(value.settleId, 'settleId', raise)
  checkLength(value.ranges.length, 2048, 'ranges', raise)
  for (const item of value.ranges) {
    checkSettlement(item, raise)
  }
}

export function encodeSettle(value: Settle): Buffer {
  checkSettle(value, raiseSettle.unencodable)
  return codecSettle.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeSettle(bytes: Uint8Array): Settle {
  const value = shapeSettle(codecSettle.decode(bytes))
  checkSettle(value, raiseSettle.invalid)
  return value
}

/** SETTLED, kind 0x25, hub: settlements up to this number are durable. */
export type Settled = {
  readonly consumer: number
  readonly settleId: number
}

const codecSettled = codec('Settled')
const raiseSettled = raisers('Settled')

function shapeSettled(raw: Raw): Settled {
  return {
    consumer: raw.consumer,
    settleId: raw.settleId,
  }
}

function checkSettled(value: Settled, raise: Raise): void {
  checkUint32(value.consumer, 'consumer', raise)
  checkUint64(value.settleId, 'settleId', raise)
}

export function encodeSettled(value: Settled): Buffer {
  checkSettled(value, raiseSettled.unencodable)
  return codecSettled.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeSettled(bytes: Uint8Array): Settled {
  const value = shapeSettled(codecSettled.decode(bytes))
  checkSettled(value, raiseSettled.invalid)
  return value
}

/** ORIGIN, kind 0x26, hub: the certificate behind a batch's signature, once per origin and connection, before its first batch. */
export type Origin = {
  /** @max 200 */
  readonly name: string
  /** @max 8192 */
  readonly certificate: Uint8Array
}

const codecOrigin = codec('Origin')
const raiseOrigin = raisers('Origin')

function shapeOrigin(raw: Raw): Origin {
  return {
    name: raw.name,
    certificate: copied(raw.certificate),
  }
}

function checkOrigin(value: Origin, raise: Raise): void {
  checkLength(value.name.length, 200, 'name', raise)
  checkLength(value.certificate.length, 8192, 'certificate', raise)
}

export function encodeOrigin(value: Origin): Buffer {
  checkOrigin(value, raiseOrigin.unencodable)
  return codecOrigin.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeOrigin(bytes: Uint8Array): Origin {
  const value = shapeOrigin(codecOrigin.decode(bytes))
  checkOrigin(value, raiseOrigin.invalid)
  return value
}

/**
 * REPLAY, kind 0x27, agent: everything its subscription retains from there on is open again. Settlements of deliveries
 * that came before REPLAYED must not be sent afterwards.
 */
export type Replay = {
  readonly request: number
  readonly consumer: number
  /** Lane 0 from this position; other lanes whole. Used when from_ms is 0. */
  readonly fromPosition: number
  /** Or: what the hub accepted from this time on, milliseconds since 1970 by its own clock. */
  readonly fromMs: number
}

const codecReplay = codec('Replay')
const raiseReplay = raisers('Replay')

function shapeReplay(raw: Raw): Replay {
  return {
    request: raw.request,
    consumer: raw.consumer,
    fromPosition: raw.fromPosition,
    fromMs: raw.fromMs,
  }
}

function checkReplay(value: Replay, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkUint32(value.consumer, 'consumer', raise)
  checkUint64(value.fromPosition, 'fromPosition', raise)
  checkUint64(value.fromMs, 'fromMs', raise)
}

export function encodeReplay(value: Replay): Buffer {
  checkReplay(value, raiseReplay.unencodable)
  return codecReplay.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeReplay(bytes: Uint8Array): Replay {
  const value = shapeReplay(codecReplay.decode(bytes))
  checkReplay(value, raiseReplay.invalid)
  return value
}

/** REPLAYED, kind 0x28, hub. */
export type Replayed = {
  readonly request: number
  /** How many settled messages are open again. */
  readonly messages: number
}

const codecReplayed = codec('Replayed')
const raiseReplayed = raisers('Replayed')

function shapeReplayed(raw: Raw): Replayed {
  return {
    request: raw.request,
    messages: raw.messages,
  }
}

function checkReplayed(value: Replayed, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkUint64(value.messages, 'messages', raise)
}

export function encodeReplayed(value: Replayed): Buffer {
  checkReplayed(value, raiseReplayed.unencodable)
  return codecReplayed.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeReplayed(bytes: Uint8Array): Replayed {
  const value = shapeReplayed(codecReplayed.decode(bytes))
  checkReplayed(value, raiseReplayed.invalid)
  return value
}

/** OPEN_TRANSFER, kind 0x30, agent: begin to send content, or go on after a break. */
export type OpenTransfer = {
  readonly request: number
  /**
   * 16 random bytes that name the content from now on; the same after every break.
   * @max 16
   */
  readonly content: Uint8Array
  /**
   * A file name without folders; empty for none.
   * @max 255
   */
  readonly name: string
  /**
   * RFC 6838 type; empty for unknown.
   * @max 127
   */
  readonly mediaType: string
  readonly size: number
  /** Length of every chunk but the last; 0 when chunks are cut by their content and CHUNKS says how long they are. */
  readonly chunkBytes: number
  /** How long the hub keeps the content when nothing refers to it; 0 takes the hub's own time. */
  readonly keepMs: number
  /** So long from now the content is worth anything; then the hub removes it, whatever refers to it. 0: it does not expire. */
  readonly expiresMs: number
}

const codecOpenTransfer = codec('OpenTransfer')
const raiseOpenTransfer = raisers('OpenTransfer')

function shapeOpenTransfer(raw: Raw): OpenTransfer {
  return {
    request: raw.request,
    content: copied(raw.content),
    name: raw.name,
    mediaType: raw.mediaType,
    size: raw.size,
    chunkBytes: raw.chunkBytes,
    keepMs: raw.keepMs,
    expiresMs: raw.expiresMs,
  }
}

function checkOpenTransfer(value: OpenTransfer, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkLength(value.content.length, 16, 'content', raise)
  checkLength(value.name.length, 255, 'name', raise)
  checkLength(value.mediaType.length, 127, 'mediaType', raise)
  checkUint64(value.size, 'size', raise)
  checkUint32(value.chunkBytes, 'chunkBytes', raise)
  checkUint64(value.keepMs, 'keepMs', raise)
  checkUint64(value.expiresMs, 'expiresMs', raise)
}

export function encodeOpenTransfer(value: OpenTransfer): Buffer {
  checkOpenTransfer(value, raiseOpenTransfer.unencodable)
  return codecOpenTransfer.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeOpenTransfer(bytes: Uint8Array): OpenTransfer {
  const value = shapeOpenTransfer(codecOpenTransfer.decode(bytes))
  checkOpenTransfer(value, raiseOpenTransfer.invalid)
  return value
}

/** TRANSFER_OPENED, kind 0x31, hub. */
export type TransferOpened = {
  readonly request: number
  /** Names the transfer in the frames of this session; from 1, shared by both directions. */
  readonly transfer: number
  /** Absolute, in bytes of content (section 13.3), as in STORED. */
  readonly creditBytes: number
  /** The content is here whole already: nothing is to be sent. */
  readonly sealed: boolean
}

const codecTransferOpened = codec('TransferOpened')
const raiseTransferOpened = raisers('TransferOpened')

function shapeTransferOpened(raw: Raw): TransferOpened {
  return {
    request: raw.request,
    transfer: raw.transfer,
    creditBytes: raw.creditBytes,
    sealed: raw.sealed,
  }
}

function checkTransferOpened(value: TransferOpened, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkUint32(value.transfer, 'transfer', raise)
  checkUint64(value.creditBytes, 'creditBytes', raise)
}

export function encodeTransferOpened(value: TransferOpened): Buffer {
  checkTransferOpened(value, raiseTransferOpened.unencodable)
  return codecTransferOpened.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeTransferOpened(bytes: Uint8Array): TransferOpened {
  const value = shapeTransferOpened(codecTransferOpened.decode(bytes))
  checkTransferOpened(value, raiseTransferOpened.invalid)
  return value
}

/** FETCH, kind 0x32, agent: take a content whose name it knows. */
export type Fetch = {
  readonly request: number
  /** @max 16 */
  readonly content: Uint8Array
  readonly creditBytes: number
  /** Among the transfers that this session fetches: 0 normal, 1 urgent, 2 bulk; others count as normal. */
  readonly priority: number
}

const codecFetch = codec('Fetch')
const raiseFetch = raisers('Fetch')

function shapeFetch(raw: Raw): Fetch {
  return {
    request: raw.request,
    content: copied(raw.content),
    creditBytes: raw.creditBytes,
    priority: raw.priority,
  }
}

function checkFetch(value: Fetch, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkLength(value.content.length, 16, 'content', raise)
  checkUint64(value.creditBytes, 'creditBytes', raise)
  checkUint32(value.priority, 'priority', raise)
}

export function encodeFetch(value: Fetch): Buffer {
  checkFetch(value, raiseFetch.unencodable)
  return codecFetch.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeFetch(bytes: Uint8Array): Fetch {
  const value = shapeFetch(codecFetch.decode(bytes))
  checkFetch(value, raiseFetch.invalid)
  return value
}

/** FETCHED, kind 0x33, hub. */
export type Fetched = {
  readonly request: number
  readonly transfer: number
  /**
   * Who sends or sent it.
   * @max 200
   */
  readonly origin: string
  /** @max 255 */
  readonly name: string
  /** @max 127 */
  readonly mediaType: string
  readonly size: number
  /** As in OPEN_TRANSFER. */
  readonly chunkBytes: number
}

const codecFetched = codec('Fetched')
const raiseFetched = raisers('Fetched')

function shapeFetched(raw: Raw): Fetched {
  return {
    request: raw.request,
    transfer: raw.transfer,
    origin: raw.origin,
    name: raw.name,
    mediaType: raw.mediaType,
    size: raw.size,
    chunkBytes: raw.chunkBytes,
  }
}

function checkFetched(value: Fetched, raise: Raise): void {
  checkUint32(value.request, 'request', raise)
  checkUint32(value.transfer, 'transfer', raise)
  checkLength(value.origin.length, 200, 'origin', raise)
  checkLength(value.name.length, 255, 'name', raise)
  checkLength(value.mediaType.length, 127, 'mediaType', raise)
  checkUint64(value.size, 'size', raise)
  checkUint32(value.chunkBytes, 'chunkBytes', raise)
}

export function encodeFetched(value: Fetched): Buffer {
  checkFetched(value, raiseFetched.unencodable)
  return codecFetched.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeFetched(bytes: Uint8Array): Fetched {
  const value = shapeFetched(codecFetched.decode(bytes))
  checkFetched(value, raiseFetched.invalid)
  return value
}

/** CHUNKS, kind 0x34, source: the next chunks of the content, in their order, each named once. */
export type Chunks = {
  readonly transfer: number
  /** Index of the first one; the number of chunks named before. */
  readonly first: number
  /**
   * SHA-256 of each, one after the other; at most 1,024.
   * @max 32768
   */
  readonly digests: Uint8Array
  /**
   * Bytes of each; empty where chunk_bytes says it.
   * @max 1024
   */
  readonly lengths: readonly number[]
}

const codecChunks = codec('Chunks')
const raiseChunks = raisers('Chunks')

function shapeChunks(raw: Raw): Chunks {
  return {
    transfer: raw.transfer,
    first: raw.first,
    digests: copied(raw.digests),
    lengths: raw.lengths,
  }
}

function checkChunks(value: Chunks, raise: Raise): void {
  checkUint32(value.transfer, 'transfer', raise)
  checkUint32(value.first, 'first', raise)
  checkLength(value.digests.length, 32768, 'digests', raise)
  checkLength(value.lengths.length, 1024, 'lengths', raise)
  for (const item of value.lengths) {
    checkUint32(item, 'lengths', raise)
  }
}

export function encodeChunks(value: Chunks): Buffer {
  checkChunks(value, raiseChunks.unencodable)
  return codecChunks.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeChunks(bytes: Uint8Array): Chunks {
  const value = shapeChunks(codecChunks.decode(bytes))
  checkChunks(value, raiseChunks.invalid)
  return value
}

/** A run of chunks. */
export type ChunkRange = {
  readonly from: number
  readonly count: number
}

const codecChunkRange = codec('ChunkRange')
const raiseChunkRange = raisers('ChunkRange')

function shapeChunkRange(raw: Raw): ChunkRange {
  return {
    from: raw.from,
    count: raw.count,
  }
}

function checkChunkRange(value: ChunkRange, raise: Raise): void {
  checkUint32(value.from, 'from', raise)
  checkUint32(value.count, 'count', raise)
}

export function encodeChunkRange(value: ChunkRange): Buffer {
  checkChunkRange(value, raiseChunkRange.unencodable)
  return codecChunkRange.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeChunkRange(bytes: Uint8Array): ChunkRange {
  const value = shapeChunkRange(codecChunkRange.decode(bytes))
  checkChunkRange(value, raiseChunkRange.invalid)
  return value
}

/** The beginning of a chunk, from an earlier session. */
export type ChunkPart = {
  readonly chunk: number
  /** So much of what was sent of it. */
  readonly bytes: number
  /** Length of its encoded form, when that is what was sent; 0: it was sent as it is. */
  readonly encodedBytes: number
}

const codecChunkPart = codec('ChunkPart')
const raiseChunkPart = raisers('ChunkPart')

function shapeChunkPart(raw: Raw): ChunkPart {
  return {
    chunk: raw.chunk,
    bytes: raw.bytes,
    encodedBytes: raw.encodedBytes,
  }
}

function checkChunkPart(value: ChunkPart, raise: Raise): void {
  checkUint32(value.chunk, 'chunk', raise)
  checkUint32(value.bytes, 'bytes', raise)
  checkUint32(value.encodedBytes, 'encodedBytes', raise)
}

export function encodeChunkPart(value: ChunkPart): Buffer {
  checkChunkPart(value, raiseChunkPart.unencodable)
  return codecChunkPart.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeChunkPart(bytes: Uint8Array): ChunkPart {
  const value = shapeChunkPart(codecChunkPart.decode(bytes))
  checkChunkPart(value, raiseChunkPart.invalid)
  return value
}

/** WANT, kind 0x35, sink: which chunks it lacks; without it none is sent. Also later, for a chunk that has been damaged. */
export type Want = {
  readonly transfer: number
  /**
   * May be empty.
   * @max 1024
   */
  readonly ranges: readonly ChunkRange[]
  /** Of one of these chunks the sink has the beginning. */
  readonly part: ChunkPart | null
  /**
   * From an agent: the priority of a transfer that it fetches, from now on. 0: as before; 1 normal, 2 urgent, 3 bulk; others
   * count as normal.
   */
  readonly priority: number
}

const codecWant = codec('Want')
const raiseWant = raisers('Want')

function shapeWant(raw: Raw): Want {
  return {
    transfer: raw.transfer,
    ranges: raw.ranges.map(shapeChunkRange),
    part: own(raw, 'part') === null ? null : shapeChunkPart(raw.part),
    priority: raw.priority,
  }
}

function checkWant(value: Want, raise: Raise): void {
  checkUint32(value.transfer, 'transfer', raise)
  checkLength(value.ranges.length, 1024, 'ranges', raise)
  for (const item of value.ranges) {
    checkChunkRange(item, raise)
  }
  if (value.part !== null) {
    checkChunkPart(value.part, raise)
  }
  checkUint32(value.priority, 'priority', raise)
}

export function encodeWant(value: Want): Buffer {
  checkWant(value, raiseWant.unencodable)
  return codecWant.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeWant(bytes: Uint8Array): Want {
  const value = shapeWant(codecWant.decode(bytes))
  checkWant(value, raiseWant.invalid)
  return value
}

/** STORED, kind 0x37, sink: these chunks are durable there; those it had already are among them. */
export type Stored = {
  readonly transfer: number
  /** @max 1024 */
  readonly ranges: readonly ChunkRange[]
  readonly creditBytes: number
}

const codecStored = codec('Stored')
const raiseStored = raisers('Stored')

function shapeStored(raw: Raw): Stored {
  return {
    transfer: raw.transfer,
    ranges: raw.ranges.map(shapeChunkRange),
    creditBytes: raw.creditBytes,
  }
}

function checkStored(value: Stored, raise: Raise): void {
  checkUint32(value.transfer, 'transfer', raise)
  checkLength(value.ranges.length, 1024, 'ranges', raise)
  for (const item of value.ranges) {
    checkChunkRange(item, raise)
  }
  checkUint64(value.creditBytes, 'creditBytes', raise)
}

export function encodeStored(value: Stored): Buffer {
  checkStored(value, raiseStored.unencodable)
  return codecStored.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeStored(bytes: Uint8Array): Stored {
  const value = shapeStored(codecStored.decode(bytes))
  checkStored(value, raiseStored.invalid)
  return value
}

/** SEAL, kind 0x38, source: all chunks are named, and this is what its origin signed. */
export type Seal = {
  readonly transfer: number
  /** @max 2048 */
  readonly manifest: Uint8Array
}

const codecSeal = codec('Seal')
const raiseSeal = raisers('Seal')

function shapeSeal(raw: Raw): Seal {
  return {
    transfer: raw.transfer,
    manifest: copied(raw.manifest),
  }
}

function checkSeal(value: Seal, raise: Raise): void {
  checkUint32(value.transfer, 'transfer', raise)
  checkLength(value.manifest.length, 2048, 'manifest', raise)
}

export function encodeSeal(value: Seal): Buffer {
  checkSeal(value, raiseSeal.unencodable)
  return codecSeal.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeSeal(bytes: Uint8Array): Seal {
  const value = shapeSeal(codecSeal.decode(bytes))
  checkSeal(value, raiseSeal.invalid)
  return value
}

/** SEALED, kind 0x39, sink: the whole content is durable there and is what its origin signed. */
export type Sealed = {
  readonly transfer: number
}

const codecSealed = codec('Sealed')
const raiseSealed = raisers('Sealed')

function shapeSealed(raw: Raw): Sealed {
  return {
    transfer: raw.transfer,
  }
}

function checkSealed(value: Sealed, raise: Raise): void {
  checkUint32(value.transfer, 'transfer', raise)
}

export function encodeSealed(value: Sealed): Buffer {
  checkSealed(value, raiseSealed.unencodable)
  return codecSealed.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeSealed(bytes: Uint8Array): Sealed {
  const value = shapeSealed(codecSealed.decode(bytes))
  checkSealed(value, raiseSealed.invalid)
  return value
}

/** END_TRANSFER, kind 0x3a, either: it does not go on in this session. What is stored stays for another try. */
export type EndTransfer = {
  readonly transfer: number
  readonly fault: FaultReport | null
  /** The content is not wanted any more and may be forgotten. */
  readonly cancel: boolean
}

const codecEndTransfer = codec('EndTransfer')
const raiseEndTransfer = raisers('EndTransfer')

function shapeEndTransfer(raw: Raw): EndTransfer {
  return {
    transfer: raw.transfer,
    fault: own(raw, 'fault') === null ? null : shapeFaultReport(raw.fault),
    cancel: raw.cancel,
  }
}

function checkEndTransfer(value: EndTransfer, raise: Raise): void {
  checkUint32(value.transfer, 'transfer', raise)
  if (value.fault !== null) {
    checkFaultReport(value.fault, raise)
  }
}

export function encodeEndTransfer(value: EndTransfer): Buffer {
  checkEndTransfer(value, raiseEndTransfer.unencodable)
  return codecEndTransfer.encode(value)
}

/** Fault: SCHEMA_INVALID. Nothing in the result points into `bytes`. */
export function decodeEndTransfer(bytes: Uint8Array): EndTransfer {
  const value = shapeEndTransfer(codecEndTransfer.decode(bytes))
  checkEndTransfer(value, raiseEndTransfer.invalid)
  return value
}
