// Channel `encode`: bytes as text that any line carries, and back.
//
// Content stays bytes both ways. In a field, encoding gives a text; decoding gives bytes or a text, as the settings say, never as
// the data happens to be. Decoding is strict. Stateless.

import { isAscii } from 'node:buffer'
import { asFault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject } from '../../contract.ts'
import { documentOf, withDocument } from '../../document.ts'
import {
  decodeBase64,
  decodeHex,
  decodePercent,
  decodeQuoted,
  encodeBase64,
  encodePercent,
  encodeQuoted,
  inLines,
  withoutLines,
} from './codecs.ts'
import { encodeFault } from './faults.ts'
import { TEXT_CHARS_MAX } from './limits.ts'
import type { EncodeSettings } from './settings.ts'

export class EncodeChannel implements Channel {
  readonly #settings: EncodeSettings

  constructor(settings: EncodeSettings, _context: ComponentContext) {
    this.#settings = settings
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const done: Item[] = []
    for (const item of items) {
      try {
        const bytes = await documentOf(item, this.#settings)
        const changed = this.#settings.direction === 'encode' ? this.#encode(bytes) : this.#decode(bytes)
        done.push(withDocument(item, changed, this.#settings))
      } catch (error) {
        reject({ item, fault: asFault(error, 'encode') })
      }
    }
    return done
  }

  #encode(bytes: Buffer): string | Buffer {
    const { encoding, field, lineLength } = this.#settings
    switch (encoding) {
      case 'base64':
        return inLines(encodeBase64(checked(bytes, 4 / 3, lineLength), this.#settings), lineLength)
      case 'hex':
        return inLines(checked(bytes, 2, lineLength).toString('hex'), lineLength)
      default: {
        const encoded = encoding === 'percent' ? encodePercent(bytes) : encodeQuoted(bytes)
        return field === undefined ? encoded : checked(encoded, 1, 0).toString('latin1')
      }
    }
  }

  #decode(bytes: Buffer): string | Buffer {
    const {
      encoding,
      field,
      as = encoding === 'percent' || encoding === 'quoted-printable' ? 'text' : 'bytes',
    } = this.#settings
    const decoded = this.#decoded(bytes)
    if (field === undefined || as === 'bytes') return decoded
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(checked(decoded, 1, 0))
    } catch (cause) {
      throw cause instanceof TypeError ? encodeFault('DECODED_NOT_TEXT', { cause }) : cause
    }
  }

  #decoded(bytes: Buffer): Buffer {
    const { encoding, lineLength } = this.#settings
    switch (encoding) {
      case 'percent':
        return decodePercent(bytes)
      case 'quoted-printable':
        return decodeQuoted(bytes)
      default: {
        // Beyond ASCII nothing belongs to these alphabets, and `latin1` keeps every byte at its position.
        const text = checked(bytes, 1, 0).toString(isAscii(bytes) ? 'ascii' : 'latin1')
        const body = lineLength === 0 ? text : withoutLines(text)
        return encoding === 'hex' ? decodeHex(body) : decodeBase64(body, this.#settings)
      }
    }
  }
}

/** The bytes, if as text they are one that a string can hold. */
function checked(bytes: Buffer, growth: number, lineLength: number): Buffer {
  const chars = Math.ceil((bytes.length * growth + 4) * (lineLength === 0 ? 1 : 1 + 2 / lineLength))
  if (chars > TEXT_CHARS_MAX)
    throw encodeFault('ENCODED_TOO_LONG', { why: `${chars} characters`, limitChars: TEXT_CHARS_MAX })
  return bytes
}
