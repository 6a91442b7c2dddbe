// Which folder may import which: the house of the architecture document as a table. Tests may import anything.

import { type Finding, type House, type Import, isShipped, isTest, type Module, type Rule } from './house.ts'

/**
 * Top-down: a folder (or, at the top, a file) imports only what stands below it in its block, then `protocol/`.
 * A new folder gets its place here and in the architecture document.
 */
export const FLOORS: Readonly<Record<string, readonly string[]>> = {
  protocol: [
    'spec',
    'transfer',
    'session',
    'handshake',
    'codec',
    'schema',
    'frame',
    'crypto',
    'bytes',
    'fields',
    'base',
  ],
  hub: [
    'main.ts',
    'compose.ts',
    'console',
    'api',
    'management',
    'listener',
    'federation',
    'session',
    'process',
    'router',
    'transform',
    'transfer',
    'pool',
    'store',
    'security',
    'config',
    'telemetry',
  ],
  agent: [
    'main.ts',
    'cli',
    'compose.ts',
    'telemetry',
    'ferry',
    'update',
    'runtime',
    'components',
    'client',
    'spool',
    'identity',
    'config',
  ],
}

/** They meet in the store only: sessions append and drain, router and process move messages between queues. */
const STRANGERS: ReadonlySet<string> = new Set(['session', 'process', 'router'])

/** What touches the outside world; `protocol/` is pure. */
const IMPURE_BUILTINS: ReadonlySet<string> = new Set([
  'child_process',
  'cluster',
  'dgram',
  'dns',
  'dns/promises',
  'fs',
  'fs/promises',
  'http',
  'http2',
  'https',
  'inspector',
  'net',
  'os',
  'process',
  'readline',
  'readline/promises',
  'sqlite',
  'timers',
  'timers/promises',
  'tls',
  'tty',
  'worker_threads',
])

/** A package that only these folders may import, so that it can be replaced there. */
const KEPT_BEHIND: Readonly<Record<string, readonly string[]>> = { lmdb: ['hub/store/', 'agent/spool/'] }

/** Beyond compose.ts, a file that knows more of its program's folders than this is a second composition root. */
const FOLDERS_KNOWN_MAX = 6

export const directionRules: readonly Rule[] = [
  rule('imports go down the house', (module, imported) => {
    if (imported.path === null) return null
    return wayUp(module.path, imported.path)
  }),
  rule('session, process and router do not know each other', (module, imported) => {
    const [block, from] = module.path.split('/')
    const [otherBlock, to] = (imported.path ?? '').split('/')
    if (block !== 'hub' || otherBlock !== 'hub' || from === to) return null
    if (!STRANGERS.has(from ?? '') || !STRANGERS.has(to ?? '')) return null
    return [`${from} imports ${to}`, 'Let them meet in hub/store: one appends to a queue, the other drains it']
  }),
  rule('what is shipped imports no test or bench', (_module, imported) => {
    if (imported.path === null || !(/^(test|bench)\//.test(imported.path) || isTest(imported.path))) return null
    return [`shipped code imports ${imported.path}`, 'Move what both need into the folder that owns it']
  }),
  rule('protocol is pure', (module, imported) => {
    if (!module.path.startsWith('protocol/') || !IMPURE_BUILTINS.has(imported.builtin ?? '')) return null
    return [`protocol imports ${imported.specifier}`, 'Hand bytes and times in, and do the I/O in hub/ or agent/']
  }),
  rule('lmdb stays behind store and spool', (module, imported) => {
    const keepers = KEPT_BEHIND[imported.package ?? '']
    if (keepers === undefined || keepers.some((folder) => module.path.startsWith(folder))) return null
    return [`${imported.package} is imported outside ${keepers.join(' and ')}`, 'Use the contract those folders offer']
  }),
  { name: 'every folder has its place in the house', find: findHomeless },
  { name: 'only compose.ts knows every folder', find: findSecondRoots },
  { name: 'imports exist', find: findBrokenImports },
  { name: 'shipped code imports declared dependencies', find: findUndeclaredPackages },
]

function rule(name: string, judge: (module: Module, imported: Import) => readonly [string, string] | null): Rule {
  const find = (house: House): Finding[] => {
    const findings: Finding[] = []
    for (const module of house.modules.values()) {
      if (!isShipped(module.path)) continue
      for (const imported of module.imports) {
        const verdict = judge(module, imported)
        if (verdict === null) continue
        findings.push({ where: `${module.path}:${imported.line}`, what: verdict[0], mend: verdict[1] })
      }
    }
    return findings
  }
  return { name, find }
}

function wayUp(from: string, to: string): readonly [string, string] | null {
  const [block = '', floor = ''] = from.split('/')
  const [otherBlock = '', otherFloor = ''] = to.split('/')
  const floors = FLOORS[block] ?? []
  const level = floors.indexOf(floor)
  if (level === -1) return null
  if (otherBlock === block) {
    const otherLevel = floors.indexOf(otherFloor)
    if (otherLevel === -1 || otherLevel >= level) return null
    return [`${block}/${floor} imports ${otherFloor} above it`, 'Pass it in from above, or move what both need down']
  }
  if (otherBlock === 'protocol') return null
  if (block === 'protocol')
    return [`protocol imports ${otherBlock}/`, 'It stands alone: move the shared part into protocol/']
  if (block === 'agent' && otherBlock === 'hub') {
    return ['an agent imports hub/', 'Agents are shipped without the hub: move the shared part into protocol/']
  }
  if (block === 'hub' && otherBlock === 'agent' && otherFloor !== 'components') {
    return [
      `the hub imports agent/${otherFloor}`,
      'Only agent/components runs in both; start an agent process for the rest',
    ]
  }
  return null
}

function findHomeless(house: House): Finding[] {
  const findings = new Map<string, Finding>()
  for (const path of house.files.keys()) {
    const [block = '', floor = ''] = path.split('/')
    if (FLOORS[block] === undefined || FLOORS[block].includes(floor) || /^causeway-|\.(md|test\.ts)$/.test(floor))
      continue
    const mend = 'Move it where it belongs, or give it a place in test/toolchain/directions.ts and the architecture'
    if (findings.has(`${block}/${floor}`)) continue
    findings.set(`${block}/${floor}`, { where: `${path}:1`, what: `${block}/${floor} has no place in the house`, mend })
  }
  return [...findings.values()]
}

function findSecondRoots(house: House): Finding[] {
  const findings: Finding[] = []
  for (const module of house.modules.values()) {
    const [block = '', floor = ''] = module.path.split('/')
    if (!isShipped(module.path) || block === 'protocol' || floor === 'compose.ts') continue
    const known = new Set<string>()
    for (const { path } of module.imports) {
      const [otherBlock, otherFloor = ''] = (path ?? '').split('/')
      if (otherBlock === block && otherFloor !== floor && !otherFloor.endsWith('.ts')) known.add(otherFloor)
    }
    if (known.size <= FOLDERS_KNOWN_MAX) continue
    const what = `imports ${known.size} folders of ${block}/ (${[...known].sort().join(' ')})`
    findings.push({
      where: `${module.path}:1`,
      what,
      mend: `Compose them in ${block}/compose.ts and pass in what is needed`,
    })
  }
  return findings
}

function findBrokenImports(house: House): Finding[] {
  const findings: Finding[] = []
  for (const module of house.modules.values()) {
    for (const { path, line, specifier } of module.imports) {
      if (path === null || house.files.has(path)) continue
      findings.push({ where: `${module.path}:${line}`, what: `${specifier} does not exist`, mend: 'Correct the path' })
    }
  }
  return findings
}

/** Development packages are not installed where the product runs. */
function findUndeclaredPackages(house: House): Finding[] {
  const manifest = JSON.parse(house.files.get('package.json') ?? '{}') as { dependencies?: Record<string, string> }
  const declared = new Set(Object.keys(manifest.dependencies ?? {}))
  const findings: Finding[] = []
  for (const module of house.modules.values()) {
    if (!isShipped(module.path)) continue
    for (const imported of module.imports) {
      if (imported.package === null || declared.has(imported.package)) continue
      const what = `${imported.package} is not among the dependencies`
      findings.push({
        where: `${module.path}:${imported.line}`,
        what,
        mend: 'Declare it in package.json, or do without',
      })
    }
  }
  return findings
}
