// XML schemas (XSD 1.0). What a schema includes or imports is read through the caller, and only while the schema is compiled:
// nothing that a document says makes libxml2 open a file.

import type { XmlDocument, XsdValidator } from 'libxml2-wasm'
import { libxml2 } from './load.ts'
import { type Problem, parseLibxml, problemsOf } from './parse.ts'

/** UTF-8 without declaration or DOCTYPE; `null` when there is no such schema. */
export type SchemaReader = (path: string) => Buffer | null

export type XsdSchema = {
  /** Empty when the document is valid. */
  validate(document: XmlDocument): readonly Problem[]
  dispose(): void
}

export type XsdOutcome =
  | { readonly ok: true; readonly schema: XsdSchema }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Set while a schema is compiled. */
let reading: SchemaReader | null = null
let registered = false

function register(): void {
  if (registered) return
  registered = true
  const { closeBuffer, openBuffer, readBuffer, xmlRegisterInputProvider } = libxml2()
  xmlRegisterInputProvider({
    match: () => reading !== null,
    open: (path) => {
      const bytes = reading?.(path) ?? null
      return bytes === null ? undefined : openBuffer(bytes)
    },
    read: readBuffer,
    close: (handle) => {
      closeBuffer(handle)
      return true
    },
  })
}

/** libxml2 must be loaded. `bytes` as a `SchemaReader` gives them; `path` is where relative locations start. */
export function compileXsd(bytes: Buffer, path: string, reader: SchemaReader): XsdOutcome {
  register()
  reading = reader
  try {
    using document = parseLibxml(bytes, path)
    const validator = libxml2().XsdValidator.fromDoc(document)
    return {
      ok: true,
      schema: { validate: (document) => validated(validator, document), dispose: () => validator.dispose() },
    }
  } catch (error) {
    const problems = problemsOf(error)
    if (problems === null) throw error
    return { ok: false, problems }
  } finally {
    reading = null
  }
}

function validated(validator: XsdValidator, document: XmlDocument): readonly Problem[] {
  try {
    validator.validate(document)
    return []
  } catch (error) {
    if (!(error instanceof libxml2().XmlValidateError)) throw error
    return problemsOf(error) ?? []
  }
}
