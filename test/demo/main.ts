// `make demo`: real records of three departments through a hub into one library, with crashes in the middle, proven row by
// row. `--keep` (or KEEP=1) leaves it running, `--stop` ends what was left, `--json` prints the result as JSON.

import { existsSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { asFault } from '#protocol/base/mod.ts'
import { Demo } from './demo.ts'
import { keep, keepGuide, stopKept } from './keep.ts'
import { AGENTS, type AgentName, DEMO_DIR, layoutIn } from './layout.ts'
import { Progress } from './progress.ts'
import { judge, type Measured, type Result, renderResult } from './result.ts'
import { shown } from './stage.ts'
import type { Supervised } from './supervise.ts'
import { verify } from './verify.ts'

const { values: options } = parseArgs({
  options: { keep: { type: 'boolean' }, stop: { type: 'boolean' }, json: { type: 'boolean' } },
})
const isKeeping = options.keep ?? (process.env.KEEP !== undefined && !['', '0'].includes(process.env.KEEP))
const startMs = performance.now()
const layout = layoutIn(DEMO_DIR)
// With --json only the result goes to standard output.
const out = options.json === true ? process.stderr : process.stdout
const progress = new Progress(out, startMs)

process.exitCode = options.stop === true ? stopAll() : await play()

async function play(): Promise<number> {
  const left = stopKept(layout)
  if (left.length > 0) progress.print(`stopped what an earlier demo kept running: ${left.join(', ')}`)
  const demo = new Demo({ layout, progress, startMs })
  const release = killOnEnd(demo)
  try {
    await demo.prepare()
    const result = await finish(demo, await transferred(demo))
    if (options.json === true) console.log(JSON.stringify({ ...result, events: demo.events }, null, 2))
    else progress.print(renderResult(result))
    return result.ok ? 0 : 1
  } catch (error) {
    showFailure(demo, error)
    return 1
  } finally {
    demo.end({ isKept: existsSync(layout.kept) })
    release()
  }
}

/** Gives back what went wrong. A transfer that failed is verified like any other: its last line says what is missing. */
async function transferred(demo: Demo): Promise<string[]> {
  try {
    await demo.transfer()
    return []
  } catch (error) {
    showFailure(demo, error)
    demo.killNow()
    return [asFault(error).describe()]
  }
}

async function finish(demo: Demo, complaints: string[]): Promise<Result> {
  const verdict = verify(layout)
  const isRunning = complaints.length === 0
  if (isRunning && !isKeeping) {
    const before = demo.arrivals()
    const killed = await demo.stop()
    if (killed.length > 0) complaints.push(`not ended by SIGTERM in time: ${killed.join(', ')}`)
    const late = demo.arrivals() - before
    if (late !== 0) complaints.push(`${late} rows were written after everything had landed`)
  }
  const nowMs = performance.now()
  const transferMs = (demo.transferEndMs || nowMs) - demo.transferStartMs
  const measured = { hub: measureHub(demo), agents: measureAgents(demo), transferMs, totalMs: nowMs - startMs }
  const result = judge({ verdict, complaints, ...measured })
  if (isKeeping && isRunning) {
    keep(layout, demo.processes)
    if (demo.ports !== null) progress.print(`\n${keepGuide(layout, demo.ports)}`)
  } else if (result.ok) rmSync(layout.root, { recursive: true, force: true })
  else progress.print(`\nThe folder is left for inspection: ${shown(layout.root)}`)
  return result
}

function measureAgents(demo: Demo): Record<AgentName, Measured> {
  const entries = AGENTS.map((name): [AgentName, Measured] => {
    const { rawBytes, wireBytes } = demo.meters[name]
    const { restarts, rssPeakBytes } = demo.agents[name]
    const lastMoveMs = demo.lastMoveMs.get(name)
    const busyMs = lastMoveMs === undefined ? null : lastMoveMs - demo.transferStartMs
    return [name, { rawBytes, wireBytes, busyMs, restarts, rssBytes: rssPeakBytes }]
  })
  return Object.fromEntries(entries) as Record<AgentName, Measured>
}

function measureHub(demo: Demo): Measured {
  const { restarts, rssPeakBytes } = demo.hub
  return { rawBytes: null, wireBytes: demo.hubWireBytes, busyMs: null, restarts, rssBytes: rssPeakBytes }
}

/** The fault, and the last log lines of whoever it names, else of everyone. */
function showFailure(demo: Demo, error: unknown): void {
  progress.end()
  const failure = asFault(error)
  const named = demo.processes.filter(({ name }) => name === failure.where)
  for (const process of named.length > 0 ? named : demo.processes) showTail(process)
  const { lines } = failure.details
  if (Array.isArray(lines)) progress.print(lines.map((line) => `  ${line}`).join('\n'))
  progress.print(`\n${failure.describe()}`)
  if (failure.code === 'INTERNAL' && error instanceof Error) progress.print(String(error.stack))
  progress.print(`Logs: ${shown(layout.logsDir)}`)
}

function showTail(process: Supervised): void {
  const lines = process.tail()
  if (lines.length > 0) progress.print(`\n--- ${process.name}\n${lines.map((line) => `  ${line}`).join('\n')}`)
}

/** However this program ends, nothing it started goes on, unless it was asked to. Gives back how to undo that. */
function killOnEnd(demo: Demo): () => void {
  const kill = () => {
    if (!existsSync(layout.kept)) demo.killNow()
  }
  const onSignal = (signal: NodeJS.Signals) => {
    demo.killNow()
    out.write(`\n${signal}: everything was killed, the folder is left: ${shown(layout.root)}\n`)
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  // A reader that went away (`make demo | head`) is an end like any other.
  const onBrokenPipe = () => process.exit(1)
  process.on('exit', kill)
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.on('SIGHUP', onSignal)
  out.on('error', onBrokenPipe)
  return () => {
    process.off('exit', kill)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, onSignal)
    out.off('error', onBrokenPipe)
  }
}

function stopAll(): number {
  const stopped = stopKept(layout)
  console.log(stopped.length === 0 ? 'nothing was running' : `stopped: ${stopped.join(', ')}`)
  if (existsSync(layout.marker)) rmSync(layout.root, { recursive: true, force: true })
  return 0
}
