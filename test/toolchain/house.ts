// The repository as the house rules see it: every file git would keep, and for each TypeScript module its syntax tree,
// its imports and the places where it names another module (workers, programs it starts). Built from the disk or, for
// the tests of the rules themselves, from a handful of texts.

import { isUtf8 } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, matchesGlob, posix } from 'node:path'
import { type Comment, type Program, parseSync, Visitor } from 'oxc-parser'

/** One import, re-export or `import()`; exactly one of `path`, `builtin` and `package` is set. */
export type Import = {
  readonly specifier: string
  readonly line: number
  /** The module of this repository, whether it exists or not. */
  readonly path: string | null
  /** Without its `node:` prefix. */
  readonly builtin: string | null
  readonly package: string | null
}

export type Module = {
  readonly path: string
  readonly text: string
  readonly program: Program
  readonly comments: readonly Comment[]
  readonly imports: readonly Import[]
  /** Modules named in strings and templates: `new URL('./worker.ts', …)`, `./scenarios/${name}.ts`, an argument of spawn. */
  readonly mentions: readonly string[]
  /** Line of an offset, counted from 1. */
  readonly lineAt: (offset: number) => number
}

export type House = {
  /** Every file's text by its path from the root, with `/`; null for what is not UTF-8 text. */
  readonly files: ReadonlyMap<string, string | null>
  readonly modules: ReadonlyMap<string, Module>
}

/** What a rule found: where, what is wrong, and how to mend it. */
export type Finding = { readonly where: string; readonly what: string; readonly mend: string }

export type Rule = { readonly name: string; readonly find: (house: House) => Finding[] }

export function describe({ where, what, mend }: Finding): string {
  return `${where}: ${what}. ${mend}.`
}

/** The repository at `root`: what git tracks and what it would add. */
export function readHouse(root: string): House {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
  const texts: Record<string, string | null> = {}
  for (const path of new Set(listed.split('\0'))) {
    if (path === '') continue
    const bytes = readIfPresent(join(root, path))
    if (bytes === null) continue
    texts[path] = isUtf8(bytes) && !bytes.includes(0) ? bytes.toString('utf8') : null
  }
  return houseOf(texts)
}

export function houseOf(texts: Readonly<Record<string, string | null>>): House {
  const files = new Map(Object.entries(texts))
  const modules = new Map<string, Module>()
  for (const [path, text] of files) {
    if (text !== null && path.endsWith('.ts')) modules.set(path, parseModule(path, text, files))
  }
  return { files, modules }
}

/** A test, or a helper only tests may import. */
export const isTest = (path: string): boolean => /(^|\/)(testing|[^/]+\.(test|testing))\.ts$/.test(path)

/** Code that is shipped: `protocol/ hub/ agent/` without tests, generators and what makes test vectors. */
export const isShipped = (path: string): boolean =>
  /^(protocol|hub|agent)\//.test(path) && !isTest(path) && !isGenerator(path)

/** A program that writes files of the repository. It may use the disk and the console where its neighbours may not. */
export const isGenerator = (path: string): boolean => /(^|\/)generate(-[^/]+)?\.ts$|^protocol\/spec\//.test(path)

/** `*.gen.ts`: nobody reads or edits it. */
export const isGenerated = (path: string): boolean => path.endsWith('.gen.ts')

/** Null for a path that is listed but gone from the disk, or is a link to a folder. */
function readIfPresent(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'EISDIR') return null
    throw error
  }
}

function parseModule(path: string, text: string, files: ReadonlyMap<string, string | null>): Module {
  const { program, comments, errors } = parseSync(path, text, { preserveParens: false })
  if (errors.length > 0) throw new Error(`${path} does not parse: ${errors[0]?.message}`)
  const lineAt = lineIndex(text)
  const imports: Import[] = []
  const mentions = new Set<string>()
  const specifiersAt = new Set<number>()
  const addImport = (source: { value: unknown; start: number } | null): void => {
    if (typeof source?.value !== 'string') return
    specifiersAt.add(source.start)
    imports.push({ specifier: source.value, line: lineAt(source.start), ...resolve(source.value, path) })
  }
  new Visitor({
    ImportDeclaration: (node) => addImport(node.source),
    ExportNamedDeclaration: (node) => addImport(node.source),
    ExportAllDeclaration: (node) => addImport(node.source),
    TSImportType: (node) => addImport(node.source),
    ImportExpression: (node) => {
      if (node.source.type === 'Literal') addImport(node.source as { value: unknown; start: number })
    },
    Literal: (node) => {
      // An import's own specifier comes by here as well, after the import itself.
      if (typeof node.value === 'string' && !specifiersAt.has(node.start))
        addMentions(node.value, path, files, mentions)
    },
    TemplateLiteral: (node) => {
      addMentions(node.quasis.map((quasi) => quasi.value.cooked ?? '').join('*'), path, files, mentions)
    },
  }).visit(program)
  return { path, text, program, comments, imports, mentions: [...mentions], lineAt }
}

function resolve(specifier: string, from: string): Pick<Import, 'path' | 'builtin' | 'package'> {
  const none = { path: null, builtin: null, package: null }
  if (specifier.startsWith('.')) return { ...none, path: posix.join(posix.dirname(from), specifier) }
  if (specifier.startsWith('#')) return { ...none, path: specifier.slice(1) }
  if (isBuiltin(specifier)) return { ...none, builtin: specifier.replace(/^node:/, '') }
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  return { ...none, package: name }
}

/** Paths are meant from the naming file's folder or from the root; `*` stands for what a template puts in. */
function addMentions(text: string, from: string, files: ReadonlyMap<string, string | null>, found: Set<string>): void {
  if (!text.endsWith('.ts') || text.length > 200) return
  const named = text.replace(/^#/, '')
  for (const candidate of [posix.join(posix.dirname(from), named), posix.normalize(named)]) {
    if (files.has(candidate)) found.add(candidate)
    if (!named.includes('*') || !named.includes('/')) continue
    for (const path of files.keys()) if (matchesGlob(path, candidate)) found.add(path)
  }
}

function lineIndex(text: string): (offset: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((starts[middle] as number) <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}
