import type { XmlDocument } from 'libxml2-wasm'
import { isLibxml2Loaded, libxml2 } from './load.ts'

/** xmlParserOption of libxml2: COMPACT, NOCDATA, NONET, IGNORE_ENC, BIG_LINES, NO_XXE, NO_SYS_CATALOG. */
const OPTIONS = (1 << 16) | (1 << 14) | (1 << 11) | (1 << 21) | (1 << 22) | (1 << 23) | (1 << 25)

/** `bytes` is UTF-8 without a DOCTYPE, whatever its declaration says. libxml2 must be loaded. Throws what `problemsOf` explains. */
export function parseLibxml(bytes: Uint8Array, url?: string): XmlDocument {
  return libxml2().XmlDocument.fromBuffer(bytes, {
    option: OPTIONS,
    encoding: 'utf-8',
    ...(url === undefined ? {} : { url }),
  })
}

export type Problem = {
  readonly message: string
  /** From 1; 0 when it is not known, as columns never are while validating. */
  readonly line: number
  readonly column: number
  readonly file: string | null
  readonly path: string | null
  readonly warning: boolean
}

/** What libxml2 says is wrong; `null` when the error is not about the document. */
export function problemsOf(error: unknown): readonly Problem[] | null {
  if (!isLibxml2Loaded() || !(error instanceof libxml2().XmlLibError)) return null
  return error.details.map(({ message, level, line, col, file, xpath }) => ({
    message: message.trim(),
    line,
    column: col,
    file: file ?? null,
    path: xpath ?? null,
    warning: level === 1,
  }))
}
