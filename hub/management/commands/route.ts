// Rule files on the disk: what is wrong with one, and why a message goes where it goes. No hub is asked.

import { constants, open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import {
  CASE_FILE_BYTES_MAX,
  compileRules,
  explain,
  lintRules,
  type PlacedRules,
  parsePlacedRules,
  RULES_TEXT_BYTES_MAX,
  readyFaults,
  readyPredicates,
  rulesFault,
  type SampleSpec,
  sampleOf,
  sampleSpec,
} from '#hub/router/rules/mod.ts'
import { type Fault, type Result, systemClock } from '#protocol/base/mod.ts'
import {
  command,
  decodeText,
  EXIT_FAILED,
  EXIT_OK,
  EXIT_USAGE,
  f,
  faultsText,
  parseFields,
} from '#protocol/fields/mod.ts'
import { managementFault } from '../faults.ts'
import { count } from '../show.ts'
import { explanationLines } from './route-show.ts'
import { json, misused } from './settings.ts'

const file = f.text({ doc: 'rule file' })

export const routeLint = command({
  summary: 'check rule files: what is wrong, and what can hardly be meant',
  positionals: ['file'],
  spec: f.object({ file: f.list(file, { doc: 'rule files', min: 1, max: 1000 }), json }),
  run: async (settings) => {
    const faults: Fault[] = []
    let rules = 0
    for (const path of settings.file) {
      const read = await readRules(path)
      if (!read.ok) faults.push(...read.fault)
      else {
        rules += read.value.set.rules.length
        faults.push(...findingsOf(read.value, path))
      }
    }
    if (settings.json) console.log(JSON.stringify({ files: settings.file.length, rules, faults }))
    else if (faults.length > 0) console.error(faultsText(faults, { json: false }))
    else console.log(`${settings.file.length} rule file(s) with ${count(rules)} rules, no fault found.`)
    return faults.length === 0 ? EXIT_OK : EXIT_FAILED
  },
})

/** How a message is given to a command. */
export const sampleSettings = {
  message: f.text({
    doc: 'file with the message: topic, headers, and one of body, json, base64 and file',
    optional: true,
  }),
  topic: f.text({ doc: "the message's topic, when no file has it", maxLength: 255, optional: true }),
  header: f.record(f.text({ doc: 'value', minLength: 0 }), { doc: 'a header of it', max: 64, default: {} }),
  body: f.text({ doc: 'file with its content', optional: true }),
  contentType: f.text({ doc: 'its content type', maxLength: 200, optional: true }),
  rule: f.text({ doc: 'tell of this rule alone, whatever its topics', maxLength: 100, optional: true }),
}

export const routeExplain = command({
  summary: 'tell which rules of a file a message fits, why, and where it goes',
  positionals: ['file'],
  spec: f.object({
    file,
    ...sampleSettings,
    json,
  }),
  run: async (settings) => {
    if ((settings.message === undefined) === (settings.topic === undefined)) {
      return misused(managementFault('ROUTE_MESSAGE_UNNAMED'), settings)
    }
    const read = await readRules(settings.file)
    const sample = await sampleFrom(settings)
    const faults = [...(read.ok ? [] : read.fault), ...(sample.ok ? [] : sample.fault)]
    if (!read.ok || !sample.ok) {
      console.error(faultsText(faults, settings))
      return EXIT_USAGE
    }
    const { set, where } = read.value
    const only = settings.rule ?? null
    if (only !== null && !set.rules.some(({ name }) => name === only)) {
      return misused(managementFault('ROUTE_RULE_MISSING', { where: settings.file, why: only }), settings)
    }
    const compiled = compileRules(set)
    const predicates = readyPredicates(compiled, where)
    if (!predicates.ok) {
      console.error(faultsText(predicates.fault, settings))
      return EXIT_USAGE
    }
    try {
      const explained = await explain(compiled, sample.value, { predicates: predicates.value, only })
      console.log(settings.json ? JSON.stringify(explained) : explanationLines(explained).join('\n'))
    } finally {
      predicates.value.dispose()
    }
    return EXIT_OK
  },
})

/** What stands in the way of a set's running, or else what can hardly be meant. */
function findingsOf(placed: PlacedRules, path: string): Fault[] {
  const folder = dirname(path)
  const faults = readyFaults(placed, { folder, dataDir: folder, clock: systemClock })
  return faults.length > 0 ? faults : lintRules(placed.set, placed.where)
}

/** A rule file from the disk. */
export async function readRules(path: string): Promise<Result<PlacedRules, Fault[]>> {
  const text = await readText(path, RULES_TEXT_BYTES_MAX)
  return text.ok ? parsePlacedRules(text.value, { file: path }) : text
}

type Message = {
  readonly message?: string
  readonly topic?: string
  readonly header: Readonly<Record<string, string>>
  readonly body?: string
  readonly contentType?: string
}

export async function sampleFrom({ message, topic = '', header, body, contentType }: Message) {
  let spec: SampleSpec = { topic, headers: {} }
  if (message !== undefined) {
    const text = await readText(message, CASE_FILE_BYTES_MAX)
    if (!text.ok) return text
    const bounds = { textBytesMax: CASE_FILE_BYTES_MAX, valuesMax: 100_000 }
    const parsed = parseFields(sampleSpec, text.value, { file: message, json: bounds })
    if (!parsed.ok) return parsed
    spec = parsed.value
  }
  const { body: _, json: __, base64: ___, file: ____, ...envelope } = spec
  const given = {
    ...(body === undefined ? spec : { ...envelope, file: resolve(body) }),
    headers: { ...spec.headers, ...header },
    ...(contentType === undefined ? {} : { contentType }),
  }
  const where = message ?? 'the message'
  const folder = message === undefined ? '.' : dirname(message)
  try {
    return {
      ok: true,
      value: await sampleOf(given, { where, readFile: (path) => readBytes(resolve(folder, path)) }),
    } as const
  } catch (error) {
    return { ok: false, fault: [error as Fault] } as const
  }
}

async function readText(path: string, bytesMax: number): Promise<Result<string, Fault[]>> {
  try {
    return decodeText(await readBytes(path, bytesMax), { file: path })
  } catch (error) {
    return { ok: false, fault: [error as Fault] }
  }
}

/** Faults: `RULES_FILE_UNREADABLE`, `RULES_FILE_TOO_LARGE`. */
export async function readBytes(path: string, bytesMax = CASE_FILE_BYTES_MAX): Promise<Buffer> {
  try {
    // Without O_NONBLOCK opening a pipe waits for its writer.
    await using file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const stat = await file.stat()
    if (!stat.isFile()) throw rulesFault('RULES_FILE_UNREADABLE', { where: path, why: 'it is not a regular file' })
    if (stat.size > bytesMax) throw rulesFault('RULES_FILE_TOO_LARGE', { where: path, why: `${stat.size} bytes` })
    return await file.readFile()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code.startsWith('RULES_')) throw error
    throw rulesFault('RULES_FILE_UNREADABLE', { where: path, why: code, cause: error })
  }
}
