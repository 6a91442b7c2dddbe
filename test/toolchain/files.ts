// Rules about files as a whole: where they stand, how long they are, how they are written, and whether anybody needs them.

import { posix } from 'node:path'
import { type Finding, type House, isGenerated, isShipped, isTest, type Module, type Rule } from './house.ts'

/** The owner fixed the top level; dot files may join. */
const TOP_LEVEL = [
  'LICENSE',
  'Makefile',
  'README.md',
  'agent',
  'bench',
  'hub',
  'package-lock.json',
  'package.json',
  'protocol',
  'test',
  'tsconfig.json',
]
/** Comes with its own issue. */
const TOP_LEVEL_LATER = ['firmware-images']

const LINES_MAX = 500
/** Files that may be longer, each with its reason. */
const LONGER: Readonly<Record<string, string>> = {}

/** What other programs import without our seeing it. */
const PUBLIC_DOORS: ReadonlySet<string> = new Set(['agent/client/mod.ts'])

/** Bytes as somebody else made them: tests need them as they are. */
const isForeign = (path: string): boolean => /(^|\/)(fixtures|vectors|transcripts)\//.test(path)

export const fileRules: readonly Rule[] = [
  { name: 'the top level is what the architecture lists', find: findTopLevel },
  { name: 'no file is too long', find: findLong },
  { name: 'text ends lines with LF, indents with spaces, ends with one newline', find: findTextForm },
  { name: 'no trace of one machine', find: findMachineTraces },
  { name: 'a folder with several modules in use outside has a door', find: findMissingDoors },
  { name: 'no module is dead', find: findDead },
]

function findTopLevel(house: House): Finding[] {
  const found = new Set([...house.files.keys()].map((path) => path.split('/')[0] as string))
  const allowed = new Set([...TOP_LEVEL, ...TOP_LEVEL_LATER])
  const findings: Finding[] = []
  for (const name of found) {
    if (allowed.has(name) || name.startsWith('.')) continue
    findings.push({ where: name, what: 'is not in the architecture', mend: 'Move it into the folder that it serves' })
  }
  for (const name of TOP_LEVEL) {
    if (!found.has(name)) findings.push({ where: name, what: 'is missing', mend: 'The architecture lists it: make it' })
  }
  return findings
}

function findLong(house: House): Finding[] {
  const findings: Finding[] = []
  for (const { path, text } of house.modules.values()) {
    const lines = text.split('\n').length - 1
    if (lines <= LINES_MAX || isGenerated(path) || LONGER[path] !== undefined) continue
    const mend = 'Look for the seam inside and split it there'
    findings.push({ where: `${path}:${LINES_MAX + 1}`, what: `has ${lines} lines, over ${LINES_MAX}`, mend })
  }
  return findings
}

function findTextForm(house: House): Finding[] {
  const findings: Finding[] = []
  for (const [path, text] of house.files) {
    if (text === null || text === '' || isForeign(path)) continue
    // Windows' own scripts have CRLF in a work tree: .gitattributes says so.
    const cr = path.endsWith('.cmd') ? -1 : text.indexOf('\r')
    if (cr !== -1) findings.push({ where: at(path, text, cr), what: 'a carriage return', mend: 'End lines with LF' })
    const tab = posix.basename(path) === 'Makefile' ? -1 : text.indexOf('\t')
    if (tab !== -1)
      findings.push({ where: at(path, text, tab), what: 'a tab', mend: 'Use two spaces, or \\t in a string' })
    if (!/[^\n\r]\r?\n$/.test(text)) {
      const mend = 'End the file with exactly one'
      findings.push({ where: at(path, text, text.length), what: 'no newline at the end, or several', mend })
    }
  }
  return findings
}

// Written in pieces, so that this file does not find itself.
const MACHINE_TRACES: readonly (readonly [RegExp, string, string])[] = [
  [
    new RegExp(`(?<![\\w.])/(${['work', 'root', 'farm'].join('|')})/`),
    'a path of one machine',
    'Derive it from the file',
  ],
  [new RegExp(`(?<![\\w.])/(${['home', 'Users'].join('|')})/\\w`), 'a path of one person', 'Derive it from the file'],
  [
    new RegExp(`"${'resolved'}": *"https?:`),
    'a registry address',
    'Set omit-lockfile-registry-resolved and lock again',
  ],
  [
    new RegExp(`${'registry'}\\.(npmjs|npmmirror|yarnpkg)\\.`),
    'a registry host',
    'Leave it to the reader: npm knows its own',
  ],
]

function findMachineTraces(house: House): Finding[] {
  const findings: Finding[] = []
  for (const [path, text] of house.files) {
    if (text === null) continue
    for (const [pattern, what, mend] of MACHINE_TRACES) {
      const match = pattern.exec(text)
      if (match !== null)
        findings.push({ where: at(path, text, match.index), what: `${what}, ${match[0].trim()}`, mend })
    }
  }
  return findings
}

/** A parent folder inside the same subsystem is family; everybody else should come through one door. */
function findMissingDoors(house: House): Finding[] {
  const used = new Map<string, Map<string, string>>()
  for (const module of house.modules.values()) {
    if (!isShipped(module.path)) continue
    const from = posix.dirname(module.path)
    for (const { path, line } of module.imports) {
      if (path === null || !/^(protocol|hub|agent)\//.test(path)) continue
      const folder = posix.dirname(path)
      if (from === folder || from.startsWith(`${folder}/`)) continue
      const isParent = posix.dirname(folder) === from && from.includes('/')
      if (isParent || house.files.has(`${folder}/mod.ts`)) continue
      const modules = used.get(folder) ?? new Map<string, string>()
      used.set(folder, modules.set(path, `${module.path}:${line}`))
    }
  }
  const findings: Finding[] = []
  for (const [folder, modules] of used) {
    if (modules.size < 2) continue
    const names = [...modules.keys()].map((path) => posix.basename(path)).join(' and ')
    const mend = `Re-export what others use from ${folder}/mod.ts and import that`
    findings.push({ where: [...modules.values()].at(-1) as string, what: `${folder} has no door for ${names}`, mend })
  }
  return findings
}

function findDead(house: House): Finding[] {
  const needed = neededModules(house)
  const findings: Finding[] = []
  for (const module of house.modules.values()) {
    if (needed.has(module.path) || isEntry(module, house)) continue
    const what = isShipped(module.path) ? 'is imported by nothing that is shipped' : 'is imported by nothing'
    const mend = 'Remove it, use it, or say at its top how to run it: `node its/path.ts`'
    findings.push({ where: `${module.path}:1`, what, mend })
  }
  return findings
}

/** A test keeps its helpers and the programs that it starts; for shipped code, to be tested is not to be needed. */
function neededModules(house: House): Set<string> {
  const needed = new Set<string>()
  for (const module of house.modules.values()) {
    for (const { path } of module.imports) {
      if (path !== null && path !== module.path && !(isTest(module.path) && isShipped(path))) needed.add(path)
    }
    for (const path of module.mentions) if (path !== module.path) needed.add(path)
  }
  return needed
}

function isEntry({ path, text }: Module, house: House): boolean {
  if (path.endsWith('.test.ts') || PUBLIC_DOORS.has(path)) return true
  if (text.includes(`node ${path}`)) return true
  for (const name of ['Makefile', 'package.json', '.ci/run']) if (house.files.get(name)?.includes(path)) return true
  // The launchers name their program from the root: "$root/hub/main.ts".
  const [block = ''] = path.split('/')
  return house.files.get(`${block}/causeway-${block}`)?.includes(`/${path}`) === true
}

function at(path: string, text: string, offset: number): string {
  return `${path}:${text.slice(0, offset).split('\n').length}`
}
