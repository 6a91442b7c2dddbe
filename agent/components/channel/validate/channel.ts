// Channel `validate`: rejects documents and rows that are not as a schema says; the others pass as they are.
//
// XML documents by XSD 1.0, JSON documents and rows by JSON Schema. A row is seen as JSON: bytes as base64 text. Schemas are compiled
// once when the channel opens, and reach nothing but files beside them. Stateless.

import { dirname, join } from 'node:path'
import { asFault } from '#protocol/base/mod.ts'
import type { Carries, Channel, ComponentContext, Item, Reject } from '../../contract.ts'
import { documentOf, documentTurns } from '../../document.ts'
import { readJson, writeJson } from '../json-text.ts'
import { SchemaFiles } from './files.ts'
import { JsonValidation } from './json-schema.ts'
import type { ValidateSettings } from './settings.ts'
import { XsdValidation } from './xsd.ts'

/** XML schemas are for documents alone. */
export function validateTurns(settings: ValidateSettings, given: Carries): Carries {
  return settings.xsd === undefined && settings.xsdFile === undefined ? given : documentTurns(settings, given)
}

export class ValidateChannel implements Channel {
  readonly #settings: ValidateSettings
  readonly #context: ComponentContext
  #schema: XsdValidation | JsonValidation | null = null

  constructor(settings: ValidateSettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
  }

  /** Throws VALIDATE_SCHEMA_UNREADABLE, VALIDATE_SCHEMA_INVALID, VALIDATE_SCHEMA_REFUSED. */
  async open(): Promise<void> {
    const { xsd, xsdFile, jsonSchema, jsonSchemaFile } = this.#settings
    const home = this.#context.resolvePath('.')
    const file = xsdFile ?? jsonSchemaFile
    // A schema that stands in the settings is as if in a file beside the flow's.
    const path = file === undefined ? join(home, 'schema') : this.#context.resolvePath(file)
    const files = new SchemaFiles(file === undefined ? [home] : [home, dirname(path)])
    this.#schema =
      xsd !== undefined || xsdFile !== undefined
        ? await XsdValidation.compile(path, xsd ?? null, files)
        : await JsonValidation.compile(path, jsonSchema, files)
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    if (this.#schema === null) await this.open()
    const passed: Item[] = []
    for (const item of items) {
      try {
        await this.#check(item, this.#schema as XsdValidation | JsonValidation)
        passed.push(item)
      } catch (error) {
        reject({ item, fault: asFault(error, 'validate') })
      }
    }
    return passed
  }

  async #check(item: Item, schema: XsdValidation | JsonValidation): Promise<void> {
    if (schema instanceof XsdValidation) return schema.check(await documentOf(item, this.#settings))
    const { row, content } = item
    const isRow = this.#settings.field === undefined && content === undefined
    const json = isRow ? Buffer.from(writeJson(row)) : await documentOf(item, this.#settings)
    schema.check(readJson(json, { rounded: true }))
  }

  async close(): Promise<void> {
    if (this.#schema instanceof XsdValidation) this.#schema.dispose()
    this.#schema = null
  }
}
