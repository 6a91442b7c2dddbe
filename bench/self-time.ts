// Reads V8's CPU profiles: where a process spent its time, function by function, without what it called.

export type CpuProfile = {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  /** Id of the node each sample was taken in, and the µs that passed before it. */
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export type SelfTime = { readonly name: string; readonly where: string; readonly ms: number; readonly share: number }

export type Summary = {
  /** Without what it waited. */
  readonly busyMs: number
  readonly idleMs: number
  /** The most expensive first; shares are of the busy time. */
  readonly functions: readonly SelfTime[]
}

/** `root` is cut from the front of paths. */
export function selfTimes({ nodes, samples, timeDeltas }: CpuProfile, root: string): Summary {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const spent = new Map<string, { name: string; where: string; micros: number }>()
  let idle = 0
  let busy = 0
  for (const [i, id] of samples.entries()) {
    const { functionName = '', url = '', lineNumber = 0 } = frames.get(id) ?? {}
    const micros = Math.max(0, timeDeltas[i] ?? 0)
    if (functionName === '(idle)') {
      idle += micros
      continue
    }
    busy += micros
    const name = functionName === '' ? '(anonymous)' : functionName
    const where = url === '' ? '' : `${shortened(url, root)}:${lineNumber + 1}`
    const key = `${name} ${where}`
    const entry = spent.get(key)
    if (entry === undefined) spent.set(key, { name, where, micros })
    else entry.micros += micros
  }
  const functions = [...spent.values()]
    .sort((a, b) => b.micros - a.micros)
    .map(({ name, where, micros }) => ({ name, where, ms: micros / 1000, share: busy === 0 ? 0 : micros / busy }))
  return { busyMs: busy / 1000, idleMs: idle / 1000, functions }
}

/** The first `rows` of them, for a terminal. */
export function tableOfSelfTimes(title: string, { busyMs, idleMs, functions }: Summary, rows: number): string {
  const total = busyMs + idleMs
  const lines = functions
    .slice(0, rows)
    .map(
      ({ name, where, ms, share }) =>
        `  ${(share * 100).toFixed(1).padStart(5)} % ${ms.toFixed(0).padStart(7)} ms  ${name.padEnd(28)} ${where}`,
    )
  const busy = total === 0 ? 0 : (busyMs / total) * 100
  return [`${title}: busy ${(busyMs / 1000).toFixed(1)} s, ${busy.toFixed(0)} % of its time`, ...lines].join('\n')
}

function shortened(url: string, root: string): string {
  const path = url.replace(/^file:\/\//, '')
  const within = path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path
  return within.replace(/^.*node_modules\//, '')
}
