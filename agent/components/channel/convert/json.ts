// JSON documents: records at a place, each parsed on its own, so that a document is never in memory as one tree, and one broken
// record is one.
//
// The scanner finds where values end by their brackets and quotes; `JSON.parse` judges them. What lies beside the records is judged
// too, or a document cut off in the middle would pass.

import type { Row } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { formatJsonRecord, jsonEndsAt, parseJsonRecord, whyNotJson } from '../../formats/mod.ts'
import { convertFault } from './faults.ts'
import { textOf } from './lines.ts'
import { type DocumentReader, type DocumentWriter, inBatches, type ReadRecord } from './records.ts'
import type { JsonFrom, JsonTo } from './settings.ts'
import { type SinkOptions, TextSink } from './text-sink.ts'

/** Steps of a JSON Pointer (RFC 6901). */
export function pointerSteps(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}

export function jsonReader(settings: JsonFrom): DocumentReader {
  const steps = pointerSteps(settings.path)
  return (bytes, name) =>
    inBatches(new JsonRecords(textOf(bytes, settings.encoding, name), name).read(steps, settings.path))
}

class JsonRecords {
  readonly #text: string
  readonly #name: string
  #at = 0

  constructor(text: string, name: string) {
    this.#text = text
    this.#name = name
  }

  *read(steps: readonly string[], path: string): Generator<ReadRecord> {
    this.#space()
    const found = yield* this.#descend(steps)
    this.#space()
    if (this.#at < this.#text.length) throw this.#invalid('something follows its end')
    if (!found) throw convertFault('CONVERT_PATH', { where: this.#name, why: JSON.stringify(path) })
  }

  /** At the beginning of a value; leaves it behind. */
  *#descend(steps: readonly string[]): Generator<ReadRecord, boolean> {
    const [step, ...rest] = steps
    const opening = this.#text[this.#at]
    if (step === undefined) {
      if (opening === '[') yield* this.#elements(() => this.#record())
      else yield this.#record()
      return true
    }
    let found = false
    if (opening === '[') {
      let index = 0
      const each = function* (records: JsonRecords): Generator<ReadRecord> {
        if (String(index) !== step) records.#skip()
        else found = yield* records.#descend(rest)
        index += 1
      }
      yield* this.#list(']', each)
    } else if (opening === '{') {
      const seen = function* (records: JsonRecords): Generator<ReadRecord> {
        const key = records.#key()
        if (key !== step) return records.#skip()
        if (found) throw records.#invalid(`it has ${JSON.stringify(step)} twice`)
        found = yield* records.#descend(rest)
      }
      yield* this.#list('}', seen)
    } else this.#skip()
    return found
  }

  *#elements(record: () => ReadRecord): Generator<ReadRecord> {
    yield* this.#list(']', function* () {
      yield record()
    })
  }

  /** What stands between brackets and commas. */
  *#list(closing: ']' | '}', each: (records: JsonRecords) => Generator<ReadRecord, unknown>): Generator<ReadRecord> {
    this.#at += 1
    this.#space()
    if (this.#text[this.#at] === closing) {
      this.#at += 1
      return
    }
    for (;;) {
      yield* each(this)
      this.#space()
      const next = this.#text[this.#at]
      if (next !== ',' && next !== closing) throw this.#invalid(`${closing} or a comma is missing`)
      this.#at += 1
      if (next === closing) return
      this.#space()
    }
  }

  #key(): string {
    const from = this.#at
    if (this.#text[from] !== '"') throw this.#invalid('a name is missing')
    this.#at = this.#stringEnd(from)
    const key = this.#parsed(from)
    this.#space()
    if (this.#text[this.#at] !== ':') throw this.#invalid('a colon is missing')
    this.#at += 1
    this.#space()
    return key as string
  }

  #record(): ReadRecord {
    const from = this.#at
    this.#at = this.#valueEnd(from)
    const text = this.#text.slice(from, this.#at)
    const record = parseJsonRecord(text)
    if (record.ok) return { row: record.row }
    const { line, column, position } = this.#place(from + (record.at ?? 0))
    const where = `${this.#name}:${line}:${column}`
    const details = { where, why: record.why, todo: TODO, line, column, position }
    return { fault: componentFault(record.code, details), text }
  }

  #skip(): void {
    const from = this.#at
    this.#at = this.#valueEnd(from)
    this.#parsed(from)
  }

  #parsed(from: number): unknown {
    const text = this.#text.slice(from, this.#at)
    try {
      return JSON.parse(text)
    } catch {
      const at = jsonEndsAt(text)
      throw this.#invalid(whyNotJson(text, at), from + at)
    }
  }

  #space(): void {
    const text = this.#text
    let at = this.#at
    for (;;) {
      const unit = text.charCodeAt(at)
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) break
      at += 1
    }
    this.#at = at
  }

  /** The end of the value at `from`, by brackets and quotes alone. */
  #valueEnd(from: number): number {
    const text = this.#text
    let depth = 0
    let at = from
    while (at < text.length) {
      const unit = text.charCodeAt(at)
      if (unit === 0x22) at = this.#stringEnd(at)
      else if (unit === 0x7b || unit === 0x5b) {
        depth += 1
        at += 1
        continue
      } else if (unit === 0x7d || unit === 0x5d) {
        if (depth === 0) return at
        depth -= 1
        at += 1
      } else if (depth > 0) {
        at += 1
        continue
      } else {
        const end = scalarEnd(text, at)
        if (end === at) throw this.#invalid('a value is missing', at)
        return end
      }
      if (depth === 0) return at
    }
    throw this.#invalid('it ends too early', at)
  }

  #stringEnd(from: number): number {
    for (let end = from; ; ) {
      end = this.#text.indexOf('"', end + 1)
      if (end < 0) throw this.#invalid('a text has no end', from)
      let slash = end - 1
      while (this.#text[slash] === '\\') slash -= 1
      if ((end - slash) % 2 === 1) return end + 1
    }
  }

  #invalid(why: string, at = this.#at): Error {
    const { line, column, position } = this.#place(at)
    return componentFault('JSON_INVALID', {
      where: `${this.#name}:${line}:${column}`,
      why,
      todo: TODO,
      line,
      column,
      position,
    })
  }

  #place(at: number): { readonly line: number; readonly column: number; readonly position: number } {
    let line = 1
    let start = 0
    for (let feed = this.#text.indexOf('\n'); feed >= 0 && feed < at; feed = this.#text.indexOf('\n', start)) {
      line += 1
      start = feed + 1
    }
    return { line, column: at - start + 1, position: at }
  }
}

const TODO = 'Have the document corrected at the place named'

const SCALAR = /[^\s,[\]{}":]*/y

function scalarEnd(text: string, from: number): number {
  SCALAR.lastIndex = from
  SCALAR.test(text)
  return SCALAR.lastIndex
}

export function jsonWriter(settings: JsonTo, sinkOptions: SinkOptions): DocumentWriter {
  const sink = new TextSink(sinkOptions)
  const steps = pointerSteps(settings.path)
  const space = ' '.repeat(settings.indent)
  const line = settings.indent > 0 ? '\n' : ''
  const open = steps.map((step) => `{${line}${line && space}${JSON.stringify(step)}:${line && ' '}`).join('')
  const close = `${line}}`.repeat(steps.length)
  const formatted = (row: Row): string => formatJsonRecord(row, settings.indent)
  let count = 0
  if (!settings.single) sink.write(`${open}[`)
  return {
    add: (row) => {
      if (settings.single && count > 0) throw onlyOne(count + 1)
      if (settings.single) sink.write(open + formatted(row) + close, row)
      else sink.write(`${count === 0 ? '' : ','}${line}${formatted(row)}`, row)
      count += 1
    },
    end: () => {
      if (settings.single && count === 0) throw onlyOne(0)
      sink.write(`${settings.single ? '' : `${line}]${close}`}${line}`)
      return sink.end()
    },
  }
}

export function onlyOne(count: number): Error {
  return convertFault('CONVERT_RECORDS_COUNT', { why: count === 0 ? 'none came' : 'more than one came' })
}
