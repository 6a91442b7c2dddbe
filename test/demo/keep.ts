// KEEP=1: what is left running, how to look at it, how to stop it.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { AGENTS, type Layout, TITLES } from './layout.ts'
import { type Ports, shown } from './stage.ts'
import { commandOf, type Supervised, signalGroup } from './supervise.ts'

type Kept = { readonly name: string; readonly pid: number }

export function keep(layout: Layout, processes: readonly Supervised[]): void {
  const kept: Kept[] = processes.flatMap(({ name, pid }) => (pid === null ? [] : [{ name, pid }]))
  writeFileSync(layout.kept, `${JSON.stringify(kept, null, 2)}\n`)
  for (const process of processes) process.release()
}

/** Ends what an earlier run kept running, by id, and only what is still that program. Gives back the names. */
export function stopKept(layout: Layout): string[] {
  if (!existsSync(layout.kept)) return []
  const kept = JSON.parse(readFileSync(layout.kept, 'utf8')) as Kept[]
  const stopped: string[] = []
  for (const { name, pid } of kept) {
    // The id may belong to another program by now.
    if (!commandOf(pid).includes(layout.root)) continue
    signalGroup(pid, 'SIGKILL')
    stopped.push(name)
  }
  rmSync(layout.kept)
  return stopped
}

export function keepGuide(layout: Layout, ports: Ports): string {
  const node = 'node_modules/.bin/node'
  const management = `http://127.0.0.1:${ports.management}`
  const query = 'select level, count(*) from division group by level'
  return [
    'Everything is still running (KEEP=1). To look at it:',
    `  the centre's library   sqlite3 ${shown(layout.libraryDb)} '${query}'`,
    `  ${TITLES.jieyang.padEnd(22)} sqlite3 ${shown(layout.jieyangDb)} '${query}'`,
    `  the hub                hub/causeway-hub status --data ${shown(layout.hubDir)}`,
    `                         ${management}/healthz  ${management}/metrics`,
    ...AGENTS.map((name) => {
      const what = `agent ${name}`.padEnd(22)
      return `  ${what} agent/causeway-agent status --data ${shown(layout.agentDir(name))}`
    }),
    `  flows                  ${shown(layout.root)}/*/agent/flows/*.yaml`,
    `  logs                   ${shown(layout.logsDir)}/*.log`,
    `  a new street file      put a GB18030 CSV into ${shown(layout.streetsDropDir)}/`,
    'To stop it and remove the folder:',
    `  ${node} test/demo/main.ts --stop`,
  ].join('\n')
}
