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
  readonly line: number
  readonly column: number
  readonly file?: string
}

/** What libxml2 says is wrong; `null` when the error is not about the document. */
export function problemsOf(error: unknown): readonly Problem[] | null {
  if (!(error instanceof XmlLibError)) return null
  return error.details.map(({ message, line, col, file }) => ({
    message: message.trim(),
    line,
    column: col,
    ...(file === undefined ? {} : { file }),
  }))
}
