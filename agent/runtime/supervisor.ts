// Runs many flows side by side. One that fails stops alone; its status keeps the fault until it is started again.

import { asFault, type Clock } from '#protocol/base/mod.ts'
import type { ComponentContext } from '../components/contract.ts'
import { flowFault } from './faults.ts'
import { type FlowStatus, type RunFlowOptions, runFlow } from './flow.ts'
import { FLOWS_MAX } from './limits.ts'

export type SupervisorOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly log: ComponentContext['log']
  readonly onProgress?: (status: FlowStatus) => void
}

export type StartFlowOptions = Pick<RunFlowOptions, 'flow' | 'components'>

type Run = { status: FlowStatus | null; readonly stop: AbortController; ended: Promise<FlowStatus> | null }

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #runs = new Map<string, Run>()

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  /** Starts a flow, also one that has failed or was stopped. Faults: `FLOW_ALREADY_RUNNING`, `FLOWS_MAX`. */
  startFlow(started: StartFlowOptions): void {
    const { name } = started.flow
    const previous = this.#runs.get(name)
    if (previous !== undefined && !hasEnded(previous)) throw flowFault('FLOW_ALREADY_RUNNING', { where: name })
    if (previous === undefined && this.#runs.size >= FLOWS_MAX)
      throw flowFault('FLOWS_MAX', { where: name, limit: FLOWS_MAX })
    const { clock, random, log, onProgress } = this.#options
    const stop = new AbortController()
    const run: Run = { status: null, stop, ended: null }
    this.#runs.set(name, run)
    run.ended = runFlow({
      ...started,
      clock,
      random,
      log: (level, message, details) => log(level, message, { flow: name, ...details }),
      signal: stop.signal,
      onProgress: (status) => {
        run.status = status
        onProgress?.(status)
      },
    }).catch((error: unknown) => {
      // `runFlow` has logged the fault and told it as the last status; only a defect gets here without one.
      if (run.status?.state === 'failed') return run.status
      throw asFault(error, name)
    })
  }

  /** Asks a flow to stop and resolves when it has: the portion in hand is finished first. */
  async stopFlow(name: string): Promise<FlowStatus> {
    this.#runs.get(name)?.stop.abort()
    return this.ended(name)
  }

  /** Resolves when the flow has stopped or failed, with its last status. */
  async ended(name: string): Promise<FlowStatus> {
    const ended = this.#runs.get(name)?.ended ?? null
    if (ended === null) throw flowFault('FLOW_UNKNOWN', { where: name })
    return ended
  }

  /** Of every flow started so far, in the order of their first start. */
  status(): FlowStatus[] {
    return [...this.#runs.values()].flatMap(({ status }) => (status === null ? [] : [status]))
  }

  /** Stops all flows. */
  async close(): Promise<void> {
    await Promise.all([...this.#runs.keys()].map((name) => this.stopFlow(name)))
  }
}

const hasEnded = ({ status }: Run): boolean => status?.state === 'failed' || status?.state === 'stopped'
