// XSLT 3.0 by SaxonJS (Saxonica; proprietary, redistributable unmodified with its notices: see the README).
//
// A stylesheet is compiled in this process by the compiler that comes with SaxonJS, as its command `xslt3` does: some 100 ms; a
// transformation of a small document then takes below 1 ms. What the engine asks of its platform (files, network) goes through
// the guard below: nothing, but modules while compiling. Everything is synchronous; one engine serves one thread.

import { readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Fault } from '#protocol/base/mod.ts'
import type { ReadTree } from '../mapping/xslt/tree.ts'
import type { Parameters, Stylesheet, StylesheetSource, XsltEngine } from './engine.ts'
import { xsltFault } from './faults.ts'
import { type Operation, refuseReaching, refuseStatic } from './guard.ts'
import { COMPILED_BYTES_MAX, MESSAGE_CHARS_MAX, MODULES_MAX, STYLESHEET_BYTES_MAX } from './limits.ts'
import { decimalText, isVersion1, numberWarnings } from './numbers.ts'

/** Loads SaxonJS (some 200 ms) on first use. `readTree` is `treeReader()`'s. */
export function saxonEngine(readTree: ReadTree): XsltEngine {
  return { name: 'SaxonJS', compile: (source) => compile(source, readTree) }
}

// What is used of SaxonJS, whose package has no types.

type SaxonNode = { readonly firstChild: SaxonNode; _saxonBaseUri?: string }
type Platform = Record<string, unknown> & {
  parseXmlFromString(text: string): SaxonNode
  resource(name: 'compiler'): Operation
}
type Options = { principalResult?: SaxonNode | SaxonNode[] }
type Saxon = {
  getPlatform(): Platform
  setPlatform(platform: Platform): void
  XdmMap: new () => { inSituPut(key: unknown, value: readonly unknown[]): void }
  XS: {
    QName: { fromParts(prefix: string, uri: string, local: string): unknown }
    untypedAtomic: { fromString(text: string): unknown }
    double: { fromNumber(value: number): SaxonDouble }
  }
  XPath: { sefToJSON(node: SaxonNode, flag: boolean): Operation }
  checkOptions(options: object): Options
  internalTransform(compiled: Operation, source: SaxonNode, options: Options): unknown
  transform(options: object, mode: 'sync'): { readonly principalResult: string }
  serialize(node: unknown, properties?: object): string
}

type SaxonDouble = { readonly value: number; toString(): string }

type SaxonError = Error & {
  readonly code?: string
  readonly xsltLineNr?: string | null
  readonly xsltModule?: string | null
}

let loaded: { readonly saxon: Saxon; readonly platform: Platform; readonly compiler: Operation } | null = null
/** While a stylesheet of version 1.0 runs. */
let writesDecimals = false
/** Reads modules, while one stylesheet is compiled. */
let modules: ((uri: string) => string) | null = null

function engine(): NonNullable<typeof loaded> {
  if (loaded !== null) return loaded
  const saxon: Saxon = createRequire(import.meta.url)('saxon-js')
  const refuse = (what: string) => (): never => {
    throw xsltFault('XSLT_REFUSED', { why: `${what} is not available` })
  }
  const platform: Platform = {
    ...saxon.getPlatform(),
    readFile: (uri: unknown) => (modules === null ? refuse(`reading ${String(uri)}`)() : modules(String(uri))),
    makeHttpRequest: refuse('the network'),
    resourcePromise: refuse('reading'),
    writeFileSync: refuse('writing'),
    writeFileAsync: refuse('writing'),
    getStdOut: refuse('the console'),
    saxonPrint: () => undefined,
    getDefaultDeliverMessage: () => () => undefined,
    // What `js:` functions would find: nothing.
    globalObject: Object.create(null),
  }
  saxon.setPlatform(platform)
  writeNumbers(saxon)
  const compiler = platform.resource('compiler')
  linkParents(compiler)
  loaded = { saxon, platform, compiler }
  return loaded
}

/** All that becomes text goes through `toString`: in a tree, in an attribute, in string() and concat(). */
function writeNumbers(saxon: Saxon): void {
  const prototype = Object.getPrototypeOf(saxon.XS.double.fromNumber(1)) as SaxonDouble
  const written = prototype.toString
  prototype.toString = function (this: SaxonDouble): string {
    return writesDecimals ? decimalText(this.value) : written.call(this)
  }
}

function compile(source: StylesheetSource, readTree: ReadTree): Stylesheet {
  const { saxon } = engine()
  const { compiled, warnings, isVersion1 } = source.compiled
    ? { compiled: compiledFrom(source), warnings: [], isVersion1: false }
    : compiledOf(source, readTree)
  refuseReaching(compiled)
  atomizeNumbers(compiled)
  const output = outputOf(compiled)
  // The result is a text here, and UTF-8 when it becomes bytes, whatever it says; `convert` writes other encodings.
  for (const each of output) if (each.name === 'encoding') each.value = 'UTF-8'
  seal(compiled)
  const stated = (name: string): string | null => output.find((each) => each.name === name)?.value ?? null
  return {
    method: stated('method'),
    mediaType: stated('media-type'),
    warnings,
    transform(document, parameters) {
      writesDecimals = isVersion1
      try {
        return transform(saxon, compiled, document, parameters)
      } finally {
        writesDecimals = false
      }
    },
  }
}

function compiledFrom({ text, path }: StylesheetSource): Operation {
  if (text.length > COMPILED_BYTES_MAX) throw tooLarge(path, COMPILED_BYTES_MAX)
  try {
    const compiled = JSON.parse(text)
    if (compiled?.N === 'package' && Array.isArray(compiled.C)) return compiled
  } catch {
    // Said below.
  }
  throw xsltFault('XSLT_STYLESHEET_INVALID', {
    ...at(path),
    why: 'it is no compiled stylesheet of SaxonJS (SEF in JSON)',
  })
}

type Compiled = { readonly compiled: Operation; readonly warnings: readonly string[]; readonly isVersion1: boolean }

function compiledOf({ text, path }: StylesheetSource, readTree: ReadTree): Compiled {
  const { saxon, platform, compiler } = engine()
  const warnings: string[] = []
  let allVersion1 = true
  const checked = (moduleText: string, where: string | null): string => {
    if (moduleText.length > STYLESHEET_BYTES_MAX) throw tooLarge(where, STYLESHEET_BYTES_MAX)
    try {
      const tree = readTree(moduleText)
      refuseStatic(tree)
      allVersion1 &&= isVersion1(tree)
      warnings.push(...numberWarnings(tree).map((warning) => (where === null ? warning : `${where}: ${warning}`)))
    } catch (error) {
      throw error instanceof Fault ? located(error, where) : error
    }
    return moduleText
  }
  checked(text, path)
  let refused: unknown = null
  const read = moduleReader(path)
  modules = (uri) => {
    try {
      return checked(read(uri), uri)
    } catch (error) {
      // The compiler would tell it in its own words.
      refused = error
      throw error
    }
  }
  try {
    const document = platform.parseXmlFromString(text)
    document._saxonBaseUri = path === null ? 'file:///stylesheet' : pathToFileURL(path).href
    const fixed = new saxon.XdmMap()
    fixed.inSituPut(saxon.XS.QName.fromParts('', '', 'staticParameters'), [new saxon.XdmMap()])
    const options = saxon.checkOptions({
      destination: 'application',
      initialMode: 'compile-complete',
      templateParams: { 'Q{}options': { noXPath: false } },
      stylesheetParams: fixed,
      stylesheetInternal: compiler,
      deliverMessage: () => undefined,
    })
    saxon.internalTransform(compiler, document, options)
    const result = Array.isArray(options.principalResult) ? options.principalResult[0] : options.principalResult
    if (result === undefined) throw new Error('the compiler gave nothing')
    const compiled = saxon.XPath.sefToJSON(result.firstChild, false)
    return { compiled, warnings: allVersion1 ? [] : warnings, isVersion1: allVersion1 }
  } catch (error) {
    throw refused ?? staticFault(error as SaxonError, path)
  } finally {
    modules = null
  }
}

/** Reads files of the stylesheet's folder and below, by their real place: no link leads out. */
function moduleReader(path: string | null): (uri: string) => string {
  let count = 0
  return (uri) => {
    if (path === null || !uri.startsWith('file:'))
      throw xsltFault('XSLT_REFUSED', {
        why: `including ${uri}: ${path === null ? 'it is written inline' : 'no file'}`,
      })
    count += 1
    if (count > MODULES_MAX)
      throw xsltFault('XSLT_STYLESHEET_INVALID', { ...at(path), why: `more than ${MODULES_MAX} modules` })
    const given = fileURLToPath(uri)
    const root = dirname(realpathSync(path))
    const outside = (file: string): boolean => {
      const way = relative(root, file)
      return way === '..' || way.startsWith(`..${sep}`) || way.startsWith(sep) || /^[A-Za-z]:/.test(way)
    }
    const refusal = () =>
      xsltFault('XSLT_REFUSED', { why: `including ${given}: it is not in the folder of the stylesheet` })
    if (outside(given) && outside(realpathOf(given))) throw refusal()
    const real = realpathOf(given)
    if (outside(real)) throw refusal()
    return readFileSync(real, 'utf8')
  }
}

function realpathOf(file: string): string {
  try {
    return realpathSync(file)
  } catch (cause) {
    throw xsltFault('XSLT_STYLESHEET_UNREADABLE', { where: file, cause })
  }
}

function transform(saxon: Saxon, compiled: Operation, document: string, parameters: Parameters): string {
  const { platform } = engine()
  const said: string[] = []
  const given: Record<string, unknown> = {}
  for (const [name, text] of parameters) given[name] = saxon.XS.untypedAtomic.fromString(text)
  try {
    const { principalResult } = saxon.transform(
      {
        stylesheetInternal: compiled,
        sourceNode: platform.parseXmlFromString(document),
        destination: 'serialized',
        stylesheetParams: given,
        deliverMessage: (node: unknown) => {
          if (said.length < 100) said.push(saxon.serialize(node, { method: 'text' }))
        },
      },
      'sync',
    )
    return principalResult
  } catch (error) {
    throw dynamicFault(error as SaxonError, said)
  }
}

function dynamicFault(error: SaxonError, said: readonly string[]): unknown {
  if (error instanceof Fault) return error
  if (error instanceof RangeError)
    return xsltFault('XSLT_FAILED', { why: 'recursion without end, or too deep', cause: error })
  if (typeof error.code !== 'string') return error
  const errorCode = codeOf(error)
  const { xsltLineNr: line, xsltModule: module } = error
  const details = {
    errorCode,
    ...(line === null || line === undefined ? {} : { stylesheetLine: Number(line) }),
    ...(module === null || module === undefined ? {} : { stylesheet: module }),
    cause: error,
  }
  const place = line === null || line === undefined ? '' : ` (line ${line} of ${module})`
  // `Terminated with …` is how SaxonJS says that xsl:message ended it; the message itself came before.
  if (/^Terminated with/.test(error.message))
    return xsltFault('XSLT_TERMINATED', {
      why: `${(said.at(-1) ?? '').slice(0, MESSAGE_CHARS_MAX)}${place}`,
      ...details,
    })
  return xsltFault('XSLT_FAILED', {
    why: `${errorCode}: ${error.message.slice(0, MESSAGE_CHARS_MAX)}${place}`,
    ...details,
  })
}

function staticFault(error: SaxonError, path: string | null): unknown {
  if (error instanceof Fault || typeof error.code !== 'string') return error
  // `xsltLineNr` is the compiler's own; the line of the stylesheet stands in the text.
  const text = `${error.message} ${String((error as { errorObject?: unknown }).errorObject ?? '')}`
  const [, line] = /on line (\d+)/.exec(text) ?? []
  const why = `${codeOf(error)}: ${error.message.trim().slice(0, MESSAGE_CHARS_MAX)}`
  return xsltFault('XSLT_STYLESHEET_INVALID', {
    ...at(path),
    why,
    errorCode: codeOf(error),
    ...(line === undefined ? {} : { line: Number(line) }),
    cause: error,
  })
}

const codeOf = ({ code = '' }: SaxonError): string => code.replace(/^Q\{http:\/\/www\.w3\.org\/2005\/xqt-errors\}/, '')
const at = (path: string | null): { where?: string } => (path === null ? {} : { where: path })
const tooLarge = (path: string | null, limitBytes: number): Fault =>
  xsltFault('XSLT_STYLESHEET_INVALID', { ...at(path), why: 'it is too large', limitBytes })

/** The same fault, with the file it is about. */
export function located(fault: Fault, where: string | null): Fault {
  if (where === null || fault.where !== null || !fault.code.startsWith('XSLT_')) return fault
  const why = reasonOf(fault)
  return xsltFault(fault.code as 'XSLT_REFUSED', {
    ...fault.details,
    where,
    why,
    todo: fault.remedy,
    cause: fault.cause,
  })
}

/** `why`, as it was given. */
export const reasonOf = ({ message }: Fault): string => message.slice(message.indexOf(': ') + 2)

type Property = { name: string; value: string }

function outputOf(compiled: Operation): Property[] {
  const found = compiled.C?.find(({ N }) => N === 'output')
  return (found?.C ?? []).filter(({ N }) => N === 'property') as unknown as Property[]
}

/**
 * What SaxonJS's compiler makes of `floor(a)`, `round(a)`, `format-number(a, …)` and `substring(s, a)` in stylesheets of version 1.0 is a
 * number() that is given the node itself, and is NaN; number(a) as somebody writes it is given the node's value.
 */
function atomizeNumbers(compiled: Operation): void {
  const open = [compiled]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [argument] = next.C ?? []
    if (next.N === 'fn' && next.name === 'number' && argument !== undefined && argument.N !== 'atomSing')
      Object.assign(next, { C: [{ N: 'atomSing', diag: '0|0||number', card: '?', C: [argument] }] })
    for (const each of next.C ?? []) if (each !== null) open.push(each)
  }
}

function linkParents(operation: Operation): void {
  for (const child of operation.C ?? []) {
    const linked = child as { parentNode?: Operation }
    linked.parentNode = operation
    linkParents(child)
  }
}

/** Writes the check value by which the engine knows a compiled stylesheet to be whole: over all names, properties and values. */
function seal(compiled: Operation): void {
  const key = 'Σ'
  let sum = 0
  let place = 0
  const visit = (operation: Operation): void => {
    sum ^= hashOf(operation.N, place) ^ hashOf('http://ns.saxonica.com/xslt/export', place)
    place += 1
    for (const property of Object.keys(operation)) {
      if (property === 'N' || property === 'C' || property === key) continue
      sum ^= hashOf(property, place) ^ hashOf('', place) ^ hashOf(String(operation[property]), place)
    }
    operation.C?.forEach(visit)
    sum ^= 1
  }
  visit(compiled)
  Object.assign(compiled, { [key]: (sum >>> 0).toString(16) })
}

function hashOf(text: string, place: number): number {
  let hash = place << 8
  for (let i = 0; i < text.length; i += 1) hash = (hash << 1) + text.charCodeAt(i)
  return hash
}
