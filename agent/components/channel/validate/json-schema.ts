// Validation by JSON Schema. A schema is the operator's; what it is compiled to holds nothing of the documents.

import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { AnySchema, AnySchemaObject, ErrorObject, Options, ValidateFunction } from 'ajv'
import { asFault, Fault } from '#protocol/base/mod.ts'
import { readJson } from '../json-text.ts'
import { validateFault } from './faults.ts'
import type { SchemaFiles } from './files.ts'
import { invalid, type Violation } from './violation.ts'

export class JsonValidation {
  readonly #validate: ValidateFunction

  private constructor(validate: ValidateFunction) {
    this.#validate = validate
  }

  /**
   * `schema` is the schema; else it is read from `path`, where references start in any case.
   * Throws the faults of `SchemaFiles`, VALIDATE_SCHEMA_INVALID.
   */
  static async compile(path: string, schema: unknown, files: SchemaFiles): Promise<JsonValidation> {
    const root = (schema === undefined ? schemaIn(path, files) : schema) as AnySchema
    const url = pathToFileURL(path).href
    const isObject = typeof root === 'object' && root !== null && !Array.isArray(root)
    if (!isObject && typeof root !== 'boolean') {
      throw validateFault('VALIDATE_SCHEMA_INVALID', { where: path, why: 'it is neither an object nor true or false' })
    }
    const id = isObject ? absoluteId(root, url) : null
    const loadSchema = async (uri: string): Promise<AnySchemaObject> => {
      const loaded = schemaIn(localPath(uri, { path, id }), files) as AnySchemaObject
      const loadedId = absoluteId(loaded, uri)
      return loadedId === null ? loaded : { ...loaded, $id: loadedId }
    }
    const ajv = await engine(isObject ? root.$schema : undefined, loadSchema, path)
    try {
      const named = isObject ? { $id: url, ...root, ...(id === null ? {} : { $id: id }) } : root
      return new JsonValidation(typeof named === 'boolean' ? ajv.compile(named) : await ajv.compileAsync(named))
    } catch (error) {
      if (error instanceof Fault) throw error
      throw validateFault('VALIDATE_SCHEMA_INVALID', { where: path, why: (error as Error).message })
    }
  }

  /** Throws VALIDATE_INVALID, VALIDATE_TOO_DEEP. */
  check(value: unknown): void {
    let valid: unknown
    try {
      valid = this.#validate(value)
    } catch (error) {
      if (error instanceof RangeError) throw validateFault('VALIDATE_TOO_DEEP')
      throw asFault(error)
    }
    const errors = this.#validate.errors ?? []
    // Not to be kept alive until the next document comes.
    this.#validate.errors = null
    if (valid !== true) throw invalid(errors.map(violationOf))
  }
}

async function engine(dialect: unknown, loadSchema: (uri: string) => Promise<AnySchemaObject>, path: string) {
  const options: Options = {
    strict: true,
    // What only might be a mistake is not one.
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    allErrors: true,
    logger: false,
    loadSchema,
  }
  // Loaded when it is first needed.
  const { default: addFormats } = await import('ajv-formats')
  const { Ajv, str } = await import('ajv')
  const ajv = newer(dialect, path) ? new (await import('ajv/dist/2020.js')).Ajv2020(options) : new Ajv(options)
  addFormats.default(ajv)
  // As decimals: of doubles 19.99 is no multiple of 0.01.
  ajv.removeKeyword('multipleOf')
  ajv.addKeyword({
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    compile: (divisor: number) => (value: number) => isMultiple(value, divisor),
    error: { message: ({ schemaCode }) => str`must be multiple of ${schemaCode}` },
  })
  return ajv
}

/** An `$id` may be relative to where the schema lies: references start at it then. */
function absoluteId(schema: unknown, base: string): string | null {
  const id = typeof schema === 'object' && schema !== null ? (schema as AnySchemaObject).$id : undefined
  return typeof id === 'string' && !id.startsWith('#') ? (URL.parse(id, base)?.href ?? id) : null
}

function isMultiple(value: number, divisor: number): boolean {
  if (Number.isInteger(value) && Number.isInteger(divisor)) return value % divisor === 0
  const [a, b] = [decimalOf(value), decimalOf(divisor)]
  if (a === null || b === null) return false
  const power = Math.min(a.power, b.power)
  const scaled = (each: { digits: bigint; power: number }): bigint => each.digits * 10n ** BigInt(each.power - power)
  return scaled(a) % scaled(b) === 0n
}

/** The shortest decimal that is this double: what was written, unless it had more digits than a double has. */
function decimalOf(value: number): { digits: bigint; power: number } | null {
  const [, sign, whole, fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? []
  if (whole === undefined) return null
  return { digits: BigInt(`${sign}${whole}${fraction}`), power: Number(exponent) - fraction.length }
}

function newer(dialect: unknown, path: string): boolean {
  const name = typeof dialect === 'string' ? dialect.replace(/#$/, '') : ''
  if (name === '' || name === 'https://json-schema.org/draft/2020-12/schema') return true
  if (/^https?:\/\/json-schema\.org\/draft-0[67]\/schema$/.test(name)) return false
  throw validateFault('VALIDATE_SCHEMA_INVALID', {
    where: path,
    why: `$schema ${name} is neither 2020-12 nor draft-07`,
  })
}

function schemaIn(path: string, files: SchemaFiles): unknown {
  try {
    return readJson(files.read(path), { rounded: true })
  } catch (error) {
    const fault = asFault(error)
    if (fault.code !== 'DOCUMENT_NOT_JSON') throw fault
    throw validateFault('VALIDATE_SCHEMA_INVALID', { where: path, why: fault.message, ...fault.details })
  }
}

/** Where a schema with an `$id` refers to others beside it, they lie beside its file. */
function localPath(uri: string, { path, id }: { readonly path: string; readonly id: string | null }): string {
  const [whole = ''] = uri.split('#', 1)
  const beside = id === null ? null : URL.parse('.', id)?.href
  if (beside !== null && beside !== undefined && whole.startsWith(beside)) {
    return join(dirname(path), decodeURIComponent(whole.slice(beside.length)))
  }
  if (whole.startsWith('file:')) return fileURLToPath(whole)
  throw validateFault('VALIDATE_SCHEMA_REFUSED', { where: path, why: whole })
}

function violationOf({ instancePath, message = 'is not as it should be', params, keyword }: ErrorObject): Violation {
  const { additionalProperty, unevaluatedProperty, allowedValues } = params as Record<string, unknown>
  const what = additionalProperty ?? unevaluatedProperty
  const detail =
    what === undefined
      ? keyword === 'enum' || keyword === 'const'
        ? `: ${JSON.stringify(allowedValues ?? (params as Record<string, unknown>).allowedValue)}`
        : ''
      : `: ${JSON.stringify(what)}`
  return { message: `${instancePath === '' ? 'it' : instancePath} ${message}${detail}`, at: instancePath }
}
