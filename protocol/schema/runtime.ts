// What messages.gen.ts stands on: protobufjs without its parser and without Long.js, and the checks every message
// shares.
// 64-bit integers are numbers up to 2^53-1; bytes are copied out of the frame; unknown fields are skipped.

import type { Type } from 'protobufjs'
import protobuf from 'protobufjs/light.js'
import type { Fault } from '#protocol/base/mod.ts'
import { schemaFault } from './faults.ts'
import { MESSAGE_BYTES_MAX } from './limits.ts'

// Long.js would turn every 64-bit integer into an object. The setting is process-wide; nothing else here uses
// protobufjs.
;(protobuf.util as { Long: unknown }).Long = null
protobuf.configure()

/** Raises the fault of one direction: decoding blames the peer, encoding blames the caller's value. */
export type Raise = (field: string, why: string) => Fault

/** A message as protobufjs hands it over: defaults on the prototype, fields that are present as own properties. */
// biome-ignore lint/suspicious/noExplicitAny: shaped field by field in messages.gen.ts, nowhere else
export type Raw = any

/** One message's codec. `decode` gives the raw message, to be shaped and checked. */
export type Codec = { encode(value: object): Buffer; decode(bytes: Uint8Array): Raw }

const invalid =
  (message: string): Raise =>
  (field, why) =>
    schemaFault('SCHEMA_INVALID', { where: `${message}.${field}`, why })

const unencodable =
  (message: string): Raise =>
  (field, why) =>
    schemaFault('SCHEMA_UNENCODABLE', { where: `${message}.${field}`, why })

/** Makes codecs from the descriptor in messages.gen.ts. */
export function codecs(descriptor: object, packageName: string): (message: string) => Codec {
  const root = protobuf.Root.fromJSON(descriptor as Parameters<typeof protobuf.Root.fromJSON>[0]).resolveAll()
  return (message) => {
    const type: Type = root.lookupType(`${packageName}.${message}`)
    return {
      encode(value) {
        const bytes = type.encode(value).finish() as Buffer
        if (bytes.length > MESSAGE_BYTES_MAX) {
          throw schemaFault('SCHEMA_UNENCODABLE', {
            where: message,
            why: `${bytes.length} bytes, at most ${MESSAGE_BYTES_MAX}`,
          })
        }
        return bytes
      },
      decode(bytes) {
        if (bytes.length > MESSAGE_BYTES_MAX) {
          throw schemaFault('SCHEMA_INVALID', {
            where: message,
            why: `${bytes.length} bytes, at most ${MESSAGE_BYTES_MAX}`,
          })
        }
        try {
          return type.decode(
            Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
          )
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error)
          throw schemaFault('SCHEMA_INVALID', { where: message, why, cause: error })
        }
      },
    }
  }
}

/** The two raisers of a message, made once. */
export const raisers = (message: string): { invalid: Raise; unencodable: Raise } => ({
  invalid: invalid(message),
  unencodable: unencodable(message),
})

/** An own field or null: what `optional`, `oneof` and sub-messages decode to when absent. */
export const own = (raw: Raw, field: string): Raw => (Object.hasOwn(raw, field) ? raw[field] : null)

/** A copy: the frame's buffer may be reused as soon as decoding is over. */
export const copied = (bytes: Uint8Array): Buffer => Buffer.from(bytes)

export function checkUint64(value: number, field: string, raise: Raise): void {
  if (!Number.isSafeInteger(value) || value < 0) throw raise(field, `${value} is not an integer from 0 to 2^53-1`)
}

export function checkInt64(value: number, field: string, raise: Raise): void {
  if (!Number.isSafeInteger(value)) throw raise(field, `${value} is not an integer of at most 53 bits`)
}

export function checkUint32(value: number, field: string, raise: Raise): void {
  if (value >>> 0 !== value) throw raise(field, `${value} is not an integer from 0 to 2^32-1`)
}

export function checkInt32(value: number, field: string, raise: Raise): void {
  if ((value | 0) !== value) throw raise(field, `${value} is not a 32-bit integer`)
}

/** `unit` says what is counted: UTF-8 bytes are bounded by the message, so text counts UTF-16 units. */
export function checkLength(length: number, max: number, field: string, raise: Raise): void {
  if (length > max) throw raise(field, `length ${length}, at most ${max}`)
}
