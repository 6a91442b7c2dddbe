import { ParseOption, XmlDocument, XmlLibError } from 'libxml2-wasm'

const OPTIONS =
  ParseOption.XML_PARSE_NONET |
  ParseOption.XML_PARSE_NO_XXE |
  ParseOption.XML_PARSE_NO_SYS_CATALOG |
  ParseOption.XML_PARSE_IGNORE_ENC |
  ParseOption.XML_PARSE_BIG_LINES |
  ParseOption.XML_PARSE_NOCDATA |
  ParseOption.XML_PARSE_COMPACT

/** `bytes` is UTF-8 without a DOCTYPE, whatever its declaration says. Throws what `problemsOf` explains. */
export function parseLibxml(bytes: Uint8Array, url?: string): XmlDocument {
  return XmlDocument.fromBuffer(bytes, { option: OPTIONS, encoding: 'utf-8', ...(url === undefined ? {} : { url }) })
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
  if (!(error instanceof XmlLibError)) return null
  return error.details.map(({ message, level, line, col, file, xpath }) => ({
    message: message.trim(),
    line,
    column: col,
    file: file ?? null,
    path: xpath ?? null,
    warning: level === 1,
  }))
}
