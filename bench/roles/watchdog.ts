// Ends what the benchmark started when the benchmark is killed: processes, by id, and folders. Started by children.ts; it
// learns of the end because the channel closes.
//
// Messages: `{ pid }` and `{ folder }` are watched from now on, `{ endedPid }` and `{ keptFolder }` no longer.

import { readFileSync, rmSync } from 'node:fs'

type Message = { pid?: number; endedPid?: number; folder?: string; keptFolder?: string }

/** By process id: when it began, so that a process that got the id later is left alone. */
const processes = new Map<number, string>()
const folders = new Set<string>()
/** A killed process may be writing still. */
const GONE_MS_MAX = 10_000

process.on('message', ({ pid, endedPid, folder, keptFolder }: Message) => {
  if (pid !== undefined) processes.set(pid, beginOf(pid))
  if (endedPid !== undefined) processes.delete(endedPid)
  if (folder !== undefined) folders.add(folder)
  if (keptFolder !== undefined) folders.delete(keptFolder)
})

process.once('disconnect', async () => {
  const left = [...processes].filter(([pid, begin]) => begin !== '' && beginOf(pid) === begin)
  for (const [pid] of left) kill(pid)
  for (const deadline = Date.now() + GONE_MS_MAX; Date.now() < deadline; ) {
    if (left.every(([pid, begin]) => beginOf(pid) !== begin)) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

// Ctrl-C reaches the whole group; this one goes last.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

/** Clock ticks after boot; empty when there is no such process (or no /proc: then nothing is killed). */
function beginOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    // A zombie is gone; only its parent's record is left.
    return fields[0] === 'Z' ? '' : (fields[19] ?? '')
  } catch {
    return ''
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}
