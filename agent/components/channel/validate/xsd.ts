// Validation by XML schemas.

import { fileURLToPath, pathToFileURL } from 'node:url'
import { Fault } from '#protocol/base/mod.ts'
import { compileXsd, loadLibxml2, type Problem, parseLibxml, problemsOf, type XsdSchema } from '../../libxml/mod.ts'
import { decodeXml, placeIn, XmlParser, type XmlTree, xmlFault } from '../../xml/mod.ts'
import { validateFault } from './faults.ts'
import type { SchemaFiles } from './files.ts'
import { VIOLATIONS_MAX } from './limits.ts'
import { invalid } from './violation.ts'

export class XsdValidation {
  readonly #schema: XsdSchema
  readonly #parser: XmlParser

  private constructor(schema: XsdSchema, parser: XmlParser) {
    this.#schema = schema
    this.#parser = parser
  }

  /** `text` is the schema; else it is read from `path`. Throws the faults of `SchemaFiles`, VALIDATE_SCHEMA_INVALID, those of XML. */
  static async compile(path: string, text: string | null, files: SchemaFiles): Promise<XsdValidation> {
    await loadLibxml2()
    const parser = new XmlParser()
    const wellFormed = (place: string, source: string): Buffer => {
      try {
        parser.parse(source)
      } catch (error) {
        const { message, details } = error as Fault
        throw validateFault('VALIDATE_SCHEMA_INVALID', { where: place, why: message, ...details })
      }
      // It is UTF-8 from here on, whatever it was. Locations are URIs, and must be written so for libxml2.
      const plain = source.replace(/^\ufeff?<\?xml[^>]*\?>/, '')
      return Buffer.from(plain.replace(/(?<=\sschemaLocation\s*=\s*)("[^"<]*"|'[^'<]*')/g, escaped))
    }
    const schemaAt = (place: string): Buffer => wellFormed(place, decodeXml(files.read(place)))
    // libxml2 would go on without what it cannot have.
    let missed: Fault | null = null
    const schema = text === null ? schemaAt(path) : wellFormed(path, text)
    const outcome = compileXsd(schema, pathToFileURL(path).href, (location) => {
      try {
        return schemaAt(localPath(location))
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        missed ??= error
        return null
      }
    })
    if (missed !== null) {
      if (outcome.ok) outcome.schema.dispose()
      throw missed
    }
    if (!outcome.ok) throw schemaFault(outcome.problems, path)
    return new XsdValidation(outcome.schema, parser)
  }

  /** Throws VALIDATE_INVALID and the faults of XML. */
  check(bytes: Buffer): void {
    const text = decodeXml(bytes)
    const tree = this.#parser.parse(text)
    using document = parsed(text)
    const problems = this.#schema.validate(document)
    if (problems.length === 0) return
    throw invalid(
      problems.map(({ message, line, path }, i) => {
        const at = path ?? ''
        const element = i < VIOLATIONS_MAX ? elementAt(tree, at) : -1
        if (element >= 0) return { message, at, ...placeIn(tree.source, tree.from[element] as number) }
        return { message, at, ...(line > 0 ? { line } : {}) }
      }),
    )
  }

  dispose(): void {
    this.#schema.dispose()
  }
}

/**
 * The element that libxml2 names by a path (`/a/p:b[2]/*[3]`), of which it knows the line alone; -1 when it is not found. Names are as
 * written; `*` stands for one in a default namespace, and counts all.
 */
function elementAt(tree: XmlTree, path: string): number {
  let element = 0
  for (const step of path.split('/').slice(1)) {
    const [, name, index = '1'] = /^([^[@(]+)(?:\[(\d+)\])?$/.exec(step) ?? []
    if (name === undefined) return element > 0 ? element : -1
    const end = tree.end[element] as number
    let left = Number(index)
    let found = -1
    for (let child = element + 1; child < end && found < 0; child = tree.end[child] as number) {
      if ((tree.name[child] as number) < 0 || (name !== '*' && name !== nameWritten(tree, child))) continue
      left -= 1
      if (left === 0) found = child
    }
    if (found < 0) return -1
    element = found
  }
  return element > 0 ? element : -1
}

function nameWritten({ source, from }: XmlTree, element: number): string {
  TAG_NAME.lastIndex = from[element] as number
  return TAG_NAME.exec(source)?.[1] ?? ''
}
const TAG_NAME = /<([^\s/>]+)/y

/** libxml2 has bounds of its own, such as 10 MB for one text. */
function parsed(text: string) {
  try {
    return parseLibxml(Buffer.from(text))
  } catch (error) {
    const [problem] = problemsOf(error) ?? []
    if (problem === undefined) throw error
    const { message, line, column } = problem
    throw xmlFault('XML_TOO_COMPLEX', { why: message, line, column })
  }
}

const escaped = (location: string): string => location.replace(/[^\x21-\x7e]+/g, (some) => encodeURIComponent(some))

/** What libxml2 asks for is resolved against the file that has it. */
function localPath(location: string): string {
  try {
    return fileURLToPath(location)
  } catch {
    throw validateFault('VALIDATE_SCHEMA_REFUSED', { where: location })
  }
}

function schemaFault(problems: readonly Problem[], path: string): Fault {
  const { message = '', line = 0, file = null } = problems.find(({ warning }) => !warning) ?? problems[0] ?? {}
  const where = `${file === null ? path : localPath(file)}${line > 0 ? `, line ${line}` : ''}`
  return validateFault('VALIDATE_SCHEMA_INVALID', { where, why: message, ...(line > 0 ? { line } : {}) })
}
