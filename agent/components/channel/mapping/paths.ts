// Paths, compiled: each step is a loop over children that calls the next, and the last calls a leaf, which says with a number ≥ 0
// that the search ends there. First node, existence, counting and collecting differ in their leaves only.

import type { Names } from '../../xml/mod.ts'
import type { Name, Path, Step } from './ast.ts'
import type { Find, Run, Test } from './run.ts'

/** `where` is compiled by the caller. */
export type StepTest = (where: NonNullable<Step['where']>) => Test

/** The leaf gets elements, or with an attribute at the end of the path, indexes of attributes. */
export function compilePath(path: Path, names: Names, test: StepTest, leaf: Find): Find {
  let find = path.attribute === null ? leaf : attributeStep(path.attribute, names, leaf)
  for (const step of [...path.steps].reverse()) find = childStep(step, names, test, find)
  if (path.absolute) {
    const inner = find
    return (run) => inner(run, 0)
  }
  return path.up === 0 ? find : upStep(path.up, find)
}

function attributeStep(name: Name, names: Names, leaf: Find): Find {
  const id = names.ask(name.uri, name.local)
  return (run, node) => {
    const at = run.tree.attribute(node, id)
    return at < 0 ? -1 : leaf(run, at)
  }
}

function upStep(up: number, inner: Find): Find {
  return (run, node) => {
    let at = node
    for (let i = 0; i < up && at >= 0; i += 1) at = run.tree.parent[at] as number
    return at < 0 ? -1 : inner(run, at)
  }
}

function childStep(step: Step, names: Names, test: StepTest, inner: Find): Find {
  const id = step.name === null ? -1 : names.ask(step.name.uri, step.name.local)
  if (step.where !== null || step.position !== null) {
    return choosyStep(id, step.where === null ? null : test(step.where), step.position, inner)
  }
  if (id < 0) return choosyStep(id, null, null, inner)
  return (run, node) => {
    const { name, end } = run.tree
    const last = end[node] as number
    let visits = 1
    for (let child = node + 1; child < last; child = end[child] as number) {
      visits += 1
      if (name[child] === id) {
        const found = inner(run, child)
        if (found >= 0) return found
      }
    }
    run.visited(visits)
    return -1
  }
}

/** With `*`, a condition or a position. */
function choosyStep(id: number, where: Test | null, position: number | null, inner: Find): Find {
  return (run, node) => {
    const { name, end } = run.tree
    const last = end[node] as number
    let count = 0
    for (let child = node + 1; child < last; child = end[child] as number) {
      run.visited(1)
      const its = name[child] as number
      if (id < 0 ? its < 0 : its !== id) continue
      if (where !== null && !where(run, child)) continue
      count += 1
      if (position !== null && count < position) continue
      const found = inner(run, child)
      if (found >= 0) return found
      if (position !== null) return -1
    }
    return -1
  }
}

export const itself: Find = (_run, node) => node

export const counting: Find = (run) => {
  run.total += 1
  return -1
}

export const collecting: Find = (run, node) => {
  run.found.push(node)
  return -1
}

/** All nodes of a path, in a list of its own. */
export function collect(run: Run, find: Find, node: number): number[] {
  const outer = run.found
  const found: number[] = []
  run.found = found
  find(run, node)
  run.found = outer
  return found
}
