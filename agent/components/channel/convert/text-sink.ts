// Text documents in the making: pieces in, bytes in an encoding out, never more than a bound.

import type { Row } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { type Encoding, encodeText, fieldWith } from '../../formats/mod.ts'
import { BLOCK_CHARS } from './limits.ts'

export type SinkOptions = { readonly encoding: Encoding; readonly bom: boolean; readonly bytesMax: number }

export class TextSink {
  readonly #options: SinkOptions
  readonly #blocks: Buffer[] = []
  #text = ''
  #bytes = 0
  #overflown = false

  constructor(options: SinkOptions) {
    this.#options = options
    const { encoding, bom } = options
    if (encoding === 'utf-16') this.#push(Buffer.of(0xff, 0xfe))
    else if (bom) this.write('\ufeff')
  }

  /** Takes the piece whole or throws TEXT_UNENCODABLE; `row` helps to say where. Beyond the bound nothing is kept. */
  write(text: string, row?: Row): void {
    const { encoding } = this.#options
    if (this.#overflown) return
    if (encoding === 'utf-8' && text.isWellFormed()) {
      this.#text += text
      if (this.#text.length >= BLOCK_CHARS) this.#flush()
      return
    }
    const encoded = encodeText(text, encoding)
    if (!encoded.ok) throw unencodable(encoded.codePoint, encoding, row)
    this.#push(encoded.bytes)
  }

  /** Throws DOCUMENT_TOO_LARGE. */
  end(): Buffer | string {
    const { encoding, bom, bytesMax } = this.#options
    if (encoding === 'utf-8' && !bom && this.#blocks.length === 0 && this.#text.length * 3 <= bytesMax)
      return this.#text
    this.#flush()
    if (this.#overflown) {
      throw componentFault('DOCUMENT_TOO_LARGE', {
        why: `what was made of it has more than ${bytesMax} bytes`,
        limitBytes: bytesMax,
      })
    }
    return Buffer.concat(this.#blocks)
  }

  #flush(): void {
    if (this.#text === '') return
    const text = this.#text
    this.#text = ''
    this.#push(Buffer.from(text))
  }

  #push(bytes: Buffer): void {
    this.#bytes += bytes.length
    if (this.#bytes > this.#options.bytesMax) {
      this.#overflown = true
      this.#blocks.length = 0
    } else this.#blocks.push(bytes)
  }
}

function unencodable(codePoint: number, encoding: Encoding, row: Row | undefined): Error {
  const where = row === undefined ? null : fieldWith(row, codePoint)
  const code = `U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}`
  const place = where === null ? {} : { where }
  return componentFault('TEXT_UNENCODABLE', { ...place, why: `${code} is not in ${encoding}` })
}
