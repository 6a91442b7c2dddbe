// What commands that transfer files by hand tell about themselves, while they run: a file each in the agent's data folder, by process.

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive, SILENT_MS, StatusFile, type TransferStatus } from './status.ts'

/** Each has a connection of its own, and the hub lets an agent have one: more than a few are left by crashes. */
const FILES_MAX = 64

export type CommandStatus = {
  readonly pid: number
  /** Such as `send file`. */
  readonly command: string
  readonly startedAtMs: number
  readonly transfers: readonly TransferStatus[]
}

const folderOf = (dataDir: string): string => join(dataDir, 'commands')

/** Tells until `stop`. That nobody can be told, on a full disk or without the right to write, does not keep a command from its work. */
export function tellCommand(
  dataDir: string,
  { command, transfers }: { readonly command: string; readonly transfers: () => TransferStatus[] },
): { stop(): void } {
  const folder = folderOf(dataDir)
  const { pid } = process
  const startedAtMs = Date.now()
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const { path, status } of filesIn(folder)) if (status === null) rmSync(path, { force: true })
    const read = (): CommandStatus => ({ pid, command, startedAtMs, transfers: transfers() })
    return new StatusFile(join(folder, `${pid}.json`), read, () => undefined)
  } catch {
    return { stop: () => undefined }
  }
}

/** Commands that run on this data folder, the first one first. */
export function readCommands(dataDir: string): CommandStatus[] {
  const running = filesIn(folderOf(dataDir)).flatMap(({ status }) => (status === null ? [] : [status]))
  return running.sort((a, b) => a.startedAtMs - b.startedAtMs)
}

/** `status` is `null` where the process is gone or silent. */
function filesIn(folder: string): { path: string; status: CommandStatus | null }[] {
  let names: string[]
  try {
    names = readdirSync(folder).filter((name) => /^\d{1,10}\.json$/.test(name))
  } catch {
    return []
  }
  return names.slice(0, FILES_MAX).map((name) => {
    const path = join(folder, name)
    return { path, status: statusIn(path) }
  })
}

function statusIn(path: string): CommandStatus | null {
  try {
    if (Date.now() - statSync(path).mtimeMs > SILENT_MS) return null
    const status = JSON.parse(readFileSync(path, 'utf8')) as CommandStatus
    return isAlive(status.pid) ? status : null
  } catch {
    // It ended meanwhile.
    return null
  }
}
