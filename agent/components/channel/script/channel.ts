// Channel `script`: what settings cannot say, in JavaScript, without access to the machine.
//
// The script is loaded once; every item finds it as it was then, so that nothing is kept from one item for another, and the same item
// gives the same output: there is no clock, no chance and one time zone. What it throws rejects the item. Stateless.

import { Script } from 'node:vm'
import { asFault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject, Row, Value } from '../../contract.ts'
import { documentOf, withDocument } from '../../document.ts'
import { checkDepth } from '../../state/mod.ts'
import { scriptFault } from './faults.ts'
import { LOG_LINES_MAX, RESULTS_MAX } from './limits.ts'
import { Sandbox } from './sandbox.ts'
import type { ScriptSettings } from './settings.ts'
import { pack, refused, unpack } from './values.ts'

const CONTENT = { field: undefined }

export class ScriptChannel implements Channel {
  readonly #settings: ScriptSettings
  readonly #context: ComponentContext
  #sandbox: Sandbox | null = null
  #logged = 0

  /** Throws SCRIPT_SYNTAX: of what this engine compiles, and never runs. */
  constructor(settings: ScriptSettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
    try {
      new Script(`'use strict'; ${settings.script}`, { filename: 'script' })
    } catch (error) {
      const { message, stack = '' } = error as Error
      const line = Number(/^script:(\d+)/.exec(stack)?.[1] ?? 1)
      throw scriptFault('SCRIPT_SYNTAX', { where: `script line ${line}`, why: message, line })
    }
  }

  /** Faults: those of loading a script. */
  async open(): Promise<void> {
    this.#sandbox ??= await Sandbox.load({
      ...this.#settings,
      clock: this.#context.clock,
      log: (text) => this.#log(text),
    })
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const done: Item[] = []
    for (const item of items) {
      try {
        for (const each of await this.#processed(item)) done.push(each)
      } catch (error) {
        reject({ item, fault: asFault(error, 'script') })
      }
    }
    return done
  }

  async #processed(item: Item): Promise<readonly Item[]> {
    checkDepth(item.row)
    if (this.#sandbox?.isSpent === true) this.#sandbox = null
    await this.open()
    this.#logged = 0
    const packed = pack({ row: item.row, ...(await this.#document(item)) })
    const { bytesMax } = this.#settings
    const result = unpack((this.#sandbox as Sandbox).call(packed, { bytesMax }))
    if (result === null) return []
    const results = Array.isArray(result) ? (result as readonly Value[]) : [result]
    if (results.length > RESULTS_MAX) throw refused(`it gives ${results.length} items, and ${RESULTS_MAX} are the most`)
    return results.map((each, i) =>
      itemOf(item, each, { where: Array.isArray(result) ? `item ${i + 1}` : 'the result', bytesMax }),
    )
  }

  async #document(item: Item): Promise<Row> {
    if (item.content === undefined) return {}
    const { content, bytesMax } = this.#settings
    const { name = null, mediaType = null } = item.row
    if (content === 'none') return { name, mediaType }
    const bytes = await documentOf(item, { bytesMax })
    if (content === 'bytes') return { name, mediaType, bytes }
    try {
      return { name, mediaType, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
    } catch (cause) {
      const why = 'its content is not text in UTF-8: convert it before, or set `content: bytes`'
      throw scriptFault('SCRIPT_FAILED', { where: 'script', why, cause })
    }
  }

  #log(text: string): void {
    this.#logged += 1
    if (this.#logged <= LOG_LINES_MAX) this.#context.log('info', `script: ${text.toWellFormed()}`)
  }

  async close(): Promise<void> {
    this.#sandbox = null
  }
}

const KEYS: ReadonlySet<string> = new Set(['row', 'text', 'bytes', 'name', 'mediaType'])

/** What the script gives, on top of the item it was given. Faults: `SCRIPT_RESULT`. */
function itemOf(
  item: Item,
  value: Value,
  { where, bytesMax }: { readonly where: string; readonly bytesMax: number },
): Item {
  if (!isRow(value)) throw refused(`${where} is ${value === null ? 'null' : `a ${typeof value}`}, no item`)
  const strange = Object.keys(value).find((key) => !KEYS.has(key))
  if (strange !== undefined)
    throw refused(`${where} has ${JSON.stringify(strange.slice(0, 60))}, which belongs into its row: \`{ row }\``)
  const { row = item.row, text, bytes, name, mediaType } = value
  if (!isRow(row)) throw refused(`the row of ${where} is no object`)
  for (const [key, each] of Object.entries({ name, mediaType })) {
    if (each !== undefined && each !== null && typeof each !== 'string') throw refused(`${key} of ${where} is no text`)
  }
  const label: Row = {
    ...(name === undefined || name === item.row.name ? {} : { name }),
    ...(mediaType === undefined || mediaType === item.row.mediaType ? {} : { mediaType }),
  }
  const labelled: Item = { ...item, row: { ...row, ...label } }
  if (text === undefined && bytes === undefined) return labelled
  if (text !== undefined && bytes !== undefined && text !== null) throw refused(`${where} has text and bytes`)
  if (text !== undefined ? typeof text !== 'string' : !(bytes instanceof Uint8Array)) {
    throw refused(`${where} has ${text !== undefined ? 'a text that is none' : 'bytes that are no Uint8Array'}`)
  }
  const content = text !== undefined ? Buffer.from(text as string) : (bytes as Uint8Array)
  if (content.length > bytesMax)
    throw refused(`the content of ${where} has ${content.length} bytes, more than \`bytesMax\``)
  return withDocument(labelled, content, CONTENT)
}

const isRow = (value: Value): value is Row =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array)
